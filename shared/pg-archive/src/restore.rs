//! Restores an archive into a database.
//!
//! The order is `pg_restore`'s (`RestoreArchive` and `restore_toc_entries_parallel` in `pg_backup_archiver.c`): the
//! definitions that data needs, one by one; then data, indexes and constraints in several sessions at once, each as
//! soon as what it needs is there; then privileges, materialized views, event triggers. What is decided stands in
//! pure files ([`select`], [`plan`], [`schedule`], [`statements`]); what acts on the server in [`worker`] and [`data`].
//!
//! The first failure ends the restore: nothing is skipped, nothing is tried again. Data files are loaded whole or not
//! at all, but definitions that were made stay: a restore that failed leaves a target that must be emptied.
//!
//! Where the data files come from is the caller's business.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::archive::ArchiveSource;
use crate::connect::Target;
use crate::toc::settings::Settings;
use crate::toc::{Entry, Section};
use crate::{Error, ErrorKind, Result};

mod data;
mod database;
mod job;
mod loading;
mod older;
mod options;
mod plan;
mod prechecks;
mod present;
mod progress;
mod rehearsal;
mod report;
mod role_map;
mod schedule;
mod select;
pub(crate) mod sql_text;
mod statements;
mod target;
mod worker;

pub use database::database_properties;
pub use loading::ForeignKey;
pub use options::{Content, Expected, LeaveOut, RestoreOptions};
pub use prechecks::{Checked, Facts, Made, Problem, check};
pub use present::Present;
pub use progress::{Event, Progress, Silent};
pub use rehearsal::{Rehearsal, rehearse};
pub use report::{LoadedFile, RestoreReport, Times};
pub use role_map::RoleMap;
pub use target::{UserObjects, user_objects};

use job::{CancelOnDrop, Job};
use plan::Plan;
use schedule::{Next, Schedule};
use worker::Worker;

/// Restores the entries of an archive.
///
/// `stop` ends the restore. Then, on a failure, and when the future is dropped, the server is
/// asked to stop what it runs.
pub async fn restore<S>(
    target: Target,
    entries: Vec<Entry>,
    source: Arc<S>,
    options: RestoreOptions,
    progress: Arc<dyn Progress>,
    stop: &CancellationToken,
) -> Result<RestoreReport>
where
    S: ArchiveSource + 'static,
{
    options.check()?;
    let selection = select::select(&entries, &options)?;
    prechecks::refuse_lacking(&entries, &selection)?;
    let wanted = selection.wanted;
    let settings = Settings::of(&entries)?;
    let job = Job {
        target,
        source,
        entries,
        wanted,
        settings,
        options,
        progress,
        sessions: job::Sessions::default(),
    };
    check_data_files(&job)?;
    let plan = plan::plan(&job.entries, &job.wanted, &job.options);
    let job = Arc::new(job);
    let on_drop = CancelOnDrop(Arc::clone(&job));
    let result = tokio::select! {
        result = run(Arc::clone(&job), plan) => result,
        () = stop.cancelled() => Err(Error::new(ErrorKind::Stopped, "was stopped before it was done")
            .hint("The target holds a part of the archive. Empty it before the next restore.")),
    };
    let tokens = job.sessions.take();
    if result.is_err() {
        job::cancel(tokens).await;
    }
    drop(on_drop);
    result
}

/// Refuses, before the first change, data that cannot be loaded or is not there.
fn check_data_files<S>(job: &Job<S>) -> Result<()> {
    for (entry, wanted) in job.entries.iter().zip(&job.wanted) {
        if wanted.data && entry.desc == "BLOBS" {
            return Err(Error::new(
                ErrorKind::Archive,
                "holds large objects in files of their own, as pg_dump does",
            )
            .on(entry.label())
            .hint("Restore this archive with pg_restore."));
        }
    }
    let names = job.entries.iter().filter_map(|entry| entry.data_file.as_deref());
    let names: std::collections::HashSet<&str> = names.collect();
    let missing = job.options.expected.iter().flatten().find(|(file, _)| !names.contains(file.as_str()));
    match missing {
        None => Ok(()),
        Some((file, _)) => Err(Error::new(ErrorKind::Archive, "is not in the table of contents")
            .on(format!("data file {file}"))
            .hint(
                "The table of contents does not belong to this backup, or is damaged. Use another backup.",
            )),
    }
}

