//! Ten years of daily runs: the tier is chosen when a backup starts, and prune runs after each. What is kept at the end
//! of each year is written down by hand here, from the calendar; `--nocapture` prints it.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::tests::{candidate, policy};
use super::{Candidate, Zone, decide};
use crate::repository::Tier;

/// Runs every night at 02:30 of the zone, but for those that fail. What is left at the end of each year.
fn live(zone: &str, fails: impl Fn(Date) -> bool) -> Vec<(i16, Vec<Candidate>)> {
    let policy = policy("daily 7, weekly 4, monthly 12, yearly 7", zone, 3);
    let tz = TimeZone::get(zone).unwrap();
    let zone: Zone = zone.parse().unwrap();
    let (mut store, mut ends): (Vec<Candidate>, _) = (Vec::new(), Vec::new());
    let mut day = date(2026, 1, 1);
    while day.year() < 2036 {
        // On the days when clocks are put forward, there is no 02:30, and the run is an hour later.
        let now: Timestamp = day.at(2, 30, 0, 0).to_zoned(tz.clone()).unwrap().timestamp();
        if !fails(day) {
            let good = store.iter().map(|it| (it.backup.tier, it.time()));
            store.push(candidate(now, Tier::for_backup(now, &zone, good), 0));
        }
        let decisions = decide(&store, &policy, now);
        let mut keep = decisions.iter().map(|decision| decision.keep);
        store.retain(|_| keep.next().unwrap());
        let tomorrow = day.tomorrow().unwrap();
        if tomorrow.year() > day.year() {
            ends.push((day.year(), store.clone()));
        }
        day = tomorrow;
    }
    ends
}

fn shown(store: &[Candidate], zone: &str) -> Vec<String> {
    let tz = TimeZone::get(zone).unwrap();
    store.iter().map(|it| format!("{} {}", it.time().to_zoned(tz.clone()).date(), it.backup.tier)).collect()
}

/// What the policy means at the end of a year, said again without it: the last seven days, the backups that are weekly or
/// longer of the last four weeks, the firsts of the months, the firsts of the last seven years.
fn expected(year: i16) -> Vec<String> {
    let end = date(year, 12, 31);
    let tier = |day: Date| match (day.month(), day.day(), day.weekday().to_sunday_zero_offset()) {
        (1, 1, _) => Tier::Yearly,
        (_, 1, _) => Tier::Monthly,
        (_, _, 0) => Tier::Weekly,
        _ => Tier::Daily,
    };
    let back = |days: i64| end.saturating_sub(jiff::Span::new().days(days));
    let mut days: Vec<Date> = (0..7).map(back).collect();
    // In each of the four newest weeks, the newest of those with a tier of a week or more.
    let since_sunday = i64::from(end.weekday().to_sunday_zero_offset());
    for week in 0..4 {
        let sunday = back(since_sunday + 7 * week);
        let of_week = (0..7).rev().map(|day| sunday.saturating_add(jiff::Span::new().days(day)));
        days.extend(of_week.filter(|day| *day <= end && tier(*day) >= Tier::Weekly).take(1));
    }
    days.extend((1..=12).map(|month| date(year, month, 1)));
    days.extend((0..7).map(|back| date(year - back, 1, 1)).filter(|day| day.year() >= 2026));
    days.sort_unstable();
    days.dedup();
    days.into_iter().map(|day| format!("{day} {}", tier(day))).collect()
}

#[test]
fn ten_years_of_daily_runs_keep_what_the_calendar_says() {
    for zone in ["UTC", "Europe/Berlin", "America/Havana", "Pacific/Auckland"] {
        let ends = live(zone, |_| false);
        assert_eq!(ends.len(), 10);
        for (year, store) in ends {
            let kept = shown(&store, zone);
            println!("{zone}, end of {year}: {} backups\n  {}", kept.len(), kept.join("\n  "));
            assert_eq!(kept, expected(year), "{zone}, {year}");
            assert!((22..=29).contains(&kept.len()), "{}", kept.len());
        }
    }
}

/// Every first of a month, every Sunday and all of May fail: others take their places, and the numbers stay.
#[test]
fn ten_years_with_the_worst_nights_failing_keep_as_much() {
    let sunday = |day: Date| day.weekday().to_sunday_zero_offset() == 0;
    let fails = |day: Date| day.day() == 1 || sunday(day) || day.month() == 5;
    for (year, store) in live("UTC", fails) {
        let kept = shown(&store, "UTC");
        println!("end of {year}: {} backups\n  {}", kept.len(), kept.join("\n  "));
        let of = |word: &str| kept.iter().filter(|line| line.ends_with(word)).count();
        let years = usize::try_from(year - 2025).unwrap().min(7);
        assert_eq!(of("yearly"), years, "{year}");
        // Eleven months of a year have backups, so the twelfth newest is of the year before, or its yearly one.
        assert_eq!(of("monthly"), if year == 2026 { 10 } else { 11 }, "{year}");
        assert!(of("weekly") >= 2, "{year}");
        let newest: Vec<&String> = kept.iter().rev().take(7).collect();
        assert!(newest.iter().all(
            |line| line.starts_with(&format!("{year}-12-2")) || line.starts_with(&format!("{year}-12-3"))
        ));
    }
}
