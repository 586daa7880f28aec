use jiff::ToSpan as _;

use super::*;
use crate::config::BucketFeature;

const MIB: u64 = 1 << 20;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - hours.hours()
}

fn backup(hours: i64, stored_bytes: u64, rows: u64) -> GoodBackup {
    GoodBackup { id: BackupId::new(hours_ago(hours), 0), tier: Tier::Daily, stored_bytes, rows }
}

fn proof(hours: i64) -> Proof {
    Proof {
        at: hours_ago(hours),
        backup: "20261121T020000Z-aaaa".to_owned(),
        report: "reports/shop/restore-test/20261121T020000Z-aaaa.json".to_owned(),
        recovery_seconds: Some(90.0),
    }
}

/// Twenty nights, each with a backup at two and a proof after it.
fn healthy() -> Facts {
    let good: Vec<GoodBackup> =
        (0..20).rev().map(|night| backup(10 + 24 * night, 100 * MIB, 1_000_000)).collect();
    let made = good.iter().map(|backup| backup.id.time()).collect();
    Facts { good, made, verified: Some(proof(9)), restored: Some(proof(100)), ..Facts::default() }
}

fn judge(facts: &Facts) -> Verdict {
    Verdict::of(facts, &HealthSettings::default(), now())
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

fn found(change: impl FnOnce(&mut Facts)) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut facts = healthy();
    change(&mut facts);
    let verdict = judge(&facts);
    assert_eq!(verdict.healthy, verdict.findings.is_empty());
    (codes(&verdict.findings), codes(&verdict.warnings))
}

#[test]
fn nothing_is_found_where_all_is_well() {
    let verdict = judge(&healthy());
    assert_eq!((codes(&verdict.findings), codes(&verdict.warnings)), (vec![], vec![]));
    let figures = verdict.figures;
    assert_eq!((figures.good_backups, figures.newest_backup_age_seconds), (20, Some(36_000.0)));
    assert_eq!(figures.size_to_median, Some(1.0));
    assert_eq!(verdict.promises.recovery_point_promised_seconds, Some(93_600.0));
    assert_eq!(verdict.promises.recovery_point_achieved_seconds, Some(86_400.0));
    assert_eq!(verdict.promises.recovery_time_achieved_seconds, Some(90.0));
}

/// Each line changes one thing and says what is found then: what makes unhealthy, and what is a warning.
#[test]
fn each_thing_is_found_by_its_code() {
    type Change = fn(&mut Facts);
    let cases: &[(&str, Change, &[&str], &[&str])] = &[
        ("no backup", |f| *f = Facts::default(), &["backup.none"], &[]),
        (
            "the last two nights failed",
            |f| {
                f.good.truncate(18);
                f.made.truncate(18);
            },
            &["backup.overdue"],
            &[],
        ),
        (
            "one night failed a week ago",
            |f| {
                f.good.remove(13);
                f.made.remove(13);
            },
            &[],
            &["recovery-point.missed"],
        ),
        ("pruned backups leave no gap", |f| drop(f.good.drain(..15)), &[], &[]),
        ("the newest one is damaged", |f| f.bad.push(bad(3)), &["backup.bad"], &[]),
        ("an older one is damaged", |f| f.bad.push(bad(30)), &[], &["backup.bad"]),
        (
            "it is half as large and less",
            |f| f.good.push(backup(1, 49 * MIB, 1_000_000)),
            &["size.collapsed"],
            &[],
        ),
        ("it is half as large", |f| f.good.push(backup(1, 50 * MIB, 1_000_000)), &[], &[]),
        ("rows are gone", |f| f.good.push(backup(1, 100 * MIB, 400_000)), &["rows.collapsed"], &[]),
        (
            "it is three times as large",
            |f| f.good.push(backup(1, 300 * MIB, 3_000_000)),
            &[],
            &["size.jumped", "rows.jumped"],
        ),
        ("no verification for two nights", |f| f.verified = Some(proof(50)), &["verify.overdue"], &[]),
        ("never verified", |f| f.verified = None, &["verify.overdue"], &[]),
        ("no restore test for nine days", |f| f.restored = Some(proof(216)), &["restore-test.overdue"], &[]),
        ("never restored", |f| f.restored = None, &["restore-test.overdue"], &[]),
        (
            "the last restore test failed",
            |f| f.restore_failed = Some(proof(5)),
            &["restore-test.failed"],
            &[],
        ),
        ("a run hangs", |f| f.open_runs.push(open(7)), &["run.unfinished"], &[]),
        ("a run runs", |f| f.open_runs.push(open(5)), &[], &[]),
        ("an upload lies around", |f| f.unfinished_uploads.push(leftover(7)), &[], &["remains"]),
        ("an upload is under way", |f| f.unfinished_uploads.push(leftover(5)), &[], &[]),
        ("remains lie around", |f| f.without_manifest.push(leftover(7)), &[], &["remains"]),
        ("a month is missing", |f| f.tiers.push(tier(2)), &[], &["tier.incomplete"]),
        ("all months are there", |f| f.tiers.push(tier(3)), &[], &[]),
        ("nobody prunes", |f| f.prune_overdue.push(backup(9_000, 1, 1).id), &[], &["prune.overdue"]),
        ("the bucket has no lock", |f| f.bucket.push(bucket(Some(false))), &["bucket.unprotected"], &[]),
        ("the bucket does not tell", |f| f.bucket.push(bucket(None)), &["bucket.unprotected"], &[]),
        ("the bucket has it", |f| f.bucket.push(bucket(Some(true))), &[], &[]),
        ("uploads cannot be listed", |f| f.not_looked_at.push("x".to_owned()), &[], &["not-looked-at"]),
    ];
    for (what, change, findings, warnings) in cases {
        assert_eq!(found(change), (findings.to_vec(), warnings.to_vec()), "{what}");
    }
}

