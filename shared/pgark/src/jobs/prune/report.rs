//! The plan and what became of it: printed, answered and kept. Its JSON is specified in docs/reports.md and
//! docs/format/prune.schema.json.

use jiff::Timestamp;
use serde::Serialize;

use super::address;
use crate::app::App;
use crate::error::{Error, ErrorKind, Exit};
use crate::repository::{BackupId, BackupRef, SourceName, Tier};
use crate::retention::{Candidate, Decision, Reason};

/// The version of the report's form.
const FORMAT_VERSION: &str = "1.0";

/// A run: one report for each source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Whether everything was planned, and done if that was asked for.
    pub good: bool,
    /// One for each source, in the order of their names.
    pub reports: Vec<SourceReport>,
    /// Sources for which no plan could be made.
    pub errors: Vec<SourceError>,
}

/// A source for which no plan could be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceError {
    /// The source.
    pub source: SourceName,
    /// The stable code of docs/errors.md.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

/// What is done with the backups of one source. This is what is kept in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: &'static str,
    /// The version of pgark that wrote it.
    pub pgark_version: &'static str,
    /// The source.
    pub source: SourceName,
    /// When it began; everything is decided as of then.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The store.
    pub store: String,
    /// The policy.
    pub policy: PolicyLine,
    /// Whether the plan was to be carried out.
    pub apply: bool,
    /// The backups, ascending by time.
    pub backups: Vec<BackupLine>,
    /// What is there and belongs to no backup, or is no part of it.
    pub remains: Vec<RemainsLine>,
    /// Sums.
    pub totals: Totals,
    /// Why the plan is not, or would not be, carried out.
    pub refusals: Vec<Refusal>,
    /// What could not be deleted.
    pub failures: Vec<Failure>,
    /// Whether it was stopped before all was done.
    pub stopped: bool,
    /// What a reader should know, in full sentences.
    pub warnings: Vec<String>,
    /// The key under which this report is kept; `null` if it is not.
    pub kept_as: Option<String>,
}

/// The settings that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyLine {
    /// The rules.
    pub keep: String,
    /// The time zone of days, weeks, months and years.
    pub time_zone: String,
    /// The floor.
    pub keep_min: u32,
    /// The share of good backups that may go at once, in percent.
    pub share_max_percent: u8,
    /// How old remains must be, in hours.
    pub grace_hours: u64,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupLine {
    /// Its id.
    pub id: BackupId,
    /// Its tier.
    pub tier: Tier,
    /// Where it is: tier, source and id.
    pub backup: String,
    /// Whether it counts, in one word.
    pub state: &'static str,
    /// Its rows; `null` if its manifest cannot be read.
    pub rows: Option<u64>,
    /// Its bytes as stored; `null` if its manifest cannot be read.
    pub stored_bytes: Option<u64>,
    /// Whether it stays.
    pub keep: bool,
    /// All that keeps it; or, for each rule, why it does not.
    pub reasons: Vec<Reason>,
    /// What became of it.
    pub done: Done,
    #[serde(skip)]
    place: BackupRef,
}

/// A folder without a manifest, or unfinished uploads in a backup's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemainsLine {
    /// Where they are: tier, source and id.
    pub backup: String,
    /// What they are.
    pub kind: RemainsKind,
    /// Objects that belong to no backup.
    pub objects: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Uploads that were neither finished nor aborted.
    pub uploads: u64,
    /// When the store saw the newest of them.
    pub newest_at: Timestamp,
    /// Whether they go.
    pub remove: bool,
    /// Why.
    pub reason: String,
    /// What became of them.
    pub done: Done,
    #[serde(skip)]
    pub(super) place: BackupRef,
}

/// What remains are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemainsKind {
    /// All of a folder that has no manifest.
    Incomplete,
    /// Unfinished uploads in the folder of a backup.
    Uploads,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// It stays.
    Kept,
    /// It is to be deleted, and was not yet.
    Planned,
    /// It is deleted.
    Removed,
    /// It was to be deleted, and something happened meanwhile that keeps it: a hold, or a manifest.
    Spared,
    /// It could not be deleted: see `failures`.
    Failed,
    /// The run was stopped before.
    NotDone,
}

/// Sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Backups.
    pub backups: u64,
    /// Good ones.
    pub good: u64,
    /// Good ones that stay.
    pub good_kept: u64,
    /// Good ones that go.
    pub good_removed: u64,
    /// Backups that go.
    pub backups_removed: u64,
    /// Bytes of backups that go, as far as is known.
    pub stored_bytes_removed: u64,
    /// Folders of remains that go.
    pub remains_removed: u64,
}

/// Why a plan is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// `no-good` or `share`.
    pub code: &'static str,
    /// Why.
    pub text: String,
    /// What to do.
    pub hint: String,
}

/// Something that could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Where it is: tier, source and id.
    pub backup: String,
    /// The stable code of docs/errors.md.
    pub code: &'static str,
    /// What failed, and on what.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl BackupLine {
    pub(super) fn of(candidate: Candidate, decision: Decision) -> Self {
        Self {
            id: candidate.backup.id,
            tier: candidate.backup.tier,
            backup: candidate.backup.to_string(),
            state: candidate.state.as_str(),
            rows: candidate.rows,
            stored_bytes: candidate.stored_bytes,
            keep: decision.keep,
            reasons: decision.reasons,
            done: if decision.keep { Done::Kept } else { Done::Planned },
            place: candidate.backup,
        }
    }

    pub(super) fn place(&self) -> BackupRef {
        self.place.clone()
    }

    fn is_good(&self) -> bool {
        self.state == crate::retention::State::Good.as_str()
    }
}

