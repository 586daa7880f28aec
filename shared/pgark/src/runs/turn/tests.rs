//! Runs that are not alone, on a folder.

use super::*;
use crate::config::StoreUrl;
use crate::repository::{BackupId, Repository};
use crate::store::{Store, StoreOptions};

fn id(tail: &str) -> BackupId {
    format!("20261121T020000Z-{tail}").parse().unwrap()
}

fn request(of: &str, term: Duration) -> Request {
    let source = "shop".parse().unwrap();
    Request { source, job: JobName::Backup, run: id(of), by: None, term, now: Timestamp::now }
}

async fn take(repository: &Repository, of: &str, term: Duration) -> Lease {
    match Lease::acquire(repository, request(of, term)).await.unwrap() {
        Acquired::Taken(lease) => lease,
        Acquired::Held(holder) => panic!("held by {holder}"),
    }
}

async fn repository() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Folder(folder.path().to_owned());
    let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
    (folder, Repository::new(store))
}

async fn until_stopped(stop: &CancellationToken) -> Result<()> {
    stop.cancelled().await;
    Err(Error::new(ErrorKind::Stopped, "was stopped"))
}

/// EventBridge Scheduler, EventBridge's rules and the Cloudflare Worker write seconds; JavaScript's own form has more.
#[test]
fn a_slot_is_a_time_however_it_is_written() {
    for (one, other, same) in [
        ("2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z", true),
        ("2026-11-21T02:00:00Z", "2026-11-21T02:00:00.000Z", true),
        ("2026-11-21T02:00:00Z", "2026-11-21T03:00:00+01:00", true),
        ("2026-11-21T02:00:00Z", "2026-11-21T02:00:01Z", false),
        ("2026-11-21T02:00:00Z", "0 2 * * * 2026-11-21T02:00:00Z", false),
        ("before the upgrade", "before the upgrade", true),
        ("before the upgrade", "after the upgrade", false),
    ] {
        assert_eq!(is_same_slot(one, other), same, "{one} and {other}");
        assert_eq!(is_same_slot(other, one), same, "{other} and {one}");
    }
}

#[tokio::test]
async fn a_lease_that_is_lost_stops_the_work_and_says_whose_it_is() {
    let (folder, repository) = repository().await;
    let lease = take(&repository, "aaaa", Duration::from_secs(1)).await;
    // The machine slept for an hour, and another run came.
    let first = std::fs::File::open(folder.path().join("leases/shop/backup/00000001.json")).unwrap();
    first.set_modified(std::time::SystemTime::now() - Duration::from_hours(1)).unwrap();
    let other = take(&repository, "bbbb", Duration::from_mins(10)).await;

    let stop = CancellationToken::new();
    let (done, lease) = keep(Some(lease), &stop, until_stopped).await;
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert!(error.with_causes().contains("20261121T020000Z-bbbb"), "{}", error.with_causes());
    assert!(lease.is_none());
    // Only this run was stopped, and the other one has what it took.
    assert!(!stop.is_cancelled());
    other.release().await.unwrap();
}

#[tokio::test]
async fn a_lease_is_renewed_as_long_as_the_work_takes() {
    let (_folder, repository) = repository().await;
    let lease = take(&repository, "aaaa", Duration::from_secs(1)).await;
    let seen = repository.clone();
    let work = async move |_: &CancellationToken| {
        // Longer than a term: until the third renewal is there.
        loop {
            match Lease::acquire(&seen, request("bbbb", Duration::from_secs(1))).await? {
                Acquired::Held(holder) if holder.number >= 4 => return Ok(holder.run),
                Acquired::Held(_) => tokio::task::yield_now().await,
                Acquired::Taken(_) => return Err(Error::new(ErrorKind::Internal, "was not renewed")),
            }
        }
    };
    let (done, lease) = keep(Some(lease), &CancellationToken::new(), work).await;
    assert_eq!(done.unwrap(), id("aaaa"));
    lease.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn who_stops_the_run_stops_the_work() {
    let (_folder, repository) = repository().await;
    let lease = take(&repository, "aaaa", Duration::from_mins(10)).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let (done, lease) = keep(Some(lease), &stop, until_stopped).await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Stopped);
    lease.unwrap().release().await.unwrap();
}
