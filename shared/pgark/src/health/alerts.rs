//! Who is told of health, and how often: once when a source turns unhealthy, again after a while, and once when it
//! recovers. Pure.
//!
//! What was said last is kept in the store ([`Alert`]). An alert that reached nobody is not kept, so the next check
//! says it again; a channel that missed one gets it later, alone. So everybody hears of each turn at least once.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Code, Verdict};
use crate::config::Channel;
use crate::notify::notice::{FORMAT_VERSION as NOTICE_VERSION, Fact, NoticeFigures, runbook};
use crate::notify::wording::{self, seconds_between, things};
use crate::notify::{Delivery, Event, Notice};
use crate::repository::{BackupId, SourceName};
use crate::retention;
use crate::runs::{JobName, RunError};

/// The version of the form of alerts in the store.
pub const FORMAT_VERSION: &str = "1.0";

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// Its id, by which its key sorts.
    pub id: BackupId,
    /// The source.
    pub source: SourceName,
    /// What was said.
    pub kind: AlertKind,
    /// When.
    pub at: Timestamp,
    /// Since when the source was unhealthy.
    pub since: Timestamp,
    /// What has been said to be wrong since then.
    pub codes: BTreeSet<Code>,
    /// Whom it reached, now or when it was said before.
    pub delivered: Vec<Channel>,
    /// Whom it did not reach.
    pub undelivered: Vec<Channel>,
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// It turned unhealthy, or something else is wrong besides.
    Unhealthy,
    /// It is unhealthy still.
    Reminder,
    /// It is healthy again.
    Recovered,
}

/// What is to be said, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSay {
    /// What.
    pub kind: AlertKind,
    /// Since when the source is, or was, unhealthy.
    pub since: Timestamp,
    /// All that is wrong since then.
    pub codes: BTreeSet<Code>,
    /// To whom.
    pub to: Vec<Channel>,
}

/// Decides what is said after a look at a source. `last` is what was said last; `channels` are all that there are.
pub fn decide(
    last: Option<&Alert>,
    verdict: &Verdict,
    now: Timestamp,
    reminder: Option<Duration>,
    channels: &[Channel],
) -> Option<ToSay> {
    let codes: BTreeSet<Code> = verdict.findings.iter().map(|finding| finding.code).collect();
    let all = || channels.to_vec();
    let missed = |last: &Alert| -> Vec<Channel> {
        channels.iter().copied().filter(|channel| last.undelivered.contains(channel)).collect()
    };
    let was_unhealthy = last.filter(|last| last.kind != AlertKind::Recovered);
    let say = match (verdict.healthy, was_unhealthy, last) {
        (true, None, None) => return None,
        // It recovered before: whoever missed that hears of it now.
        (true, None, Some(last)) => {
            ToSay { kind: last.kind, since: last.since, codes: last.codes.clone(), to: missed(last) }
        }
        (true, Some(last), _) => {
            ToSay { kind: AlertKind::Recovered, since: last.since, codes: last.codes.clone(), to: all() }
        }
        (false, None, _) => ToSay { kind: AlertKind::Unhealthy, since: now, codes, to: all() },
        (false, Some(last), _) => {
            let said = last.codes.clone();
            let news = !codes.is_subset(&said);
            let union: BTreeSet<Code> = said.union(&codes).copied().collect();
            // A time in the future is one of a clock that was wrong.
            let due = reminder.is_some_and(|reminder| {
                last.at > now || seconds_between(last.at, now) >= reminder.as_secs_f64()
            });
            let (kind, to) = if news {
                (AlertKind::Unhealthy, all())
            } else if due {
                (AlertKind::Reminder, all())
            } else {
                (last.kind, missed(last))
            };
            ToSay { kind, since: last.since, codes: union, to }
        }
    };
    (!say.to.is_empty()).then_some(say)
}

/// What is kept of what was said. An alert that was said again, to those who had missed it, keeps its time, so that the
/// next reminder does not move.
pub fn said(
    last: Option<&Alert>,
    say: ToSay,
    delivery: &Delivery,
    (id, source, now): (BackupId, &SourceName, Timestamp),
) -> Alert {
    let id = last.map_or(id, |last| later_than(last.id, id));
    let before =
        last.filter(|last| last.kind == say.kind && say.to.iter().all(|to| last.undelivered.contains(to)));
    let missed: Vec<Channel> = say.to.iter().copied().filter(|to| !delivery.delivered.contains(to)).collect();
    let mut delivered = before.map(|last| last.delivered.clone()).unwrap_or_default();
    delivered.extend(&delivery.delivered);
    Alert {
        format_version: FORMAT_VERSION.to_owned(),
        id,
        source: source.clone(),
        kind: say.kind,
        at: before.map_or(now, |last| last.at),
        since: say.since,
        codes: say.codes,
        delivered,
        undelivered: missed,
    }
}

