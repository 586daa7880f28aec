//! Whose a lease is, as a pure function; and leases in a folder.

use std::sync::Arc;

use super::*;
use crate::config::StoreUrl;
use crate::store::{Store, StoreOptions};

fn run(tail: &str) -> BackupId {
    format!("20261121T020000Z-{tail}").parse().unwrap()
}

/// A move: number, kind, run, when the store saw it in seconds, term.
fn placed(number: u32, kind: Kind, of: &str, second: i64, seconds: u32) -> Placed {
    let stored = Timestamp::from_second(second).unwrap();
    let made = Move {
        format_version: FORMAT_VERSION.to_owned(),
        kind,
        run: run(of),
        by: None,
        // Clocks of runs are not asked.
        at: Timestamp::UNIX_EPOCH,
        seconds,
    };
    Placed { number, stored, made }
}

#[test]
fn the_row_says_whose_the_lease_is() {
    use Kind::{Released, Renewed, Taken};
    type Case<'a> = (&'a str, &'a [(Kind, &'a str, i64)], Option<(&'a str, i64)>);
    // Terms of 100 seconds; the holder, and until when.
    let cases: &[Case<'_>] = &[
        ("nobody", &[], None),
        ("taken", &[(Taken, "aaaa", 0)], Some(("aaaa", 100))),
        ("renewed", &[(Taken, "aaaa", 0), (Renewed, "aaaa", 40)], Some(("aaaa", 140))),
        ("released", &[(Taken, "aaaa", 0), (Released, "aaaa", 10)], None),
        ("taken too early", &[(Taken, "aaaa", 0), (Taken, "bbbb", 99)], Some(("aaaa", 100))),
        ("taken in time", &[(Taken, "aaaa", 0), (Taken, "bbbb", 100)], Some(("bbbb", 200))),
        (
            "the holder passes over an early one",
            &[(Taken, "aaaa", 0), (Taken, "bbbb", 30), (Renewed, "aaaa", 40), (Renewed, "bbbb", 50)],
            Some(("aaaa", 140)),
        ),
        (
            "an early one becomes nothing later",
            &[(Taken, "aaaa", 0), (Taken, "bbbb", 30), (Taken, "cccc", 120)],
            Some(("cccc", 220)),
        ),
        (
            "a sleeper cannot renew what is another's",
            &[(Taken, "aaaa", 0), (Taken, "bbbb", 150), (Renewed, "aaaa", 160)],
            Some(("bbbb", 250)),
        ),
        (
            "a sleeper cannot release what is another's",
            &[(Taken, "aaaa", 0), (Taken, "bbbb", 150), (Released, "aaaa", 160)],
            Some(("bbbb", 250)),
        ),
        (
            "a sleeper whom nobody missed goes on",
            &[(Taken, "aaaa", 0), (Renewed, "aaaa", 500)],
            Some(("aaaa", 600)),
        ),
    ];
    for (name, moves, expected) in cases {
        let row: Vec<_> = (1..)
            .zip(*moves)
            .map(|(number, (kind, of, second))| placed(number, *kind, of, *second, 100))
            .collect();
        let found = holder(&row).map(|holder| (holder.run, holder.until.as_second()));
        assert_eq!(found, expected.map(|(of, until)| (run(of), until)), "{name}");
    }
}

struct World {
    folder: tempfile::TempDir,
    repository: Repository,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Folder(folder.path().to_owned());
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        Self { folder, repository: Repository::new(store) }
    }

    fn request(of: &str, term: Duration) -> Request {
        let source = "shop".parse().unwrap();
        let by = Some(format!("machine of {of}"));
        Request { source, job: JobName::Backup, run: run(of), by, term, now: Timestamp::now }
    }

    async fn acquire(&self, of: &str, term: Duration) -> Acquired {
        Lease::acquire(&self.repository, Self::request(of, term)).await.unwrap()
    }

    async fn take(&self, of: &str, term: Duration) -> Lease {
        match self.acquire(of, term).await {
            Acquired::Taken(lease) => lease,
            Acquired::Held(holder) => panic!("held by {holder}"),
        }
    }

    fn objects(&self) -> Vec<String> {
        let folder = self.folder.path().join("leases/shop/backup");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    /// Moves the time at which the store saw a move.
    fn age(&self, number: u32, by: Duration) {
        let file = self.folder.path().join(format!("leases/shop/backup/{number:08}.json"));
        let file = std::fs::File::open(file).unwrap();
        file.set_modified(std::time::SystemTime::now() - by).unwrap();
    }
}

const LONG: Duration = Duration::from_mins(10);

#[tokio::test]
async fn one_holds_it_until_it_is_released() {
    let world = World::new().await;
    let mut first = world.take("aaaa", LONG).await;
    first.renew().await.unwrap();
    let Acquired::Held(holder) = world.acquire("bbbb", LONG).await else { panic!("taken twice") };
    assert_eq!((holder.run, holder.number), (run("aaaa"), 2));
    assert!(holder.to_string().contains("machine of aaaa"), "{holder}");
    first.release().await.unwrap();
    assert_eq!(world.objects(), ["00000003.json"]);
    world.take("bbbb", LONG).await.release().await.unwrap();
    assert_eq!(world.objects(), ["00000005.json"]);
}

