//! Is the newest good backup young enough, and is it like the ones before?

use jiff::Timestamp;

use super::{Code, Facts, Figures, Found, GoodBackup, seconds_between, too_old};
use crate::config::HealthSettings;
use crate::notify::wording;

/// The newest backup is compared with so many before it.
const COMPARED_MAX: usize = 10;
/// Fewer say nothing.
const COMPARED_MIN: usize = 3;
/// Smaller differences are no news, however small the database is.
const BYTES_NOTICED: f64 = 65_536.0;
const ROWS_NOTICED: f64 = 100.0;

pub(super) fn age(
    facts: &Facts,
    limits: &HealthSettings,
    now: Timestamp,
    figures: &mut Figures,
    found: &mut Found,
) {
    let Some(newest) = facts.good.last() else {
        found.unhealthy(
            Code::BackupNone,
            "there is no good backup",
            "Run `pgark backup` now. If it fails, `pgark doctor` says why.",
        );
        return;
    };
    let age = seconds_between(newest.id.time(), now);
    figures.newest_backup_age_seconds = Some(age);
    if let Some(limit) = limits.backup_age_max
        && let Some(old) = too_old(age, limit)
    {
        found.unhealthy(
            Code::BackupOverdue,
            format!("the newest good backup, {}, is {old}", newest.id),
            "Run `pgark backup` now, and look why the schedule did not: `pgark history` shows the runs, and a \
             function's log its failures.",
        );
    }
}

/// The newest one is what a recovery would use, so it counts for more.
pub(super) fn bad(facts: &Facts, found: &mut Found) {
    let newest_good = facts.good.last().map(|backup| backup.id);
    let newest_bad = facts.bad.iter().map(|backup| backup.id).max();
    for backup in &facts.bad {
        let message =
            format!("{}/{} does not count as a good backup: {}", backup.tier, backup.id, backup.why);
        if Some(backup.id) == newest_bad && newest_bad > newest_good {
            found.unhealthy(
                Code::BackupBad,
                message,
                "Run `pgark backup` now, and `pgark verify` after it. The bad one is kept as evidence.",
            );
        } else {
            found.warning(
                Code::BackupBad,
                message,
                "It is kept as evidence, and prune removes it in time. `pgark verify BACKUP` says what is wrong with it.",
            );
        }
    }
}

/// The newest against the median of up to ten before it.
pub(super) fn sizes(facts: &Facts, limits: &HealthSettings, figures: &mut Figures, found: &mut Found) {
    let Some((newest, before)) = facts.good.split_last() else { return };
    let before = &before[before.len().saturating_sub(COMPARED_MAX)..];
    if before.len() < COMPARED_MIN {
        return;
    }
    let bytes = Comparison::of(newest, before, |backup| backup.stored_bytes);
    let rows = Comparison::of(newest, before, |backup| backup.rows);
    figures.size_to_median = bytes.ratio();
    figures.rows_to_median = rows.ratio();
    let Some(factor) = limits.size_factor_max else { return };
    let hint_less = "Look whether data was deleted, tables were excluded, or another database was backed up: `pgark \
                     diff` with an older backup shows what changed. Hold the older backups with `pgark hold` until \
                     you know.";
    let hint_more = "Look whether that is meant: `pgark diff` with an older backup shows what grew.";
    let count = before.len();
    let size = |value| wording::bytes(whole(value));
    let number = |value| format!("{} rows", wording::count(whole(value)));
    match bytes.judge(factor, BYTES_NOTICED) {
        Change::None => {}
        Change::Collapsed => {
            found.unhealthy(Code::SizeCollapsed, bytes.message(newest, count, size), hint_less);
        }
        Change::Jumped => {
            found.warning(Code::SizeJumped, bytes.message(newest, count, size), hint_more);
        }
    }
    match rows.judge(factor, ROWS_NOTICED) {
        Change::None => {}
        Change::Collapsed => {
            found.unhealthy(Code::RowsCollapsed, rows.message(newest, count, number), hint_less);
        }
        Change::Jumped => {
            found.warning(Code::RowsJumped, rows.message(newest, count, number), hint_more);
        }
    }
    figures.size_anomaly = bytes.judge(factor, BYTES_NOTICED) != Change::None
        || rows.judge(factor, ROWS_NOTICED) != Change::None;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Collapsed,
    Jumped,
}

struct Comparison {
    value: f64,
    median: f64,
}

impl Comparison {
    #[allow(clippy::cast_precision_loss)] // compared by factors
    fn of(newest: &GoodBackup, before: &[GoodBackup], of: impl Fn(&GoodBackup) -> u64) -> Self {
        let mut values: Vec<u64> = before.iter().map(&of).collect();
        values.sort_unstable();
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1] as f64, values[middle] as f64)
        } else {
            values[middle] as f64
        };
        Self { value: of(newest) as f64, median }
    }

    fn ratio(&self) -> Option<f64> {
        (self.median > 0.0).then(|| self.value / self.median)
    }

    fn judge(&self, factor: f64, noticed: f64) -> Change {
        if (self.value - self.median).abs() < noticed {
            Change::None
        } else if self.value * factor < self.median {
            Change::Collapsed
        } else if self.value > self.median * factor {
            Change::Jumped
        } else {
            Change::None
        }
    }

    fn message(&self, newest: &GoodBackup, count: usize, show: impl Fn(f64) -> String) -> String {
        format!(
            "the newest backup, {}, has {}, and the median of the {count} before it is {}",
            newest.id,
            show(self.value),
            show(self.median)
        )
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // came from a u64
fn whole(value: f64) -> u64 {
    value as u64
}
