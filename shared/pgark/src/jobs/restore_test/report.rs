//! What a test leaves behind: a report for people who were not there. Described in docs/restore-test.md and, field by
//! field, in docs/format/restore-test.schema.json.
//!
//! Reports are not encrypted. They name databases, tables and roles, as a manifest does, but no values of rows; of
//! definitions, no more than the place where a server stumbled; of values, only those that an assertion returned and should
//! not have.

use jiff::Timestamp;
use pg_archive::connect::Target;
use pg_archive::session::Session;
use serde::{Deserialize, Serialize};

use super::Content;
use crate::app::App;
use crate::error::{Error, ErrorKind, Exit, Result};
use crate::jobs::compare::Difference;
use crate::jobs::restore::RestoreReport;
use crate::repository::{BackupId, BackupRef, Manifest, ReportKind, Repository, SourceName, Tier, keys};
use crate::signature::SignatureCheck;
use crate::store::StoreRead as _;

/// The version of the form of reports.
const FORMAT_VERSION: &str = "1.0";
/// How many differences an error names.
const NAMED_MAX: usize = 5;

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreTestReport {
    /// The version of this form.
    pub format_version: String,
    /// `restore-test`.
    pub kind: String,
    /// The report's id, by which its key sorts.
    pub id: BackupId,
    /// The report's key in the store.
    pub key: String,
    /// The version of pgark that made the test.
    pub pgark_version: String,
    /// What came out.
    pub result: TestResult,
    /// When the test began.
    pub started_at: Timestamp,
    /// When it was over.
    pub finished_at: Timestamp,
    /// The machine on which it ran.
    pub host: Option<String>,
    /// What was tested.
    pub backup: TestedBackup,
    /// Where it was restored to.
    pub target: TestTarget,
    /// How long it took.
    pub times: Times,
    /// What was restored; `null` if the restore did not come to its end.
    pub restored: Option<Restored>,
    /// What was looked at, in this order.
    pub checks: Vec<Check>,
    /// Why the test could not be completed; `null` if it was.
    pub error: Option<Failure>,
    /// What a reader should know, in full sentences.
    pub warnings: Vec<String>,
}

/// What came out of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestResult {
    /// The backup was restored, and every check that was made passed.
    Passed,
    /// The backup is damaged, or a server that is fit for it refuses what it holds, or what was restored differs from it, or
    /// an assertion does not hold.
    Failed,
    /// The test could not be completed, for a reason that says nothing of the backup.
    Incomplete,
}

/// The backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedBackup {
    /// Its id.
    pub id: BackupId,
    /// What was backed up.
    pub source: SourceName,
    /// Its tier.
    pub tier: Tier,
    /// Where it is.
    pub location: String,
    /// Whether the signature of its manifest was checked.
    pub signature: SignatureCheck,
    /// When its snapshot was taken; `null`, as all that follows, if its manifest could not be read.
    pub snapshot_at: Option<Timestamp>,
    /// The database.
    pub database: Option<String>,
    /// The version of the server that was backed up.
    pub server_version: Option<String>,
    /// Tables with rows in it.
    pub tables: Option<u64>,
    /// Rows in it.
    pub rows: Option<u64>,
    /// Its bytes as stored.
    pub stored_bytes: Option<u64>,
    /// Its bytes before compression.
    pub plain_bytes: Option<u64>,
}

/// Where a test restores to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestTarget {
    /// Whose server it was; `null`, as all that follows, if the test did not come that far.
    pub kind: Option<TargetKind>,
    /// Host, port and database to which the test connected first.
    pub address: Option<String>,
    /// The server's version.
    pub server_version: Option<String>,
    /// The scratch database.
    pub database: Option<String>,
    /// Whether the scratch database is gone.
    pub dropped: bool,
}

/// Whose server a test restores to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// One that pgark started for the test alone. Roles, owners and privileges were restored.
    Embedded,
    /// One that was named. Owners and privileges were left out: everything belonged to the role that tested.
    Server,
}

/// How long it took, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// From the first look at the backup to the report.
    pub seconds: f64,
    /// To start the server, or to connect to it.
    pub server_seconds: f64,
    /// From the empty database to the restored one: what a recovery takes, once there is a server.
    pub recovery_seconds: f64,
    /// Of that: definitions.
    pub definitions_seconds: f64,
    /// Of that: rows, from the first to the last.
    pub data_seconds: f64,
    /// Of that: indexes, constraints, and what else comes after the last row.
    pub indexes_seconds: f64,
    /// How long the sessions that loaded rows waited for them to be downloaded, decrypted and decompressed, all added up.
    pub download_seconds: f64,
    /// To read all of it again and compare it.
    pub compare_seconds: f64,
    /// To check the indexes.
    pub index_check_seconds: f64,
    /// To run the assertions.
    pub assertions_seconds: f64,
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Entries of the table of contents that were restored.
    pub entries: u64,
    /// Entries that were left out.
    pub entries_left_out: u64,
    /// Data files that were loaded.
    pub files: u64,
    /// Rows that were loaded.
    pub rows: u64,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// What came out.
    pub result: CheckResult,
    /// How many things were looked at: data files, tables, definitions, indexes, assertions.
    pub checked: u64,
    /// What was looked at; for a check that was skipped, why.
    pub what: String,
    /// What is wrong; empty if nothing is.
    pub differences: Vec<Difference>,
}

