//! The settings of retention: what is kept, by which calendar, and how much prune may do at once.

use std::num::NonZeroU32;
use std::time::Duration;

use super::problems::Problems;
use super::{RawSettings, values, variable};
use crate::retention::{Policy, Rules, Zone};

const KEEP_MIN_DEFAULT: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");
const SHARE_MAX_PERCENT_DEFAULT: u8 = 50;
const GRACE_DEFAULT: Duration = Duration::from_hours(48);
/// No backup that is not hung takes longer to write its next object; less would endanger a run in progress.
const GRACE_MIN: Duration = Duration::from_hours(1);

/// What is kept, and what prune may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// What is kept.
    pub policy: Policy,
    /// The share of the good backups that may go at once, in percent.
    pub share_max_percent: u8,
    /// How old what a run left behind must be before it is removed.
    pub grace: Duration,
}

pub(super) fn validate(raw: &RawSettings, problems: &mut Problems) -> RetentionSettings {
    let rules = raw.keep.as_deref().map(str::parse::<Rules>);
    let zone = raw.time_zone.as_deref().map(str::parse::<Zone>);
    let policy = Policy {
        rules: problems.keep(variable::keep, rules, Rules::FORM).unwrap_or_default(),
        zone: problems
            .keep(variable::time_zone, zone, "Give a name of the IANA database such as UTC or Europe/Berlin.")
            .unwrap_or_default(),
        keep_min: problems
            .keep(
                variable::keep_min,
                raw.keep_min.as_deref().map(keep_min),
                "Give a number of backups from 1 to 9999.",
            )
            .unwrap_or(KEEP_MIN_DEFAULT),
    };
    RetentionSettings {
        policy,
        share_max_percent: problems
            .keep(
                variable::prune_share_max,
                raw.prune_share_max.as_deref().map(percent),
                "Give a share from 1% to 100%.",
            )
            .unwrap_or(SHARE_MAX_PERCENT_DEFAULT),
        grace: problems
            .keep(
                variable::prune_grace,
                raw.prune_grace.as_deref().map(grace),
                "Give a time such as 48h or 3d, at least 1h.",
            )
            .unwrap_or(GRACE_DEFAULT),
    }
}

fn keep_min(text: &str) -> Result<NonZeroU32, &'static str> {
    let number = text.parse::<NonZeroU32>().ok().filter(|number| number.get() <= 9999);
    number.ok_or("is not a number from 1 to 9999")
}

fn percent(text: &str) -> Result<u8, &'static str> {
    let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
    number.filter(|number| (1..=100).contains(number)).ok_or("is not a share from 1% to 100%")
}

fn grace(text: &str) -> Result<Duration, String> {
    let grace = values::age(text)?;
    if grace < GRACE_MIN { Err(format!("`{text}` is less than an hour")) } else { Ok(grace) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(set: impl FnOnce(&mut RawSettings)) -> (RetentionSettings, Vec<String>) {
        let (mut raw, mut problems) = (RawSettings::default(), Problems::default());
        set(&mut raw);
        let settings = validate(&raw, &mut problems);
        (settings, problems.0.into_iter().map(|problem| problem.setting).collect())
    }

    #[test]
    fn without_a_word_the_default_holds() {
        let (settings, wrong) = problems(|_| {});
        assert_eq!(wrong, [""; 0]);
        assert_eq!(settings.policy.rules.to_string(), "daily 7, weekly 4, monthly 12, yearly 7");
        assert_eq!((settings.policy.zone.to_string(), settings.policy.keep_min.get()), ("UTC".to_owned(), 3));
        assert_eq!((settings.share_max_percent, settings.grace), (50, Duration::from_hours(48)));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_variable() {
        let (_, wrong) = problems(|raw| {
            raw.keep = Some("everything".to_owned());
            raw.keep_min = Some("0".to_owned());
            raw.time_zone = Some("Atlantis".to_owned());
            raw.prune_share_max = Some("0%".to_owned());
            raw.prune_grace = Some("59m".to_owned());
        });
        let expected =
            ["PGARK_KEEP", "PGARK_TIME_ZONE", "PGARK_KEEP_MIN", "PGARK_PRUNE_SHARE_MAX", "PGARK_PRUNE_GRACE"];
        assert_eq!(wrong, expected);
        let (settings, wrong) = problems(|raw| {
            raw.keep = Some("last 5".to_owned());
            raw.keep_min = Some("1".to_owned());
            raw.prune_share_max = Some("100%".to_owned());
            raw.prune_grace = Some("3d".to_owned());
        });
        assert_eq!(wrong, [""; 0]);
        assert_eq!((settings.share_max_percent, settings.grace), (100, Duration::from_hours(72)));
    }
}