impl RemainsLine {
    pub(super) fn place(&self) -> BackupRef {
        self.place.clone()
    }
}

impl Totals {
    pub(super) fn of(backups: &[BackupLine], remains: &[RemainsLine]) -> Self {
        let count = |of: fn(&BackupLine) -> bool| backups.iter().filter(|line| of(line)).count() as u64;
        Self {
            backups: backups.len() as u64,
            good: count(BackupLine::is_good),
            good_kept: count(|line| line.is_good() && line.keep),
            good_removed: count(|line| line.is_good() && !line.keep),
            backups_removed: count(|line| !line.keep),
            stored_bytes_removed: backups
                .iter()
                .filter(|line| !line.keep)
                .filter_map(|line| line.stored_bytes)
                .sum(),
            remains_removed: remains.iter().filter(|line| line.remove).count() as u64,
        }
    }
}

impl SourceReport {
    pub(super) fn new(source: &SourceName, app: &App, apply: bool, now: Timestamp) -> Self {
        let retention = &app.settings.retention;
        Self {
            format_version: FORMAT_VERSION,
            pgark_version: env!("CARGO_PKG_VERSION"),
            source: source.clone(),
            started_at: now,
            finished_at: now,
            store: address(app),
            policy: PolicyLine {
                keep: retention.policy.rules.to_string(),
                time_zone: retention.policy.zone.to_string(),
                keep_min: retention.policy.keep_min.get(),
                share_max_percent: retention.share_max_percent,
                grace_hours: retention.grace.as_secs() / 3600,
            },
            apply,
            backups: Vec::new(),
            remains: Vec::new(),
            totals: Totals::default(),
            refusals: Vec::new(),
            failures: Vec::new(),
            stopped: false,
            warnings: Vec::new(),
            kept_as: None,
        }
    }

    /// Files a failure, and logs it.
    pub(super) fn fail(&mut self, backup: &BackupRef, error: &Error) {
        let backup = backup.to_string();
        tracing::warn!(%error, backup, "could not be deleted");
        self.failures.push(Failure {
            backup,
            code: error.code(),
            message: error.to_string(),
            hint: error.hint_text().map(str::to_owned),
        });
    }

    /// Whether all was done that was asked for. A plan that would be refused is none.
    pub fn is_good(&self) -> bool {
        !self.apply || (self.refusals.is_empty() && self.failures.is_empty() && !self.stopped)
    }

    /// What it comes to if it is not good.
    fn verdict(&self) -> Option<Error> {
        if self.is_good() {
            return None;
        }
        let on = |error: Error| error.on(self.source.to_string());
        if let Some(first) = self.refusals.first() {
            return Some(on(Error::new(ErrorKind::PruneRefused, &first.text).hint(&first.hint)));
        }
        let kept = self.kept_as.as_deref().map(|key| format!("The report is {key}.")).unwrap_or_default();
        if let Some(first) = self.failures.first() {
            let message = format!(
                "{} of {} were not deleted; the first: {} [{}]",
                self.failures.len(),
                self.totals.backups_removed + self.totals.remains_removed,
                first.message,
                first.code
            );
            let hint = [first.hint.as_deref().unwrap_or_default(), &kept].join(" ");
            return Some(on(Error::new(ErrorKind::PruneIncomplete, message).hint(hint.trim())));
        }
        let hint = format!("Run it again: it goes on. {kept}");
        Some(on(Error::new(ErrorKind::Stopped, "was stopped before all was deleted").hint(hint.trim())))
    }
}

impl PruneReport {
    pub(super) fn add_error(&mut self, source: &SourceName, error: &Error) {
        tracing::warn!(%error, %source, "no plan can be made");
        self.errors.push(SourceError {
            source: source.clone(),
            code: error.code(),
            message: error.to_string(),
            hint: error.hint_text().map(str::to_owned),
            exit: error.exit(),
        });
    }

    pub(super) fn finished(mut self) -> Self {
        self.good = self.errors.is_empty() && self.reports.iter().all(SourceReport::is_good);
        self
    }

    /// How a process ends with this report.
    pub fn exit(&self) -> Exit {
        let first = self.errors.first().map(|error| error.exit);
        first.or_else(|| self.verdict().map(|error| error.exit())).unwrap_or(Exit::Done)
    }

    /// The error that this report comes to, for whoever cannot answer with a report and an exit code: the first, and how
    /// many sources have one.
    pub fn verdict(&self) -> Option<Error> {
        if let Some(error) = self.errors.first() {
            let message = format!("no plan could be made: {} [{}]", error.message, error.code);
            let hint = error.hint.clone().unwrap_or_default();
            return Some(
                Error::new(ErrorKind::PruneIncomplete, message).on(error.source.to_string()).hint(hint),
            );
        }
        self.reports.iter().find_map(SourceReport::verdict)
    }
}
