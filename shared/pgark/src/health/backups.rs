//! Is the newest good backup young enough, and is it like the ones before?

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::order::named;
use super::{Code, Facts, Figures, Found, GoodBackup, seconds_between, too_old};
use crate::config::HealthSettings;
use crate::notify::wording;
use crate::repository::manifest::BackupOptions;

/// The newest backup is compared with so many before it.
const COMPARED_MAX: usize = 10;
/// Fewer say nothing.
const COMPARED_MIN: usize = 3;
/// Those that leave out the same are looked for among so many.
const LOOKED_AT_MAX: usize = 30;
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
        let is_newest = Some(backup.id) == newest_bad && newest_bad > newest_good;
        let hint = match (backup.wrongly_dated, is_newest) {
            (true, _) => remove_it(backup),
            (false, true) => "Run `pgark backup` now, and `pgark verify` after it. The bad one is kept as evidence.".to_owned(),
            (false, false) => "It is kept as evidence, and prune removes it in time. `pgark verify BACKUP` says what is wrong with it.".to_owned(),
        };
        if is_newest {
            found.unhealthy(Code::BackupBad, message, hint);
        } else {
            found.warning(Code::BackupBad, message, hint);
        }
    }
}

/// What a wrong clock dated is in nobody's way but the reader's, and no policy removes it before its time.
fn remove_it(backup: &super::BadBackup) -> String {
    format!(
        "Some clock was wrong, or somebody dated it so: find out which. It can be restored by its id; `pgark prune \
         --remove {} --apply` removes it.",
        backup.id
    )
}

/// The newest against the median of up to ten before it that leave out the same. As long as there are too few of these,
/// against any, and what is found says that they leave out something else: an exclusion by mistake must be as loud as
/// any other loss.
pub(super) fn sizes(facts: &Facts, limits: &HealthSettings, figures: &mut Figures, found: &mut Found) {
    let Some((newest, before)) = facts.good.split_last() else { return };
    let alike = before.iter().rev().take(LOOKED_AT_MAX).filter(|one| leave_out_the_same(newest, one));
    let mut compared: Vec<&GoodBackup> = alike.take(COMPARED_MAX).collect();
    if compared.len() < COMPARED_MIN {
        compared = before.iter().rev().take(COMPARED_MAX).collect();
    }
    if compared.len() < COMPARED_MIN {
        return;
    }
    let other = compared.iter().find(|one| !leave_out_the_same(newest, one));
    let bytes = Comparison::of(newest, &compared, |backup| backup.stored_bytes);
    let rows = Comparison::of(newest, &compared, |backup| backup.rows);
    figures.size_to_median = bytes.ratio();
    figures.rows_to_median = rows.ratio();
    let Some(factor) = limits.size_factor_max else { return };
    let hint_less = "Look whether data was deleted, tables were excluded, or another database was backed up: `pgark \
                     diff` with an older backup shows what changed. Hold the older backups with `pgark hold` until \
                     you know.";
    let hint_more = "Look whether that is meant: `pgark diff` with an older backup shows what grew.";
    let hint_changed = "What is left out was changed: look whether that is meant, and by whom. As soon as three backups \
                        leave out the same as the newest, it is compared with these alone.";
    let (hint_less, hint_more) =
        if other.is_some() { (hint_changed, hint_changed) } else { (hint_less, hint_more) };
    let compared = Compared { newest, count: compared.len(), other: other.copied() };
    let size = |value| wording::bytes(whole(value));
    let number = |value| format!("{} rows", wording::count(whole(value)));
    match bytes.judge(factor, BYTES_NOTICED) {
        Change::None => {}
        Change::Collapsed => {
            found.unhealthy(Code::SizeCollapsed, bytes.message(&compared, size), hint_less);
        }
        Change::Jumped => {
            found.warning(Code::SizeJumped, bytes.message(&compared, size), hint_more);
        }
    }
    match rows.judge(factor, ROWS_NOTICED) {
        Change::None => {}
        Change::Collapsed => {
            found.unhealthy(Code::RowsCollapsed, rows.message(&compared, number), hint_less);
        }
        Change::Jumped => {
            found.warning(Code::RowsJumped, rows.message(&compared, number), hint_more);
        }
    }
    figures.size_anomaly = bytes.judge(factor, BYTES_NOTICED) != Change::None
        || rows.judge(factor, ROWS_NOTICED) != Change::None;
}

/// Whether what was asked for comes to the same. Password hashes of roles weigh nothing.
fn leave_out_the_same(one: &GoodBackup, other: &GoodBackup) -> bool {
    let asked = |options: &BackupOptions| {
        let set = |patterns: &[String]| patterns.iter().cloned().collect::<BTreeSet<_>>();
        (
            (options.schema_only, options.data_only, options.exclude_large_objects),
            [&options.exclude_tables, &options.exclude_table_data, &options.exclude_schemas]
                .map(|all| set(all)),
        )
    };
    asked(&one.options) == asked(&other.options)
}

/// `tables log_*, rows of audit.log`.
fn left_out(options: &BackupOptions) -> String {
    let words = [(options.schema_only, "all rows"), (options.data_only, "all definitions")];
    let mut parts: Vec<String> =
        words.iter().filter(|(said, _)| *said).map(|(_, what)| (*what).to_owned()).collect();
    for (what, patterns) in [
        ("schemas", &options.exclude_schemas),
        ("tables", &options.exclude_tables),
        ("rows of", &options.exclude_table_data),
    ] {
        if !patterns.is_empty() {
            parts.push(format!("{what} {}", named(patterns)));
        }
    }
    if options.exclude_large_objects {
        parts.push("large objects".to_owned());
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Collapsed,
    Jumped,
}

/// What was compared with what.
struct Compared<'a> {
    newest: &'a GoodBackup,
    /// With so many.
    count: usize,
    /// The newest of those that leave out something else.
    other: Option<&'a GoodBackup>,
}

struct Comparison {
    value: f64,
    median: f64,
}

impl Comparison {
    #[allow(clippy::cast_precision_loss)] // compared by factors
    fn of(newest: &GoodBackup, before: &[&GoodBackup], of: impl Fn(&GoodBackup) -> u64) -> Self {
        let mut values: Vec<u64> = before.iter().map(|backup| of(backup)).collect();
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

    fn message(&self, compared: &Compared<'_>, show: impl Fn(f64) -> String) -> String {
        let Compared { newest, count, other } = compared;
        let (value, median) = (show(self.value), show(self.median));
        let message = format!(
            "the newest backup, {}, has {value}, and the median of the {count} before it is {median}",
            newest.id
        );
        match other {
            None => message,
            Some(other) => format!(
                "{message}; it leaves out {}, and {} left out {}",
                left_out(&newest.options),
                other.id,
                left_out(&other.options)
            ),
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // came from a u64
fn whole(value: f64) -> u64 {
    value as u64
}
