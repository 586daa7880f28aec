//! What runs leave and tell, with a job that does as it is told, on a folder.

use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::app::{Outside, Trigger};
use crate::config::{Needs, RawSettings};
use crate::error::Error;
use crate::runs::Summary;

struct World {
    folder: tempfile::TempDir,
    app: App,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = RawSettings {
            store: Some(format!("file://{}", folder.path().display())),
            source: Some("shop".to_owned()),
            ..RawSettings::default()
        };
        let outside = Outside { environment: |_| None, ..Outside::real() };
        let needs = Needs::STORE;
        let app = App::load(flags, None, needs, 1, outside).await.unwrap();
        Self { folder, app }
    }

    fn in_slot(&self, slot: &str) -> App {
        self.app.triggered_by(Trigger {
            slot: Some(slot.to_owned()),
            wait: None,
            by: Some("request".to_owned()),
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn records(&self) -> Vec<RunRecord> {
        let source = self.app.source().unwrap();
        self.app.repository.runs(&source, None, None).await.unwrap().records
    }
}

/// Says so many rows were backed up.
#[derive(Debug)]
struct Report(u64);

impl Summarized for Report {
    fn summary(&self) -> Summary {
        Summary { figures: Figures { rows: Some(self.0), ..Figures::default() }, ..Summary::done() }
    }
}

/// Remembers what it was told, and cannot deliver any of it.
#[derive(Default)]
struct Deaf(Mutex<Vec<String>>);

impl Watcher for Deaf {
    fn started<'a>(&'a self, run: &'a RunRecord) -> BoxFuture<'a, Vec<String>> {
        self.0.lock().unwrap().push(format!("{} started", run.job));
        Box::pin(async { vec!["The ping of the start was not delivered.".to_owned()] })
    }

    fn ended<'a>(&'a self, run: &'a RunRecord) -> BoxFuture<'a, Vec<String>> {
        let told = format!("{} ended {:?} {:?}", run.job, run.outcome, run.error.as_ref().map(|e| &e.code));
        self.0.lock().unwrap().push(told);
        Box::pin(async { vec!["The alert was not delivered.".to_owned()] })
    }
}

async fn run(app: &App, job: JobName, done: Result<u64>) -> Result<Watched<Report>> {
    watched(app, job, &CancellationToken::new(), async |_, _| done.map(Report)).await
}

fn failure() -> Error {
    Error::new(ErrorKind::StoreFull, "no room left").on("daily/shop").hint("Make room.")
}

#[tokio::test]
async fn a_panic_is_told_and_recorded_as_a_failure_and_the_next_run_begins() {
    let world = World::new().await;
    let (deaf, stop) = (Deaf::default(), CancellationToken::new());
    let work = async |_: &App, _: &CancellationToken| -> Result<Report> { panic!("at the disco") };
    let error = watched_by(&deaf, &world.app, JobName::Backup, &stop, work).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Internal, "panicked: at the disco"));
    let told = ["backup started", r#"backup ended Some(Failed) Some("internal")"#];
    assert_eq!(*deaf.0.lock().unwrap(), told);
    let [record] = &world.records().await[..] else { panic!("one record") };
    assert_eq!(record.error.as_ref().map(|error| error.code.as_str()), Some("internal"));
    // Nothing is left of its lease.
    assert!(matches!(run(&world.app, JobName::Backup, Ok(1)).await, Ok(Watched::Ran(Report(1)))));
}

#[tokio::test]
async fn a_run_leaves_a_record_and_gives_its_lease_back() {
    let world = World::new().await;
    let Watched::Ran(Report(7)) = run(&world.app, JobName::Backup, Ok(7)).await.unwrap() else { panic!() };
    let records = world.records().await;
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.outcome, record.figures.rows), (Some(Outcome::Done), Some(7)));
    assert!(record.by.is_some() && record.slot.is_none() && record.seconds().is_some());
    assert_eq!(record.warnings, [""; 0]);
    // The next one need not wait.
    assert!(matches!(run(&world.app, JobName::Backup, Ok(8)).await.unwrap(), Watched::Ran(_)));
    assert_eq!(world.records().await.len(), 2);
}

#[tokio::test]
async fn a_run_that_fails_leaves_its_code_and_its_error_as_it_was() {
    let world = World::new().await;
    let error = run(&world.app, JobName::Prune, Err(failure())).await.unwrap_err();
    assert_eq!(error.to_string(), "daily/shop: no room left");
    let records = world.records().await;
    let left = records[0].error.as_ref().unwrap();
    assert_eq!((left.code.as_str(), left.hint.as_deref()), ("store.full", Some("Make room.")));
    assert_eq!(records[0].outcome, Some(Outcome::Failed));
}

