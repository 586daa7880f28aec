//! Run records in the store: put, and read back by source and time.
//!
//! Both records of a run are created once and never changed. Most questions need the names alone
//! ([`Repository::run_names`]); records are read only where their content is asked for. One that cannot be read hides no
//! other: it is told of.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::{JobName, RunRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{BackupId, Repository, RunState, SourceName, keys};
use crate::store::{StoreRead as _, StoreWrite as _};

/// A record has about a kilobyte; messages of errors may be longer.
const RECORD_BYTES_MAX: usize = 1024 * 1024;
const REQUESTS_IN_FLIGHT: usize = 16;

/// A run, as far as its records' names tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunName {
    /// The run; its time is that of the start.
    pub run: BackupId,
    /// The job.
    pub job: JobName,
    /// Whether it has ended. If not, it is in progress, or was killed.
    pub ended: bool,
}

/// Records of runs.
#[derive(Debug, Default)]
pub struct Runs {
    /// Of each run the record of its end, or of its start if it has none; ascending by start.
    pub records: Vec<RunRecord>,
    /// Records that could not be read, by their keys.
    pub unreadable: Vec<(String, Error)>,
}

impl Repository {
    /// Stores the record of a run that starts.
    pub async fn put_run_start(&self, record: &RunRecord) -> Result<()> {
        self.put_run(record, RunState::Start).await
    }

    /// Stores the record of a run that has ended.
    pub async fn put_run_end(&self, record: &RunRecord) -> Result<()> {
        self.put_run(record, RunState::End).await
    }

    async fn put_run(&self, record: &RunRecord, state: RunState) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(record).map_err(|source| {
            Error::new(ErrorKind::Internal, "a run's record cannot be written as JSON").because(source)
        })?;
        json.push(b'\n');
        let key = keys::run(&record.source, record.run, record.job, state);
        self.store().put_small(&key, Bytes::from(json)).await.map(drop)
    }

    /// The sources that have run records.
    pub async fn sources_with_runs(&self) -> Result<Vec<SourceName>> {
        let names = self.store().list_dirs(keys::RUNS).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The runs of a source that started at or after a time, ascending; found by listing alone.
    pub async fn run_names(&self, source: &SourceName, since: Option<Timestamp>) -> Result<Vec<RunName>> {
        let first = since.map(keys::run_month).unwrap_or_default();
        let mut months = self.store().list_dirs(&keys::runs_prefix(source)).await?;
        months.retain(|month| *month >= first);
        let mut found: BTreeMap<(BackupId, JobName), bool> = BTreeMap::new();
        for month in months {
            let prefix = keys::run_month_prefix(source, &month);
            let mut objects = self.store().list(&prefix)?;
            while let Some(object) = objects.try_next().await? {
                let name = object.key.strip_prefix(&prefix).unwrap_or_default();
                if let Some((run, job, state)) = keys::parse_run(name)
                    && since.is_none_or(|since| run.time() >= since)
                {
                    *found.entry((run, job)).or_default() |= state == RunState::End;
                }
            }
        }
        Ok(found.into_iter().map(|((run, job), ended)| RunName { run, job, ended }).collect())
    }

    /// The record of a run: that of its end, if it has ended.
    ///
    /// # Errors
    /// When it cannot be read, or is not this run's.
    pub async fn read_run(&self, source: &SourceName, name: RunName) -> Result<RunRecord> {
        let key = key_of(source, name);
        let json = self.store().get_small(&key, RECORD_BYTES_MAX).await?;
        let damaged = |message: &str| {
            Error::new(ErrorKind::RecordDamaged, message).on(&key).hint(
                "What it said is lost; backups are not touched by that. Delete it, if it is in the way.",
            )
        };
        let record: RunRecord = serde_json::from_slice(&json)
            .map_err(|source| damaged("is no record of a run").because(source))?;
        let same = (record.run, record.job, &record.source) == (name.run, name.job, source);
        if same && record.has_ended() == name.ended {
            Ok(record)
        } else {
            Err(damaged("is the record of another run"))
        }
    }

    /// The records of a source's runs that started at or after a time, of one job or of all.
    pub async fn runs(
        &self,
        source: &SourceName,
        job: Option<JobName>,
        since: Option<Timestamp>,
    ) -> Result<Runs> {
        let mut names = self.run_names(source, since).await?;
        names.retain(|name| job.is_none_or(|job| name.job == job));
        self.read_runs(source, &names).await
    }

    /// The records of these runs, in their order.
    pub async fn read_runs(&self, source: &SourceName, names: &[RunName]) -> Result<Runs> {
        let read = stream::iter(names)
            .map(|name| async move { (*name, self.read_run(source, *name).await) })
            .buffered(REQUESTS_IN_FLIGHT);
        let mut read = std::pin::pin!(read);
        let mut runs = Runs::default();
        while let Some((name, record)) = read.next().await {
            match record {
                Ok(record) => runs.records.push(record),
                // Old ones may be deleted while others are read.
                Err(error) if error.kind() == ErrorKind::ObjectMissing => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::RecordDamaged | ErrorKind::ObjectTooLarge) =>
                {
                    runs.unreadable.push((key_of(source, name), error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }
}

fn key_of(source: &SourceName, name: RunName) -> String {
    let state = if name.ended { RunState::End } else { RunState::Start };
    keys::run(source, name.run, name.job, state)
}

#[cfg(test)]
mod tests;
