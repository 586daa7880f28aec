//! The decision on each backup.
//!
//! Each rule is applied to the good backups alone. Of the good ones in a week, month or year, the first whose tier is at least
//! that long stands for it, and if there is none, the newest: the store's own lifecycle rules expire by tier
//! (docs/decisions/0011), and what stands for a year must not give way to whatever is made later in it
//! (docs/decisions/0019). A bad backup is kept as evidence for as long as it would be kept were it good, and until as
//! many newer good ones are there as the floor asks for.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::{Candidate, Policy, Rule, State, Zone};
use crate::repository::{BackupRef, Tier};

/// What happens to a backup, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The backup.
    pub backup: BackupRef,
    /// Whether it stays.
    pub keep: bool,
    /// Everything that keeps it; or, for each rule, why it does not.
    pub reasons: Vec<Reason>,
}

/// A reason. `code` is for programs, `text` for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// One of those in docs/retention.md.
    pub code: &'static str,
    /// The reason in words.
    pub text: String,
}

impl Reason {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Decides on each of a source's backups, in their order.
pub fn decide(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Vec<Decision> {
    let mut good: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.is_good()).collect();
    good.sort_unstable_by(|a, b| b.backup.cmp(&a.backup));
    let standard = Standard::of(&good, policy);
    let decision = |candidate: &Candidate| {
        let mut keeps = protections(candidate, now);
        let verdict = match candidate.state {
            State::Good => standard.verdict(&candidate.backup),
            _ => bad(candidate, &standard),
        };
        keeps.extend(verdict.keeps);
        let keep = !keeps.is_empty();
        Decision {
            backup: candidate.backup.clone(),
            keep,
            reasons: if keep { keeps } else { verdict.refusals },
        }
    };
    candidates.iter().map(decision).collect()
}

/// What keeps a backup whatever its worth: holds, and the store's locks.
pub fn protections(candidate: &Candidate, now: Timestamp) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(hold) = candidate.held.as_ref().filter(|hold| hold.holds(now)) {
        let until = hold.until.map_or_else(String::new, |until| format!(" until {until:.0}"));
        reasons.push(Reason::new("held", format!("held{until}: {}", hold.reason)));
    }
    if let Some(until) = candidate.lock.until.filter(|until| now < *until) {
        reasons.push(Reason::new("locked", format!("the store retains it until {until:.0}")));
    }
    if candidate.lock.legal_hold {
        reasons.push(Reason::new("locked", "the store has it under a legal hold"));
    }
    reasons
}

/// On one that does not count.
fn bad(candidate: &Candidate, standard: &Standard<'_>) -> Verdict {
    let kept = |code, text| Verdict { keeps: vec![Reason::new(code, text)], refusals: Vec::new() };
    let state = &candidate.state;
    if *state == State::TooNew {
        return kept("too-new", state.to_string());
    }
    let (newer, floor) = (standard.newer(&candidate.backup), standard.floor);
    if newer < floor {
        let text = format!("{state}; kept until {floor} newer good ones are there, now {newer}");
        return kept("evidence", text);
    }
    let Verdict { keeps, refusals } = standard.verdict(&candidate.backup);
    if let Some(first) = keeps.first() {
        let text = format!("{state}; kept as long as it would be if it were good ({})", first.text);
        return kept("evidence", text);
    }
    let why = Reason::new("bad", format!("{state}; {newer} newer good ones are there"));
    Verdict { keeps, refusals: [vec![why], refusals].concat() }
}

/// What rules and floor say of a backup.
struct Verdict {
    keeps: Vec<Reason>,
    refusals: Vec<Reason>,
}

/// The good backups as each rule sees them. Measures a further one too, as if it were good.
struct Standard<'a> {
    /// With the newest first.
    good: Vec<&'a BackupRef>,
    rules: Vec<Measure<'a>>,
    zone: &'a Zone,
    floor: usize,
    /// The newest of each of the last days on which the store saw one, by the store's clock: as many as the floor.
    days: BTreeMap<&'a BackupRef, Date>,
}

/// A rule, and what it needs to know of the good backups.
enum Measure<'a> {
    Last(usize),
    Within {
        rule: Rule,
        oldest: Option<Timestamp>,
    },
    Calendar {
        tier: Tier,
        count: usize,
        /// What stands for each day, week, month or year that has any.
        best: BTreeMap<Date, &'a BackupRef>,
    },
}

