//! From a job to an answer: the job runs, watched, on the one source that is meant, or on each of several. A source that
//! fails does not stop the others; each has its line in the report, and the answer is as bad as the worst of them.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::sources::{self, LeftOut};
use super::{JobName, Outcome, RunError, Skipped, Summarized, Watched, watched};
use crate::app::App;
use crate::error::{Error, ErrorKind, Exit, Result};
use crate::repository::SourceName;

/// A job that is to run.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// Which.
    pub name: JobName,
    /// Whether it leaves a record, takes a lease and is told of. One that only plans does not.
    pub recorded: bool,
}

/// What came of a job. As JSON it is the report itself, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer<R> {
    /// The report of the one source that was meant.
    One(R),
    /// There was nothing to do.
    Skipped(Skipped),
    /// The reports of several.
    Several(SourcesReport<R>),
}

/// What came of a job on several sources.
#[derive(Debug, Serialize)]
pub struct SourcesReport<R> {
    /// The job.
    pub job: JobName,
    /// How many did what they should, and found nothing wrong.
    pub done: usize,
    /// How many did not, or found something.
    pub failed: usize,
    /// How many had nothing to do.
    pub skipped: usize,
    /// Each, in the order of their names.
    pub sources: Vec<SourceOutcome<R>>,
    /// Databases that were found on servers and are not meant.
    pub left_out: Vec<LeftOut>,
}

/// What came of a job on one of several sources.
#[derive(Debug, Serialize)]
pub struct SourceOutcome<R> {
    /// The source; a server, if its databases could not be found.
    pub source: SourceName,
    /// How it ended.
    pub outcome: Outcome,
    /// The job's report; `null` if there is none.
    pub report: Option<R>,
    /// Why it was skipped; `null` if it was not.
    pub skipped: Option<String>,
    /// Why it failed, or the first that was found; `null` if nothing was.
    pub error: Option<RunError>,
    #[serde(skip)]
    kind: Option<ErrorKind>,
    /// Whether somebody asked for it, and it was skipped.
    #[serde(skip)]
    not_done: bool,
}

/// Runs a job on the sources that are meant.
///
/// # Errors
/// Those of the job on the one source that is meant; and when it cannot be told which are. If they are several, what
/// happens to one is in its line of the report.
pub async fn answer<R: Summarized>(
    app: &App,
    job: Job,
    stop: &CancellationToken,
    work: impl AsyncFn(&App, &CancellationToken) -> Result<R>,
) -> Result<Answer<R>> {
    if sources::are_several(app) {
        let chosen = sources::choose(app, job.name).await?;
        return Box::pin(on_each(app, job, chosen, stop, work)).await.map(Answer::Several);
    }
    let app = sources::one(app, job.name).await?;
    Ok(match Box::pin(run(&app, job, stop, &work)).await? {
        Watched::Ran(report) => Answer::One(report),
        Watched::Skipped(skipped) => Answer::Skipped(skipped),
    })
}

async fn run<R: Summarized>(
    app: &App,
    job: Job,
    stop: &CancellationToken,
    work: &impl AsyncFn(&App, &CancellationToken) -> Result<R>,
) -> Result<Watched<R>> {
    if job.recorded {
        Box::pin(watched(app, job.name, stop, work)).await
    } else {
        work(&app.unlocked().await?, stop).await.map(Watched::Ran)
    }
}

async fn on_each<R: Summarized>(
    app: &App,
    job: Job,
    chosen: sources::Chosen,
    stop: &CancellationToken,
    work: impl AsyncFn(&App, &CancellationToken) -> Result<R>,
) -> Result<SourcesReport<R>> {
    if chosen.sources.is_empty() && chosen.failed.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "no source is there to work on")
            .on(app.settings.sources.names())
            .hint("Look at the patterns of the servers, and whether their databases have backups yet."));
    }
    let mut outcomes = Vec::new();
    // A server that cannot be asked fails under its own name, as loudly as any source.
    for (server, error) in chosen.failed {
        let failing = app.for_source(&server).await?;
        let failed =
            Box::pin(run(&failing, job, stop, &async |_: &App, _: &CancellationToken| Err(again(&error))))
                .await;
        outcomes.push(SourceOutcome::of(server, failed));
    }
    for source in chosen.sources {
        let done = if stop.is_cancelled() {
            let message = "was not begun, because the run over all sources was stopped before";
            let hint = "Give it a schedule of its own, or more time.";
            Err(Error::new(ErrorKind::Stopped, message).on(source.to_string()).hint(hint))
        } else {
            match app.for_source(&source).await {
                Ok(one) => Box::pin(run(&one, job, stop, &work)).await,
                Err(error) => Err(error),
            }
        };
        outcomes.push(SourceOutcome::of(source, done));
    }
    for (source, why) in chosen.vanished {
        let skipped = if job.recorded { noted(app, job.name, &source, why).await } else { Ok(why) };
        outcomes.push(SourceOutcome::vanished(source, skipped));
    }
    outcomes.sort_by(|a, b| a.source.cmp(&b.source));
    let count = |wanted: fn(Outcome) -> bool| outcomes.iter().filter(|one| wanted(one.outcome)).count();
    Ok(SourcesReport {
        job: job.name,
        done: count(|outcome| outcome == Outcome::Done),
        failed: count(|outcome| !matches!(outcome, Outcome::Done | Outcome::Skipped)),
        skipped: count(|outcome| outcome == Outcome::Skipped),
        sources: outcomes,
        left_out: chosen.left_out,
    })
}

