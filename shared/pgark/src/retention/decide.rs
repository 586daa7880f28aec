//! The decision on each backup.
//!
//! Each rule is applied to the good backups alone. Of the good ones in a week, month or year, one whose tier is at least
//! that long goes before one of a shorter tier, and then the newest: the store's own lifecycle rules expire by tier
//! (docs/decisions/0011). A bad backup is kept as evidence for as long as it would be kept were it good, and until as
//! many newer good ones are there as the floor asks for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::{Candidate, Policy, Rule, State};
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
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Decides on each of a source's backups, in their order.
pub fn decide(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Vec<Decision> {
    let mut good: Vec<&BackupRef> = candidates
        .iter()
        .filter(|candidate| candidate.is_good())
        .map(|candidate| &candidate.backup)
        .collect();
    good.sort_unstable_by(|a, b| b.cmp(a));
    let verdicts = Verdicts::of(&good, policy);
    let decision = |candidate: &Candidate| {
        let mut reasons = protections(candidate, now);
        let refusals = match candidate.state {
            State::Good => {
                let verdict = verdicts.on(&candidate.backup);
                reasons.extend(verdict.keeps);
                verdict.refusals
            }
            _ => bad(candidate, &good, policy, &mut reasons),
        };
        let keep = !reasons.is_empty();
        Decision { backup: candidate.backup.clone(), keep, reasons: if keep { reasons } else { refusals } }
    };
    candidates.iter().map(decision).collect()
}

/// What keeps a backup whatever its worth.
fn protections(candidate: &Candidate, now: Timestamp) -> Vec<Reason> {
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

/// On one that does not count. Adds what keeps it to `reasons`, and returns why it goes.
fn bad(
    candidate: &Candidate,
    good: &[&BackupRef],
    policy: &Policy,
    reasons: &mut Vec<Reason>,
) -> Vec<Reason> {
    let evidence = |text: String| Reason::new("evidence", format!("{}; {text}", candidate.state));
    if candidate.state == State::TooNew {
        reasons.push(Reason::new("too-new", candidate.state.to_string()));
        return Vec::new();
    }
    let newer = good.iter().filter(|other| ***other > candidate.backup).count();
    let floor = floor(policy);
    if newer < floor {
        reasons.push(evidence(format!("kept until {floor} newer good ones are there, now {newer}")));
        return Vec::new();
    }
    let mut with_it = good.to_vec();
    let at = with_it.partition_point(|other| **other > candidate.backup);
    with_it.insert(at, &candidate.backup);
    let verdict = Verdicts::of(&with_it, policy).on(&candidate.backup);
    if let Some(first) = verdict.keeps.first() {
        reasons.push(evidence(format!("kept as long as it would be if it were good ({})", first.text)));
    }
    let why = Reason::new("bad", format!("{}; {newer} newer good ones are there", candidate.state));
    [vec![why], verdict.refusals].concat()
}

fn floor(policy: &Policy) -> usize {
    usize::try_from(policy.keep_min.get()).unwrap_or(usize::MAX)
}

/// What the rules and the floor say of good backups.
struct Verdicts<'a> {
    keeps: BTreeMap<&'a BackupRef, Vec<Reason>>,
    refusals: BTreeMap<&'a BackupRef, Vec<Reason>>,
}

/// Of one of them.
struct Verdict {
    keeps: Vec<Reason>,
    refusals: Vec<Reason>,
}

impl<'a> Verdicts<'a> {
    /// `good` come with the newest first.
    fn of(good: &[&'a BackupRef], policy: &Policy) -> Self {
        let mut verdicts = Self { keeps: BTreeMap::new(), refusals: BTreeMap::new() };
        for rule in policy.rules.iter() {
            match rule {
                Rule::Last(count) => verdicts.newest(good, as_index(count.get()), "last"),
                Rule::Within(age) => {
                    let oldest = good.first().map(|newest| age.before(newest.id.time(), &policy.zone));
                    for backup in good {
                        let inside = oldest.is_some_and(|oldest| backup.id.time() >= oldest);
                        let text = |not: &str| format!("{not}{rule} of the newest good one");
                        if inside {
                            verdicts.keep(backup, Reason::new("within", text("")));
                        } else {
                            verdicts.refuse(backup, Reason::new("within", text("not ")));
                        }
                    }
                }
                Rule::Calendar(tier, count) => verdicts.calendar(good, tier, count.get(), policy),
            }
        }
        verdicts.newest(good, floor(policy), "floor");
        verdicts
    }

    fn newest(&mut self, good: &[&'a BackupRef], count: usize, code: &'static str) {
        for (number, backup) in (1..).zip(good) {
            if number <= count {
                self.keep(backup, Reason::new(code, format!("{code} {number} of {count}")));
            } else if code != "floor" {
                self.refuse(backup, Reason::new(code, format!("{code}: not one of the newest {count}")));
            }
        }
    }

    /// One for each of the newest periods that have any. The date is not monotonous where clocks are put back over
    /// midnight, so backups of a period need not be neighbours.
    fn calendar(&mut self, good: &[&'a BackupRef], tier: Tier, count: u32, policy: &Policy) {
        let period = |backup: &BackupRef| tier.period(policy.zone.date(backup.id.time()));
        let mut periods: BTreeMap<Date, &'a BackupRef> = BTreeMap::new();
        for backup in good {
            let best = periods.entry(period(backup)).or_insert(backup);
            if (backup.tier >= tier, *backup) > (best.tier >= tier, *best) {
                *best = backup;
            }
        }
        let kept: BTreeMap<Date, (u32, &BackupRef)> = (1..=count)
            .zip(periods.into_iter().rev())
            .map(|(number, (start, backup))| (start, (number, backup)))
            .collect();
        for backup in good {
            let start = period(backup);
            match kept.get(&start) {
                Some((number, best)) if best == backup => {
                    let text = format!("{tier} {number} of {count}: {}", name(tier, start));
                    self.keep(backup, Reason::new(tier.as_str(), text));
                }
                Some((_, best)) => {
                    let text = format!("{tier}: {} has {}", name(tier, start), best.id);
                    self.refuse(backup, Reason::new(tier.as_str(), text));
                }
                None => {
                    let text = format!("{tier}: {} is not one of the newest {count}", name(tier, start));
                    self.refuse(backup, Reason::new(tier.as_str(), text));
                }
            }
        }
    }

    fn keep(&mut self, backup: &'a BackupRef, reason: Reason) {
        self.keeps.entry(backup).or_default().push(reason);
    }

    fn refuse(&mut self, backup: &'a BackupRef, reason: Reason) {
        self.refusals.entry(backup).or_default().push(reason);
    }

    fn on(&self, backup: &BackupRef) -> Verdict {
        let of = |map: &BTreeMap<&BackupRef, Vec<Reason>>| map.get(backup).cloned().unwrap_or_default();
        Verdict { keeps: of(&self.keeps), refusals: of(&self.refusals) }
    }
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
