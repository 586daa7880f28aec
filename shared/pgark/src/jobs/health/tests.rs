//! The whole job on a folder: what lies in the store comes to the verdict that it should, and is kept and said.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::app::Outside;
use crate::config::{Needs, RawSettings};
use crate::repository::manifest::tests::sample;
use crate::repository::{BackupRef, Level, Tier};
use crate::runs::{Figures, JobName, Outcome, RunBackup, RunRecord};

const NOW: &str = "2026-11-21T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Distinct, or the reports of one second would be one.
fn random() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn shop() -> SourceName {
    "shop".parse().unwrap()
}

struct World {
    app: App,
    folder: TempDir,
}

impl World {
    async fn new(settings: RawSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Some(format!("file://{}", folder.path().display()));
        let flags = RawSettings { store, ..settings };
        let outside = Outside { now, random, environment: |_| None };
        let needs = Needs::STORE;
        let app = Box::pin(App::load(flags, None, needs, 2, outside)).await.unwrap();
        Self { app, folder }
    }

    /// A fortnight of nights with a backup at two, a verification at three, and a restore test on the first of them.
    async fn after_a_fortnight(settings: RawSettings) -> Self {
        let world = Self::new(settings).await;
        for night in (0..14).rev() {
            let at = now() - (10 + 24 * night).hours();
            let id = BackupId::new(at, 0);
            world.backup(id, 3_000_000).await;
            world.run(JobName::Backup, id, Some(Outcome::Done)).await;
            world.verified(&(at + 1.hour()), id, 0).await;
        }
        world.restore_test(&(now() - 100.hours()), "passed").await;
        world
    }

    async fn backup(&self, id: BackupId, stored_bytes: u64) {
        self.backup_leaving_out(id, stored_bytes, &[]).await;
    }

    async fn backup_leaving_out(&self, id: BackupId, stored_bytes: u64, rows_of: &[&str]) {
        let mut manifest = sample(id, "shop", Tier::Daily);
        manifest.options.exclude_table_data = rows_of.iter().map(ToString::to_string).collect();
        manifest.objects.iter_mut().for_each(|object| object.sealed.stored_bytes = stored_bytes / 3);
        manifest.totals.stored_bytes = stored_bytes / 3 * 3;
        let place = BackupRef { id, tier: Tier::Daily, source: shop() };
        self.app.repository.commit(&place, manifest.to_json().unwrap(), None).await.unwrap();
    }

    async fn run(&self, job: JobName, id: BackupId, outcome: Option<Outcome>) {
        let record = RunRecord {
            format_version: "1.0".to_owned(),
            pgark_version: "0.1.0".to_owned(),
            run: id,
            job,
            source: shop(),
            started_at: id.time(),
            finished_at: outcome.map(|_| id.time() + 1.minute()),
            outcome,
            backup: Some(RunBackup { id, tier: Tier::Daily }),
            figures: Figures::default(),
            looked_at: None,
            error: None,
            report: None,
            cost: None,
            slot: None,
            by: None,
            warnings: Vec::new(),
        };
        match outcome {
            Some(_) => self.app.repository.put_run_end(&record).await.unwrap(),
            None => self.app.repository.put_run_start(&record).await.unwrap(),
        }
    }

    async fn report(&self, kind: ReportKind, at: &Timestamp, report: Value) {
        let key = keys::report(&shop(), kind, *at, 0);
        self.app.repository.put_report(&key, report.to_string().into_bytes()).await.unwrap();
    }

    async fn verified(&self, at: &Timestamp, id: BackupId, findings: usize) {
        let backup = format!("daily/shop/{id}");
        let found = json!({
            "code": "object.damaged", "backup": backup, "object": "toc.dat.age", "message": "is not what was written",
        });
        let report = json!({
            "format_version": "1.0", "scope": "latest", "level": "content", "sample": null, "finished_at": at,
            "backups": [{
                "backup": backup, "level": "content", "objects": 3, "objects_read": 3, "findings": findings,
            }],
            "findings": vec![found; findings], "failures": [],
        });
        self.report(ReportKind::Verify, at, report).await;
    }

