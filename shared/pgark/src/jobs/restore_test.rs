//! Restores a backup for real, into a scratch database, and keeps the evidence.
//!
//! The steps are functions of [`Test`]: [`RestoreTest::begin`] picks the backup; [`Test::restore`] makes the scratch
//! database and restores all of it; [`Test::check`] compares rows and definitions with the backup, has PostgreSQL check
//! the indexes, and runs the user's assertions; [`Test::finish`] drops the scratch database, however far the test came,
//! and stores the report. A test that could not be completed leaves a report, too: it says why.
//!
//! Where the scratch database is, and why a living one is never taken for a leftover, is `place`'s and `scratch`'s; what
//! reports say, `report`'s (docs/restore-test.md). The restore itself is [`super::restore`]'s.

use std::sync::Arc;

use pg_archive::connect::Target;
use pg_archive::globals;
use pg_archive::restore::Progress;
use pg_archive::toc::{self, Entry};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::restore::{Restore, RestoreReport};
use crate::app::App;
use crate::config::Assertion;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::archive::BackupReader;
use crate::repository::{ArchiveFile, BackupId, BackupRef, Filter, Manifest, SourceName};
use crate::runs::answer::answer;
use crate::runs::{Answer, Job, JobName};

mod assertions;
mod checks;
mod choose;
mod indexes;
mod place;
mod refused;
mod report;
mod scratch;

pub use choose::OLDEST_TESTED;
use place::Place;
pub use report::{
    Check, CheckName, CheckResult, Failure, RestoreTestReport, Restored, TargetKind, TestResult, TestTarget,
    TestedBackup, Times,
};

/// The arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestoreTest {
    /// An id, a unique prefix of one, `latest`, or `oldest-tested`: the backup whose last test is longest ago.
    pub backup: String,
    /// Only of this source; otherwise of the one that is set.
    pub source: Option<SourceName>,
    /// What must hold in the restored database, beside what the settings say.
    pub assertions: Vec<Assertion>,
}

impl Default for RestoreTest {
    fn default() -> Self {
        Self { backup: "latest".to_owned(), source: None, assertions: Vec::new() }
    }
}

/// A test under way.
pub struct Test<'a> {
    app: &'a App,
    backup: BackupRef,
    assertions: Vec<Assertion>,
    report: RestoreTestReport,
    content: Option<Content>,
    place: Option<Place>,
}

/// What the backup says of itself.
struct Content {
    manifest: Manifest,
    entries: Vec<Entry>,
    globals: String,
}

impl RestoreTest {
    /// Runs the test on the source that is meant, or on each of several. Without sources in the settings, the backup
    /// tells its own.
    ///
    /// # Errors
    /// As [`run`](Self::run), if one source is meant.
    pub async fn watched(
        &self,
        app: &App,
        progress: Arc<dyn Progress>,
        stop: &CancellationToken,
    ) -> Result<Answer<RestoreTestReport>> {
        let mut test = self.clone();
        let mut app = match test.source.take() {
            Some(source) => app.naming(source),
            None => app.clone(),
        };
        if app.settings.source.is_none() && app.settings.sources.is_empty() {
            let backup =
                choose::choose(&app.repository, &test.backup, &Filter::default(), app.source().ok().as_ref())
                    .await?;
            app = app.naming(backup.source);
            test.backup = backup.id.to_string();
        }
        let job = Job { name: JobName::RestoreTest, recorded: true };
        answer(&app, job, stop, async |app, stop| test.run(app, Arc::clone(&progress), stop).await).await
    }

    /// Runs the whole test. `stop` ends it early; the scratch database is dropped in any case.
    ///
    /// # Errors
    /// When the test could not be completed. That something differs is no error here: the report says so, and
    /// [`RestoreTestReport::failure`] makes an error of it.
    pub async fn run(
        &self,
        app: &App,
        progress: Arc<dyn Progress>,
        stop: &CancellationToken,
    ) -> Result<RestoreTestReport> {
        let mut test = Box::pin(self.begin(app)).await?;
        let outcome = async {
            Box::pin(test.restore(progress, stop)).await?;
            Box::pin(test.check(stop)).await
        };
        let outcome = outcome.await;
        Box::pin(test.finish(outcome)).await
    }

    /// Picks the backup. Nothing is changed yet.
    ///
    /// # Errors
    /// When there is no such backup, or the assertions make no sense.
    pub async fn begin<'a>(&self, app: &'a App) -> Result<Test<'a>> {
        let assertions: Vec<Assertion> =
            app.settings.assertions.iter().chain(&self.assertions).cloned().collect();
        if let Some(problem) = crate::config::assertions_problem(&assertions) {
            return Err(Error::new(ErrorKind::Usage, problem)
                .hint("Give each assertion, in pgark.toml and in the event, a name of its own, and SQL."));
        }
        let source = self.source.clone().or_else(|| app.settings.source.clone());
        let (filter, own) = (Filter { source, tier: None }, app.source().ok());
        let backup = choose::choose(&app.repository, &self.backup, &filter, own.as_ref()).await?;
        let started = (app.outside.now)();
        #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
        let id = BackupId::new(started, (app.outside.random)() as u32);
        let report = RestoreTestReport::begun(&app.repository, id, started, &backup);
        Ok(Test { app, backup, assertions, report, content: None, place: None })
    }
}

