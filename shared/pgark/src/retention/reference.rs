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

/// A backup with the numbers of its day, week, month and year.
struct Dated<'a> {
    it: &'a Candidate,
    periods: [i64; 4],
    stored_day: i64,
}

/// Whether a rule keeps this one of the good.
fn rule_keeps(tier: Tier, count: usize, it: &Dated<'_>, good: &[&Dated<'_>]) -> bool {
    let of = |dated: &Dated<'_>| dated.periods[tier as usize];
    let long = |dated: &Dated<'_>| dated.it.backup.tier >= tier;
    let beaten = good.iter().any(|other| {
        of(other) == of(it)
            && other.it.backup != it.it.backup
            && match (long(other), long(it)) {
                (true, false) => true,
                (false, true) => false,
                // What stands for a week, month or year does not give way to a later one as long.
                (true, true) if tier != Tier::Daily => other.it.backup < it.it.backup,
                _ => other.it.backup > it.it.backup,
            }
    });
    let mut newer: Vec<i64> = good.iter().map(|other| of(other)).filter(|other| *other > of(it)).collect();
    newer.sort_unstable();
    newer.dedup();
    !beaten && newer.len() < count
}

/// Whether it is the newest of a day on which the store saw some, and the store saw some on fewer days since.
fn newest_of_a_stored_day(it: &Dated<'_>, good: &[&Dated<'_>], days: usize) -> bool {
    let same = good.iter().filter(|other| other.stored_day == it.stored_day);
    let mut later: Vec<i64> =
        good.iter().map(|other| other.stored_day).filter(|day| *day > it.stored_day).collect();
    later.sort_unstable();
    later.dedup();
    later.len() < days
        && same.clone().count() > 0
        && same.map(|other| &other.it.backup).max() == Some(&it.it.backup)
}

fn kept_if_good(it: &Dated<'_>, good: &[&Dated<'_>], plain: &Plain) -> bool {
    let newer = good.iter().filter(|other| other.it.backup > it.it.backup).count();
    let newest = good.iter().map(|other| other.it.time()).max();
    let age = newest.map_or(0, |newest| newest.as_second() - it.it.time().as_second());
    newer < plain.keep_min
        || newer < plain.last
        || (plain.within_hours > 0 && age <= plain.within_hours * 3600)
        || (it.it.state == State::Good && newest_of_a_stored_day(it, good, plain.keep_min))
        || rule_keeps(Tier::Daily, plain.daily, it, good)
        || rule_keeps(Tier::Weekly, plain.weekly, it, good)
        || rule_keeps(Tier::Monthly, plain.monthly, it, good)
        || rule_keeps(Tier::Yearly, plain.yearly, it, good)
}

/// Whether each backup stays.
pub(super) fn stays(all: &[Candidate], plain: &Plain, zone: &TimeZone, now: Timestamp) -> Vec<bool> {
    let dated: Vec<Dated<'_>> = all
        .iter()
        .map(|it| Dated {
            it,
            periods: Tier::ALL.map(|tier| period(tier, it.time(), zone)),
            stored_day: day_of(it.stored_at, zone).2,
        })
        .collect();
    let good: Vec<&Dated<'_>> = dated.iter().filter(|dated| dated.it.state == State::Good).collect();
    let stays = |dated: &Dated<'_>| {
        let it = dated.it;
        let held = it.held.as_ref().is_some_and(|hold| hold.until.is_none_or(|until| until > now));
        let locked = it.lock.legal_hold || it.lock.until.is_some_and(|until| until > now);
        if held || locked || it.state == State::TooNew {
            return true;
        }
        if it.state == State::Good {
            return kept_if_good(dated, &good, plain);
        }
        let mut with_it = good.clone();
        with_it.push(dated);
        kept_if_good(dated, &with_it, plain)
    };
    dated.iter().map(stays).collect()
}
