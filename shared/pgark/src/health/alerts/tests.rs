use jiff::ToSpan as _;

use super::*;
use crate::health::{Facts, Figures, Finding, Promises};

const ALL: [Channel; 2] = [Channel::Sns, Channel::Slack];

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn verdict(codes: &[Code]) -> Verdict {
    let finding = |code: &Code| Finding {
        code: *code,
        message: "the newest good backup is old".to_owned(),
        hint: "Run one.".to_owned(),
    };
    Verdict {
        healthy: codes.is_empty(),
        findings: codes.iter().map(finding).collect(),
        warnings: Vec::new(),
        figures: Figures::default(),
        promises: Promises::default(),
    }
}

fn alert(kind: AlertKind, hours_ago: i64, codes: &[Code]) -> Alert {
    let at = now() - hours_ago.hours();
    Alert {
        format_version: FORMAT_VERSION.to_owned(),
        id: BackupId::new(at, 0),
        source: "shop".parse().unwrap(),
        kind,
        at,
        since: at,
        codes: codes.iter().copied().collect(),
        delivered: ALL.to_vec(),
        undelivered: Vec::new(),
    }
}

fn say(last: Option<&Alert>, verdict: &Verdict) -> Option<(AlertKind, Vec<Channel>)> {
    decide(last, verdict, now(), Some(Duration::from_hours(24)), &ALL).map(|say| (say.kind, say.to))
}

#[test]
fn one_when_it_turns_a_reminder_at_intervals_one_when_it_recovers() {
    use AlertKind::{Recovered, Reminder, Unhealthy};
    let overdue = [Code::BackupOverdue];
    let (well, ill) = (verdict(&[]), verdict(&overdue));
    let all = |kind| Some((kind, ALL.to_vec()));
    for (last, verdict, expected) in [
        (None, &well, None),
        (None, &ill, all(Unhealthy)),
        (Some(alert(Recovered, 99, &overdue)), &well, None),
        (Some(alert(Recovered, 1, &overdue)), &ill, all(Unhealthy)),
        (Some(alert(Unhealthy, 6, &overdue)), &ill, None),
        (Some(alert(Unhealthy, 24, &overdue)), &ill, all(Reminder)),
        (Some(alert(Reminder, 6, &overdue)), &ill, None),
        (Some(alert(Reminder, 25, &overdue)), &ill, all(Reminder)),
        (Some(alert(Unhealthy, 1, &overdue)), &well, all(Recovered)),
        (Some(alert(Reminder, 1, &overdue)), &well, all(Recovered)),
        // A clock that was wrong must not silence anything.
        (Some(alert(Unhealthy, -48, &overdue)), &ill, all(Reminder)),
    ] {
        assert_eq!(say(last.as_ref(), verdict), expected, "{last:?} {}", verdict.healthy);
    }
}

#[test]
fn what_is_wrong_besides_is_said_once() {
    let last = alert(AlertKind::Unhealthy, 1, &[Code::BackupOverdue]);
    let both = verdict(&[Code::BackupOverdue, Code::VerifyOverdue]);
    let said = decide(Some(&last), &both, now(), None, &ALL).unwrap();
    assert_eq!((said.kind, said.since), (AlertKind::Unhealthy, last.since));
    // It comes and goes: no alert for each time.
    let after = Alert { codes: said.codes, ..last };
    assert_eq!(say(Some(&after), &verdict(&[Code::BackupOverdue])), None);
    assert_eq!(say(Some(&after), &both), None);
}

#[test]
fn whoever_missed_an_alert_gets_it_later_alone() {
    let overdue = [Code::BackupOverdue];
    let missed = |kind| Alert {
        delivered: vec![Channel::Sns],
        undelivered: vec![Channel::Slack],
        ..alert(kind, 1, &overdue)
    };
    let slack = |kind| Some((kind, vec![Channel::Slack]));
    let ill = verdict(&overdue);
    assert_eq!(say(Some(&missed(AlertKind::Unhealthy)), &ill), slack(AlertKind::Unhealthy));
    assert_eq!(say(Some(&missed(AlertKind::Recovered)), &verdict(&[])), slack(AlertKind::Recovered));
    // Unless it is set no more.
    let only_sns = [Channel::Sns];
    assert_eq!(decide(Some(&missed(AlertKind::Unhealthy)), &ill, now(), None, &only_sns), None);
}

