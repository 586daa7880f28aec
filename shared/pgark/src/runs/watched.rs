//! The one way in which jobs run: whoever starts a job on a source, by hand or on schedule, does it through [`watched`].
//!
//! It leaves the run's two records in the store, and tells a [`Watcher`] of the start and the end, for pings, metrics
//! and alerts. None of this ever fails a job that did its work: what could not be written or delivered is logged as a
//! warning and, if it is known in time, stands in the record. A run that is killed leaves a start without an end.
//! Whether the run may begin, and that it is alone, is [`turn`]'s. What the job does, and what its report says, is the
//! job's.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::turn::{self, Admitted};
use super::watcher::Told;
use super::{FORMAT_VERSION, Figures, JobName, Outcome, RunCost, RunError, RunRecord, Summarized};
use crate::app::{self, App};
use crate::error::{ErrorKind, Exit, Result};
use crate::health::Code;
use crate::panics;
use crate::repository::{BackupId, SourceName};

/// The work is done by then: nobody waits longer for those who are told of it.
const TELLING_MAX: Duration = Duration::from_secs(20);
/// So long, if the run was stopped: whoever stopped it waits.
const TELLING_MAX_STOPPED: Duration = Duration::from_secs(5);

/// Who is told of runs: pings, metrics, alerts.
pub trait Watcher: Send + Sync {
    /// A run has started. Returns what could not be delivered, in full sentences.
    fn started<'a>(&'a self, run: &'a RunRecord) -> BoxFuture<'a, Vec<String>>;

    /// A run has ended, well or not. Returns what could not be delivered, in full sentences.
    fn ended<'a>(&'a self, run: &'a RunRecord) -> BoxFuture<'a, Vec<String>>;
}

/// Nobody.
impl Watcher for () {
    fn started<'a>(&'a self, _run: &'a RunRecord) -> BoxFuture<'a, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn ended<'a>(&'a self, _run: &'a RunRecord) -> BoxFuture<'a, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// Who is to be told, by the settings.
fn watcher(app: &App) -> Box<dyn Watcher> {
    Box::new(Told::from_settings(app))
}

/// What came of it.
#[derive(Debug)]
pub enum Watched<T> {
    /// The job ran, and this is its report.
    Ran(T),
    /// There was nothing to do.
    Skipped(Skipped),
}

/// A run that was not needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The job.
    pub job: JobName,
    /// The source.
    pub source: SourceName,
    /// Why.
    pub skipped: String,
    /// The slot of the run, if it had one.
    #[serde(skip)]
    pub slot: Option<String>,
}

impl Skipped {
    /// How a process ends with this: what has a slot is done once by whoever comes first, and that it was done is all that was
    /// asked for. Without one somebody asked for this run, and did not get it.
    pub fn exit(&self) -> Exit {
        if self.slot.is_some() { Exit::Done } else { Exit::NotDone }
    }
}

/// Runs a job on the app's source. Secrets are read within the run: that they cannot be is a failure like any other.
///
/// # Errors
/// Those of the job; [`ErrorKind::LeaseLost`]; and if the source's name cannot be told,
/// which leaves no record.
pub async fn watched<T: Summarized>(
    app: &App,
    job: JobName,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&App, &CancellationToken) -> Result<T>,
) -> Result<Watched<T>> {
    // Without a setting, the source's name stands in the connection string, and that may be in a secret.
    let unlocked;
    let app = if app.settings.source.is_none() {
        unlocked = app.unlocked().await?;
        &unlocked
    } else {
        app
    };
    let watcher = watcher(app);
    watched_by(watcher.as_ref(), app, job, stop, work).await
}

/// Records that a run on a source could not even be tried, because its server has it no more.
pub(super) async fn vanished(app: &App, job: JobName, why: String) -> Result<Skipped> {
    let watcher = watcher(app);
    let mut run = Run::of(app, job, watcher.as_ref())?;
    run.record.error = Some(RunError {
        code: Code::SourceVanished.as_str().to_owned(),
        message: why.clone(),
        hint: Some("If it is meant so, take the source out of the settings.".to_owned()),
    });
    Ok(run.skip(why).await)
}

async fn watched_by<T: Summarized>(
    watcher: &dyn Watcher,
    app: &App,
    job: JobName,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&App, &CancellationToken) -> Result<T>,
) -> Result<Watched<T>> {
    let mut run = Run::of(app, job, watcher)?;
    let admitted = Box::pin(turn::admit(app, &run.record, stop)).await;
    let lease = match admitted {
        Ok(Admitted::Go { lease, warning }) => {
            run.record.warnings.extend(warning);
            lease
        }
        Ok(Admitted::Skip(why)) => return Ok(Watched::Skipped(run.skip(why).await)),
        // Whoever is to hear of failures hears of this one, whether the store takes a record or not.
        Err(error) => {
            let done: Result<T> = Err(error);
            run.end(&done, stop).await;
            return done.map(Watched::Ran);
        }
    };
    run.start().await;
    // A panic is a failure like any other: it is told, and the lease is given back.
    let work = async |stop: &CancellationToken| {
        panics::caught(async { work(&app.unlocked().await?, stop).await }).await
    };
    let (done, lease) = Box::pin(turn::keep(lease, stop, work)).await;
    run.end(&done, stop).await;
    if let Some(lease) = lease
        && let Err(error) = lease.release().await
    {
        tracing::warn!(error = error.with_causes(), "the lease is not released: it runs out by itself");
    }
    done.map(Watched::Ran)
}

