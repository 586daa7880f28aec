//! What was promised: how much may be lost (recovery point), and how long a recovery may take (recovery time). And what
//! is achieved.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Code, Facts, Found, seconds_between};
use crate::config::HealthSettings;
use crate::notify::wording;

/// The recovery point is looked at over so long.
pub(crate) const WINDOW: Duration = Duration::from_hours(30 * 24);

/// In seconds; what is not promised, or not known, is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Promises {
    /// The longest time between two good backups that is promised.
    pub recovery_point_promised_seconds: Option<f64>,
    /// The longest time without a new good backup in the last 30 days, the time until now included.
    pub recovery_point_achieved_seconds: Option<f64>,
    /// The longest restore that is promised.
    pub recovery_time_promised_seconds: Option<f64>,
    /// What the restore took in the last restore test that passed.
    pub recovery_time_achieved_seconds: Option<f64>,
}

impl Promises {
    pub(super) fn of(facts: &Facts, limits: &HealthSettings, now: Timestamp) -> Self {
        Self {
            recovery_point_promised_seconds: limits
                .recovery_point
                .or(limits.backup_age_max)
                .map(|time| time.as_secs_f64()),
            recovery_point_achieved_seconds: longest_gap(facts, now),
            recovery_time_promised_seconds: limits.recovery_time.map(|time| time.as_secs_f64()),
            recovery_time_achieved_seconds: facts.restored.as_ref().and_then(|proof| proof.recovery_seconds),
        }
    }

    pub(super) fn judge(&self, found: &mut Found) {
        // That the newest backup is too old is a finding of its own, and enough; a gap that is over cannot be undone.
        let overdue = found.unhealthy.iter().any(|finding| finding.code == Code::BackupOverdue);
        if let (Some(promised), Some(achieved)) =
            (self.recovery_point_promised_seconds, self.recovery_point_achieved_seconds)
            && achieved > promised
            && !overdue
        {
            found.warning(
                Code::RecoveryPointMissed,
                format!(
                    "in the last 30 days there were {} without a new good backup, and {} are promised",
                    wording::duration(achieved),
                    wording::duration(promised)
                ),
                "Look at `pgark history` for the runs that failed, or make the schedule denser.",
            );
        }
        if let (Some(promised), Some(achieved)) =
            (self.recovery_time_promised_seconds, self.recovery_time_achieved_seconds)
            && achieved > promised
        {
            found.unhealthy(
                Code::RecoveryTimeMissed,
                format!(
                    "the last restore test took {} to restore, and {} are promised",
                    wording::duration(achieved),
                    wording::duration(promised)
                ),
                "Restore with more --jobs or on a larger server, or promise more time with PGARK_RECOVERY_TIME.",
            );
        }
    }
}

/// The longest time between one backup and the next, or now, in the window. Backups that retention has deleted since
/// count, or every gap would grow with age.
fn longest_gap(facts: &Facts, now: Timestamp) -> Option<f64> {
    let bad: Vec<Timestamp> = facts.bad.iter().map(|backup| backup.id.time()).collect();
    let good = facts.good.iter().map(|backup| backup.id.time());
    let made = facts.made.iter().copied().filter(|time| !bad.contains(time));
    let mut times: Vec<Timestamp> = good.chain(made).filter(|time| *time <= now).collect();
    times.sort_unstable();
    let opens = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
    let gaps = times.iter().zip(times.iter().skip(1).chain([&now]));
    gaps.filter(|(_, end)| **end > opens)
        .map(|(start, end)| seconds_between((*start).max(opens), *end))
        .reduce(f64::max)
}