impl Test<'_> {
    /// Makes the scratch database and restores the backup into it.
    ///
    /// # Errors
    /// When the backup cannot be read, no scratch database can be had, or the restore fails.
    pub async fn restore(&mut self, progress: Arc<dyn Progress>, stop: &CancellationToken) -> Result<()> {
        let content = unless_stopped(stop, Box::pin(self.read())).await?;
        let content = self.content.insert(content);
        unless_stopped(stop, async { Ok(()) }).await?;
        // Not given up half way: a database whose making was not waited for could not be dropped.
        let place = Box::pin(Place::open(self.app, content, &self.backup, &mut self.report)).await?;
        let place = self.place.insert(place);
        let began = (self.app.outside.now)();
        let restored = place.kept(Box::pin(restore(place, content, &self.backup, progress, stop))).await;
        let same_major = content.major() == place.version_num / 10_000;
        let restored =
            restored.map_err(|error| refused::judged(error, &self.backup, place.kind, same_major))?;
        self.report.times.recovery_seconds = report::seconds_since(self.app, began);
        self.report.restored(content, &restored);
        Ok(())
    }

    /// The scratch database, once it is made.
    pub fn scratch(&self) -> Option<&Target> {
        self.place.as_ref().map(Place::scratch)
    }

    /// Looks at what was restored.
    ///
    /// # Errors
    /// When it cannot be looked at. What differs is no error.
    pub async fn check(&mut self, stop: &CancellationToken) -> Result<()> {
        let (Some(place), Some(content)) = (&self.place, &self.content) else {
            return Err(Error::new(ErrorKind::Internal, "there is nothing restored to be checked"));
        };
        let checks = checks::all(place, content, &self.assertions, &mut self.report, stop);
        place.kept(Box::pin(checks)).await
    }

    /// Drops the scratch database, whatever happened, and stores the report.
    ///
    /// # Errors
    /// With the outcome's own, or when a test that passed leaves no evidence.
    pub async fn finish(mut self, outcome: Result<()>) -> Result<RestoreTestReport> {
        if let Some(place) = self.place.take() {
            place.close(&mut self.report).await;
        }
        self.report.end((self.app.outside.now)(), outcome.as_ref().err());
        let stored = self.app.repository.put_report(&self.report.key, self.report.to_json()?).await;
        match (outcome, stored) {
            (Ok(()), Ok(())) => Ok(self.report),
            (Ok(()), Err(error)) if self.report.result == TestResult::Passed => Err(error),
            (outcome, stored) => {
                if let Err(error) = stored {
                    tracing::warn!(%error, report = self.report.key, "the report of a restore-test is not stored");
                    self.report.warnings.push(format!("This report could not be stored: {error}."));
                }
                outcome.map(|()| self.report)
            }
        }
    }

    /// Reads all of the backup but its rows.
    async fn read(&mut self) -> Result<Content> {
        let manifest = self.app.repository.load_manifest(&self.backup).await?;
        self.report.tested(&manifest);
        if manifest.options.data_only {
            return Err(Error::new(
                ErrorKind::Usage,
                "holds rows alone, which cannot be restored by themselves",
            )
            .on(self.backup.to_string())
            .hint("Test a backup that was made without --data-only."));
        }
        let identities = self.app.settings.identities()?;
        let has_globals =
            manifest.objects.iter().any(|object| object.archive_name == ArchiveFile::Globals.archive_name());
        let reader =
            BackupReader::new(self.app.repository.clone(), self.backup.clone(), manifest, identities);
        let (_, entries) = toc::read::read(&reader.toc().await?)?;
        let globals = if has_globals { reader.globals().await? } else { String::new() };
        Ok(Content { manifest: reader.manifest().clone(), entries, globals })
    }
}

impl Content {
    fn major(&self) -> u32 {
        self.manifest.server.version_num / 10_000
    }
}

/// Roles come with the backup where the server is our own. On somebody else's nothing but the scratch database is made:
/// what is in it belongs to the role that tests.
async fn restore(
    place: &Place,
    content: &Content,
    backup: &BackupRef,
    progress: Arc<dyn Progress>,
    stop: &CancellationToken,
) -> Result<RestoreReport> {
    let no_roles = place.kind == TargetKind::Server;
    let restore = Restore {
        backup: backup.id.to_string(),
        source: Some(backup.source.clone()),
        no_owner: no_roles,
        no_privileges: no_roles,
        no_tablespaces: true,
        exit_on_error: true,
        ..Restore::default()
    };
    tracing::info!(backup = %backup, rows = content.manifest.totals.rows, "restoring");
    let prepared = restore.prepare_on(&place.app, place.scratch().clone()).await?;
    prepared.run(&place.app, progress, stop).await
}

/// The name for our own server's superuser.
fn superuser(globals: &str) -> String {
    // A name that nobody has, where no role of the source is a superuser.
    globals::superuser(globals).unwrap_or_else(|| "pgark_embedded".to_owned())
}

/// Does something unless the user ends it first.
async fn unless_stopped<T>(stop: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::new(ErrorKind::Stopped, "was stopped before it was done")
            .hint("The scratch database is dropped. Run it again.")),
        result = work => result,
    }
}
