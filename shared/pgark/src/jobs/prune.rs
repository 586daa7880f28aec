//! Deletes backups by policy, and removes what failed runs left behind. Plans first; deletes only if told so.
//!
//! Safe because:
//! - what goes is decided by [`crate::retention`], which never crosses the floor, and `guard` refuses a plan that looks
//!   like an accident;
//! - the manifest of a backup goes first. If that fails, nothing else of it is touched; once it is gone, what is left is no
//!   backup to anybody, and the next run removes it as the remains of one;
//! - what has no manifest is removed only if everything about it is older than the grace period, and no run that holds the
//!   lease of backups could be writing it ([`remains`]);
//! - everything can be done twice: deleting what is gone succeeds. So two runs at once, or a run that was killed anywhere
//!   and then run again, come to the same end.
//!
//! A failure on one backup is told and hinders no other.

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::candidates::{Candidates, Locks};
use crate::repository::{BackupId, BackupRef, Filter, ReportKind, SourceName, keys};
use crate::retention::decide;
use crate::runs::answer::answer;
use crate::runs::{Answer, Job, JobName};
use crate::store::StoreRead as _;

mod guard;
mod named;
mod remains;
mod remove;
mod report;

pub use report::{
    BackupLine, Done, Failure, PolicyLine, PruneReport, Refusal, RemainsKind, RemainsLine, SourceReport,
    Totals,
};

/// The arguments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// Only of this source; else the one of the settings, else of every one in the store.
    pub source: Option<SourceName>,
    /// Delete what the plan says.
    pub apply: bool,
    /// Although a larger share of the good backups would go at once than the settings allow.
    pub allow_share: bool,
    /// Although no good backup would remain.
    pub allow_no_good: bool,
    /// Only these backups go, whatever the policy says, and nothing else. No event can ask for it.
    #[serde(skip)]
    pub remove: Vec<BackupId>,
}

impl Prune {
    /// Runs the job, with a record for each source unless it only plans. Without sources in the settings it runs on those
    /// in the store.
    ///
    /// # Errors
    /// As [`run`](Self::run). What happens to one source keeps no other from being pruned.
    pub async fn watched(&self, app: &App, stop: &CancellationToken) -> Result<Answer<PruneReport>> {
        let named;
        let of_named = match self.remove.first() {
            Some(first) if app.settings.source.is_none() => {
                let backup = app.repository.resolve(&first.to_string(), &Filter::default()).await?;
                Some(backup.source)
            }
            _ => None,
        };
        let app = if let Some(source) = self.source.as_ref().or(of_named.as_ref()) {
            named = app.naming(source.clone());
            &named
        } else {
            app
        };
        let job = Job { name: JobName::Prune, recorded: self.apply };
        let prune = Self { source: None, ..self.clone() };
        if app.settings.source.is_some() || !app.settings.sources.is_empty() {
            return answer(app, job, stop, async |app, stop| prune.run(app, stop).await).await;
        }
        let (mut report, mut skipped) = (PruneReport::default(), None);
        for source in app.repository.sources().await? {
            let one = app.for_source(&source).await?;
            match Box::pin(answer(&one, job, stop, async |app, stop| prune.run(app, stop).await)).await {
                Ok(Answer::One(done)) => report.reports.extend(done.reports),
                Ok(other) => skipped = Some(other),
                Err(error) => report.add_error(&source, &error),
            }
        }
        match skipped {
            Some(skipped) if report.reports.is_empty() && report.errors.is_empty() => Ok(skipped),
            _ => Ok(Answer::One(report.finished())),
        }
    }

    /// Runs the job.
    ///
    /// # Errors
    /// When the plan of the only source cannot be made, or its report not be kept although all else went well. A refusal,
    /// and what could not be deleted, is in the report.
    pub async fn run(&self, app: &App, stop: &CancellationToken) -> Result<PruneReport> {
        let sources = match self.source.clone().or_else(|| app.settings.source.clone()) {
            Some(source) => vec![source],
            None => app.repository.sources().await?,
        };
        let only = sources.len() == 1;
        let mut report = PruneReport::default();
        for source in sources {
            match self.prune(app, &source, stop).await {
                Ok(done) => report.reports.push(done),
                Err(error) if only => return Err(error),
                Err(error) => report.add_error(&source, &error),
            }
        }
        Ok(report.finished())
    }

