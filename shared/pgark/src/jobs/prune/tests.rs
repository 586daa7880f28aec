//! Prune on a folder, with manifests made for the purpose and a clock that is set.

use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::*;
use crate::app::Outside;
use crate::config::{Needs, RawSettings};
use crate::jobs::hold::{Hold, Release};
use crate::jobs::list::List;
use crate::repository::manifest::tests::sample;
use crate::repository::manifest::{Manifest, Totals};
use crate::repository::{Filter, Tier};
use crate::store::StoreWrite as _;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now_is(time: Timestamp) {
    NOW.set(time);
}

struct World {
    folder: tempfile::TempDir,
    app: App,
}

impl World {
    async fn new(settings: impl FnOnce(&mut RawSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut raw = RawSettings {
            store: Some(format!("file://{}", folder.path().display())),
            source: Some("shop".to_owned()),
            ..RawSettings::default()
        };
        settings(&mut raw);
        let outside = Outside { now: || NOW.get(), environment: |_| None, ..Outside::real() };
        let needs = Needs::STORE;
        Self { app: App::load(raw, None, needs, 2, outside).await.unwrap(), folder }
    }

    /// A good backup, unless the manifest is changed.
    async fn backup(&self, time: Timestamp, change: impl FnOnce(&mut Manifest)) -> BackupRef {
        let place = BackupRef {
            id: BackupId::new(time, u32::try_from(time.as_second() % 1000).unwrap()),
            tier: Tier::Daily,
            source: "shop".parse().unwrap(),
        };
        self.object(&place, "toc.dat.age").await;
        self.object(&place, "data/public.orders.dat.zst.age").await;
        let mut manifest = sample(place.id, "shop", Tier::Daily);
        change(&mut manifest);
        self.app.repository.commit(&place, manifest.to_json().unwrap(), None).await.unwrap();
        self.written(&place, time);
        place
    }

    /// A good backup of this tier and time that the store sees at another.
    async fn dated(&self, tier: Tier, time: Timestamp, seen: Timestamp) -> BackupRef {
        let id = BackupId::new(time, u32::try_from(seen.as_second() % 1000).unwrap());
        let place = BackupRef { id, tier, source: "shop".parse().unwrap() };
        self.object(&place, "toc.dat.age").await;
        self.object(&place, "data/public.orders.dat.zst.age").await;
        let json = sample(id, "shop", tier).to_json().unwrap();
        self.app.repository.commit(&place, json, None).await.unwrap();
        self.written(&place, seen);
        place
    }

    async fn object(&self, place: &BackupRef, name: &str) {
        let bytes = Bytes::from_static(b"stored");
        self.app.repository.store().put_small(&place.key(name), bytes).await.unwrap();
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(key)
    }

    /// Makes all files of a folder as old as they would be.
    fn written(&self, place: &BackupRef, time: Timestamp) {
        fn visit(folder: &std::path::Path, time: std::time::SystemTime) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, time);
                } else {
                    File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
                }
            }
        }
        visit(&self.path(&place.prefix()), time.into());
    }

    async fn prune(&self, job: Prune) -> SourceReport {
        let mut report = job.run(&self.app, &CancellationToken::new()).await.unwrap();
        assert_eq!(report.reports.len(), 1);
        let report = report.reports.remove(0);
        assert_keeps_to_its_schema(&report);
        report
    }

    async fn left(&self) -> Vec<String> {
        let shop = Filter { source: Some("shop".parse().unwrap()), tier: None };
        let found = self.app.repository.find(&shop).await.unwrap();
        found.complete.iter().map(|backup| backup.id.time().strftime("%Y-%m-%d").to_string()).collect()
    }
}