    /// A verification that did not come to its end: it was stopped, had no key, or was refused by the store.
    async fn half_verified(&self, at: &Timestamp, id: BackupId, objects_read: usize, sampled: bool) {
        let backup = format!("daily/shop/{id}");
        let failure = json!([{ "code": "identity.mismatch", "backup": backup, "object": "toc.dat.age" }]);
        let report = json!({
            "format_version": "1.0", "scope": "latest", "level": "content", "finished_at": at,
            "sample": if sampled { json!({ "share": "10%" }) } else { json!(null) },
            "backups": [{
                "backup": backup, "level": "content", "objects": 3, "objects_read": objects_read, "findings": 0,
            }],
            "findings": [], "failures": if objects_read == 3 && !sampled { failure } else { json!([]) },
        });
        self.report(ReportKind::Verify, at, report).await;
    }

    async fn restore_test(&self, at: &Timestamp, result: &str) {
        let report = json!({
            "result": result, "finished_at": at, "backup": { "id": "20261107T020000Z-aaaa" },
            "times": { "recovery_seconds": 12.5 }, "checks": [], "error": null,
        });
        self.report(ReportKind::RestoreTest, at, report).await;
    }

    async fn check(&self) -> SourceHealth {
        Health::default().check(&self.app, &shop()).await.unwrap()
    }
}

fn codes(report: &SourceHealth) -> (Vec<&'static str>, Vec<&'static str>) {
    let codes = |findings: &[crate::health::Finding]| findings.iter().map(|one| one.code.as_str()).collect();
    (codes(&report.verdict.findings), codes(&report.verdict.warnings))
}

#[tokio::test]
async fn a_fortnight_of_good_nights_is_healthy_and_the_report_keeps_to_its_schema() {
    let world = World::after_a_fortnight(RawSettings::default()).await;
    let report = world.check().await;
    assert_eq!(codes(&report), (vec![], vec!["prune.overdue"]), "{report:#?}");
    let figures = report.verdict.figures;
    assert_eq!((figures.good_backups, figures.newest_backup_age_seconds), (14, Some(36_000.0)));
    assert_eq!(figures.last_verify_age_seconds, Some(32_400.0));
    assert_eq!(report.verdict.promises.recovery_point_achieved_seconds, Some(86_400.0));
    assert_eq!(report.verdict.promises.recovery_time_achieved_seconds, Some(12.5));
    assert_eq!(HealthReport::of(vec![report.clone()]).exit() as u8, 0);

    let kept = world.folder.path().join(report.kept_as.as_ref().unwrap());
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept, serde_json::to_value(&report).unwrap());
    let schema: Value =
        serde_json::from_str(include_str!("../../../../../docs/format/health.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = schema.iter_errors(&kept).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{kept:#}");
    assert!(!schema.is_valid(&json!({ "healthy": true })));
    let read: SourceHealth = serde_json::from_value(kept).unwrap();
    assert_eq!(read, report);
}

#[tokio::test]
async fn what_lies_in_the_store_is_found() {
    let at = |hours: i64| now() - hours.hours();
    let id = |hours: i64| BackupId::new(at(hours), 0);

    let world = World::after_a_fortnight(RawSettings::default()).await;
    world.verified(&at(2), id(10), 1).await;
    assert_eq!(codes(&world.check().await).0, ["backup.overdue", "backup.bad"], "the newest one is damaged");

    let world = World::after_a_fortnight(RawSettings::default()).await;
    world.restore_test(&at(3), "failed").await;
    let report = world.check().await;
    assert_eq!(codes(&report).0, ["restore-test.failed"]);
    assert!(report.verdict.findings[0].hint.contains("reports/shop/restore-test/"), "{report:#?}");
    world.restore_test(&at(2), "passed").await;
    assert_eq!(codes(&world.check().await).0, [""; 0], "one has passed since");

    let world = World::after_a_fortnight(RawSettings::default()).await;
    world.restore_test(&at(3), "incomplete").await;
    world.run(JobName::Verify, id(7), None).await;
    world.backup(id(1), 300_000).await;
    assert_eq!(codes(&world.check().await).0, ["size.collapsed", "run.unfinished"]);

    let world = World::after_a_fortnight(RawSettings::default()).await;
    let remains = world.folder.path().join(format!("daily/shop/{}", id(8)));
    std::fs::create_dir_all(&remains).unwrap();
    std::fs::write(remains.join("toc.dat.age"), "x").unwrap();
    assert_eq!(codes(&world.check().await), (vec![], vec!["remains", "prune.overdue"]));
}

/// One that failed, one that was stopped, one that read a sample.
#[tokio::test]
async fn a_verification_that_did_not_look_at_all_of_it_is_no_proof() {
    let world = World::after_a_fortnight(RawSettings::default()).await;
    let id = BackupId::new(now() - 10.hours(), 0);
    for (hours, objects_read, sampled) in [(3, 3, false), (2, 2, false), (1, 3, true)] {
        world.half_verified(&(now() - hours.hours()), id, objects_read, sampled).await;
        let figures = world.check().await.verdict.figures;
        assert_eq!(figures.last_verify_age_seconds, Some(32_400.0), "{objects_read} {sampled}");
    }
}