/// The newest alert is the state, so each has an id that sorts behind the one before, also within a second, and when
/// clocks differ.
fn later_than(last: BackupId, id: BackupId) -> BackupId {
    if id.time() > last.time() {
        id
    } else {
        id.at(retention::later(last.time(), SignedDuration::from_secs(1)))
    }
}

/// The message. `id` is the alert's.
pub fn notice(
    say: &ToSay,
    id: &BackupId,
    (source, store): (&SourceName, &str),
    verdict: &Verdict,
    now: Timestamp,
    report: Option<&str>,
) -> Notice {
    let event = match say.kind {
        AlertKind::Unhealthy => Event::Unhealthy,
        AlertKind::Reminder => Event::StillUnhealthy,
        AlertKind::Recovered => Event::Recovered,
    };
    let lasting = wording::duration(seconds_between(say.since, now));
    let first = verdict.findings.first();
    let title = match (say.kind, first) {
        (AlertKind::Recovered, _) => format!("{source} is healthy again, after {lasting}"),
        (AlertKind::Reminder, _) => format!("{source} has been unhealthy for {lasting}"),
        (AlertKind::Unhealthy, Some(first)) => format!("{source} is unhealthy: {}", first.message),
        (AlertKind::Unhealthy, None) => format!("{source} is unhealthy"),
    };
    let reason = first.map(|first| RunError {
        code: first.code.as_str().to_owned(),
        message: first.message.clone(),
        hint: Some(first.hint.clone()),
    });
    let line = |finding: &super::Finding| {
        format!("{} [{}] {}", finding.message, finding.code.as_str(), finding.hint)
    };
    let others = verdict.findings.iter().skip(1).map(line);
    let warnings = verdict.warnings.iter().map(|warning| format!("warning: {}", line(warning)));
    Notice {
        format_version: NOTICE_VERSION,
        event,
        id: format!("{source}-{id}-{}", event.as_str()),
        at: now,
        source: source.clone(),
        job: JobName::Health,
        store: store.to_owned(),
        title,
        next_step: first.map(|first| first.hint.clone()),
        runbook: first.map(|first| runbook(&place(first.code))),
        reason,
        facts: facts(verdict, report),
        findings: others.chain(warnings).collect(),
        figures: NoticeFigures { findings: Some(verdict.findings.len() as u64), ..NoticeFigures::default() },
    }
}

/// The heading of a code on the page of alerts, as its anchor: what is not a letter, digit or `-` is left out.
fn place(code: Code) -> String {
    code.as_str().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

fn facts(verdict: &Verdict, report: Option<&str>) -> Vec<Fact> {
    let figures = &verdict.figures;
    let age = |seconds: Option<f64>| {
        Some(seconds.map_or("never".to_owned(), |s| format!("{} ago", wording::duration(s))))
    };
    let promise = |achieved: Option<f64>, promised: Option<f64>| {
        let promised = promised.map_or(String::new(), |s| format!(", promised {}", wording::duration(s)));
        achieved.map(|achieved| format!("{}{promised}", wording::duration(achieved)))
    };
    let promises = &verdict.promises;
    #[allow(clippy::cast_possible_truncation)] // backups that lie in a store
    let good = things(figures.good_backups as usize, "good one");
    let newest = figures.newest_backup_age_seconds;
    let facts = [
        (
            "newest backup",
            Some(newest.map_or("none".to_owned(), |s| format!("{} ago; {good}", wording::duration(s)))),
        ),
        ("verified", age(figures.last_verify_age_seconds)),
        ("restore test", age(figures.last_restore_test_age_seconds)),
        (
            "recovery point",
            promise(promises.recovery_point_achieved_seconds, promises.recovery_point_promised_seconds),
        ),
        (
            "recovery time",
            promise(promises.recovery_time_achieved_seconds, promises.recovery_time_promised_seconds),
        ),
        ("report", report.map(str::to_owned)),
    ];
    facts.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value? })).collect()
}

#[cfg(test)]
mod tests;
