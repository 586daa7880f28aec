//! Retention again, written another way, for tests to compare: no maps and no calendar library, but days counted from
//! 1970 and, for each backup and rule, a look at all others. Slow, and simple enough to be seen to be right.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Candidate, State};
use crate::repository::Tier;

/// A policy in plain numbers; 0 for no such rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub(super) daily: usize,
    pub(super) weekly: usize,
    pub(super) monthly: usize,
    pub(super) yearly: usize,
    pub(super) last: usize,
    pub(super) within_hours: i64,
    pub(super) keep_min: usize,
}

/// Year, month and number of the day since 1970, of a time in a zone.
fn day_of(time: Timestamp, zone: &TimeZone) -> (i64, i64, i64) {
    let local = time.as_second() + i64::from(zone.to_offset(time).seconds());
    let day = local.div_euclid(86_400);
    let (mut year, mut left) = (1970, day);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if leap { 366 } else { 365 };
        if left < length {
            let february = if leap { 29 } else { 28 };
            let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let mut month = 0;
            while left >= months[month] {
                left -= months[month];
                month += 1;
            }
            return (year, i64::try_from(month).unwrap(), day);
        }
        left -= length;
        year += 1;
    }
}

/// A number for the day, week, month or year, which grows with time. 1970-01-01 was a Thursday; weeks start on Sunday.
fn period(tier: Tier, time: Timestamp, zone: &TimeZone) -> i64 {
    let (year, month, day) = day_of(time, zone);
    match tier {
        Tier::Daily => day,
        Tier::Weekly => (day + 4).div_euclid(7),
        Tier::Monthly => year * 12 + month,
        Tier::Yearly => year,
    }
}

/// Whether a rule keeps this one of the good.
fn rule_keeps(tier: Tier, count: usize, it: &Candidate, good: &[&Candidate], zone: &TimeZone) -> bool {
    let mine = period(tier, it.time(), zone);
    let beaten = good.iter().any(|other| {
        let (long, mine_long) = (other.backup.tier >= tier, it.backup.tier >= tier);
        period(tier, other.time(), zone) == mine
            && other.backup != it.backup
            && ((long && !mine_long) || (long == mine_long && other.backup > it.backup))
    });
    let mut newer: Vec<i64> = good.iter().map(|other| period(tier, other.time(), zone)).collect();
    newer.retain(|other| *other > mine);
    newer.sort_unstable();
    newer.dedup();
    !beaten && newer.len() < count
}

fn kept_if_good(it: &Candidate, good: &[&Candidate], plain: &Plain, zone: &TimeZone) -> bool {
    let newer = good.iter().filter(|other| other.backup > it.backup).count();
    let newest = good.iter().map(|other| other.time()).max();
    let age = newest.map_or(0, |newest| newest.as_second() - it.time().as_second());
    newer < plain.keep_min
        || newer < plain.last
        || (plain.within_hours > 0 && age <= plain.within_hours * 3600)
        || rule_keeps(Tier::Daily, plain.daily, it, good, zone)
        || rule_keeps(Tier::Weekly, plain.weekly, it, good, zone)
        || rule_keeps(Tier::Monthly, plain.monthly, it, good, zone)
        || rule_keeps(Tier::Yearly, plain.yearly, it, good, zone)
}

/// Whether each backup stays.
pub(super) fn stays(all: &[Candidate], plain: &Plain, zone: &TimeZone, now: Timestamp) -> Vec<bool> {
    let good: Vec<&Candidate> = all.iter().filter(|it| it.state == State::Good).collect();
    let stays = |it: &Candidate| {
        let held = it.held.as_ref().is_some_and(|hold| hold.until.is_none_or(|until| until > now));
        let locked = it.lock.legal_hold || it.lock.until.is_some_and(|until| until > now);
        if held || locked || it.state == State::TooNew {
            return true;
        }
        if it.state == State::Good {
            return kept_if_good(it, &good, plain, zone);
        }
        let mut with_it = good.clone();
        with_it.push(it);
        kept_if_good(it, &with_it, plain, zone)
    };
    all.iter().map(stays).collect()
}
