//! The history: every run of every job leaves two small records in the store, one when it starts and one when it ends.
//!
//! A start without an end is a run in progress, or one that was killed: nothing else would tell of it. Both have the same
//! form, so an end alone says everything. Records are filed by source and month, for a look at the last weeks to
//! stay cheap after ten years; their names tell job and state, for most questions to need a listing only. The form is
//! specified in docs/reports.md. What is done with the history is left to health, history, status and cost.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::repository::{BackupId, BackupRef, Looked, SourceName, Tier};

pub mod answer;
pub mod lease;
pub mod sources;
pub mod store;
pub mod summary;
mod turn;
pub mod watched;
mod watcher;

pub use answer::{Answer, Job, SourceOutcome, SourcesReport};
pub use store::{RunName, Runs};
pub use summary::{Summarized, Summary};
pub use watched::{Skipped, Watched, Watcher, watched};

/// The version of the form of records.
pub const FORMAT_VERSION: &str = "1.0";

/// The jobs that leave records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobName {
    /// Makes a backup.
    Backup,
    /// Checks stored bytes.
    Verify,
    /// Restores for real, and compares.
    RestoreTest,
    /// Deletes by policy.
    Prune,
    /// Looks for what is missing.
    Health,
}

impl JobName {
    /// All.
    pub const ALL: [Self; 5] = [Self::Backup, Self::Verify, Self::RestoreTest, Self::Prune, Self::Health];

    /// As in keys, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Verify => "verify",
            Self::RestoreTest => "restore-test",
            Self::Prune => "prune",
            Self::Health => "health",
        }
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|job| job.as_str() == text).ok_or("no such job")
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it should, and found nothing wrong.
    Done,
    /// It failed.
    Failed,
    /// It found a backup damaged, or a restored database that is not what was backed up.
    Damaged,
    /// It found a source unhealthy.
    Unhealthy,
    /// Another run of the same job holds the lease, or has done this slot's work already.
    Skipped,
}

/// A run of a job on one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// The version of pgark that ran.
    pub pgark_version: String,
    /// The run's id, made like a backup's.
    pub run: BackupId,
    /// The job.
    pub job: JobName,
    /// The source.
    pub source: SourceName,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; `null` in the record of the start.
    pub finished_at: Option<Timestamp>,
    /// How it ended; `null` in the record of the start.
    pub outcome: Option<Outcome>,
    /// The backup that it made, or that it looked at, if there is just one.
    pub backup: Option<RunBackup>,
    /// What it measured.
    #[serde(default)]
    pub figures: Figures,
    /// What a verification that went well looked at; `null` for other jobs, and if it found or missed anything.
    #[serde(default)]
    pub looked_at: Option<Looked>,
    /// Why it failed, or the first that it found.
    pub error: Option<RunError>,
    /// The key of the full report, if one is kept.
    pub report: Option<String>,
    /// What it cost; `null` where nobody estimated.
    pub cost: Option<RunCost>,
    /// The scheduled time that triggered it, or the user's own name for the slot; `null` by hand.
    pub slot: Option<String>,
    /// The machine, or the request id of the function.
    pub by: Option<String>,
    /// What went wrong beside the work: what could not be delivered, for instance. Full sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A backup, as a record names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBackup {
    /// The id.
    pub id: BackupId,
    /// The tier.
    pub tier: Tier,
}

impl From<&BackupRef> for RunBackup {
    fn from(backup: &BackupRef) -> Self {
        Self { id: backup.id, tier: backup.tier }
    }
}

