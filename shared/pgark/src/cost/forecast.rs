//! What a month will cost, from what is kept and how large a backup is. Pure.

use serde::Serialize;

use super::{COLD_AFTER_DAYS, Prices, StorageClass, StorageClasses};
use crate::repository::Tier;

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
