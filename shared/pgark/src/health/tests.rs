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
    let (id, options) = (BackupId::new(hours_ago(hours), 0), BackupOptions::default());
    GoodBackup { id, tier: Tier::Daily, stored_bytes, rows, options }
}

/// One that was asked to leave the rows of a table out.
fn smaller(hours: i64, stored_bytes: u64) -> GoodBackup {
    let options =
        BackupOptions { exclude_table_data: vec!["audit.log".to_owned()], ..BackupOptions::default() };
    GoodBackup { options, ..backup(hours, stored_bytes, 1_000_000) }
}

fn proof(hours: i64) -> Proof {
    Proof {
        at: hours_ago(hours),
        backup: "20261121T020000Z-aaaa".to_owned(),
        report: "reports/shop/restore-test/20261121T020000Z-aaaa.json".to_owned(),
        level: None,
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
    BadBackup {
        id: BackupId::new(hours_ago(hours), 0),
        tier: Tier::Daily,
        why: "damaged".to_owned(),
        wrongly_dated: false,
    }
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

fn replica(hours: i64, replication: Replication) -> ReplicaState {
    let at = hours_ago(hours);
    ReplicaState { backup: BackupId::new(at, 0), written_at: at, replication }
}

/// What the store says of the newest backup's copy, and of an older one's, if the newest is too young to have one.
#[test]
fn copies_are_owed_after_a_while() {
    use Replication::{Done, Failed, NotCovered, Pending};
    type Copies = [(i64, Replication)];
    let cases: &[(&Copies, &[&str])] = &[
        (&[(10, Done)], &[]),
        (&[(1, Failed)], &["replication.failed"]),
        (&[(2, Pending)], &[]),
        (&[(4, Pending)], &["replication.overdue"]),
        (&[(1, NotCovered)], &["replication.missing"]),
        (&[(1, Pending), (25, Done)], &[]),
        (&[(1, Pending), (25, Failed)], &["replication.failed"]),
        (&[(1, Pending), (25, Pending)], &["replication.overdue"]),
        // It is from before the rule, which covers the newest.
        (&[(1, Pending), (25, NotCovered)], &[]),
    ];
    for (replicas, findings) in cases {
        let replicas = replicas.iter().map(|(hours, replication)| replica(*hours, *replication));
        assert_eq!(found(|facts| facts.replicas.extend(replicas)), (findings.to_vec(), vec![]));
    }
}

#[test]
fn a_missing_copy_is_told_with_what_there_is_to_look_at() {
    let message = |replica| {
        let mut facts = healthy();
        facts.replicas.push(replica);
        let finding = judge(&facts).findings.remove(0);
        (finding.message, finding.hint)
    };
    let (text, hint) = message(replica(10, Replication::Failed));
    assert_eq!(text, "the bucket could not copy backup 20261121T020000Z-aaaa elsewhere");
    assert!(hint.contains("KMS keys") && hint.contains("not tried again"), "{hint}");
    let (text, _) = message(replica(10, Replication::Pending));
    assert_eq!(
        text,
        "the bucket has not copied backup 20261121T020000Z-aaaa elsewhere, which was written 10 h ago"
    );
    let (text, hint) = message(replica(10, Replication::NotCovered));
    assert!(text.ends_with("no rule of the bucket covers it, or it was made before the rule"), "{text}");
    assert!(hint.starts_with("If the rule is new, run `pgark backup`"), "{hint}");
}

/// Who leaves more out gets a smaller backup: it is told so once more, until there are three of the kind.
#[test]
fn backups_are_compared_with_those_that_leave_out_the_same() {
    let after = |smaller: &[GoodBackup]| {
        let mut facts = healthy();
        facts.good.extend(smaller.iter().cloned());
        judge(&facts)
    };
    let first = after(&[smaller(1, 20 * MIB)]);
    assert_eq!(codes(&first.findings), ["size.collapsed"]);
    assert_eq!(
        first.findings[0].message,
        "the newest backup, 20261121T110000Z-aaaa, has 20.00 MiB, and the median of the 10 before it is 100.00 MiB; it \
         leaves out rows of audit.log, and 20261121T020000Z-aaaa left out nothing"
    );
    assert!(first.findings[0].hint.starts_with("What is left out was changed"), "{}", first.findings[0].hint);
    assert!(first.figures.size_anomaly);

    let nights: Vec<GoodBackup> = (1..5).rev().map(|hours| smaller(hours, 20 * MIB)).collect();
    let fourth = after(&nights);
    assert_eq!((codes(&fourth.findings), codes(&fourth.warnings)), (vec![], vec![]));
    assert_eq!(fourth.figures.size_to_median, Some(1.0));

    // Small ones between whole ones: each is compared with its own kind.
    let mut facts = healthy();
    facts.good.extend(nights);
    facts.good.push(backup(0, 100 * MIB, 1_000_000));
    assert_eq!(judge(&facts).figures.size_to_median, Some(1.0));
    facts.good.push(backup(0, 40 * MIB, 1_000_000));
    let collapsed = judge(&facts).findings.remove(0);
    assert_eq!(collapsed.code, Code::SizeCollapsed);
    assert!(!collapsed.message.contains("leaves out"), "{}", collapsed.message);
}

/// The order of patterns, and whether roles' passwords are in it, change nothing of what is compared.
#[test]
fn what_does_not_change_the_size_does_not_matter() {
    let with = |tables: [&str; 2], role_passwords| GoodBackup {
        options: BackupOptions {
            exclude_tables: tables.map(str::to_owned).to_vec(),
            role_passwords,
            ..BackupOptions::default()
        },
        ..backup(1, 100 * MIB, 1_000_000)
    };
    let mut facts = healthy();
    facts.good.extend([with(["a", "b"], false), with(["b", "a"], true), with(["a", "b"], true)]);
    facts.good.push(GoodBackup { stored_bytes: 40 * MIB, ..with(["b", "a"], false) });
    let verdict = judge(&facts);
    assert_eq!(verdict.figures.size_to_median, Some(0.4));
    assert!(!verdict.findings[0].message.contains("leaves out"), "{}", verdict.findings[0].message);
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
