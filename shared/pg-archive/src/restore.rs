//! Restores an archive into a database.
//!
//! The order is `pg_restore`'s (`RestoreArchive` and `restore_toc_entries_parallel` in `pg_backup_archiver.c`): the
//! definitions that data needs, one by one; then data, indexes and constraints in several sessions at once, each as
//! soon as what it needs is there; then privileges, materialized views, event triggers. What is decided stands in
//! pure files ([`select`], [`plan`], [`schedule`], [`statements`]); what acts on the server in [`worker`] and [`data`].
//!
//! What the server refuses is tried again ([`worker`], [`schedule`]), and then ends the restore, or is left out with all
//! that needs it, as [`RestoreOptions::exit_on_error`] says. Damage of the archive and a lost connection always end it.
//! Data files are loaded whole or not at all, but definitions that were made stay: a restore that failed leaves a target
//! that must be emptied.
//!
//! Where the data files come from is the caller's business.

use std::collections::HashMap;
use std::fmt::Write as _;
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
mod left_out;
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
mod search_path;
mod select;
pub(crate) mod sql_text;
mod statements;
mod target;
mod worker;

pub use database::database_properties;
pub use left_out::{Again, LeftOut, UnderSearchPath};
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
use schedule::{Next, Pass, Schedule, Task};
use worker::{Outcome, Worker};

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
        paths: tokio::sync::OnceCell::new(),
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

async fn run<S>(job: Arc<Job<S>>, tasks: Vec<Task>) -> Result<RestoreReport>
where
    S: ArchiveSource + 'static,
{
    let wanted = job.wanted.iter().filter(|wanted| wanted.anything()).count();
    let loaded = job.entries.iter().zip(&job.wanted).filter(|(_, wanted)| wanted.data);
    let files: Vec<&str> = loaded.filter_map(|(entry, _)| entry.data_file.as_deref()).collect();
    let bytes = files.iter().filter_map(|file| job.options.data_bytes.get(*file)).sum();
    job.progress.event(Event::Planned { entries: wanted, data_files: files.len(), bytes });
    let worker = Worker::open(Arc::clone(&job)).await?;
    let started = Instant::now();
    let refused = if job.options.clean { clean(&job, &worker).await? } else { Vec::new() };
    let times = Times { clean: started.elapsed(), ..Times::default() };
    let report =
        RestoreReport { entries_unwanted: job.entries.len() - wanted, times, ..RestoreReport::default() };
    let schedule = Schedule::new(tasks, job.options.exit_on_error);
    let (idle, working, refusals) = (vec![worker], JoinSet::new(), HashMap::new());
    let started = Instant::now();
    let restored = Parallel { job, schedule, idle, working, refusals, report, started }.run().await;
    restored.map_err(|error| match refused.first() {
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

/// The work of a restore, in as many sessions as there may be.
struct Parallel<S> {
    job: Arc<Job<S>>,
    schedule: Schedule,
    /// Sessions without work. More are opened as they are needed, up to the number of jobs.
    idle: Vec<Worker<S>>,
    working: JoinSet<Result<Finished<S>>>,
    /// Why entries were refused, the last time they were tried.
    refusals: HashMap<usize, Error>,
    report: RestoreReport,
    started: Instant,
}

struct Finished<S> {
    worker: Worker<S>,
    index: usize,
    outcome: Outcome,
}

impl<S> Parallel<S>
where
    S: ArchiveSource + 'static,
{
    async fn run(mut self) -> Result<RestoreReport> {
        let result = self.all().await;
        if result.is_err() {
            let tokens = self.job.sessions.take();
            job::cancel(tokens).await;
            self.working.shutdown().await;
        }
        result?;
        let circular = self.schedule.circular().iter().filter_map(|index| self.job.entries.get(*index));
        let circular: Vec<String> = circular.map(Entry::label).collect();
        if !circular.is_empty() {
            tracing::warn!(entries = %circular.join(", "), "entries wait for each other in a circle: went by their order");
        }
        let times = &mut self.report.times;
        times.data = times.data.saturating_sub(times.pre_data);
        times.post_data = self.started.elapsed().saturating_sub(times.pre_data + times.data);
        self.report.left_out = self.left_out();
        Ok(self.report)
    }

    async fn all(&mut self) -> Result<()> {
        loop {
            while self.working.len() < self.job.options.jobs
                && let Next::Run(index) = self.schedule.next()
            {
                if self.job.options.exit_on_error {
                    self.refuse_left_out()?;
                }
                if self.schedule.pass() == Pass::Definitions {
                    self.report.times.pre_data = self.started.elapsed();
                }
                let worker = self.idle.pop();
                self.working.spawn(work(Arc::clone(&self.job), worker, index));
            }
            let Some(joined) = self.working.join_next().await else {
                return if self.job.options.exit_on_error { self.refuse_left_out() } else { Ok(()) };
            };
            let finished = joined.map_err(|error| {
                Error::new(ErrorKind::Statement, "a worker of the restore broke off").because(error)
            })?;
            self.finish(finished?);
        }
    }

    fn finish(&mut self, finished: Finished<S>) {
        let Finished { worker, index, outcome } = finished;
        let job = Arc::clone(&self.job);
        let entry = &job.entries[index];
        self.idle.push(worker);
        let times = &mut self.report.times;
        match self.schedule.pass() {
            Pass::Definitions => times.pre_data = self.started.elapsed(),
            _ if entry.section == Section::Data => times.data = self.started.elapsed(),
            _ => {}
        }
        match outcome {
            Outcome::Done { file, search_path } => {
                self.job.progress.event(Event::Done(entry));
                self.refusals.remove(&index);
                self.report.files.extend(file.map(|file| (file.name.clone(), file)));
                self.report.entries_done += 1;
                let under =
                    search_path.map(|search_path| UnderSearchPath { object: entry.label(), search_path });
                self.report.under_search_path.extend(under);
                self.schedule.done(index);
            }
            Outcome::Refused(error) => {
                tracing::debug!(%error, "refused");
                self.schedule.refused(index, worker::may_change(&error));
                self.refusals.insert(index, error);
            }
        }
    }

    /// Ends a restore that must bring all.
    fn refuse_left_out(&mut self) -> Result<()> {
        let refused: Vec<usize> = self
            .schedule
            .left_out()
            .keys()
            .filter(|index| self.refusals.contains_key(index))
            .copied()
            .collect();
        let Some((first, more)) = refused.split_first() else { return Ok(()) };
        let Some(mut error) = self.refusals.remove(first) else { return Ok(()) };
        if !more.is_empty() {
            let _ = write!(error.message, "; and {} more were refused", more.len());
        }
        Err(error)
    }

    /// What was given up, in words.
    fn left_out(&self) -> Vec<LeftOut> {
        let Job { entries, wanted, options, .. } = &*self.job;
        let left_out = self
            .schedule
            .left_out()
            .iter()
            .filter(|(index, _)| wanted.get(**index).is_some_and(|wanted| wanted.anything()));
        let words = left_out.filter_map(|(index, needs)| {
            let (entry, wanted) = (&entries[*index], wanted[*index]);
            let expected = options.expected.as_ref().zip(entry.data_file.as_ref());
            let expected = expected.and_then(|(expected, file)| expected.get(file)).copied();
            match (needs, self.refusals.get(index)) {
                (Some(needs), _) => Some(left_out::fallen(entry, wanted, &entries[*needs], expected)),
                (None, Some(error)) => Some(left_out::refused(entry, wanted, error, expected)),
                (None, None) => None,
            }
        });
        words.collect()
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
    let outcome = worker.run(index).await?;
    Ok(Finished { worker, index, outcome })
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