async fn run<S>(job: Arc<Job<S>>, plan: Plan) -> Result<RestoreReport>
where
    S: ArchiveSource + 'static,
{
    let wanted = job.wanted.iter().filter(|wanted| wanted.anything()).count();
    let loaded = job.entries.iter().zip(&job.wanted).filter(|(_, wanted)| wanted.data);
    let files: Vec<&str> = loaded.filter_map(|(entry, _)| entry.data_file.as_deref()).collect();
    let bytes = files.iter().filter_map(|file| job.options.data_bytes.get(*file)).sum();
    job.progress.event(Event::Planned { entries: wanted, data_files: files.len(), bytes });
    let mut worker = Worker::open(Arc::clone(&job)).await?;
    let started = Instant::now();
    let refused = if job.options.clean { clean(&job, &worker).await? } else { Vec::new() };
    let clean = started.elapsed();
    let restored = async {
        let started = Instant::now();
        for index in &plan.first {
            job.progress.event(Event::Started(&job.entries[*index]));
            worker.run(*index).await?;
            job.progress.event(Event::Done(&job.entries[*index]));
        }
        let times = Times { clean, pre_data: started.elapsed(), ..Times::default() };
        let (entries_done, entries_left_out) = (plan.first.len(), job.entries.len() - wanted);
        let report = RestoreReport { entries_done, entries_left_out, times, ..RestoreReport::default() };
        let schedule = Schedule::new(plan.tasks);
        let job = Arc::clone(&job);
        Parallel { idle: vec![worker], working: JoinSet::new(), schedule, report, job }.run().await
    };
    restored.await.map_err(|error| match refused.first() {
        Some(first) => error.hint(format!("Dropping failed for {} entries, first: {first}.", refused.len())),
        None => error,
    })
}

/// Drops what the archive holds, last things first. Returns what the server refused to drop.
async fn clean<S>(job: &Job<S>, worker: &Worker<S>) -> Result<Vec<Error>>
where
    S: ArchiveSource,
{
    let mut refused = Vec::new();
    for index in (0..job.entries.len()).rev().filter(|index| job.wanted[*index].anything()) {
        refused.extend(worker.drop(index).await?);
    }
    for error in &refused {
        tracing::debug!(%error, "not dropped");
    }
    Ok(refused)
}

/// The part of a restore that several sessions do together.
struct Parallel<S> {
    job: Arc<Job<S>>,
    schedule: Schedule,
    /// Sessions without work. More are opened as they are needed, up to the number of jobs.
    idle: Vec<Worker<S>>,
    working: JoinSet<Result<Finished<S>>>,
    report: RestoreReport,
}

struct Finished<S> {
    worker: Worker<S>,
    index: usize,
    file: Option<LoadedFile>,
}

impl<S> Parallel<S>
where
    S: ArchiveSource + 'static,
{
    async fn run(mut self) -> Result<RestoreReport> {
        let started = Instant::now();
        loop {
            while self.working.len() < self.job.options.jobs
                && let Next::Run(index) = self.schedule.next()
            {
                let worker = self.idle.pop();
                self.working.spawn(work(Arc::clone(&self.job), worker, index));
            }
            let Some(joined) = self.working.join_next().await else {
                break;
            };
            let finished = joined
                .map_err(|error| {
                    Error::new(ErrorKind::Statement, "a worker of the restore broke off").because(error)
                })
                .and_then(|finished| finished);
            match finished {
                Ok(finished) => self.finish(finished, started),
                Err(error) => {
                    let tokens = self.job.sessions.take();
                    job::cancel(tokens).await;
                    self.working.shutdown().await;
                    return Err(error);
                }
            }
        }
        self.report.times.post_data = started.elapsed().saturating_sub(self.report.times.data);
        let circular: Vec<String> = self
            .schedule
            .circular()
            .iter()
            .filter_map(|index| self.job.entries.get(*index))
            .map(Entry::label)
            .collect();
        if !circular.is_empty() {
            tracing::warn!(entries = %circular.join(", "), "entries wait for each other in a circle: went by their order");
        }
        Ok(self.report)
    }

    fn finish(&mut self, finished: Finished<S>, started: Instant) {
        let Finished { worker, index, file } = finished;
        let entry = &self.job.entries[index];
        self.job.progress.event(Event::Done(entry));
        if entry.section == Section::Data {
            self.report.times.data = started.elapsed();
        }
        self.report.files.extend(file.map(|file| (file.name.clone(), file)));
        self.report.entries_done += 1;
        self.idle.push(worker);
        self.schedule.done(index);
    }
}

async fn work<S>(job: Arc<Job<S>>, worker: Option<Worker<S>>, index: usize) -> Result<Finished<S>>
where
    S: ArchiveSource + 'static,
{
    let mut worker = match worker {
        Some(worker) => worker,
        None => Worker::open(Arc::clone(&job)).await?,
    };
    job.progress.event(Event::Started(&job.entries[index]));
    let file = worker.run(index).await?;
    Ok(Finished { worker, index, file })
}

/// An entry with a definition, and nothing that a test has not asked for.
#[cfg(test)]
fn entry_for_tests(id: u32, desc: &str, tag: &str, section: Section, dependencies: &[u32]) -> Entry {
    use crate::catalog::{Address, DumpId};
    Entry {
        id: DumpId(id),
        address: Address::default(),
        tag: tag.to_owned(),
        desc: desc.to_owned(),
        section,
        definition: Some("SELECT 1;\n".to_owned()),
        drop_statement: None,
        copy_statement: None,
        schema: None,
        tablespace: None,
        table_access_method: None,
        owner: None,
        dependencies: dependencies.iter().map(|id| DumpId(*id)).collect(),
        data_file: None,
    }
}