    async fn prune(&self, app: &App, source: &SourceName, stop: &CancellationToken) -> Result<SourceReport> {
        let mut report = self.plan(app, source).await?;
        if self.apply && report.refusals.is_empty() {
            apply(app, &mut report, stop).await;
        }
        report.finished_at = (app.outside.now)();
        if !self.apply {
            return Ok(report);
        }
        match keep(app, &mut report).await {
            Err(error) if report.is_good() => Err(error.hint(
                "What was to be deleted is deleted, but the report could not be kept. Allow writing under reports/.",
            )),
            Err(error) => {
                tracing::warn!(%error, "the report of the prune is not kept");
                Ok(report)
            }
            Ok(()) => Ok(report),
        }
    }

    /// What would be done, and why. Only reads.
    async fn plan(&self, app: &App, source: &SourceName) -> Result<SourceReport> {
        let (retention, now) = (&app.settings.retention, (app.outside.now)());
        let found = app.repository.candidates(source, now, Locks::Ask).await?;
        let decisions = if self.remove.is_empty() {
            decide(&found.backups, &retention.policy, now)
        } else {
            named::decide(source, &found.backups, &self.remove, now)?
        };
        let mut remains = if self.remove.is_empty() {
            remains::find(&app.repository, source, &found, now, retention.grace).await?
        } else {
            Vec::new()
        };
        // What is in the folder of a backup that goes, goes with it.
        remains.retain(|line| {
            !decisions.iter().any(|decision| !decision.keep && decision.backup == line.place())
        });
        let Candidates { backups, warnings, .. } = found;
        let mut report = SourceReport::new(source, app, self.apply, now);
        report.backups =
            backups.into_iter().zip(decisions).map(|(it, plan)| BackupLine::of(it, plan)).collect();
        report.remains = remains;
        report.warnings = warnings;
        report.totals = Totals::of(&report.backups, &report.remains);
        report.refusals = guard::refusals(&report.totals, retention.share_max_percent, self);
        Ok(report)
    }
}

/// One thing to be removed: its place among the lines of the report, and what it is.
enum Step {
    Backup(usize, BackupRef),
    Remains(usize, BackupRef, RemainsKind),
}

/// Does what the plan says, the oldest first.
async fn apply(app: &App, report: &mut SourceReport, stop: &CancellationToken) {
    let backups = report.backups.iter().enumerate().filter(|(_, line)| !line.keep);
    let backups = backups.map(|(at, line)| Step::Backup(at, line.place()));
    let remains = report.remains.iter().enumerate().filter(|(_, line)| line.remove);
    let remains = remains.map(|(at, line)| Step::Remains(at, line.place(), line.kind));
    let steps: Vec<Step> = backups.chain(remains).collect();
    let done = stream::iter(steps).map(|step| async move {
        // Between two steps, so that each is done as a whole.
        if stop.is_cancelled() {
            return (step, None);
        }
        let removed = match &step {
            Step::Backup(_, backup) => remove::backup(&app.repository, backup, app.outside.now).await,
            Step::Remains(_, backup, RemainsKind::Incomplete) => {
                remove::remains(&app.repository, backup).await
            }
            Step::Remains(_, backup, RemainsKind::Uploads) => remove::uploads(&app.repository, backup).await,
        };
        (step, Some(removed))
    });
    let done: Vec<_> = done.buffered(app.settings.jobs.get()).collect().await;
    for (step, removed) in done {
        let outcome = match &removed {
            None => Done::NotDone,
            Some(Ok(outcome)) => *outcome,
            Some(Err(_)) => Done::Failed,
        };
        report.stopped |= removed.is_none();
        let place = match step {
            Step::Backup(at, backup) => {
                report.backups[at].done = outcome;
                backup
            }
            Step::Remains(at, backup, _) => {
                report.remains[at].done = outcome;
                backup
            }
        };
        if let Some(Err(error)) = removed {
            report.fail(&place, &error);
        }
    }
    report.totals = Totals::of(&report.backups, &report.remains);
}

async fn keep(app: &App, report: &mut SourceReport) -> Result<()> {
    #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
    let id = BackupId::new(report.started_at, (app.outside.random)() as u32);
    let key = keys::report_of(&report.source, ReportKind::Prune, id);
    report.kept_as = Some(key.clone());
    let json = serde_json::to_vec_pretty(report).map(|mut json| {
        json.push(b'\n');
        json
    });
    let kept = match json {
        Ok(json) => app.repository.put_report(&key, json).await,
        Err(source) => {
            Err(Error::new(ErrorKind::Internal, "cannot write the report as JSON").because(source))
        }
    };
    kept.inspect_err(|_| report.kept_as = None)
}

/// The store's address, for reports.
fn address(app: &App) -> String {
    app.repository.store().address()
}

#[cfg(test)]
mod tests;
