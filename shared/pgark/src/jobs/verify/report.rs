//! What a verification found: the report that is printed, answered and kept. Its JSON is specified in docs/reports.md
//! and docs/format/verify.schema.json.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Level;
use super::sample::{Cursor, Share};
use crate::error::{Error, ErrorKind, Exit};
use crate::repository::part::Part;
use crate::repository::proof::Look;
use crate::repository::{BackupRef, SourceName, Tier};
use crate::signature::SignatureCheck;

/// The version of the report's form.
pub(super) const FORMAT_VERSION: &str = "1.0";

/// A run: one report for each source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Whether all that was to be checked was, and nothing was found.
    pub good: bool,
    /// One for each source, in the order of their names.
    pub reports: Vec<SourceReport>,
}

/// What was found in the backups of one source. This is what is kept in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: &'static str,
    /// The version of pgark that wrote it.
    pub pgark_version: &'static str,
    /// The source.
    pub source: SourceName,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The store.
    pub store: String,
    /// Which backups were meant: `all`, `latest`, or an id.
    pub scope: String,
    /// The level that was asked for, or the highest that was possible.
    pub level: Level,
    /// Whether the manifests' signatures were checked.
    pub signature: SignatureCheck,
    /// Which part of the objects was read, if not all.
    pub sample: Option<Sampled>,
    /// The backups, ascending by time.
    pub backups: Vec<BackupLine>,
    /// Objects without a manifest: runs in progress, or what failed ones left. No damage.
    pub incomplete: Vec<String>,
    /// Damage.
    pub findings: Vec<Finding>,
    /// What could not be checked, so that nothing is known of it.
    pub failures: Vec<Finding>,
    /// The key under which this report is kept; `null` if it is not.
    pub kept_as: Option<String>,
}

/// A backup that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupLine {
    /// Where it is: tier, source and id.
    pub backup: String,
    /// Its tier.
    pub tier: Tier,
    /// At which level it was checked.
    pub level: Level,
    /// Its objects.
    pub objects: usize,
    /// Those that were read.
    pub objects_read: usize,
    /// Stored bytes that were read.
    pub stored_bytes_read: u64,
    /// Rows that were counted.
    pub rows_counted: u64,
    /// How many findings are of this backup.
    pub findings: usize,
}

/// Which objects a sample took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sampled {
    /// The share of the stored bytes that was asked for.
    pub share: Share,
    /// Where the run before ended; `null` if there was none.
    pub after: Option<Cursor>,
    /// Where this one ended, and the next begins.
    pub through: Option<Cursor>,
    /// How much of the stored bytes lies before `through`, from 0 to 1.
    pub position: f64,
}

/// Damage, or a failure to look for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable code of docs/errors.md.
    pub code: &'static str,
    /// Where the backup is: tier, source and id.
    pub backup: String,
    /// The object within it; `null` if it is about the backup as a whole.
    pub object: Option<String>,
    /// The tables whose rows are hit, as `schema.name`.
    pub tables: Vec<String>,
    /// What is hit, for people.
    pub affects: String,
    /// What is wrong.
    pub message: String,
    /// The errors underneath.
    pub causes: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    #[serde(skip)]
    pub(super) exit: Exit,
}

impl Finding {
    /// An error that happened to a backup, or to an object of it.
    pub(super) fn new(backup: &BackupRef, object: Option<(&str, &Part)>, error: &Error) -> Self {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let affects = match object {
            Some((_, part)) => part.to_string(),
            None => "the whole backup".to_owned(),
        };
        Self {
            code: error.code(),
            backup: backup.to_string(),
            object: object.map(|(name, _)| name.to_owned()),
            tables: object.and_then(|(_, part)| part.table()).into_iter().collect(),
            affects,
            message: error.message().to_owned(),
            causes: causes.map(ToString::to_string).collect(),
            hint: error.hint_text().map(str::to_owned),
            exit: error.exit(),
        }
    }

    /// Whether it is damage.
    pub(super) fn is_damage(&self) -> bool {
        self.exit == Exit::Damaged
    }
}

impl SourceReport {
    /// How far it came with one backup.
    pub(crate) fn look(&self, line: &BackupLine) -> Look {
        let failures = self.failures.iter().filter(|failure| failure.backup == line.backup).count();
        let BackupLine { objects, objects_read, findings, .. } = *line;
        Look { objects, objects_read, findings, failures, sampled: self.sample.is_some() }
    }

    /// Files something under findings or failures, and logs it.
    pub(super) fn add(&mut self, found: Finding) {
        let Finding { code, backup, object, message, .. } = &found;
        tracing::info!(code, backup, object, affects = found.affects, "{message}");
        if found.is_damage() { self.findings.push(found) } else { self.failures.push(found) }
    }
}

impl VerifyReport {
    pub(super) fn of(reports: Vec<SourceReport>) -> Self {
        let good = reports.iter().all(|report| report.findings.is_empty() && report.failures.is_empty());
        Self { good, reports }
    }

    /// How a process ends with this report: damage comes before what could not be checked.
    pub fn exit(&self) -> Exit {
        let first = self.first();
        first.map_or(Exit::Done, |found| found.exit)
    }

    fn first(&self) -> Option<&Finding> {
        let findings = self.reports.iter().flat_map(|report| &report.findings);
        findings.chain(self.reports.iter().flat_map(|report| &report.failures)).next()
    }

    /// The error that this report comes to, for whoever cannot answer with a report and an exit code. It counts
    /// everything, names the first, and says where the rest is kept.
    pub fn verdict(&self) -> Option<Error> {
        let first = self.first()?;
        let count = |of: fn(&SourceReport) -> usize| self.reports.iter().map(of).sum::<usize>();
        let (findings, failures) =
            (count(|report| report.findings.len()), count(|report| report.failures.len()));
        let message = format!(
            "{findings} found damaged, {failures} not checked; the first: {}: {} ({}) [{}]",
            first.object.as_deref().unwrap_or("manifest.json"),
            first.message,
            first.affects,
            first.code
        );
        let kept: Vec<&str> = self.reports.iter().filter_map(|report| report.kept_as.as_deref()).collect();
        let kind = if findings > 0 { ErrorKind::VerifyFindings } else { ErrorKind::VerifyIncomplete };
        let hint = if kept.is_empty() {
            "The log has them all.".to_owned()
        } else {
            format!("All of them are in {}.", kept.join(", "))
        };
        Some(Error::new(kind, message).on(first.backup.clone()).hint(hint))
    }
}

/// What a run needs to know of the one before.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Previous {
    pub(super) scope: String,
    pub(super) level: Option<Level>,
    pub(super) sample: Option<PreviousSample>,
    #[serde(default)]
    pub(super) findings: Vec<PreviousFinding>,
}

/// How far it came.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PreviousSample {
    pub(super) through: Option<Cursor>,
}

/// An object in which it found something.
#[derive(Debug, Deserialize)]
pub(super) struct PreviousFinding {
    pub(super) backup: String,
    pub(super) object: Option<String>,
}