fn assert_keeps_to_its_schema(report: &SourceReport) {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../../docs/format/prune.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let json = serde_json::to_value(report).unwrap();
    let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{json:#}");
}

const APPLY: Prune =
    Prune { source: None, apply: true, allow_share: false, allow_no_good: false, remove: Vec::new() };

fn empty(manifest: &mut Manifest) {
    manifest.tables.clear();
    manifest.objects.retain(|object| object.rows.is_none());
    manifest.totals = Totals::of(&manifest.tables, &manifest.objects);
}

fn day(number: i64) -> Timestamp {
    at("2026-01-01T02:00:00Z") + SignedDuration::from_hours(24 * (number - 1))
}

fn done(report: &SourceReport) -> Vec<Done> {
    report.backups.iter().map(|line| line.done).collect()
}

#[tokio::test]
async fn a_plan_changes_nothing_and_applying_it_leaves_nothing_to_do() {
    let world = World::new(|raw| raw.keep = Some("daily 3".to_owned())).await;
    for number in 1..=5 {
        world.backup(day(number), |_| {}).await;
    }
    now_is(day(5) + SignedDuration::from_hours(1));
    let plan = world.prune(Prune::default()).await;
    assert_eq!(done(&plan), [Done::Planned, Done::Planned, Done::Kept, Done::Kept, Done::Kept]);
    assert_eq!(world.left().await.len(), 5);
    assert!(!world.path("reports").exists(), "a plan is not kept");
    assert_eq!(plan.totals.stored_bytes_removed, 1800);

    let applied = world.prune(APPLY).await;
    assert_eq!(done(&applied), [Done::Removed, Done::Removed, Done::Kept, Done::Kept, Done::Kept]);
    assert_eq!(world.left().await, ["2026-01-03", "2026-01-04", "2026-01-05"]);
    assert!(!world.path("daily/shop").join(plan.backups[0].id.to_string()).exists(), "nothing of it is left");
    let kept: Value =
        serde_json::from_slice(&std::fs::read(world.path(applied.kept_as.as_ref().unwrap())).unwrap())
            .unwrap();
    assert_eq!(kept, serde_json::to_value(&applied).unwrap(), "what is kept is what is said");
    let again = world.prune(APPLY).await;
    assert_eq!(again.totals.backups_removed + again.totals.remains_removed, 0);
}

/// Every night a backup is made, until they fail; prune goes on.
#[tokio::test]
async fn a_plan_ends_when_it_is_made() {
    let mut world = World::new(|_| {}).await;
    world.backup(day(1), |_| {}).await;
    now_is(day(2));
    // A clock that moves on with each look at it.
    world.app.outside.now = || NOW.replace(NOW.get() + SignedDuration::from_secs(1));
    for job in [Prune::default(), APPLY] {
        let report = world.prune(job).await;
        assert!(report.finished_at > report.started_at, "{report:?}");
    }
}

#[tokio::test]
async fn backups_fail_for_forty_days_and_prune_goes_on() {
    let world = World::new(|raw| raw.keep = Some("daily 7, weekly 4".to_owned())).await;
    for number in 1..=30 {
        world.backup(day(number), |_| {}).await;
    }
    now_is(day(30) + SignedDuration::from_hours(1));
    world.prune(Prune { allow_share: true, ..APPLY }).await;
    let before = world.left().await;
    assert_eq!(before.len(), 9);
    for number in 31..=70 {
        // What a killed run leaves.
        let place = BackupRef {
            id: BackupId::new(day(number), 7),
            tier: Tier::Daily,
            source: "shop".parse().unwrap(),
        };
        world.object(&place, "toc.dat.age").await;
        world.written(&place, day(number));
        now_is(day(number) + SignedDuration::from_hours(1));
        let report = world.prune(APPLY).await;
        assert!(report.is_good(), "{report:?}");
    }
    assert_eq!(world.left().await, before);
}

/// A run that connects to the wrong database, and succeeds each night.
#[tokio::test]
async fn empty_successes_push_nothing_out() {
    let world = World::new(|raw| raw.keep = Some("last 3".to_owned())).await;
    for number in 1..=3 {
        world.backup(day(number), |_| {}).await;
    }
    for number in 4..=40 {
        world.backup(day(number), empty).await;
        now_is(day(number) + SignedDuration::from_hours(1));
        let report = world.prune(APPLY).await;
        assert!(report.is_good());
        assert_eq!(report.totals.good_kept, 3);
    }
    assert_eq!(world.left().await.len(), 40, "the empty ones stay as evidence");
    // Once there are good ones again, all of that goes.
    for number in 41..=43 {
        world.backup(day(number), |_| {}).await;
    }
    now_is(day(43) + SignedDuration::from_hours(1));
    let report = world.prune(APPLY).await;
    assert!(report.is_good(), "{:?}", report.refusals);
    assert_eq!(world.left().await, ["2026-02-10", "2026-02-11", "2026-02-12"]);
}

#[tokio::test]
async fn what_looks_like_an_accident_is_refused_until_somebody_means_it() {
    let world = World::new(|raw| {
        raw.keep = Some("last 1".to_owned());
        raw.keep_min = Some("1".to_owned());
    })
    .await;
    for number in 1..=5 {
        world.backup(day(number), |_| {}).await;
    }
    now_is(day(5) + SignedDuration::from_hours(1));
    let plan = world.prune(Prune::default()).await;
    assert!(plan.is_good() && plan.refusals.len() == 1, "a plan says that it would be refused");
    let mut run = APPLY.run(&world.app, &CancellationToken::new()).await.unwrap();
    assert_eq!(run.verdict().unwrap().code(), "prune.refused");
    let refused = run.reports.remove(0);
    assert_keeps_to_its_schema(&refused);
    assert_eq!(refused.refusals[0].text, "4 of 5 good backups would go at once, more than 50%");
    assert!(refused.kept_as.is_some() && world.left().await.len() == 5);
    world.prune(Prune { allow_share: true, ..APPLY }).await;
    assert_eq!(world.left().await, ["2026-01-05"]);
}

#[tokio::test]
async fn where_nothing_is_good_nothing_goes() {
    let world = World::new(|raw| raw.keep_min = Some("1".to_owned())).await;
    let place = world.backup(day(1), |_| {}).await;
    std::fs::write(world.path(&place.key(keys::MANIFEST)), b"{").unwrap();
    let orphan = BackupRef { id: BackupId::new(day(2), 7), ..place.clone() };
    world.object(&orphan, "toc.dat.age").await;
    world.written(&orphan, day(2));
    now_is(day(30));
    let run = APPLY.run(&world.app, &CancellationToken::new()).await.unwrap();
    assert_eq!(run.reports[0].backups[0].state, "unreadable");
    // The store's newest sign of life is that of the remains themselves.
    assert!(!run.reports[0].remains[0].remove, "{:?}", run.reports[0].remains);
    // The report of this run is written now, by the real clock of this machine.
    let run = APPLY.run(&world.app, &CancellationToken::new()).await.unwrap();
    assert!(run.reports[0].remains[0].remove, "{:?}", run.reports[0].remains);
    assert_eq!(run.reports[0].refusals[0].code, "no-good");
    assert_eq!(run.exit(), crate::Exit::Failed);
    assert!(world.path(&orphan.prefix()).exists());
    world.prune(Prune { allow_no_good: true, ..APPLY }).await;
    assert!(!world.path(&orphan.prefix()).exists() && world.path(&place.prefix()).exists());
}

#[tokio::test]
async fn remains_go_once_they_are_old_and_runs_in_progress_stay() {
    let world = World::new(|_| {}).await;
    let place = world.backup(day(20), |_| {}).await;
    let of = |number: i64| BackupRef { id: BackupId::new(day(number), 7), ..place.clone() };
    for (number, written) in [(5, 5), (6, 20), (20, 20)] {
        world.object(&of(number), "toc.dat.age").await;
        world.object(&of(number), keys::SIGNATURE).await;
        world.written(&of(number), day(written));
    }
    // A temporary file is what an upload is to a folder.
    let temporary = world.path(&of(7).key(".pgark-tmp-abc"));
    std::fs::create_dir_all(temporary.parent().unwrap()).unwrap();
    std::fs::write(&temporary, b"part").unwrap();
    world.written(&of(7), day(7));
    let in_backup = world.path(&place.key("data/.pgark-tmp-def"));
    std::fs::write(&in_backup, b"part").unwrap();
    File::options().write(true).open(&in_backup).unwrap().set_modified(day(10).into()).unwrap();
    now_is(day(21));

    let report = world.prune(APPLY).await;
    let said: Vec<_> = report
        .remains
        .iter()
        .map(|line| (line.place().id.time(), line.objects, line.uploads, line.done))
        .collect();
    let expected = [
        (day(5), 2, 0, Done::Removed),
        (day(6), 2, 0, Done::Kept), // still written to on the twentieth
        (day(7), 0, 1, Done::Removed),
        (day(20), 0, 1, Done::Removed),
        (day(20), 2, 0, Done::Kept),
    ];
    let mut in_order = said;
    in_order.sort_by_key(|(time, objects, ..)| (*time, *objects));
    assert_eq!(in_order, expected, "{:#?}", report.remains);
    assert!(!temporary.exists() && !in_backup.exists());
    assert!(world.path(&place.key(keys::MANIFEST)).exists());
    assert_eq!(world.left().await, ["2026-01-20"]);
}

#[tokio::test]
async fn a_run_that_holds_the_lease_is_left_alone_however_long_it_takes() {
    let world = World::new(|_| {}).await;
    let place = world.backup(day(1), |_| {}).await;
    let run = BackupRef { id: BackupId::new(day(5), 7), ..place };
    world.object(&run, "toc.dat.age").await;
    world.written(&run, day(6));
    let lease = |number: u32, kind: &str, written: Timestamp| {
        let (id, number) = (BackupId::new(day(5), 3), format!("{number:08}"));
        let key = format!("leases/shop/backup/{number}.json");
        let json = format!(
            r#"{{"format_version":"1.0","kind":"{kind}","run":"{id}","at":"2026-01-05T02:00:00Z","seconds":3600}}"#
        );
        let path = world.path(&key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, json).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(written.into()).unwrap();
    };
    now_is(day(20));
    lease(1, "taken", day(5));
    lease(2, "renewed", day(20) - SignedDuration::from_mins(30));
    let report = world.prune(APPLY).await;
    assert!(report.remains[0].reason.contains("a backup is in progress"), "{:?}", report.remains);
    assert!(!report.remains[0].remove);
    lease(3, "released", day(20) - SignedDuration::from_mins(20));
    let report = world.prune(APPLY).await;
    assert_eq!(report.remains[0].done, Done::Removed, "{:?}", report.remains);
}

#[tokio::test]
async fn held_backups_stay_until_they_are_released() {
    let world = World::new(|raw| {
        raw.keep = Some("last 1".to_owned());
        raw.keep_min = Some("1".to_owned());
        raw.prune_share_max = Some("100%".to_owned());
    })
    .await;
    let places = [world.backup(day(1), |_| {}).await, world.backup(day(2), |_| {}).await];
    world.backup(day(3), |_| {}).await;
    now_is(day(3) + SignedDuration::from_hours(1));
    let hold = |index: usize, until: Option<Timestamp>| Hold {
        backup: BackupRef::clone(&places[index]).id.to_string(),
        reason: " audit ".to_owned(),
        until,
    };
    hold(0, None).run(&world.app).await.unwrap();
    hold(1, Some(day(10))).run(&world.app).await.unwrap();
    let report = world.prune(APPLY).await;
    assert_eq!(report.backups[0].reasons[0].text, "held: audit");
    assert_eq!(world.left().await.len(), 3);
    let listed = List::default().run(&world.app.repository, NOW.get()).await.unwrap();
    let shown: Vec<_> = listed.backups.iter().map(|line| line.held.is_some()).collect();
    assert_eq!(shown, [true, true, false]);

    // Within the same second, and with a clock that is behind: what was decided last counts.
    now_is(day(3));
    let release = |reason: &str| Release { backup: places[0].id.to_string(), reason: reason.to_owned() };
    release("over").run(&world.app).await.unwrap();
    assert_eq!(release("over").run(&world.app).await.unwrap_err().kind(), ErrorKind::HoldMissing);
    hold(0, None).run(&world.app).await.unwrap();
    release("over").run(&world.app).await.unwrap();
    now_is(day(10));
    world.prune(APPLY).await;
    assert_eq!(world.left().await, ["2026-01-03"], "one was released, the other's time is over");
}

#[tokio::test]
async fn holds_need_a_reason_and_an_end_that_is_to_come() {
    let world = World::new(|_| {}).await;
    world.backup(day(1), |_| {}).await;
    now_is(day(2));
    for (backup, reason, until, code) in [
        ("latest", " ", None, "usage.invalid"),
        ("latest", "two\nlines", None, "usage.invalid"),
        ("latest", "audit", Some(day(2)), "usage.invalid"),
        ("2025", "audit", None, "backup.missing"),
    ] {
        let hold = Hold { backup: backup.to_owned(), reason: reason.to_owned(), until };
        assert_eq!(hold.run(&world.app).await.unwrap_err().code(), code, "{backup} {reason:?}");
    }
    assert!(!world.path("holds").exists());
    // A record that nobody understands holds.
    let id = world.app.repository.resolve("latest", &Filter::default()).await.unwrap().id;
    let key = keys::hold(&"shop".parse().unwrap(), id, BackupId::new(day(2), 0));
    world.app.repository.store().put_small(&key, Bytes::from_static(b"{}")).await.unwrap();
    let holds = world.app.repository.holds(&"shop".parse().unwrap()).await.unwrap();
    assert!(holds[&id].holds(day(1000)) && holds[&id].reason.contains("cannot be understood"));
}

#[tokio::test]
async fn what_verify_found_does_not_count() {
    let world = World::new(|raw| raw.keep = Some("last 2".to_owned())).await;
    let mut places = Vec::new();
    for number in 1..=6 {
        places.push(world.backup(day(number), |_| {}).await);
    }
    now_is(day(6) + SignedDuration::from_hours(1));
    // The real job: none of the objects is what the manifest says.
    let verify = crate::jobs::verify::Verify {
        backup: places[5].id.to_string(),
        level: Some(crate::jobs::verify::Level::Stored),
        ..Default::default()
    };
    let verified = verify.run(&world.app, &(), &CancellationToken::new()).await.unwrap();
    assert!(!verified.good);
    let report = world.prune(APPLY).await;
    assert_eq!((report.backups[5].state, report.backups[5].keep), ("damaged", true));
    let text = &report.backups[5].reasons[0].text;
    assert!(text.starts_with("damaged: verify found object."), "{text}");
    assert_eq!(world.left().await, ["2026-01-03", "2026-01-04", "2026-01-05", "2026-01-06"]);
}

#[tokio::test]
async fn a_stopped_run_says_what_it_did_not_do() {
    let world = World::new(|raw| raw.keep = Some("last 3".to_owned())).await;
    for number in 1..=5 {
        world.backup(day(number), |_| {}).await;
    }
    now_is(day(6));
    let stop = CancellationToken::new();
    stop.cancel();
    let report = APPLY.run(&world.app, &stop).await.unwrap();
    assert_eq!(done(&report.reports[0])[..2], [Done::NotDone, Done::NotDone]);
    assert_eq!(report.verdict().unwrap().kind(), ErrorKind::Stopped);
    assert_keeps_to_its_schema(&report.reports[0]);
    assert_eq!(world.left().await.len(), 5);
}

/// A broken store must not make everything look unworthy.
#[tokio::test]
async fn a_manifest_that_cannot_be_reached_is_an_error_and_no_bad_backup() {
    let world = World::new(|_| {}).await;
    let place = world.backup(day(1), |_| {}).await;
    now_is(day(2));
    let manifest = world.path(&place.key(keys::MANIFEST));
    std::fs::remove_file(&manifest).unwrap();
    std::os::unix::fs::symlink("manifest.json", &manifest).unwrap(); // a loop
    let failed = APPLY.run(&world.app, &CancellationToken::new()).await;
    assert!(failed.is_err(), "{failed:?}");
    let grace = world.app.settings.retention.grace;
    assert_eq!(grace, Duration::from_hours(48));
}

#[tokio::test]
async fn a_source_that_fails_hinders_no_other() {
    let world = World::new(|raw| {
        raw.source = None;
        raw.keep = Some("last 3".to_owned());
    })
    .await;
    for number in 1..=4 {
        world.backup(day(number), |_| {}).await;
    }
    // A source whose only manifest cannot be read for a reason that says nothing of it.
    let broken = world.path("daily/app/20260101T020000Z-aaaa");
    std::fs::create_dir_all(&broken).unwrap();
    std::os::unix::fs::symlink("manifest.json", broken.join("manifest.json")).unwrap();
    now_is(day(5));
    for watched in [false, true] {
        world.backup(day(if watched { 6 } else { 5 }), |_| {}).await;
        now_is(day(7));
        let stop = CancellationToken::new();
        let report = if watched {
            let answer = APPLY.watched(&world.app, &stop).await.unwrap();
            let crate::runs::Answer::One(report) = answer else { panic!("{answer:?}") };
            report
        } else {
            APPLY.run(&world.app, &stop).await.unwrap()
        };
        assert_eq!(report.errors.len(), 1, "{report:?}");
        assert_eq!(report.errors[0].source.as_str(), "app");
        assert_eq!((report.good, report.exit()), (false, crate::Exit::Failed));
        assert!(report.reports[0].is_good() && report.reports[0].totals.backups_removed > 0);
    }
    assert_eq!(world.left().await, ["2026-01-04", "2026-01-05", "2026-01-06"]);
    let runs = world.path("runs/shop");
    assert!(runs.exists(), "each watched run leaves its records");
}

/// Somebody holds what a machine holds that makes backups: the right to create, the public key, and the key that signs.
#[tokio::test]
async fn whoever_can_only_create_cannot_make_it_delete_the_history() {
    let world =
        World::new(|raw| raw.keep = Some("daily 10, weekly 4, monthly 12, yearly 7".to_owned())).await;
    let mut real = vec![world.dated(Tier::Yearly, day(1), day(1)).await];
    for number in 2..=8 {
        let tier = if number == 4 { Tier::Weekly } else { Tier::Daily };
        real.push(world.dated(tier, day(number), day(number)).await);
    }
    let attack = day(9) + SignedDuration::from_hours(13);
    for number in 1..=7 {
        world.dated(Tier::Yearly, day(number) + SignedDuration::from_hours(12), attack).await;
    }
    for minute in 1..=3 {
        let time = attack + SignedDuration::from_mins(minute);
        world.dated(Tier::Yearly, time, time).await;
    }
    now_is(attack + SignedDuration::from_hours(1));
    let report = world.prune(APPLY).await;
    let lost: Vec<_> = report.backups.iter().filter(|line| line.done == Done::Removed).collect();
    let real: Vec<String> = real.iter().map(ToString::to_string).collect();
    let lost: Vec<_> = lost.iter().filter(|line| real.contains(&line.backup)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:#?}", lost.len(), real.len());
    let late = report.backups.iter().filter(|line| line.state == "late").count();
    assert_eq!(late, 7);
}

/// `last` counts whatever is made, so somebody could make many at once: of each of the last days one stays.
#[tokio::test]
async fn a_flood_of_new_backups_does_not_push_the_days_before_out() {
    let world = World::new(|raw| {
        raw.keep = Some("last 4".to_owned());
        raw.prune_share_max = Some("100%".to_owned());
    })
    .await;
    for number in 1..=5 {
        world.dated(Tier::Daily, day(number), day(number)).await;
    }
    for minute in 1..=6 {
        let time = day(6) + SignedDuration::from_mins(minute);
        world.dated(Tier::Daily, time, time).await;
    }
    now_is(day(6) + SignedDuration::from_hours(1));
    let report = world.prune(APPLY).await;
    assert_eq!(world.left().await[..2], ["2026-01-04", "2026-01-05"], "{report:#?}");
    let reason = &report.backups[4].reasons[0];
    assert_eq!(reason.text, "floor: the newest that the store saw on 2026-01-05, one of its last 3 days");
}

#[tokio::test]
async fn what_a_wrong_clock_dated_counts_for_nothing_and_is_removed_by_name() {
    let world = World::new(|_| {}).await;
    for number in 1..=3 {
        world.backup(day(number), |_| {}).await;
    }
    let ahead = world.dated(Tier::Daily, at("2029-01-01T02:00:00Z"), day(3)).await;
    now_is(day(4));
    let latest = world.app.repository.resolve("latest", &Filter::default()).await.unwrap();
    assert_eq!(latest.id.time(), day(3));
    let report = world.prune(APPLY).await;
    assert_eq!((report.backups[3].state, report.backups[3].done), ("future", Done::Kept));
    // When its time has come, it is as wrong as before.
    now_is(at("2029-02-01T02:00:00Z"));
    assert_eq!(world.prune(Prune::default()).await.backups[3].state, "future");

    let remove = |id: BackupId| Prune { remove: vec![id], ..APPLY };
    let plan = world.prune(Prune { apply: false, ..remove(ahead.id) }).await;
    assert_eq!(done(&plan), [Done::Kept, Done::Kept, Done::Kept, Done::Planned]);
    let app = world.app.clone();
    let stop = CancellationToken::new();
    let error = remove(BackupId::new(day(9), 0)).run(&app, &stop).await.unwrap_err();
    assert_eq!(error.code(), "backup.missing");
    let hold = Hold { backup: ahead.id.to_string(), reason: "why?".to_owned(), until: None };
    hold.run(&app).await.unwrap();
    let error = remove(ahead.id).run(&app, &stop).await.unwrap_err();
    assert_eq!(error.code(), "prune.refused");
    let release = Release { backup: ahead.id.to_string(), reason: "a clock".to_owned() };
    release.run(&app).await.unwrap();
    let report = world.prune(remove(ahead.id)).await;
    assert_eq!(done(&report), [Done::Kept, Done::Kept, Done::Kept, Done::Removed]);
    assert_eq!(world.left().await.len(), 3);
}
