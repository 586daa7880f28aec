//! Retention against the reference, on histories made at random, and case by case where words say what must be.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use fastrand::Rng;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::reference::{Plain, stays};
use super::*;
use crate::repository::{BackupId, Tier};

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn candidate(time: Timestamp, tier: Tier, random: u32) -> Candidate {
    let backup = BackupRef { id: BackupId::new(time, random), tier, source: "shop".parse().unwrap() };
    let (held, lock) = (None, ObjectLock::default());
    let (stored_bytes, rows, snapshot_at) = (Some(1000), Some(10), Some(time));
    let options = Some(BackupOptions::default());
    Candidate {
        backup,
        stored_at: time,
        state: State::Good,
        stored_bytes,
        rows,
        snapshot_at,
        options,
        held,
        lock,
    }
}

pub(super) fn policy(rules: &str, zone: &str, keep_min: u32) -> Policy {
    let keep_min = NonZeroU32::new(keep_min).unwrap();
    Policy { rules: rules.parse().unwrap(), zone: zone.parse().unwrap(), keep_min }
}

/// Zones with odd days: clocks put forward and back, also over midnight, half hours, a day that never was, none at all.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
];

/// Times at which something goes wrong if it can: leap days, turns of years, changes of clocks.
const AWKWARD: [&str; 9] = [
    "2024-02-28T22:00:00Z",
    "2000-02-27T00:00:00Z",
    "2099-12-25T00:00:00Z",
    "2026-12-25T12:00:00Z",
    "2026-10-24T00:00:00Z",
    "2026-03-28T00:00:00Z",
    "2011-12-28T00:00:00Z",
    "2006-10-28T00:00:00Z",
    "2026-03-07T00:00:00Z",
];

fn history(rng: &mut Rng) -> (Vec<Candidate>, Timestamp) {
    let mut time = at(rng.choice(AWKWARD).unwrap()) + SignedDuration::from_mins(rng.i64(0..4 * 1440));
    // Now and then more than one page of a listing has.
    let length = if rng.u16(..200) == 0 { rng.usize(1001..1050) } else { rng.usize(0..60) };
    let (bad, special, forced) = (rng.u8(..50), rng.u8(..20), rng.bool());
    let mut all = Vec::new();
    for _ in 0..length {
        let step = match rng.u8(..10) {
            0 => rng.i64(0..180),
            1 => rng.i64(0..60 * 1440),
            2 => rng.i64(0..3 * 1440),
            _ => 1440 + rng.i64(-70..70),
        };
        time += SignedDuration::from_mins(step);
        let good = all.iter().filter(|it: &&Candidate| it.is_good());
        let by_date = Tier::for_backup(time, &Zone::UTC, good.map(|it| (it.backup.tier, it.time())));
        let tier = if forced { *rng.choice(&Tier::ALL).unwrap() } else { by_date };
        let mut it = candidate(time, tier, rng.u32(..));
        if rng.u8(..100) < bad {
            let why = String::new();
            let states = [
                State::Damaged { why: why.clone() },
                State::Future,
                State::Late { stored_at: time },
                State::EmptySuccess,
                State::Partial,
                State::Unreadable { why },
                State::TooNew,
            ];
            it.state = rng.choice(states).unwrap();
        }
        let until = |rng: &mut Rng| time + SignedDuration::from_hours(rng.i64(0..24 * 400));
        if rng.u8(..100) < special {
            let until = rng.bool().then(|| until(rng));
            it.held = Some(Hold { reason: "audit".to_owned(), until, since: time });
        }
        if rng.u8(..100) < special {
            it.lock = ObjectLock { until: rng.bool().then(|| until(rng)), legal_hold: rng.u8(..4) == 0 };
        }
        all.push(it);
    }
    all.sort_by(|a, b| a.backup.cmp(&b.backup));
    all.dedup_by(|a, b| a.backup.id == b.backup.id);
    (all, time + SignedDuration::from_mins(rng.i64(-600..90 * 1440)))
}

