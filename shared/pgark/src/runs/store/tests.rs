//! Run records on a folder.

use super::*;
use crate::config::StoreUrl;
use crate::runs::{Figures, Outcome};
use crate::store::{Store, StoreOptions};

async fn repository() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Folder(folder.path().to_owned());
    let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
    (folder, Repository::new(store))
}

fn shop() -> SourceName {
    "shop".parse().unwrap()
}

fn record(id: &str, job: JobName, outcome: Option<Outcome>) -> RunRecord {
    let run: BackupId = id.parse().unwrap();
    RunRecord {
        format_version: super::super::FORMAT_VERSION.to_owned(),
        pgark_version: "0.1.0".to_owned(),
        run,
        job,
        source: shop(),
        started_at: run.time(),
        finished_at: outcome.map(|_| run.time()),
        outcome,
        backup: None,
        figures: Figures::default(),
        looked_at: None,
        error: None,
        report: None,
        cost: None,
        slot: None,
        by: None,
        warnings: Vec::new(),
    }
}

#[tokio::test]
async fn a_run_is_told_by_its_end_or_else_by_its_start() {
    let (_folder, repository) = repository().await;
    for id in ["20261031T235900Z-aaaa", "20261101T020000Z-bbbb", "20261102T020000Z-cccc"] {
        repository.put_run_start(&record(id, JobName::Backup, None)).await.unwrap();
    }
    let done = record("20261031T235900Z-aaaa", JobName::Backup, Some(Outcome::Done));
    repository.put_run_end(&done).await.unwrap();
    let failed = record("20261102T020000Z-cccc", JobName::Backup, Some(Outcome::Failed));
    repository.put_run_end(&failed).await.unwrap();
    let skipped = record("20261102T020001Z-dddd", JobName::Prune, Some(Outcome::Skipped));
    repository.put_run_end(&skipped).await.unwrap();

    let all = repository.runs(&shop(), None, None).await.unwrap();
    let outcomes: Vec<_> = all.records.iter().map(|run| (run.job, run.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            (JobName::Backup, Some(Outcome::Done)),
            (JobName::Backup, None),
            (JobName::Backup, Some(Outcome::Failed)),
            (JobName::Prune, Some(Outcome::Skipped)),
        ]
    );
    let since = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    for (job, time, count) in [
        (None, since("2026-10-31T23:59:00Z"), 4),
        (None, since("2026-10-31T23:59:01Z"), 3),
        (Some(JobName::Backup), since("2026-11-01T02:00:01Z"), 1),
        (Some(JobName::Health), None, 0),
        (None, since("2027-01-01T00:00:00Z"), 0),
    ] {
        let runs = repository.runs(&shop(), job, time).await.unwrap();
        assert_eq!(runs.records.len(), count, "{job:?} {time:?}");
    }
    assert_eq!(repository.sources_with_runs().await.unwrap(), [shop()]);
    // A record is written once.
    let again = repository.put_run_end(&done).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::ObjectExists);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hides_no_other() {
    let (folder, repository) = repository().await;
    let first = record("20261101T020000Z-bbbb", JobName::Backup, Some(Outcome::Done));
    repository.put_run_end(&first).await.unwrap();
    let month = folder.path().join("runs/shop/2026-11");
    std::fs::write(month.join("20261102T020000Z-cccc.verify.end.json"), "{").unwrap();
    // The first one's, in the place of another.
    std::fs::copy(
        month.join("20261101T020000Z-bbbb.backup.end.json"),
        month.join("20261103T020000Z-dddd.backup.end.json"),
    )
    .unwrap();
    std::fs::write(month.join("notes.txt"), "none of ours").unwrap();
    let runs = repository.runs(&shop(), None, None).await.unwrap();
    assert_eq!(runs.records, [first]);
    let keys: Vec<_> = runs.unreadable.iter().map(|(key, error)| (key.as_str(), error.code())).collect();
    assert_eq!(
        keys,
        [
            ("runs/shop/2026-11/20261102T020000Z-cccc.verify.end.json", "record.damaged"),
            ("runs/shop/2026-11/20261103T020000Z-dddd.backup.end.json", "record.damaged"),
        ]
    );
}

#[test]
fn what_a_newer_version_adds_does_not_hinder() {
    let mut json = serde_json::to_value(record("20261101T020000Z-bbbb", JobName::Backup, None)).unwrap();
    json["more"] = "of it".into();
    json.as_object_mut().unwrap().remove("warnings");
    let read: RunRecord = serde_json::from_value(json).unwrap();
    assert!(!read.has_ended() && read.warnings.is_empty());
}