impl<'a> Standard<'a> {
    /// `candidates` with the newest first.
    fn of(candidates: &[&'a Candidate], policy: &'a Policy) -> Self {
        let good: Vec<&BackupRef> = candidates.iter().map(|candidate| &candidate.backup).collect();
        let floor = as_index(policy.keep_min.get());
        let measure = |rule: Rule| match rule {
            Rule::Last(count) => Measure::Last(as_index(count.get())),
            Rule::Within(age) => {
                let oldest = good.first().map(|newest| age.before(newest.id.time(), &policy.zone));
                Measure::Within { rule, oldest }
            }
            Rule::Calendar(tier, count) => {
                // Dates are not monotonous where clocks are put back over midnight, so those of a day need not be
                // neighbours.
                let mut best: BTreeMap<Date, &BackupRef> = BTreeMap::new();
                for backup in &good {
                    let known = best.entry(period(tier, &policy.zone, backup)).or_insert(backup);
                    if worth(tier, backup) > worth(tier, known) {
                        *known = backup;
                    }
                }
                Measure::Calendar { tier, count: as_index(count.get()), best }
            }
        };
        let rules = policy.rules.iter().map(measure).collect();
        let days = days(candidates, &policy.zone, floor);
        Self { good, rules, zone: &policy.zone, floor, days }
    }

    /// How many good ones are newer.
    fn newer(&self, backup: &BackupRef) -> usize {
        self.good.partition_point(|other| **other > *backup)
    }

    fn verdict(&self, backup: &BackupRef) -> Verdict {
        let (mut keeps, mut refusals) = (Vec::new(), Vec::new());
        for measure in &self.rules {
            let (keep, reason) = self.measure(measure, backup);
            if keep { keeps.push(reason) } else { refusals.push(reason) }
        }
        let number = self.newer(backup) + 1;
        if number <= self.floor {
            keeps.push(Reason::new("floor", format!("floor {number} of {}", self.floor)));
        } else if let Some(day) = self.days.get(backup) {
            let text =
                format!("floor: the newest that the store saw on {day}, one of its last {} days", self.floor);
            keeps.push(Reason::new("floor", text));
        }
        Verdict { keeps, refusals }
    }

    fn measure(&self, measure: &Measure<'_>, backup: &BackupRef) -> (bool, Reason) {
        match measure {
            Measure::Last(count) => match self.newer(backup) + 1 {
                number if number <= *count => {
                    (true, Reason::new("last", format!("last {number} of {count}")))
                }
                _ => (false, Reason::new("last", format!("last: not one of the newest {count}"))),
            },
            Measure::Within { rule, oldest } => {
                let keep = oldest.is_some_and(|oldest| backup.id.time() >= oldest);
                let not = if keep { "" } else { "not " };
                (keep, Reason::new("within", format!("{not}{rule} of the newest good one")))
            }
            Measure::Calendar { tier, count, best } => {
                let start = period(*tier, self.zone, backup);
                let number = best.range(start..).filter(|(other, _)| **other > start).count() + 1;
                let what = name(*tier, start);
                let better = best.get(&start).filter(|best| worth(*tier, best) > worth(*tier, backup));
                let (keep, text) = match better {
                    _ if number > *count => {
                        (false, format!("{tier}: {what} is not one of the newest {count}"))
                    }
                    Some(better) => (false, format!("{tier}: {what} has {}", better.id)),
                    None => (true, format!("{tier} {number} of {count}: {what}")),
                };
                (keep, Reason::new(tier.as_str(), text))
            }
        }
    }
}

/// The newest of each of the last days, by the store's clock. Whoever can only create cannot make more than one of them a
/// day, so no flood of new backups pushes the old ones out at once.
fn days<'a>(newest_first: &[&'a Candidate], zone: &Zone, count: usize) -> BTreeMap<&'a BackupRef, Date> {
    let mut days: BTreeMap<Date, &BackupRef> = BTreeMap::new();
    for candidate in newest_first {
        days.entry(zone.date(candidate.stored_at)).or_insert(&candidate.backup);
    }
    days.into_iter().rev().take(count).map(|(day, backup)| (backup, day)).collect()
}

/// The first day of the day, week, month or year of a backup.
fn period(tier: Tier, zone: &Zone, backup: &BackupRef) -> Date {
    tier.period(zone.date(backup.id.time()))
}

/// Of those of one period, the greatest stands for it: the first whose tier is as long, or else the newest. Of a day it is
/// always the newest.
fn worth(tier: Tier, backup: &BackupRef) -> (Option<Reverse<&BackupRef>>, &BackupRef) {
    let long = tier > Tier::Daily && backup.tier >= tier;
    (long.then_some(Reverse(backup)), backup)
}

fn as_index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What people call the period that starts on this day.
fn name(tier: Tier, start: Date) -> String {
    match tier {
        Tier::Daily => start.to_string(),
        Tier::Weekly => format!("the week of {start}"),
        Tier::Monthly => start.strftime("%Y-%m").to_string(),
        Tier::Yearly => start.strftime("%Y").to_string(),
    }
}