#[tokio::test]
async fn a_run_that_is_killed_leaves_a_start_and_blocks_for_a_while() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let began = tokio::sync::Notify::new();
    let work = watched(&world.app, JobName::Backup, &stop, async |_, _| {
        began.notify_one();
        std::future::pending::<Result<Report>>().await
    });
    tokio::select! {
        _ = work => panic!("it ended"),
        () = began.notified() => {}
    }
    let records = world.records().await;
    assert!(records.len() == 1 && !records[0].has_ended(), "{records:?}");

    // By hand nobody waits for it.
    let Watched::Skipped(skipped) = run(&world.app, JobName::Backup, Ok(1)).await.unwrap() else { panic!() };
    assert!(skipped.skipped.starts_with("another backup of shop is in progress: run "), "{skipped:?}");
    // What takes no lease goes on, and so does another job.
    assert!(matches!(run(&world.app, JobName::Verify, Ok(1)).await.unwrap(), Watched::Ran(_)));
    assert!(matches!(run(&world.app, JobName::Prune, Ok(1)).await.unwrap(), Watched::Ran(_)));
}

#[tokio::test]
async fn a_slot_is_done_once_and_a_failed_one_is_tried_again() {
    let world = World::new().await;
    for job in [JobName::Backup, JobName::Verify] {
        let app = world.in_slot("2026-11-21T02:00:00Z");
        run(&app, job, Err(failure())).await.unwrap_err();
        assert!(matches!(run(&app, job, Ok(1)).await.unwrap(), Watched::Ran(_)));
        let Watched::Skipped(skipped) = run(&app, job, Ok(2)).await.unwrap() else { panic!() };
        assert!(skipped.skipped.starts_with("the work of slot 2026-11-21T02:00:00Z was done by run "));
        let json = serde_json::to_value(&skipped).unwrap();
        assert_eq!((&json["job"], &json["source"]), (&job.as_str().into(), &"shop".into()));
        // Another slot, named by the user, and none at all.
        assert!(matches!(run(&world.in_slot("evening"), job, Ok(3)).await.unwrap(), Watched::Ran(_)));
        assert!(matches!(run(&world.in_slot("evening"), job, Ok(4)).await.unwrap(), Watched::Skipped(_)));
        assert!(matches!(run(&world.app, job, Ok(5)).await.unwrap(), Watched::Ran(_)));
    }
    let outcomes: Vec<_> = world.records().await.iter().map(|record| record.outcome).collect();
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == Some(Outcome::Skipped)).count(),
        4,
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_delivered_is_said_and_fails_nothing() {
    let world = World::new().await;
    let deaf = Deaf::default();
    let stop = CancellationToken::new();
    let done = watched_by(&deaf, &world.app, JobName::Backup, &stop, async |_, _| Ok(Report(1))).await;
    assert!(matches!(done.unwrap(), Watched::Ran(_)));
    let failed =
        watched_by(&deaf, &world.app, JobName::Verify, &stop, async |_, _| Err::<Report, _>(failure()));
    failed.await.unwrap_err();
    assert_eq!(
        *deaf.0.lock().unwrap(),
        [
            "backup started",
            "backup ended Some(Done) None",
            "verify started",
            "verify ended Some(Failed) Some(\"store.full\")",
        ]
    );
    for record in world.records().await {
        assert_eq!(
            record.warnings,
            ["The ping of the start was not delivered.", "The alert was not delivered."]
        );
    }
}

#[tokio::test]
async fn records_that_cannot_be_written_fail_nothing() {
    let world = World::new().await;
    // A file where the folder of the records should be.
    std::fs::write(world.path().join("runs"), "").unwrap();
    let deaf = Deaf::default();
    let stop = CancellationToken::new();
    let done = watched_by(&deaf, &world.app, JobName::Backup, &stop, async |_, _| Ok(Report(1))).await;
    assert!(matches!(done.unwrap(), Watched::Ran(_)));
    assert_eq!(deaf.0.lock().unwrap().len(), 2);
    assert!(world.path().join("runs").is_file());
}

#[tokio::test]
async fn a_store_that_is_away_is_told_of_and_not_written_to() {
    let world = World::new().await;
    std::fs::remove_dir(world.path()).unwrap();
    let deaf = Deaf::default();
    let stop = CancellationToken::new();
    let work = async |_: &App, _: &CancellationToken| -> Result<Report> { panic!("there is no lease") };
    let error = watched_by(&deaf, &world.app, JobName::Backup, &stop, work).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreMissing);
    assert_eq!(*deaf.0.lock().unwrap(), ["backup ended Some(Failed) Some(\"store.missing\")"]);
    assert!(!world.path().exists());
    std::fs::create_dir(world.path()).unwrap();
}
