//! Prices, by sums that were made by hand.

use jiff::Timestamp;

use super::forecast::{Kept, kept_by, storage, transitions};
use super::*;
use crate::retention::{Policy, Zone};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn the_table_is_whole_and_says_where_and_when() {
    let prices = prices();
    assert_eq!((prices.region.as_str(), prices.currency.as_str()), ("us-east-1", "USD"));
    assert_eq!(prices.storage.len(), StorageClass::ALL.len());
    let months: Vec<f64> = StorageClass::ALL.iter().map(|class| prices.of(*class).gb_month).collect();
    assert!(months.is_sorted_by(|a, b| a > b), "{months:?}");
    assert!(prices.as_of.year() >= 2025);
}

#[test]
fn storing_for_a_month() {
    use StorageClass::{DeepArchive, Glacier, GlacierIr, Standard, StandardIa};
    for (class, objects, usd) in [
        (Standard, vec![10 * GIB], 0.23),
        (StandardIa, vec![10 * GIB], 0.125),
        (GlacierIr, vec![10 * GIB], 0.04),
        // 32 KiB of 10 GiB more at 0.0036, and 8 KiB at 0.023.
        (Glacier, vec![10 * GIB], 0.036 + 0.0036 * 32.0 / 1_048_576.0 + 0.023 * 8.0 / 1_048_576.0),
        (DeepArchive, vec![GIB], 0.00099 + 0.00099 * 32.0 / 1_048_576.0 + 0.023 * 8.0 / 1_048_576.0),
        // Small objects stay in STANDARD.
        (DeepArchive, vec![MIB - 1], 0.023 * 1_048_575.0 / 1_073_741_824.0),
        (Standard, vec![], 0.0),
        (Standard, vec![GIB / 2, GIB / 4, GIB / 4], 0.023),
    ] {
        near(prices().storage_month(class, &objects), usd);
    }
}

#[test]
fn requests_and_functions() {
    // 12 beside the objects; 1 for the small one; 2 and 128 parts of 8 MiB for the large one.
    near(prices().writing(&[1000, GIB]), (12.0 + 1.0 + 130.0) * 0.005 / 1000.0);
    near(prices().reading(1000), 0.0004);
    near(prices().transition(StorageClass::Glacier, &[MIB, MIB - 1, GIB]), 2.0 * 0.03 / 1000.0);
    // 10 minutes with 1,769 MB.
    near(prices().function(1769, 600.0, "x86_64"), 1769.0 / 1024.0 * 600.0 * 0.000_016_666_7 + 0.000_000_2);
    near(prices().function(1024, 1.0, "aarch64"), 0.000_013_333_4 + 0.000_000_2);
    assert_eq!(prices().days_min(StorageClass::DeepArchive), 180);
}

#[test]
fn a_month_of_the_default_policy() {
    let tier =
        |tier, number: u32, days: f64| (0..number).map(move |n| Kept { tier, age_days: f64::from(n) * days });
    let kept: Vec<Kept> = tier(Tier::Daily, 7, 1.0)
        .chain(tier(Tier::Weekly, 4, 7.0))
        .chain(tier(Tier::Monthly, 12, 30.4))
        .chain(tier(Tier::Yearly, 7, 365.0))
        .collect();
    // A backup of 2 GiB in one object.
    let lines = storage(prices(), StorageClasses::default(), &kept, &[2 * GIB]);
    let shown: Vec<_> = lines.iter().map(|line| (line.tier, line.class, line.backups)).collect();
    assert_eq!(
        shown,
        [
            (Tier::Daily, StorageClass::Standard, 7),
            (Tier::Weekly, StorageClass::Standard, 4),
            // Those of this month and of the last are younger than 35 days.
            (Tier::Monthly, StorageClass::Standard, 2),
            (Tier::Monthly, StorageClass::Glacier, 10),
            (Tier::Yearly, StorageClass::Standard, 1),
            (Tier::Yearly, StorageClass::DeepArchive, 6),
        ]
    );
    near(lines[0].month_usd, 14.0 * 0.023);
    near(lines[1].month_usd, 8.0 * 0.023);
    let glacier_overhead = 10.0 * (32.0 * 0.0036 + 8.0 * 0.023) / 1_048_576.0;
    near(lines[3].month_usd, 20.0 * 0.0036 + glacier_overhead);
    assert_eq!(lines[3].stored_bytes, 20 * GIB);
    // One monthly comes of age: it is between 35 and 65 days old.
    near(transitions(prices(), StorageClasses::default(), &kept, &[2 * GIB]), 0.03 / 1000.0);
    assert_eq!(storage(prices(), StorageClasses::default(), &[], &[GIB]), []);

    // Where all stays in one class, a tier has one line.
    let standard: StorageClasses = "STANDARD".parse().unwrap();
    let lines = storage(prices(), standard, &kept, &[GIB]);
    assert_eq!(lines.iter().map(|line| line.backups).collect::<Vec<_>>(), [7, 4, 12, 7]);
    near(lines[2].month_usd, 12.0 * 0.023);
}

#[test]
fn a_policy_that_is_followed_keeps_what_its_words_say() {
    // A Saturday. The seven newest days are the 15th, a Sunday and so weekly, to the 21st.
    let now: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
    for (rules, every_days, expected) in [
        ("daily 7, weekly 4, monthly 12, yearly 7", 1, 27),
        ("last 5", 1, 5),
        // Three years, and the floor of three.
        ("yearly 3", 1, 6),
        ("weekly 8", 7, 8),
    ] {
        let keep_min = std::num::NonZeroU32::new(3).unwrap();
        let policy = Policy { rules: rules.parse().unwrap(), zone: Zone::default(), keep_min };
        let kept = kept_by(&policy, every_days, now);
        assert_eq!(kept.len(), expected, "{rules}: {kept:?}");
        assert!(kept.iter().all(|one| one.age_days >= 0.0));
        if rules.starts_with("daily") {
            let counts = Tier::ALL.map(|tier| kept.iter().filter(|one| one.tier == tier).count());
            assert_eq!(counts, [6, 3, 11, 7], "{kept:?}");
        }
    }
}

#[test]
fn classes_of_tiers_are_written_in_two_ways() {
    let classes: StorageClasses = "weekly GLACIER_IR, yearly glacier".parse().unwrap();
    assert_eq!(
        Tier::ALL.map(|tier| classes.of(tier).as_str()),
        ["STANDARD", "GLACIER_IR", "GLACIER", "GLACIER"]
    );
    for (wrong, message) in [
        ("COLD", "`COLD` is not a tier and a class"),
        ("hourly STANDARD", "`hourly` is no tier"),
        ("daily COLD", "`COLD` is no storage class"),
        ("daily STANDARD weekly", "`daily STANDARD weekly` is not a tier and a class"),
    ] {
        assert_eq!(wrong.parse::<StorageClasses>().unwrap_err(), message);
    }
}
