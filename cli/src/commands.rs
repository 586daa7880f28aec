//! The commands: each maps its flags to a job, runs it, and prints its report.

use std::path::Path;

use pgark::app::{App, Outside, Trigger};
use pgark::config::{CONFIG_FILE, Needs};
use pgark::{Error, ErrorKind, Exit, Result};

use crate::args::{Args, Command};

mod answer;
mod backup;
mod cost;
mod diff;
mod doctor;
mod fetch;
mod health;
mod history;
mod hold;
mod keys;
mod list;
mod prune;
mod report;
mod restore;
mod restore_test;
mod show;
mod status;
mod verify;

/// How the reports of jobs look, for the demo.
pub(crate) mod print {
    pub(crate) use super::backup::print as backup;
    pub(crate) use super::list::print as list;
    pub(crate) use super::restore::print as restore;
    pub(crate) use super::verify::print as verify;
}

/// Runs a command.
pub(crate) async fn run(args: Args) -> Result<Exit> {
    let json = args.global.json;
    match &args.command {
        Command::Keys(keys) => keys::run(keys, json),
        Command::Demo(demo) => Box::pin(crate::demo::run(demo, json)).await,
        Command::Backup(backup) => {
            let app = load(&args, Needs::BACKUP).await?;
            Box::pin(backup::run(&app, backup, json)).await
        }
        Command::Doctor(_) => {
            let app = open(&args, Needs { identity: true, ..Needs::BACKUP }).await?;
            Box::pin(doctor::run(&app, json)).await
        }
        Command::List(list) => list::run(&open(&args, Needs::STORE).await?, list, json).await,
        Command::Show(show) => show::run(&open(&args, Needs::STORE).await?, show, json).await,
        Command::Verify(verify) => {
            Box::pin(verify::run(&load(&args, Needs::CONTENT).await?, verify, json)).await
        }
        Command::Fetch(fetch) => Box::pin(fetch::run(&open(&args, Needs::CONTENT).await?, fetch, json)).await,
        Command::Restore(restore) => {
            Box::pin(restore::run(&open(&args, Needs::CONTENT).await?, restore, json)).await
        }
        Command::RestoreTest(test) => {
            Box::pin(restore_test::run(&load(&args, Needs::RESTORE_TEST).await?, test, json)).await
        }
        Command::Health(health) => {
            Box::pin(health::run(&load(&args, Needs::STORE).await?, health, json)).await
        }
        Command::Prune(prune) => Box::pin(prune::run(&load(&args, Needs::STORE).await?, prune, json)).await,
        Command::Hold(hold) => hold::hold(&open(&args, Needs::STORE).await?, hold, json).await,
        Command::Release(release) => hold::release(&open(&args, Needs::STORE).await?, release, json).await,
        Command::Status(status) => status::run(&open(&args, Needs::STORE).await?, status, json).await,
        Command::History(history) => history::run(&open(&args, Needs::STORE).await?, history, json).await,
        Command::Report(report) => report::run(&open(&args, Needs::STORE).await?, report, json).await,
        Command::Cost(_) => cost::run(&open(&args, Needs::STORE).await?, json).await,
        Command::Diff(diff) => Box::pin(diff::run(&open(&args, Needs::CONTENT).await?, diff, json)).await,
    }
}

/// Reads the settings and opens the store, for jobs that run watched: they choose their sources and read secrets.
async fn load(args: &Args, needs: Needs) -> Result<App> {
    let outside = Outside::real();
    let file = settings_file(args, outside)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let app = App::load(args.settings(), file.as_deref(), needs, cores, outside).await?;
    let wait = args.global.wait.as_deref().map(pgark::config::wait).transpose()?;
    Ok(app.triggered_by(Trigger { slot: args.global.slot.clone(), wait, by: None }))
}

/// Reads the settings, those of the source that is meant if they name several, and opens the store.
async fn open(args: &Args, needs: Needs) -> Result<App> {
    let app = load(args, needs).await?;
    let sources = &app.settings.sources;
    let app = match &app.settings.source {
        Some(source) if !sources.is_empty() => app.for_source(source).await?,
        None if !sources.is_empty() && needs.database => {
            return Err(Error::new(
                ErrorKind::Usage,
                "the settings name several sources, and this is for one",
            )
            .hint(format!("Give one by --source. They are: {}.", sources.names())));
        }
        _ => app,
    };
    app.unlocked().await
}

/// The text of the settings file. One that was named must be there.
fn settings_file(args: &Args, outside: Outside) -> Result<Option<String>> {
    let named = args.global.config.clone().or_else(|| (outside.environment)(CONFIG_FILE).map(Into::into));
    let path = named.as_deref().unwrap_or(Path::new("pgark.toml"));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(Error::new(ErrorKind::Settings, "the settings file cannot be read")
            .on(path.display().to_string())
            .hint("Name a file that exists with --config or PGARK_CONFIG.")
            .because(error)),
    }
}