fn rules(rng: &mut Rng) -> (String, Plain) {
    let mut pick = |limit: usize| if rng.u8(..3) == 0 { 0 } else { rng.usize(1..=limit) };
    let plain = Plain {
        daily: pick(10),
        weekly: pick(6),
        monthly: pick(13),
        yearly: pick(4),
        last: pick(5),
        within_hours: i64::try_from(pick(1000)).unwrap(),
        keep_min: pick(6).max(1),
    };
    let parts = [
        ("daily", plain.daily),
        ("weekly", plain.weekly),
        ("monthly", plain.monthly),
        ("yearly", plain.yearly),
        ("last", plain.last),
    ];
    let mut parts: Vec<String> =
        parts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{word} {n}")).collect();
    if plain.within_hours > 0 {
        parts.push(format!("within {}h", plain.within_hours));
    }
    if parts.is_empty() {
        return rules(rng);
    }
    rng.shuffle(&mut parts);
    (parts.join(", "), plain)
}

#[test]
fn any_history_is_decided_as_by_the_reference_and_never_falls_below_the_floor() {
    let seed = std::env::var("PGARK_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut histories = 0;
    for seed in seed.map_or(0..700, |seed: u64| seed..seed + 1) {
        let rng = &mut Rng::with_seed(seed);
        let zone = *rng.choice(&ZONES).unwrap();
        let (all, now) = history(rng);
        let (written, plain) = rules(rng);
        let policy = policy(&written, zone, u32::try_from(plain.keep_min).unwrap());
        let decisions = decide(&all, &policy, now);
        let tz = TimeZone::get(zone).unwrap();
        for ((it, decision), expected) in all.iter().zip(&decisions).zip(stays(&all, &plain, &tz, now)) {
            assert_eq!(decision.backup, it.backup, "in the order of the backups");
            assert!(!decision.reasons.is_empty(), "seed {seed}: {} has no reason", it.backup);
            assert_eq!(
                decision.keep, expected,
                "seed {seed}, {written}, floor {}, {zone}, at {now}: {it:?}: {:?}",
                plain.keep_min, decision.reasons
            );
        }
        assert_floor(&all, &decisions, plain.keep_min, seed);
        assert_settled(&all, &decisions, &policy, now, seed);
        histories += usize::from(!all.is_empty());
    }
    assert!(histories > 0);
}

/// As many good ones stay as the floor asks for, or all there are; and they are the newest.
fn assert_floor(all: &[Candidate], decisions: &[Decision], floor: usize, seed: u64) {
    let good: Vec<_> = all.iter().zip(decisions).filter(|(it, _)| it.is_good()).collect();
    let kept = good.iter().filter(|(_, decision)| decision.keep).count();
    assert!(kept >= floor.min(good.len()), "seed {seed}: {kept} of {} good ones", good.len());
    assert!(good.iter().rev().take(floor).all(|(_, decision)| decision.keep), "seed {seed}");
}

/// What was kept is kept again: a second prune finds nothing to do.
fn assert_settled(all: &[Candidate], decisions: &[Decision], policy: &Policy, now: Timestamp, seed: u64) {
    let kept = all.iter().zip(decisions).filter(|(_, decision)| decision.keep);
    let kept: Vec<Candidate> = kept.map(|(it, _)| it.clone()).collect();
    let again = decide(&kept, policy, now);
    assert!(again.iter().all(|decision| decision.keep), "seed {seed}: {again:?}");
}

/// Two prunes that saw different things delete together what each of them would, and the floor holds nevertheless.
#[test]
fn two_prunes_with_a_backup_in_between_stay_above_the_floor() {
    for seed in 0..500 {
        let rng = &mut Rng::with_seed(seed);
        let (all, now) = history(rng);
        let (written, plain) = rules(rng);
        let policy = policy(&written, "UTC", u32::try_from(plain.keep_min).unwrap());
        let seen_by_the_first = &all[..all.len() - all.len().min(rng.usize(..4))];
        let kept_by = |seen: &[Candidate]| -> BTreeSet<BackupRef> {
            let gone: BTreeSet<_> = decide(seen, &policy, now)
                .into_iter()
                .filter(|decision| !decision.keep)
                .map(|decision| decision.backup)
                .collect();
            all.iter().map(|it| it.backup.clone()).filter(|backup| !gone.contains(backup)).collect()
        };
        let left = &kept_by(seen_by_the_first) & &kept_by(&all);
        let good: Vec<_> = all.iter().filter(|it| it.is_good()).map(|it| &it.backup).collect();
        let left = good.iter().filter(|backup| left.contains(**backup)).count();
        assert!(left >= plain.keep_min.min(good.len()), "seed {seed}: {left} of {}", good.len());
    }
}

fn days(from: &str, count: i64) -> Vec<Candidate> {
    let first = at(from);
    let time = |day: i64| first + SignedDuration::from_hours(24 * day);
    (0..count).map(|day| candidate(time(day), Tier::Daily, 0)).collect()
}

fn kept(all: &[Candidate], policy: &Policy, now: &str) -> Vec<String> {
    let decisions = decide(all, policy, at(now));
    let kept = decisions.iter().filter(|decision| decision.keep);
    kept.map(|decision| decision.backup.id.time().strftime("%Y-%m-%d").to_string()).collect()
}

#[test]
fn forty_days_of_failures_make_nothing_old() {
    let all = days("2026-01-01T02:00:00Z", 60);
    for rules in ["daily 7, weekly 4, monthly 12, yearly 7", "last 5", "within 30d"] {
        let policy = policy(rules, "UTC", 3);
        let on_the_day = kept(&all, &policy, "2026-03-01T03:00:00Z");
        let later = kept(&all, &policy, "2026-04-10T03:00:00Z");
        assert!(on_the_day.len() >= 5 && on_the_day == later, "{rules}: {later:?}");
    }
}

#[test]
fn bad_ones_push_nothing_out_and_stay_as_evidence_until_they_are_old() {
    let policy = policy("daily 3", "UTC", 3);
    let mut all = days("2026-01-01T02:00:00Z", 10);
    for it in &mut all[5..] {
        it.state = State::EmptySuccess;
    }
    let decisions = decide(&all, &policy, at("2026-01-10T03:00:00Z"));
    let keep: Vec<bool> = decisions.iter().map(|decision| decision.keep).collect();
    assert_eq!(keep, [false, false, true, true, true, true, true, true, true, true]);
    assert_eq!(decisions[7].reasons[0].code, "evidence");
    let text = &decisions[7].reasons[0].text;
    assert_eq!(text, "without rows, unlike those before it; kept until 3 newer good ones are there, now 0");

    // Four good ones later, the bad ones are neither needed nor of the newest days.
    all.extend(days("2026-01-11T02:00:00Z", 4));
    assert_eq!(kept(&all, &policy, "2026-01-14T03:00:00Z"), ["2026-01-12", "2026-01-13", "2026-01-14"]);
}

#[test]
fn the_tier_goes_before_the_newest_in_longer_periods() {
    let mut all = days("2026-02-01T02:00:00Z", 28);
    all[0].backup.tier = Tier::Monthly;
    all[7].backup.tier = Tier::Weekly;
    assert_eq!(
        kept(&all, &policy("monthly 1", "UTC", 1), "2026-03-01T00:00:00Z"),
        ["2026-02-01", "2026-02-28"]
    );
    assert_eq!(
        kept(&all, &policy("weekly 3", "UTC", 1), "2026-03-01T00:00:00Z"),
        ["2026-02-08", "2026-02-21", "2026-02-28"],
        "where no backup is weekly, the newest stands for its week"
    );
}

#[test]
fn days_are_those_of_the_stated_zone() {
    // 23:30 and 00:30 in Berlin: two days there, one in UTC.
    let all: Vec<_> = ["2026-06-10T21:30:00Z", "2026-06-10T22:30:00Z"]
        .map(|time| candidate(at(time), Tier::Daily, 0))
        .into();
    let now = "2026-06-11T00:00:00Z";
    assert_eq!(kept(&all, &policy("daily 2", "Europe/Berlin", 1), now).len(), 2);
    assert_eq!(kept(&all, &policy("daily 2", "UTC", 1), now).len(), 1);
}

#[test]
fn every_reason_is_told() {
    let mut all = days("2026-01-01T02:00:00Z", 10);
    all[0].backup.tier = Tier::Yearly;
    all[2].held = Some(Hold {
        reason: "before the migration".to_owned(),
        until: Some(at("2026-02-01T00:00:00Z")),
        since: at("2026-01-03T03:00:00Z"),
    });
    all[3].lock = ObjectLock { until: Some(at("2026-01-20T00:00:00Z")), legal_hold: true };
    let policy = policy("daily 2, yearly 1", "UTC", 1);
    let decisions = decide(&all, &policy, at("2026-01-10T03:00:00Z"));
    let texts = |index: usize| -> Vec<&str> {
        decisions[index].reasons.iter().map(|reason| reason.text.as_str()).collect()
    };
    assert_eq!(texts(0), ["yearly 1 of 1: 2026"]);
    assert_eq!(
        texts(1),
        ["daily: 2026-01-02 is not one of the newest 2", "yearly: 2026 has 20260101T020000Z-aaaa"]
    );
    assert_eq!(texts(2), ["held until 2026-02-01T00:00:00Z: before the migration"]);
    assert_eq!(
        texts(3),
        ["the store retains it until 2026-01-20T00:00:00Z", "the store has it under a legal hold"]
    );
    assert_eq!(texts(9), ["daily 1 of 2: 2026-01-10", "floor 1 of 1"]);
    let later = decide(&all, &policy, at("2026-02-01T00:00:00Z"));
    assert!(!later[2].keep && later[3].keep, "a hold ends at its time, and a legal hold does not");
}

fn facts(time: &str, manifest: Result<Content, State>) -> Facts {
    let backup = candidate(at(time), Tier::Daily, 0).backup;
    Facts { backup, stored_at: at(time), dating: Dating::Right, manifest, damage: None }
}

#[test]
fn what_counts_and_what_does_not() {
    let rows = |rows: u64| Ok(Content { rows, partial: false });
    let partial = |rows: u64| Ok(Content { rows, partial: true });
    let mut backups = [
        facts("2026-01-01T02:00:00Z", rows(0)),
        facts("2026-01-02T02:00:00Z", rows(5)),
        facts("2026-01-03T02:00:00Z", rows(0)),
        facts("2026-01-04T02:00:00Z", partial(0)),
        facts("2026-01-05T02:00:00Z", partial(5)),
        facts("2026-01-06T02:00:00Z", rows(7)),
        facts("2026-01-07T02:00:00Z", Err(State::TooNew)),
        facts("2026-01-08T03:00:00Z", rows(7)),
        facts("2026-01-08T03:00:01Z", rows(7)),
    ];
    backups[5].damage = Some("bits".to_owned());
    let states = judge(&backups, at("2026-01-08T02:00:00Z"));
    let words: Vec<_> = states.iter().map(State::as_str).collect();
    let expected = ["good", "good", "empty", "partial", "partial", "damaged", "too-new", "good", "future"];
    assert_eq!(words, expected);

    // A source that never had rows, or never anything but definitions, has good backups all the same.
    for content in [rows(0), partial(0)] {
        let backups = [1, 2].map(|day| facts(&format!("2026-01-0{day}T02:00:00Z"), content.clone()));
        assert_eq!(judge(&backups, at("2026-01-08T02:00:00Z")), [State::Good, State::Good]);
    }
    // Nor does an empty one count after a damaged one only: nobody knows what was in that.
    let backups = [facts("2026-01-01T02:00:00Z", Err(State::TooNew)), facts("2026-01-02T02:00:00Z", rows(0))];
    assert_eq!(judge(&backups, at("2026-01-08T02:00:00Z")), [State::TooNew, State::Good]);
}

#[test]
fn policies_are_written_one_way_and_told_when_they_make_no_sense() {
    for text in
        ["daily 7, weekly 4, monthly 12, yearly 7", "last 10", "within 30d", "last 1, within 12h, daily 2"]
    {
        assert_eq!(text.parse::<Rules>().unwrap().to_string(), text);
    }
    assert_eq!(Rules::default().to_string(), "daily 7, weekly 4, monthly 12, yearly 7");
    assert_eq!("daily 7,yearly  2".parse::<Rules>().unwrap().to_string(), "daily 7, yearly 2");
    for wrong in [
        "",
        ",",
        "daily",
        "daily 0",
        "daily -1",
        "daily 7 weeks",
        "hourly 3",
        "daily 7, daily 3",
        "within 30",
        "within 0d",
        "within 5m",
        "last 99999",
        "7 daily",
        "daily 7;",
        "within 3d, within 4d",
        "within ßd",
    ] {
        assert!(wrong.parse::<Rules>().is_err(), "{wrong}");
    }
    assert_eq!("Europe/Berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
    assert_eq!("UTC".parse::<Zone>().unwrap().to_string(), "UTC");
    for wrong in ["", "Berlin", "+02:00", "Europe/Bonn"] {
        assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
    }
}