/// The checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// Each data file held what was dumped, as it was loaded.
    Load,
    /// Each table holds what was dumped, as read again from the database.
    Rows,
    /// The definitions are those of the backup.
    Schema,
    /// The indexes are sound.
    Indexes,
    /// What the user knows of the data holds.
    Assertions,
}

/// What came out of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// Nothing is wrong.
    Passed,
    /// Something is.
    Failed,
    /// It was not made.
    Skipped,
}

/// An error, as `pgark --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// What it happened to.
    pub object: Option<String>,
    /// What failed.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl RestoreTestReport {
    /// The report of a test that has begun, and of which nothing is known yet.
    pub(super) fn begun(
        repository: &Repository,
        id: BackupId,
        started_at: Timestamp,
        backup: &BackupRef,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            kind: ReportKind::RestoreTest.as_str().to_owned(),
            id,
            key: keys::report_of(&backup.source, ReportKind::RestoreTest, id),
            pgark_version: env!("CARGO_PKG_VERSION").to_owned(),
            result: TestResult::Incomplete,
            started_at,
            finished_at: started_at,
            host: crate::app::host_name(),
            backup: TestedBackup {
                id: backup.id,
                source: backup.source.clone(),
                tier: backup.tier,
                location: format!("{}/{backup}", repository.store().address()),
                signature: repository.signature_check(),
                snapshot_at: None,
                database: None,
                server_version: None,
                tables: None,
                rows: None,
                stored_bytes: None,
                plain_bytes: None,
            },
            target: TestTarget::default(),
            times: Times::default(),
            restored: None,
            checks: Vec::new(),
            error: None,
            warnings: Vec::new(),
        }
    }

    /// What the manifest says.
    pub(super) fn tested(&mut self, manifest: &Manifest) {
        self.backup = TestedBackup {
            snapshot_at: Some(manifest.snapshot_at),
            database: Some(manifest.server.database.clone()),
            server_version: Some(manifest.server.version.clone()),
            tables: Some(manifest.totals.tables),
            rows: Some(manifest.totals.rows),
            stored_bytes: Some(manifest.totals.stored_bytes),
            plain_bytes: Some(manifest.totals.plain_bytes),
            ..self.backup.clone()
        };
        let missing = manifest.allow_missing.iter();
        self.warnings
            .extend(missing.map(|object| format!("Not in the backup, as was accepted then: {object}.")));
    }

    /// Which server it is.
    pub(super) async fn target(
        &mut self,
        kind: TargetKind,
        target: &Target,
        session: &Session,
    ) -> Result<()> {
        let row = session.row("SELECT pg_catalog.current_setting('server_version') AS version").await?;
        self.target.kind = Some(kind);
        self.target.address = Some(target.display());
        self.target.server_version = Some(row.string("version")?);
        Ok(())
    }

    /// What the restore came to.
    pub(super) fn restored(&mut self, content: &Content, restored: &RestoreReport) {
        self.times.definitions_seconds = rounded(restored.pre_data_seconds);
        self.times.data_seconds = rounded(restored.data_seconds);
        self.times.indexes_seconds = rounded(restored.post_data_seconds);
        self.times.download_seconds = rounded(restored.download_seconds);
        self.restored = Some(Restored {
            entries: restored.entries as u64,
            entries_left_out: restored.entries_unwanted as u64,
            files: restored.files as u64,
            rows: restored.rows,
        });
        let rows = content.manifest.totals.rows;
        let what = format!("by number and fingerprint of {rows} rows, as they were loaded");
        self.checks.push(Check::of(CheckName::Load, restored.files as u64, what, Vec::new()));
        self.warnings.extend(restored.warnings.iter().cloned());
    }

    /// What came out in the end.
    pub(super) fn end(&mut self, finished_at: Timestamp, error: Option<&Error>) {
        self.finished_at = finished_at;
        self.times.seconds = rounded(finished_at.duration_since(self.started_at).as_secs_f64());
        self.error = error.map(|error| Failure {
            code: error.code().to_owned(),
            object: error.object().map(str::to_owned),
            message: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
        });
        let differs = self.checks.iter().any(|check| check.result == CheckResult::Failed);
        self.result = match error {
            // What a run that broke off has found is found.
            _ if differs => TestResult::Failed,
            None => TestResult::Passed,
            Some(error) if error.exit() == Exit::Damaged => TestResult::Failed,
            Some(_) => TestResult::Incomplete,
        };
    }

    /// The text that is stored.
    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec_pretty(self).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write the report as JSON").because(source)
        });
        json.map(|mut json| {
            json.push(b'\n');
            json
        })
    }

    /// All that differs.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.checks.iter().flat_map(|check| &check.differences)
    }

    /// A test that failed, as an error that names what differs first.
    pub fn failure(&self) -> Option<Error> {
        if self.result == TestResult::Passed {
            return None;
        }
        let named: Vec<String> = self.differences().take(NAMED_MAX).map(ToString::to_string).collect();
        let count = self.differences().count();
        let more =
            if count > named.len() { format!("; and {} more", count - named.len()) } else { String::new() };
        let message = format!("is not what was backed up: {}{more}", named.join("; "));
        Some(
            Error::new(ErrorKind::RestoreTestFailed, message)
                .on(format!("restored backup {}", self.backup.location))
                .hint(format!("The report is {}. Test another backup; do not trust this one.", self.key)),
        )
    }
}

/// Seconds from `began` to now.
pub(super) fn seconds_since(app: &App, began: Timestamp) -> f64 {
    rounded((app.outside.now)().duration_since(began).as_secs_f64())
}

/// To milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
