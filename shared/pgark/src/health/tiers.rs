//! What retention promises, and what there is of it.
//!
//! Only periods that are over, and in which the source existed, owe a backup: a source of forty days cannot have twelve
//! months.

use jiff::Timestamp;
use jiff::civil::Date;

use super::TierState;
use crate::repository::Tier;
use crate::retention::{Policy, Rule};

/// The state of each rule that counts days, weeks, months or years. `good` are the times of good backups.
pub(crate) fn states(good: &[Timestamp], policy: &Policy, now: Timestamp) -> Vec<TierState> {
    let dates: Vec<Date> = good.iter().map(|time| policy.zone.date(*time)).collect();
    let today = policy.zone.date(now);
    let calendar = policy.rules.iter().filter_map(|rule| match rule {
        Rule::Calendar(tier, number) => Some((tier, number.get())),
        Rule::Last(_) | Rule::Within(_) => None,
    });
    calendar.map(|(tier, promised)| state(tier, promised as usize, &dates, today)).collect()
}

fn state(tier: Tier, promised: usize, dates: &[Date], today: Date) -> TierState {
    let Some(first) = dates.iter().min() else {
        return TierState { tier, promised, possible: 0, present: 0, missing: Vec::new() };
    };
    let has = |period: Date| dates.iter().any(|date| tier.period(*date) == period);
    let mut periods: Vec<Date> = Vec::new();
    let mut period = tier.period(today);
    // The period that runs owes nothing yet, but counts if it has its backup.
    if has(period) {
        periods.push(period);
    }
    while periods.len() < promised
        && let Ok(before) = period.yesterday()
        && tier.period(before) >= tier.period(*first)
    {
        period = tier.period(before);
        periods.push(period);
    }
    let missing: Vec<Date> = periods.iter().copied().filter(|period| !has(*period)).collect();
    TierState {
        tier,
        promised,
        possible: periods.len(),
        present: periods.len() - missing.len(),
        missing: missing.into_iter().map(|period| name(tier, period)).collect(),
    }
}

fn name(tier: Tier, period: Date) -> String {
    match tier {
        Tier::Yearly => period.strftime("%Y").to_string(),
        Tier::Monthly => period.strftime("%Y-%m").to_string(),
        Tier::Weekly => format!("the week of {period}"),
        Tier::Daily => period.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Zone;

    fn times(dates: &[&str]) -> Vec<Timestamp> {
        dates.iter().map(|date| format!("{date}T02:00:00Z").parse().unwrap()).collect()
    }

    /// possible, present, missing
    fn state_of(rules: &str, dates: &[&str], now: &str) -> (usize, usize, Vec<String>) {
        let policy =
            Policy { rules: rules.parse().unwrap(), zone: Zone::UTC, keep_min: std::num::NonZeroU32::MIN };
        let states = states(&times(dates), &policy, format!("{now}T12:00:00Z").parse().unwrap());
        let [state] = &states[..] else { panic!("{states:?}") };
        (state.possible, state.present, state.missing.clone())
    }

    #[test]
    fn a_period_owes_a_backup_if_it_is_over_and_the_source_existed_in_it() {
        // Saturday; the week began on the 15th.
        let now = "2026-11-21";
        for (rules, dates, possible, present, missing) in [
            ("daily 7", &[][..], 0, 0, &[][..]),
            ("daily 7", &["2026-11-21"], 1, 1, &[]),
            ("daily 7", &["2026-11-19", "2026-11-20"], 2, 2, &[]),
            ("daily 7", &["2026-11-18", "2026-11-20"], 3, 2, &["2026-11-19"]),
            ("daily 2", &["2026-11-01", "2026-11-20", "2026-11-21"], 2, 2, &[]),
            ("weekly 4", &["2026-10-25", "2026-11-10", "2026-11-16"], 4, 3, &["the week of 2026-11-01"]),
            ("monthly 12", &["2026-08-31", "2026-10-01"], 3, 2, &["2026-09"]),
            ("monthly 2", &["2026-01-01", "2026-10-01"], 2, 1, &["2026-09"]),
            ("yearly 7", &["2023-06-01", "2025-01-01"], 3, 2, &["2024"]),
        ] {
            let missing: Vec<String> = missing.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(state_of(rules, dates, now), (possible, present, missing), "{rules} {dates:?}");
        }
    }
}
