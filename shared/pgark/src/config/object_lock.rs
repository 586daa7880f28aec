//! How long S3 locks what is written, by tier. The store asks for it object by object, because a bucket has one default
//! retention for all that is in it ("Configuring S3 Object Lock", S3 User Guide).

use std::str::FromStr;

use crate::repository::Tier;

/// Who can lift a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Whoever has a right of its own (`s3:BypassGovernanceRetention`).
    Governance,
    /// Nobody.
    Compliance,
}

/// A mode, and days for each tier; a tier without days gets what the bucket says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockOnWrite {
    /// Who can lift it.
    pub mode: LockMode,
    days: [Option<u16>; 4],
}

/// In place of a mode: objects get what the bucket says.
const NONE: &str = "none";

impl LockOnWrite {
    pub(super) const FIX: &str = "Give none, or a mode and days: GOVERNANCE (or COMPLIANCE) daily 7, weekly 28, monthly 90, yearly 365.";

    /// Parses a setting; `None` for `none`.
    ///
    /// # Errors
    /// When it is neither that nor a mode with days.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case(NONE) { Ok(None) } else { text.parse().map(Some) }
    }

    /// For how many days a backup of this tier is locked.
    pub fn days(&self, tier: Tier) -> Option<u16> {
        self.days[tier as usize]
    }
}

impl FromStr for LockOnWrite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mode, rules) = text.split_once(' ').unwrap_or((text, ""));
        let mode = match mode.to_ascii_uppercase().as_str() {
            "GOVERNANCE" => LockMode::Governance,
            "COMPLIANCE" => LockMode::Compliance,
            _ => return Err(format!("`{mode}` is no mode of Object Lock")),
        };
        let mut days = [None; 4];
        for rule in rules.split(',').map(str::trim) {
            let (tier, count) =
                rule.split_once(' ').ok_or_else(|| format!("`{rule}` is not a tier and its days"))?;
            let tier: Tier = tier.parse().map_err(|why: &str| format!("`{tier}`: {why}"))?;
            let count = count.trim().parse().ok().filter(|count| (1..=36_500).contains(count));
            let count: u16 =
                count.ok_or_else(|| format!("`{rule}` has no number of days from 1 to 36500"))?;
            if days[tier as usize].replace(count).is_some() {
                return Err(format!("{tier} is there twice"));
            }
        }
        Ok(Self { mode, days })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_days() {
        let lock =
            LockOnWrite::parse("GOVERNANCE daily 7, weekly 28, monthly 90, yearly 365").unwrap().unwrap();
        assert_eq!(lock.mode, LockMode::Governance);
        assert_eq!(Tier::ALL.map(|tier| lock.days(tier)), [Some(7), Some(28), Some(90), Some(365)]);
        let lock = LockOnWrite::parse(" compliance yearly 3650 ").unwrap().unwrap();
        assert_eq!((lock.mode, lock.days(Tier::Daily)), (LockMode::Compliance, None));
        assert_eq!(lock.days(Tier::Yearly), Some(3650));
        assert_eq!(LockOnWrite::parse("none"), Ok(None));
        for wrong in [
            "",
            "GOVERNANCE",
            "GOVERNANCE daily",
            "GOVERNANCE daily 0",
            "GOVERNANCE daily -1",
            "daily 7",
            "GOVERNANCE daily 7, daily 8",
            "GOVERNANCE hourly 7",
            "GOVERNANCE daily 7,",
            "LEGAL daily 7",
            "GOVERNANCE daily 99999",
        ] {
            assert!(LockOnWrite::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
