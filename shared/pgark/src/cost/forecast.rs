//! What a month will cost, from what is kept and how large a backup is. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{COLD_AFTER_DAYS, Prices, StorageClass, StorageClasses};
use crate::repository::{BackupId, BackupRef, SourceName, Tier};
use crate::retention::{Candidate, Policy, State, decide};
use crate::store::ObjectLock;

/// After so many years even the yearly ones of the default policy have come to their full number.
const YEARS_OF_RUNS: i64 = 10;

/// Days in a month, on average over the leap years.
pub const DAYS_A_MONTH: f64 = 365.2425 / 12.0;

/// A backup that is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Its tier.
    pub tier: Tier,
    /// How old it is.
    pub age_days: f64,
}

/// What a policy keeps once it has been followed for ten years, with a backup every so many days and a prune after each.
pub fn kept_by(policy: &Policy, every_days: u32, now: Timestamp) -> Vec<Kept> {
    let step = SignedDuration::from_hours(24 * i64::from(every_days.max(1)));
    let runs = YEARS_OF_RUNS * 365 / i64::from(every_days.max(1));
    let source = SourceName::of_database("any");
    let mut store: Vec<Candidate> = Vec::new();
    for run in (0..=runs).rev() {
        let Some(time) = i32::try_from(run).ok().and_then(|run| now.checked_sub(step * run).ok()) else {
            continue;
        };
        let good = store.iter().map(|one| (one.backup.tier, one.time()));
        let tier = Tier::for_backup(time, &policy.zone, good);
        store.push(Candidate {
            backup: BackupRef { id: BackupId::new(time, 0), tier, source: source.clone() },
            stored_at: time,
            state: State::Good,
            stored_bytes: None,
            rows: None,
            snapshot_at: None,
            options: None,
            held: None,
            lock: ObjectLock::default(),
        });
        let decisions = decide(&store, policy, time);
        let mut keep = decisions.iter().map(|decision| decision.keep);
        store.retain(|_| keep.next().unwrap_or(true));
    }
    let age_days = |one: &Candidate| now.duration_since(one.time()).as_secs_f64() / 86_400.0;
    store.iter().map(|one| Kept { tier: one.backup.tier, age_days: age_days(one) }).collect()
}

/// The backups of a tier that are in the same storage class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StorageLine {
    /// The tier.
    pub tier: Tier,
    /// The class.
    pub class: StorageClass,
    /// How many.
    pub backups: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// What storing them costs in a month.
    pub month_usd: f64,
}

/// What storage costs in a month, if each of these backups has objects of these sizes. Tiers ascend; in each, what is
/// younger and in STANDARD comes first.
pub fn storage(
    prices: &Prices,
    classes: StorageClasses,
    kept: &[Kept],
    object_bytes: &[u64],
) -> Vec<StorageLine> {
    let mut lines: Vec<StorageLine> = Vec::new();
    for tier in Tier::ALL {
        for cold in [false, true] {
            let is_cold = |kept: &Kept| kept.age_days >= f64::from(COLD_AFTER_DAYS);
            let backups = kept.iter().filter(|one| one.tier == tier && is_cold(one) == cold).count() as u64;
            let class = if cold { classes.of(tier) } else { StorageClass::Standard };
            if backups == 0 {
                continue;
            }
            let stored_bytes = backups * object_bytes.iter().sum::<u64>();
            let month_usd = super::number(backups) * prices.storage_month(class, object_bytes);
            match lines.last_mut().filter(|last| last.tier == tier && last.class == class) {
                Some(last) => {
                    last.backups += backups;
                    last.stored_bytes += stored_bytes;
                    last.month_usd += month_usd;
                }
                None => lines.push(StorageLine { tier, class, backups, stored_bytes, month_usd }),
            }
        }
    }
    lines
}

/// What moving to colder classes costs in a month: of each tier, the backups that come of age in it.
pub fn transitions(prices: &Prices, classes: StorageClasses, kept: &[Kept], object_bytes: &[u64]) -> f64 {
    let first = f64::from(COLD_AFTER_DAYS);
    let comes_of_age = kept.iter().filter(|one| (first..first + DAYS_A_MONTH).contains(&one.age_days));
    comes_of_age.map(|one| prices.transition(classes.of(one.tier), object_bytes)).sum()
}