#[tokio::test]
async fn one_that_was_killed_blocks_no_longer_than_its_term() {
    let world = World::new().await;
    drop(world.take("aaaa", LONG).await);
    world.age(1, TERM.saturating_sub(Duration::from_secs(20)));
    assert!(matches!(world.acquire("bbbb", LONG).await, Acquired::Held(_)));
    // It asked for ten minutes, and nobody gets more than a term.
    world.age(1, TERM + Duration::from_secs(1));
    world.take("bbbb", LONG).await;
}

#[tokio::test]
async fn one_that_slept_learns_that_it_is_anothers() {
    let world = World::new().await;
    let mut sleeper = world.take("aaaa", LONG).await;
    world.age(1, LONG * 2);
    let other = world.take("bbbb", LONG).await;
    let error = sleeper.renew().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert!(error.to_string().contains("20261121T020000Z-bbbb"), "{error}");
    // Nor does it give away what is not its own, also when that is over.
    assert_eq!(sleeper.release().await.unwrap_err().kind(), ErrorKind::LeaseLost);
    other.release().await.unwrap();
}

/// A clock that is an hour fast takes every lease for expired. The store's clock knows better, and the holder goes on.
#[tokio::test]
async fn a_fast_clock_takes_nothing() {
    let world = World::new().await;
    let mut holder = world.take("aaaa", LONG).await;
    let fast = || Timestamp::now() + SignedDuration::from_hours(1);
    let request = Request { now: fast, ..World::request("bbbb", LONG) };
    let Acquired::Held(held_by) = Lease::acquire(&world.repository, request).await.unwrap() else {
        panic!("taken from its holder")
    };
    assert_eq!(held_by.run, run("aaaa"));
    holder.renew().await.unwrap();
    holder.release().await.unwrap();
}

/// A clock that is an hour slow cannot tell that a lease has expired, and so leaves it to the store's.
#[tokio::test]
async fn a_slow_clock_does_not_wait_for_itself() {
    let world = World::new().await;
    drop(world.take("aaaa", LONG).await);
    world.age(1, LONG * 2);
    let slow = || Timestamp::now() - SignedDuration::from_hours(1);
    let request = Request { now: slow, ..World::request("bbbb", LONG) };
    let taken = Lease::acquire(&world.repository, request).await.unwrap();
    assert!(matches!(taken, Acquired::Taken(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_race_one_wins_each_round() {
    let world = Arc::new(World::new().await);
    for round in 0..10 {
        let racers = (0..16).map(|racer| {
            let world = Arc::clone(&world);
            let of = format!("{}{}aa", char::from(b'a' + round), char::from(b'a' + racer));
            tokio::spawn(async move { world.acquire(&of, LONG).await })
        });
        let mut won = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            if let Acquired::Taken(lease) = racer.await.unwrap() {
                won.push(lease);
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        won.pop().unwrap().release().await.unwrap();
    }
}

#[tokio::test]
async fn a_role_that_may_not_delete_leaves_moves_and_nothing_worse() {
    let world = World::new().await;
    for round in 1..=3 {
        let mut lease = world.take("aaaa", LONG).await;
        lease.renew().await.unwrap();
        lease.move_as_holder(Kind::Released).await.unwrap();
        assert_eq!(world.objects().len(), 3 * round);
    }
    world.take("bbbb", LONG).await.release().await.unwrap();
    assert_eq!(world.objects(), ["00000011.json"]);
}

/// Whoever may create objects may write anything there.
#[tokio::test]
async fn a_move_that_cannot_be_read_counts_as_none() {
    let world = World::new().await;
    let lease = world.take("aaaa", LONG).await;
    let write = |number: u32, text: &[u8]| {
        std::fs::write(world.folder.path().join(format!("leases/shop/backup/{number:08}.json")), text)
            .unwrap();
    };
    write(2, b"{");
    write(3, &vec![b' '; MOVE_BYTES_MAX + 1]);
    let Acquired::Held(holder) = world.acquire("bbbb", LONG).await else { panic!("taken twice") };
    assert_eq!(holder.run, run("aaaa"));
    lease.release().await.unwrap();
    world.take("bbbb", LONG).await;
}

#[test]
fn no_move_holds_for_longer_than_a_term() {
    let forged = placed(1, Kind::Taken, "aaaa", 0, u32::MAX);
    let until = holder(std::slice::from_ref(&forged)).unwrap().until;
    assert_eq!(until.duration_since(forged.stored).unsigned_abs(), TERM);
    let last = Placed { stored: Timestamp::MAX, ..forged };
    assert_eq!(holder(&[last]).unwrap().until, Timestamp::MAX);
}
