//! Which sources a job runs on, when several databases are looked after.
//!
//! Only a backup connects to a server to see which databases it has. Every other job asks the store, in which a
//! server's databases are found by their names: it must not wake a database that sleeps, and what is no longer on the
//! server still has backups to be looked after. A server that cannot be asked hides no other source.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use pg_archive::databases;
use pg_archive::session::Session;
use serde::Serialize;

use super::JobName;
use crate::app::App;
use crate::config::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{Filter, Repository, SourceName};
use crate::retention::earlier;

/// How long after its last backup a missing source is still reported.
const VANISHED_TOLD: SignedDuration = SignedDuration::from_hours(31 * 24);

/// The sources of a run.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// In the order of their names.
    pub(super) sources: BTreeSet<SourceName>,
    /// Databases that were found and are not meant.
    pub(super) left_out: Vec<LeftOut>,
    /// Sources that have backups of late, and that their server does not have, or are not meant any more: and why.
    pub(super) vanished: Vec<(SourceName, String)>,
    /// Servers that could not be asked.
    pub(super) failed: Vec<(SourceName, Error)>,
}

/// A database of a server that is not backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The server, by its name in the settings.
    pub server: SourceName,
    /// The database.
    pub database: String,
    /// Why.
    pub reason: String,
}

/// Whether a job runs on several sources: those of the settings, or those of a server there.
pub(super) fn are_several(app: &App) -> bool {
    let sources = &app.settings.sources;
    match &app.settings.source {
        None => !sources.is_empty(),
        Some(named) => sources.servers.contains_key(named),
    }
}

/// The sources that are meant, by the settings.
pub(super) async fn choose(app: &App, job: JobName) -> Result<Chosen> {
    let sources = &app.settings.sources;
    let mut chosen = Chosen::default();
    if let Some(named) = &app.settings.source {
        if let Some(server) = sources.servers.get(named) {
            Box::pin(of_server(app, job, named, server, &mut chosen)).await?;
        } else {
            chosen.sources.insert(named.clone());
        }
        return Ok(chosen);
    }
    chosen.sources.extend(sources.databases.keys().cloned());
    for (name, server) in &sources.servers {
        Box::pin(of_server(app, job, name, server, &mut chosen)).await?;
    }
    Ok(chosen)
}

async fn of_server(
    app: &App,
    job: JobName,
    name: &SourceName,
    server: &Server,
    chosen: &mut Chosen,
) -> Result<()> {
    let app = app.for_server(name, server).await?;
    if job != JobName::Backup {
        chosen.sources.extend(of_name(&app.repository, name).await?);
        return Ok(());
    }
    let mut left_out = BTreeMap::new();
    match Box::pin(discover(&app)).await {
        Ok(databases) => {
            for (database, obstacle) in databases {
                let unwanted = obstacle.map(str::to_owned).or_else(|| server.wants(&database).err());
                match unwanted {
                    None => drop(chosen.sources.insert(SourceName::of_server(name, &database))),
                    Some(reason) => {
                        left_out.insert(SourceName::of_server(name, &database), reason.clone());
                        chosen.left_out.push(LeftOut { server: name.clone(), database, reason });
                    }
                }
            }
            vanished(&app, name, &left_out, chosen).await?;
        }
        Err(error) => chosen.failed.push((name.clone(), error)),
    }
    Ok(())
}

/// The sources in the store that are databases of this server by their names.
async fn of_name(repository: &Repository, server: &SourceName) -> Result<BTreeSet<SourceName>> {
    let of_server = |source: &SourceName| {
        source.as_str().strip_prefix(server.as_str()).is_some_and(|rest| rest.starts_with('.'))
    };
    Ok(stored(repository).await?.into_iter().filter(of_server).collect())
}

/// Sources that had backups of late and get none now. One that has got none for a month is no news any more.
async fn vanished(
    app: &App,
    server: &SourceName,
    left_out: &BTreeMap<SourceName, String>,
    chosen: &mut Chosen,
) -> Result<()> {
    let late = earlier((app.outside.now)(), VANISHED_TOLD);
    for source in of_name(&app.repository, server).await? {
        if chosen.sources.contains(&source) {
            continue;
        }
        let filter = Filter { source: Some(source.clone()), tier: None };
        let newest = app.repository.rightly_dated(&filter).await?.last().map(|newest| newest.id.time());
        if newest.is_some_and(|newest| newest >= late) {
            let why = match left_out.get(&source) {
                Some(reason) => format!("{source} is not backed up any more: {reason}"),
                None => format!("{source} is not found on its server any more"),
            };
            tracing::warn!(%source, "{why}");
            chosen.vanished.push((source, why));
        }
    }
    Ok(())
}

/// The databases of a server, with what keeps them from being backed up.
async fn discover(server: &App) -> Result<Vec<(String, Option<&'static str>)>> {
    let target = server.unlocked().await?.database()?;
    let object = format!("server {}", target.display());
    let found = async {
        let session = Session::open(&target).await?;
        databases::candidates(&session).await
    };
    let found = found.await.map_err(|error| Error::from(error).on(object))?;
    Ok(found.into_iter().map(|found| (found.name, found.obstacle)).collect())
}

/// The sources that have backups, or what is left of some, in a store.
///
/// # Errors
/// When the store fails.
pub async fn stored(repository: &Repository) -> Result<BTreeSet<SourceName>> {
    Ok(repository.sources().await?.into_iter().collect())
}

/// The app of the one source that is meant.
///
/// # Errors
/// When the settings name sources, and this is none of them, although only those have a database.
pub(super) async fn one(app: &App, job: JobName) -> Result<App> {
    let sources = &app.settings.sources;
    let Some(named) = app.settings.source.as_ref().filter(|_| !sources.is_empty()) else {
        return Ok(app.clone());
    };
    let known = sources.databases.contains_key(named) || sources.server_of(named).is_some();
    if !known && job == JobName::Backup {
        return Err(Error::new(ErrorKind::Usage, "there is no source of this name")
            .on(named.to_string())
            .hint(format!("The sources are: {}.", sources.names())));
    }
    app.for_source(named).await
}