/// What a run measured; what does not apply is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Rows that were backed up, counted or restored.
    pub rows: Option<u64>,
    /// Tables.
    pub tables: Option<u64>,
    /// Objects that were written, read or deleted.
    pub objects: Option<u64>,
    /// Bytes before compression.
    pub plain_bytes: Option<u64>,
    /// Bytes as stored: written, read or deleted.
    pub stored_bytes: Option<u64>,
    /// Backups that were looked at.
    pub backups: Option<u64>,
    /// Backups that were deleted, or would be.
    pub deleted: Option<u64>,
    /// What is wrong, counted.
    pub findings: Option<u64>,
    /// From the empty database to the restored one, in seconds.
    pub recovery_seconds: Option<f64>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The stable code of docs/errors.md.
    pub code: String,
    /// What failed, on what, and why; no secret.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl From<&Error> for RunError {
    fn from(error: &Error) -> Self {
        let hint = error.hint_text().map(str::to_owned);
        Self { code: error.code().to_owned(), message: error.with_causes(), hint }
    }
}

/// What a run costs, in US dollars, by the price table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// Storing what it wrote for a month, in its tier's storage class.
    pub storage_month_usd: f64,
    /// Its requests to the store.
    pub requests_usd: f64,
    /// Its function's memory and time.
    pub compute_usd: f64,
}

impl RunRecord {
    /// Whether this is the record of an end. A start without one is in progress, or was killed.
    pub fn has_ended(&self) -> bool {
        self.finished_at.is_some()
    }

    /// How long the run took.
    pub fn seconds(&self) -> Option<f64> {
        self.finished_at.map(|end| end.duration_since(self.started_at).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with something in every field.
    fn record() -> RunRecord {
        let run: BackupId = "20261121T020000Z-7k3f".parse().unwrap();
        RunRecord {
            format_version: FORMAT_VERSION.to_owned(),
            pgark_version: "0.1.0".to_owned(),
            run,
            job: JobName::RestoreTest,
            source: "shop".parse().unwrap(),
            started_at: run.time(),
            finished_at: Some(run.time()),
            outcome: Some(Outcome::Damaged),
            backup: Some(RunBackup { id: run, tier: Tier::Weekly }),
            looked_at: None,
            figures: Figures { rows: Some(1), recovery_seconds: Some(0.5), ..Figures::default() },
            error: Some(RunError {
                code: "restore-test.failed".to_owned(),
                message: "is not what was backed up".to_owned(),
                hint: None,
            }),
            report: Some("reports/shop/restore-test/20261121T020000Z-7k3f.json".to_owned()),
            cost: Some(RunCost { storage_month_usd: 0.1, requests_usd: 0.0, compute_usd: 0.01 }),
            slot: Some("2026-11-21T02:00:00Z".to_owned()),
            by: Some("db1".to_owned()),
            warnings: vec!["The ping was not delivered.".to_owned()],
        }
    }

    #[test]
    fn a_record_keeps_to_its_schema() {
        let schema = include_str!("../../../docs/format/run.schema.json");
        let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let mut start = record();
        (start.finished_at, start.outcome, start.backup, start.error) = (None, None, None, None);
        (start.report, start.cost, start.slot, start.by) = (None, None, None, None);
        for record in [record(), start] {
            let value = serde_json::to_value(&record).unwrap();
            let faults: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
            assert_eq!(faults, Vec::<String>::new());
            for field in value.as_object().unwrap().keys() {
                let mut lacking = value.clone();
                lacking.as_object_mut().unwrap().remove(field);
                assert!(!schema.is_valid(&lacking), "{field}");
            }
            assert_eq!(serde_json::from_value::<RunRecord>(value).unwrap(), record);
        }
        for (pointer, wrong) in [
            ("/job", "restore"),
            ("/outcome", "good"),
            ("/run", "20261121"),
            ("/started_at", "yesterday"),
            ("/backup/tier", "hourly"),
            ("/error/code", "NO CODE"),
        ] {
            let mut value = serde_json::to_value(record()).unwrap();
            *value.pointer_mut(pointer).unwrap() = wrong.into();
            assert!(!schema.is_valid(&value), "{pointer}");
        }
    }

    #[test]
    fn names_of_jobs_read_back() {
        for job in JobName::ALL {
            assert_eq!(job.as_str().parse(), Ok(job));
            assert_eq!(serde_json::to_value(job).unwrap(), job.as_str());
        }
        assert!("Backup".parse::<JobName>().is_err());
    }
}