/// Leaves a record that a source is gone.
async fn noted(app: &App, job: JobName, source: &SourceName, why: String) -> Result<String> {
    let of_source = app.for_source(source).await?;
    Ok(Box::pin(watched::vanished(&of_source, job, why)).await?.skipped)
}

/// An error that is to be told twice: on its way through a run, and in the end. Its cause becomes text.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.with_causes());
    let copy = match error.detail_text() {
        Some(detail) => copy.detail(detail),
        None => copy,
    };
    match error.hint_text() {
        Some(hint) => copy.hint(hint),
        None => copy,
    }
}

impl<R: Summarized> SourceOutcome<R> {
    fn vanished(source: SourceName, noted: Result<String>) -> Self {
        match noted {
            Ok(why) => Self {
                source,
                outcome: Outcome::Skipped,
                report: None,
                skipped: Some(why),
                error: None,
                kind: None,
                not_done: false,
            },
            Err(error) => Self::of(source, Err(error)),
        }
    }

    fn of(source: SourceName, done: Result<Watched<R>>) -> Self {
        let blank = |outcome| Self {
            source,
            outcome,
            report: None,
            skipped: None,
            error: None,
            kind: None,
            not_done: false,
        };
        match done {
            Ok(Watched::Skipped(skipped)) => {
                let not_done = skipped.exit() == Exit::NotDone;
                Self { skipped: Some(skipped.skipped), not_done, ..blank(Outcome::Skipped) }
            }
            Ok(Watched::Ran(report)) => {
                let (summary, failure) = (report.summary(), report.failure());
                Self {
                    report: Some(report),
                    error: summary.error,
                    kind: failure.map(|failure| failure.kind()),
                    ..blank(summary.outcome)
                }
            }
            Err(error) => {
                tracing::debug!(error = error.with_causes(), code = error.code(), "a source failed");
                Self {
                    error: Some(RunError::from(&error)),
                    kind: Some(error.kind()),
                    ..blank(Outcome::of_error(&error))
                }
            }
        }
    }

    /// How a process ends because of this one.
    fn exit(&self) -> Exit {
        match self.kind {
            _ if self.not_done => Exit::NotDone,
            Some(kind) => kind.exit(),
            None => self.outcome.exit(),
        }
    }
}

/// Damage is worse than a failure, that is worse than wrong settings, those than what was not done, and that than what is
/// unhealthy.
fn badness(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Unhealthy | Exit::LeftOut => 1,
        Exit::NotDone => 2,
        Exit::Usage => 3,
        Exit::Failed => 4,
        Exit::Damaged => 5,
    }
}

impl<R: Summarized> SourcesReport<R> {
    /// The worst of all.
    pub fn exit(&self) -> Exit {
        self.sources.iter().map(SourceOutcome::exit).max_by_key(|exit| badness(*exit)).unwrap_or(Exit::Done)
    }

    /// One error for all that failed, with the code of the worst.
    fn failure(&self) -> Option<Error> {
        let failed = self.sources.iter().filter(|one| !matches!(one.exit(), Exit::Done | Exit::NotDone));
        let failed: Vec<_> = failed.collect();
        let worst = failed.iter().max_by_key(|one| badness(one.exit()))?;
        let lines = failed.iter().map(|one| match &one.error {
            Some(error) => format!("{}: {} [{}]", one.source, error.message, error.code),
            None => format!("{}: {:?}", one.source, one.outcome),
        });
        let lines: Vec<_> = lines.collect();
        let message =
            format!("failed on {} of {} sources: {}", failed.len(), self.sources.len(), lines.join("; "));
        let kind = worst.kind.unwrap_or(match worst.outcome {
            Outcome::Damaged => ErrorKind::VerifyFindings,
            _ => ErrorKind::Internal,
        });
        let hints = failed
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.source, one.error.as_ref()?.hint.as_ref()?)));
        let hint = hints.collect::<Vec<_>>().join(" ");
        Some(Error::new(kind, message).on(self.job.as_str()).hint(hint))
    }
}

impl<R: Summarized> Answer<R> {
    /// Makes an error of an answer that is not good, for whoever has no exit code to say it with.
    ///
    /// # Errors
    /// When something failed, or was found.
    pub fn or_failure(self) -> Result<Self> {
        let failure = match &self {
            Self::One(report) => report.failure(),
            Self::Skipped(_) => None,
            Self::Several(report) => report.failure(),
        };
        match failure {
            None => Ok(self),
            Some(failure) => Err(failure),
        }
    }
}
