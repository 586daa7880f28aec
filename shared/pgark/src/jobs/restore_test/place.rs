//! Where a test restores to: a server of our own, or one that the settings name.
//!
//! On our own, everything goes with the server, and the backup's roles are made first. On another, nothing is made but
//! one database (see `scratch`).

use std::time::Duration;

use pg_archive::connect::{Target, check_direct, without_event_triggers};
use pg_archive::globals;
use pg_archive::restore::{LeaveOut, RestoreOptions};
use pg_archive::session::Session;
use pg_archive::toc::Entry;
use tokio_util::sync::CancellationToken;

use super::report::{RestoreTestReport, TargetKind, seconds_since};
use super::{Content, scratch, superuser};
use crate::app::{App, Outside};
use crate::embedded::{Options, Server, binaries};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::as_backed_up;
use crate::jobs::compare::read_again;
use crate::repository::BackupRef;

/// How often the session that says that the test is alive says something, lest a firewall cut it off.
const PING_EVERY: Duration = Duration::from_secs(30);

/// A scratch database, and what makes it last.
pub(super) struct Place {
    pub(super) kind: TargetKind,
    /// The settings, in a world that does not change what our own server is.
    pub(super) app: App,
    pub(super) version_num: u32,
    server: Option<Server>,
    maintenance: Target,
    scratch: Target,
    /// Lives as long as the scratch database, under the same name.
    keeper: Session,
}

impl Place {
    /// Starts or finds the server, removes what earlier tests left, and makes the database.
    pub(super) async fn open(
        app: &App,
        content: &Content,
        backup: &BackupRef,
        report: &mut RestoreTestReport,
    ) -> Result<Self> {
        let name = scratch::name(report.id);
        let began = (app.outside.now)();
        let (kind, server, maintenance) = if let Some(target) = target_of_server(app)? {
            (TargetKind::Server, None, target)
        } else {
            let server = Box::pin(start(app, content)).await?;
            let target = server.target("postgres")?;
            (TargetKind::Embedded, Some(server), target)
        };
        let maintenance = maintenance.with_application_name(&name);
        let keeper = Session::open(&maintenance).await?;
        report.target(kind, &maintenance, &keeper).await?;
        report.times.server_seconds = seconds_since(app, began);
        if kind == TargetKind::Server {
            let second = Session::open(&maintenance).await?;
            check_direct(&maintenance, keeper.client(), second.client())
                .await
                .map_err(pg_archive::Error::from)?;
            refuse_older(content, &keeper, &maintenance)?;
            scratch::remove_leftovers(&keeper, &maintenance, report).await?;
        } else {
            let failures = globals::apply_roles(&keeper, &content.globals, maintenance.user()).await?;
            report.warnings.extend(
                failures.into_iter().map(|failure| format!("A role is not as in the backup: {failure}.")),
            );
        }
        // Triggers of the restored database would change it whenever a check opens a session.
        let maintenance = without_event_triggers(&maintenance, &keeper).await?;
        let comment = scratch::comment(report, backup);
        let warning = scratch::create(&keeper, &name, content, &comment).await?;
        report.warnings.extend(warning);
        report.target.database = Some(name.clone());
        let outside = match kind {
            // Variables that are meant for another server.
            TargetKind::Embedded => Outside { environment: |_| None, ..app.outside },
            TargetKind::Server => app.outside,
        };
        Ok(Self {
            kind,
            app: app.in_world(outside),
            version_num: keeper.version_num(),
            server,
            scratch: maintenance.with_database(name).with_application_name("pgark"),
            maintenance,
            keeper,
        })
    }

    /// The scratch database.
    pub(super) fn scratch(&self) -> &Target {
        &self.scratch
    }

    /// What this server makes of the backup's definitions when it reads them, in a second scratch database that is gone
    /// then.
    pub(super) async fn read_again(&self, content: &Content, stop: &CancellationToken) -> Result<Vec<Entry>> {
        let name = scratch::second(self.scratch.database());
        scratch::create(&self.keeper, &name, content, scratch::SECOND_COMMENT).await?;
        let no_roles = self.kind == TargetKind::Server;
        let leave_out = LeaveOut { owners: no_roles, privileges: no_roles, tablespaces: true };
        let options =
            RestoreOptions { jobs: self.app.settings.jobs.get(), leave_out, ..RestoreOptions::default() };
        let dump = as_backed_up(&self.app, &content.manifest);
        let target = self.scratch.with_database(&name);
        let again = read_again(&target, &content.entries, options, dump, stop).await;
        let dropped = scratch::drop_database(&self.keeper, &self.maintenance, &name, true).await;
        let again = again?;
        dropped?;
        Ok(again)
    }

    /// Does something for as long as the session lasts that keeps others from removing the database.
    pub(super) async fn kept<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let pinging = async {
            loop {
                tokio::time::sleep(PING_EVERY).await;
                if let Err(error) = self.keeper.execute("SELECT 1").await {
                    return self.keeper.explain(error).await;
                }
            }
        };
        tokio::select! {
            result = work => result,
            error = pinging => Err(Error::from(error).on("the session that keeps the scratch database")),
        }
    }

    /// Drops the database, and stops the server if it is ours. What fails is told in the report.
    pub(super) async fn close(self, report: &mut RestoreTestReport) {
        let name = self.scratch.database().to_owned();
        let dropped = match self.server {
            Some(server) => {
                drop(self.keeper);
                server.stop().await;
                Ok(())
            }
            None => match scratch::drop_database(&self.keeper, &self.maintenance, &name, true).await {
                Err(error) if error.kind() == ErrorKind::Archive(pg_archive::ErrorKind::ConnectionLost) => {
                    drop_anew(&self.maintenance, &name).await
                }
                dropped => dropped,
            },
        };
        report.target.dropped = dropped.is_ok();
        if let Err(error) = dropped {
            tracing::warn!(%error, database = name, "the scratch database could not be dropped; the next test does it");
            report.warnings.push(format!(
                "The scratch database {name} could not be dropped: {error}. The next test drops it."
            ));
        }
    }
}

async fn drop_anew(maintenance: &Target, name: &str) -> Result<()> {
    let session = Session::open(maintenance).await?;
    scratch::drop_database(&session, maintenance, name, true).await
}

/// The server that the settings name, if they do; one in a secret was read with the others.
fn target_of_server(app: &App) -> Result<Option<Target>> {
    app.settings.restore_test_url.as_ref().map(|url| app.target(url.expose())).transpose()
}

/// A server of our own, which is not older than the one that was backed up.
async fn start(app: &App, content: &Content) -> Result<Server> {
    let path = (app.outside.environment)("PATH").map(std::ffi::OsString::from);
    let found = binaries::find(app.settings.postgres_bin.as_deref(), path.as_deref())?;
    let binaries = binaries::choose(&found, content.major())?;
    let options = Options { superuser: superuser(&content.globals), relations: content.manifest.toc_entries };
    tracing::info!(version = binaries.version, "starting a server of our own");
    Server::start(binaries, &options).await
}

fn refuse_older(content: &Content, session: &Session, target: &Target) -> Result<()> {
    let (from, to) = (content.major(), session.version_num() / 10_000);
    if to >= from {
        return Ok(());
    }
    let message = format!("is on PostgreSQL {to}, and the backup is of PostgreSQL {from}");
    Err(Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Target), message)
        .on(format!("database {}", target.display()))
        .hint("Definitions that the older version does not know would fail. Test on a server that is not older."))
}