fn bad(hours: i64) -> BadBackup {
    BadBackup { id: BackupId::new(hours_ago(hours), 0), tier: Tier::Daily, why: "damaged".to_owned() }
}

fn open(hours: i64) -> OpenRun {
    OpenRun { run: BackupId::new(hours_ago(hours), 0), job: JobName::Backup }
}

fn leftover(hours: i64) -> Leftover {
    Leftover { key: "daily/shop/x".to_owned(), since: hours_ago(hours) }
}

fn tier(present: usize) -> TierState {
    let missing = if present < 3 { vec!["2026-09".to_owned()] } else { Vec::new() };
    TierState { tier: Tier::Monthly, promised: 12, possible: 3, present, missing }
}

fn bucket(present: Option<bool>) -> BucketState {
    BucketState { feature: BucketFeature::Lock.as_str().to_owned(), present, detail: "nothing".to_owned() }
}

#[test]
fn a_young_source_owes_no_proof_yet() {
    let good = vec![backup(20, MIB, 10)];
    let facts = Facts { good, ..Facts::default() };
    assert_eq!(codes(&judge(&facts).findings), [""; 0]);
    let good = vec![backup(30, MIB, 10), backup(6, MIB, 10)];
    assert_eq!(codes(&judge(&Facts { good, ..Facts::default() }).findings), ["verify.overdue"]);
}

#[test]
fn a_young_source_is_compared_with_nothing() {
    let good =
        vec![backup(50, 100 * MIB, 1_000_000), backup(26, 100 * MIB, 1_000_000), backup(2, MIB, 1_000)];
    let verdict =
        judge(&Facts { good, verified: Some(proof(1)), restored: Some(proof(1)), ..Facts::default() });
    assert_eq!((verdict.figures.size_to_median, verdict.findings), (None, vec![]));
}

#[test]
fn small_databases_may_change() {
    let mut good: Vec<_> = (1..6).rev().map(|night| backup(24 * night, 9_000, 20)).collect();
    good.push(backup(1, 40_000, 100));
    let verdict =
        judge(&Facts { good, verified: Some(proof(1)), restored: Some(proof(1)), ..Facts::default() });
    assert_eq!((verdict.findings, verdict.warnings), (vec![], vec![]));
}

#[test]
fn checks_that_are_switched_off_find_nothing() {
    let limits = HealthSettings {
        backup_age_max: None,
        verify_age_max: None,
        restore_test_age_max: None,
        size_factor_max: None,
        ..HealthSettings::default()
    };
    let mut good: Vec<_> = (10..20).rev().map(|night| backup(24 * night, 100 * MIB, 1_000_000)).collect();
    good.push(backup(200, MIB, 1));
    let verdict = Verdict::of(&Facts { good, ..Facts::default() }, &limits, now());
    assert_eq!((verdict.findings, verdict.warnings), (vec![], vec![]));
    assert!(!verdict.figures.size_anomaly);
}

#[test]
fn promises_are_held_against_what_is_achieved() {
    let limits = HealthSettings {
        recovery_point: Some(Duration::from_hours(12)),
        recovery_time: Some(Duration::from_mins(1)),
        ..HealthSettings::default()
    };
    let verdict = Verdict::of(&healthy(), &limits, now());
    assert_eq!(codes(&verdict.findings), ["recovery-time.missed"]);
    assert_eq!(codes(&verdict.warnings), ["recovery-point.missed"]);
    let message = &verdict.findings[0].message;
    assert_eq!(message, "the last restore test took 1 min 30 s to restore, and 1 min are promised");
}

#[test]
fn messages_name_what_and_how_much() {
    let mut facts = healthy();
    facts.good.truncate(18);
    facts.good.push(backup(30, 40 * MIB, 1_000_000));
    let messages: Vec<String> = judge(&facts).findings.into_iter().map(|finding| finding.message).collect();
    assert_eq!(
        messages,
        [
            "the newest good backup, 20261120T060000Z-aaaa, is 1 d 6 h old, and should be at most 1 d 2 h",
            "the newest backup, 20261120T060000Z-aaaa, has 40.00 MiB, and the median of the 10 before it is 100.00 MiB",
        ]
    );
}

/// docs/health.md lists each code, with `yes` where it makes unhealthy, and no other.
#[test]
fn the_documentation_lists_every_code() {
    let page = include_str!("../../../../docs/health.md");
    let mut documented: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(code, _)| code)
        .filter(|code| !code.starts_with("PGARK_"))
        .collect();
    let mut known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known);
}

#[test]
fn the_metrics_of_a_verdict() {
    let source = "shop".parse().unwrap();
    let values = |facts: &Facts| -> Vec<(&'static str, f64)> {
        let data = metrics::of_verdict(&source, &judge(facts), now());
        data.values.iter().map(|datum| (datum.metric.as_str(), datum.value)).collect()
    };
    let well = [
        ("Healthy", 1.0),
        ("GoodBackups", 20.0),
        ("NewestBackupAge", 36_000.0),
        ("LastVerifyAge", 32_400.0),
        ("LastRestoreTestAge", 360_000.0),
        ("SizeAnomaly", 0.0),
        ("AchievedRecoveryPoint", 86_400.0),
        ("AchievedRecoveryTime", 90.0),
    ];
    assert_eq!(values(&healthy()), well);
    // What is not known has no value: an age of nothing would look young.
    assert_eq!(values(&Facts::default()), [("Healthy", 0.0), ("GoodBackups", 0.0), ("SizeAnomaly", 0.0)]);
}