#[test]
fn nobody_is_told_where_nobody_is_set_or_no_reminder_is_wanted() {
    let ill = verdict(&[Code::BackupNone]);
    assert_eq!(decide(None, &ill, now(), None, &[]), None);
    let last = alert(AlertKind::Unhealthy, 9_999, &[Code::BackupNone]);
    assert_eq!(decide(Some(&last), &ill, now(), None, &ALL), None);
}

/// The newest by its id is the state: an alert that sorted before the one it follows would be said for ever.
#[test]
fn each_alert_sorts_behind_the_one_before() {
    let source = "shop".parse().unwrap();
    let said_at = |last: &Alert, now: Timestamp| {
        let say = decide(Some(last), &verdict(&[]), now, None, &ALL).unwrap();
        let delivery = Delivery { delivered: ALL.to_vec(), undelivered: Vec::new() };
        // The smallest tail there is.
        said(Some(last), say, &delivery, (BackupId::new(now, 0), &source, now))
    };
    let last =
        Alert { id: BackupId::new(now(), u32::MAX), ..alert(AlertKind::Unhealthy, 0, &[Code::BackupNone]) };
    for later in [0.seconds(), 1.seconds(), (-1).hours()] {
        let recovered = said_at(&last, now() + later);
        assert!(recovered.id > last.id, "{later}: {}", recovered.id);
        assert_eq!(recovered.at, now() + later);
    }
}

fn text(kind: AlertKind, verdict: &Verdict) -> String {
    let since = now() - 28.hours();
    let say = ToSay { kind, since, codes: BTreeSet::new(), to: ALL.to_vec() };
    let source = "shop".parse().unwrap();
    let id = BackupId::new(now(), 0);
    notice(&say, &id, (&source, "s3://backups/prod"), verdict, now(), Some("reports/shop/health/x.json"))
        .text()
}

#[test]
fn how_alerts_read() {
    let facts = Facts { verified: None, ..Facts::default() };
    let verdict = Verdict::of(&facts, &crate::config::HealthSettings::default(), now());
    assert_eq!(
        text(AlertKind::Unhealthy, &verdict),
        "pgark: shop is unhealthy: there is no good backup

reason         there is no good backup [backup.none]
next step      Run `pgark backup` now. If it fails, `pgark doctor` says why.
newest backup  none
verified       never
restore test   never
report         reports/shop/health/x.json
store          s3://backups/prod
runbook        https://github.com/pgark/pgark/blob/main/docs/alerts.md#backupnone
"
    );
    let reminder = text(AlertKind::Reminder, &verdict);
    assert!(reminder.starts_with("pgark: shop has been unhealthy for 1 d 4 h\n\nreason "), "{reminder}");
    let recovered = text(AlertKind::Recovered, &super::tests::verdict(&[]));
    assert!(
        recovered.starts_with("pgark: shop is healthy again, after 1 d 4 h\n\nnewest backup "),
        "{recovered}"
    );
    assert!(!recovered.contains("next step"), "{recovered}");
}

/// Each alert leads somewhere: docs/alerts.md has a heading for each code, and for each job that may fail.
#[test]
fn the_page_of_alerts_has_a_place_for_each() {
    let page = include_str!("../../../../../docs/alerts.md");
    let headings: Vec<String> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).map(anchor).collect();
    let codes = Code::ALL.iter().map(|code| place(*code));
    let jobs = crate::runs::JobName::ALL.iter().map(|job| job.as_str().to_owned());
    for wanted in codes.chain(jobs).chain(["damage".to_owned()]) {
        assert!(headings.contains(&wanted), "{wanted} is not among {headings:?}");
    }
}

/// As GitHub makes anchors of headings: lower case, blanks to hyphens, and no other punctuation.
fn anchor(heading: &str) -> String {
    let lower = heading.trim().to_lowercase().replace(' ', "-");
    lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}