/// The newest of the fortnight's looked at the content, nine hours ago; one hour ago one looked at the stored bytes.
#[tokio::test]
async fn a_verification_counts_if_it_looked_as_deep_as_is_demanded() {
    for (demanded, level, age) in [
        (None, Level::Stored, 3_600.0),
        (Some("stored"), Level::Stored, 3_600.0),
        (Some("content"), Level::Content, 32_400.0),
    ] {
        let raw = RawSettings { health_verify_level: demanded.map(str::to_owned), ..RawSettings::default() };
        let world = World::after_a_fortnight(raw).await;
        let place = format!("daily/shop/{}", BackupId::new(now() - 10.hours(), 0));
        let at = now() - 1.hours();
        let stored = json!({
            "format_version": "1.0", "scope": "latest", "level": "stored", "finished_at": at, "sample": null,
            "backups": [{ "backup": place, "level": "stored", "objects": 3, "objects_read": 3, "findings": 0 }],
            "findings": [], "failures": [],
        });
        world.report(ReportKind::Verify, &at, stored).await;
        let report = world.check().await;
        assert_eq!(report.last_verify.as_ref().and_then(|proof| proof.level), Some(level), "{demanded:?}");
        assert_eq!(report.verdict.figures.last_verify_age_seconds, Some(age), "{demanded:?}");
    }
}

#[tokio::test]
async fn what_a_backup_leaves_out_is_known_from_its_manifest() {
    let world = World::after_a_fortnight(RawSettings::default()).await;
    let id = |minutes: i64| BackupId::new(now() - minutes.minutes(), 0);
    world.backup_leaving_out(id(40), 300_000, &["audit.*"]).await;
    let report = world.check().await;
    assert_eq!(codes(&report).0, ["size.collapsed"]);
    let message = &report.verdict.findings[0].message;
    let changed =
        "; it leaves out tables log_*, rows of audit.*, and 20261121T020000Z-aaaa left out tables log_*";
    assert!(message.ends_with(changed), "{message}");
    assert_eq!(report.newest_backup.unwrap().options.exclude_table_data, ["audit.*"]);
    for minutes in [30, 20, 10] {
        world.backup_leaving_out(id(minutes), 300_000, &["audit.*"]).await;
    }
    assert_eq!(codes(&world.check().await).0, [""; 0]);
}

#[tokio::test]
async fn an_empty_store_is_unhealthy_where_a_source_is_named_and_an_error_else() {
    let world = World::new(RawSettings::default()).await;
    assert_eq!(codes(&world.check().await).0, ["backup.none"]);
    let world = World::new(RawSettings::default()).await;
    let stop = CancellationToken::new();
    let error = Health::default().run(&world.app, &stop).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackupMissing);
    let named = Health { source: Some(shop()), ..Health::default() };
    let report = named.run(&world.app, &stop).await.unwrap();
    assert_eq!(report.exit() as u8, 4);
    assert_eq!(report.error().unwrap().to_string(), "source shop: there is no good backup [backup.none]");
}

#[tokio::test]
async fn what_the_bucket_is_to_have_is_not_there_in_a_folder() {
    let settings =
        RawSettings { health_bucket: Some("lock,versioning".to_owned()), ..RawSettings::default() };
    let world = World::after_a_fortnight(settings).await;
    let report = world.check().await;
    assert_eq!(codes(&report).0, ["bucket.unprotected", "bucket.unprotected"]);
    let message = &report.verdict.findings[0].message;
    assert_eq!(message, "whether the bucket has lock is not known: the store is a folder");
}

/// A source that was looked at as unhealthy, with nobody there to be told, is told of when there is somebody.
#[tokio::test]
async fn what_reached_nobody_was_not_said() {
    let settings =
        RawSettings { webhook_url: Some("http://127.0.0.1:1/hunter2".to_owned()), ..RawSettings::default() };
    let world = World::new(settings).await;
    let report = world.check().await;
    assert_eq!((&report.told, report.undelivered.len()), (&None, 1));
    assert!(report.undelivered[0].starts_with("The message to the webhook was not delivered: "));
    assert!(!format!("{report:?}").contains("hunter2"));
    assert_eq!(world.app.repository.last_alert(&shop()).await.unwrap(), None);
}