/// The run failed because of this, so a record would wait as long, only to fail as well.
fn store_is_away(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StoreUnreachable | ErrorKind::StoreMissing | ErrorKind::StoreCredentials)
}

/// A run under way.
struct Run<'a> {
    app: &'a App,
    watcher: &'a dyn Watcher,
    record: RunRecord,
}

impl<'a> Run<'a> {
    fn of(app: &'a App, job: JobName, watcher: &'a dyn Watcher) -> Result<Self> {
        let started_at = (app.outside.now)();
        #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
        let run = BackupId::new(started_at, (app.outside.random)() as u32);
        let record = RunRecord {
            format_version: FORMAT_VERSION.to_owned(),
            pgark_version: env!("CARGO_PKG_VERSION").to_owned(),
            run,
            job,
            source: app.source()?,
            started_at,
            finished_at: None,
            outcome: None,
            backup: None,
            figures: Figures::default(),
            looked_at: None,
            error: None,
            report: None,
            cost: None,
            slot: app.trigger.slot.clone(),
            by: app.trigger.by.clone().or_else(app::host_name),
            warnings: Vec::new(),
        };
        Ok(Self { app, watcher, record })
    }

    /// Nothing is to be done. Metrics count it; people hear of the run that does the work.
    async fn skip(mut self, why: String) -> Skipped {
        let RunRecord { source, job, .. } = &self.record;
        tracing::info!(%source, %job, "skipped: {why}");
        self.record.finished_at = Some((self.app.outside.now)());
        self.record.outcome = Some(Outcome::Skipped);
        self.record.warnings.push(why.clone());
        let told = tokio::time::timeout(TELLING_MAX, self.watcher.ended(&self.record)).await;
        self.note_told(told.ok());
        let put = self.app.repository.put_run_end(&self.record).await;
        self.note_put(put, "end");
        let RunRecord { job, source, slot, .. } = self.record;
        Skipped { job, source, skipped: why, slot }
    }

    /// The record and the ping of the start, at the same time.
    async fn start(&mut self) {
        let told = tokio::time::timeout(TELLING_MAX, self.watcher.started(&self.record));
        let (put, told) = tokio::join!(self.app.repository.put_run_start(&self.record), told);
        self.note_put(put, "start");
        self.note_told(told.ok());
    }

    /// Telling comes first, so that what could not be delivered stands in the record.
    async fn end<T: Summarized>(&mut self, done: &Result<T>, stop: &CancellationToken) {
        self.record.finished_at = Some((self.app.outside.now)());
        match done {
            Ok(report) => {
                let summary = report.summary();
                self.record.outcome = Some(summary.outcome);
                self.record.backup = summary.backup;
                self.record.figures = summary.figures;
                self.record.looked_at = summary.looked_at;
                self.record.error = summary.error;
                self.record.report = summary.report;
                self.record.cost = summary.cost;
                self.record.warnings.extend(report.notable());
            }
            Err(error) => {
                self.record.outcome = Some(Outcome::of_error(error));
                self.record.error = Some(RunError::from(error));
            }
        }
        self.add_compute();
        let telling_max = if stop.is_cancelled() { TELLING_MAX_STOPPED } else { TELLING_MAX };
        let told = tokio::time::timeout(telling_max, self.watcher.ended(&self.record)).await;
        self.note_told(told.ok());
        if !done.as_ref().is_err_and(|error| store_is_away(error.kind())) {
            let put = self.app.repository.put_run_end(&self.record).await;
            self.note_put(put, "end");
        }
    }

    /// A function costs the time of the whole run, whatever came of it.
    fn add_compute(&mut self) {
        let compute_usd = self.app.compute_usd(self.record.seconds().unwrap_or(0.0));
        match &mut self.record.cost {
            Some(cost) => cost.compute_usd = compute_usd,
            None if compute_usd > 0.0 => {
                self.record.cost = Some(RunCost { storage_month_usd: 0.0, requests_usd: 0.0, compute_usd });
            }
            None => {}
        }
    }

    fn note_put(&mut self, put: Result<()>, which: &str) {
        if let Err(error) = put {
            let why = error.with_causes();
            self.warn(format!("The record of the run's {which} could not be stored: {why}."));
        }
    }

    fn note_told(&mut self, undelivered: Option<Vec<String>>) {
        let late =
            || vec!["Pings, metrics and alerts took too long, and may not have been delivered.".to_owned()];
        for warning in undelivered.unwrap_or_else(late) {
            self.warn(warning);
        }
    }

    /// Says it aloud, and in the record as far as that is still to be written.
    fn warn(&mut self, warning: String) {
        let RunRecord { source, job, run, .. } = &self.record;
        tracing::warn!(%source, %job, %run, "{warning}");
        self.record.warnings.push(warning);
    }
}

#[cfg(test)]
mod tests;
