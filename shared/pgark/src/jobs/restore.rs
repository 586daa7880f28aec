//! Restores a backup into a database: look at everything first, then change the target.

use std::collections::HashMap;
use std::sync::Arc;

use pg_archive::connect::Target;
use pg_archive::fingerprint::Fingerprint;
use pg_archive::globals;
use pg_archive::quote;
use pg_archive::restore::{
    Content, Expected, LeaveOut, Progress, RestoreOptions, RoleMap, database_properties, restore,
    user_objects,
};
use pg_archive::session::Session;
use pg_archive::toc::{self, Entry};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::archive::BackupReader;
use crate::repository::{BackupId, Filter, Manifest, SourceName};
use crate::signature::SignatureCheck;

/// The arguments.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Restore {
    /// An id, a unique prefix of one, or `latest`.
    pub backup: String,
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Connection string of the database to restore into; with `create`, of one to connect to first.
    pub to: String,
    /// Name of a database to create and restore into.
    pub create: Option<String>,
    /// Only these tables, views and sequences; patterns.
    pub tables: Vec<String>,
    /// Only what is in these schemas; patterns.
    pub schemas: Vec<String>,
    /// Definitions only.
    pub schema_only: bool,
    /// Rows only, into definitions that are there.
    pub data_only: bool,
    /// Everything belongs to the restoring role.
    pub no_owner: bool,
    /// No grants.
    pub no_privileges: bool,
    /// Everything in the default tablespace.
    pub no_tablespaces: bool,
    /// Drop what the backup holds before making it.
    pub clean: bool,
    /// Make the backup's roles, memberships, settings and tablespaces first.
    pub globals: bool,
    /// Roles that have other names at the target: `OLD=NEW` each.
    pub role_map: Vec<String>,
}

/// A restore that could begin: everything was read and checked, nothing was changed.
pub struct Prepared {
    target: Target,
    create: Option<CreateDatabase>,
    /// The text of the globals, if they are wanted, and where to connect for them.
    globals: Option<(Target, String)>,
    role_map: RoleMap,
    options: RestoreOptions,
    entries: Vec<Entry>,
    reader: Arc<BackupReader>,
    /// What is in the target already.
    pub present: u64,
    /// What a user should know before it begins.
    pub warnings: Vec<String>,
    started: jiff::Timestamp,
}

struct CreateDatabase {
    through: Target,
    statement: String,
}

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestoreReport {
    /// The backup.
    pub backup: BackupId,
    /// Where it went: host, port and database.
    pub target: String,
    /// Whether the manifest's signature was checked.
    pub signature: SignatureCheck,
    /// Entries of the table of contents that were restored.
    pub entries: usize,
    /// Entries that were left out, because nobody wanted them.
    pub entries_left_out: usize,
    /// Rows that were loaded, each file's compared with what was dumped.
    pub rows: u64,
    /// Data files that were loaded.
    pub files: usize,
    /// How long it took in all.
    pub seconds: f64,
    /// How long the definitions took.
    pub pre_data_seconds: f64,
    /// How long the data took.
    pub data_seconds: f64,
    /// How long the sessions that load data waited for it, all together.
    pub download_seconds: f64,
    /// How long the rest took: indexes, constraints, grants.
    pub post_data_seconds: f64,
    /// What a user should know.
    pub warnings: Vec<String>,
}

impl Restore {
    /// Reads the backup, looks at the target, and refuses what cannot end well.
    ///
    /// # Errors
    /// When the backup is missing or damaged, or the target is not fit for it.
    pub async fn prepare(&self, app: &App) -> Result<Prepared> {
        self.prepare_on(app, app.target(&self.to)?).await
    }

    /// As [`prepare`](Self::prepare), for a target that is known without its connection string.
    pub(crate) async fn prepare_on(&self, app: &App, to: Target) -> Result<Prepared> {
        let started = (app.outside.now)();
        let options = self.options(app)?;
        let role_map = RoleMap::parse(&self.role_map)?;
        let filter = Filter { source: self.source.clone(), tier: None };
        let backup = app.repository.resolve(&self.backup, &filter).await?;
        let manifest = app.repository.load_manifest(&backup).await?;
        let reader = BackupReader::new(app.repository.clone(), backup, manifest, app.settings.identities()?);
        let (_, mut entries) = toc::read::read(&reader.toc().await?)?;
        let globals = if self.globals { Some((to.clone(), reader.globals().await?)) } else { None };
        let globals_text = globals.as_ref().map(|(_, text)| text.as_str());
        role_map.check_known(&entries, globals_text)?;
        role_map.rename(&mut entries)?;
        let manifest = reader.manifest();
        let session = Session::open(&to).await?;
        role_map.check_target(&session, &globals_text.map(globals::roles_made).unwrap_or_default()).await?;
        let warnings = older_server(manifest, &session).into_iter().collect();
        let (target, create, present) = if let Some(name) = &self.create {
            refuse_existing(&session, name).await?;
            let statement = create_statement(name, manifest, &entries);
            (to.with_database(name), Some(CreateDatabase { through: to, statement }), 0)
        } else {
            let present = self.look_at_target(&session, &to).await?;
            (to, None, present)
        };
        let options =
            RestoreOptions { data_bytes: data_bytes(manifest), expected: expected(manifest)?, ..options };
        Ok(Prepared {
            target,
            create,
            globals,
            role_map,
            options,
            entries,
            reader: Arc::new(reader),
            present,
            warnings,
            started,
        })
    }

    fn options(&self, app: &App) -> Result<RestoreOptions> {
        let usage = |message: &str, hint: &str| Err(Error::new(ErrorKind::Usage, message).hint(hint));
        let content = match (self.schema_only, self.data_only) {
            (true, true) => {
                return usage("schema only and data only leave nothing to restore", "Give one of them.");
            }
            (true, false) => Content::Definitions,
            (false, true) => Content::Data,
            (false, false) => Content::All,
        };
        if self.create.is_some() && self.data_only {
            return usage(
                "rows alone cannot go into a database that is yet to be created",
                "Leave --create away.",
            );
        }
        if self.clean && (self.create.is_some() || self.data_only) {
            return usage(
                "there is nothing to clean in a new database, or for rows alone",
                "Leave --clean away.",
            );
        }
        Ok(RestoreOptions {
            jobs: app.settings.jobs.get(),
            content,
            schemas: self.schemas.clone(),
            tables: self.tables.clone(),
            leave_out: LeaveOut {
                owners: self.no_owner,
                privileges: self.no_privileges,
                tablespaces: self.no_tablespaces,
            },
            clean: self.clean,
            ..RestoreOptions::default()
        })
    }

    /// How many objects the target has. Without `clean`, and unless only rows go into definitions that must be there,
    /// it must have none.
    async fn look_at_target(&self, session: &Session, target: &Target) -> Result<u64> {
        let present = user_objects(session).await?;
        if present.is_empty() || self.clean || self.data_only {
            return Ok(present.count);
        }
        let message = format!(
            "is not empty: it has {} objects, among them {}",
            present.count,
            present.first.join(", ")
        );
        Err(Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Target), message)
            .on(format!("database {}", target.display()))
            .hint(
                "Restore into a new database with --create NAME, or drop what the backup holds first with --clean.",
            ))
    }
}

impl Prepared {
    /// The name of the database that loses objects, if any does: somebody should say yes to that.
    pub fn database_to_clean(&self) -> Option<&str> {
        (self.options.clean && self.present > 0).then(|| self.target.database())
    }

    /// What the backup says of the database itself, for one that is made of all of it.
    fn database_properties(&self) -> Vec<(String, String)> {
        let whole = self.options.tables.is_empty() && self.options.schemas.is_empty();
        match &self.create {
            Some(_) if whole => {
                database_properties(&self.entries, self.target.database(), self.options.leave_out)
            }
            _ => Vec::new(),
        }
    }

    /// The manifest of the backup.
    pub fn manifest(&self) -> &Manifest {
        self.reader.manifest()
    }

    /// Where it goes: host, port and database.
    pub fn target(&self) -> String {
        self.target.display()
    }

    /// Restores.
    ///
    /// # Errors
    /// On the first statement or file that fails. The target then holds a part of the backup.
    pub async fn run(
        mut self,
        app: &App,
        progress: Arc<dyn Progress>,
        stop: &CancellationToken,
    ) -> Result<RestoreReport> {
        if let Some((server, text)) = &self.globals {
            let LeaveOut { tablespaces, privileges, .. } = self.options.leave_out;
            let wanted = globals::Wanted {
                roles: self.role_map.clone(),
                tablespaces: !tablespaces,
                privileges: !privileges,
            };
            let applied = globals::apply(&Session::open(server).await?, text, &wanted).await?;
            self.warnings.extend(applied.warnings);
        }
        if let Some(create) = &self.create {
            let session = Session::open(&create.through).await?;
            session.execute(&create.statement).await.map_err(|error| {
                error.on(format!("database {}", self.target.database())).hint(
                    "The role needs CREATEDB, and the server the locale of the original. Or create the database by \
                     hand, and restore into it without --create.",
                )
            })?;
        }
        let target = self.target();
        let backup = self.manifest().id;
        let reader = Arc::clone(&self.reader);
        let properties = self.database_properties();
        if let Some(create) = &self.create {
            try_properties(&create.through, &properties, &target).await?;
        }
        let done = restore(self.target, self.entries, self.reader, self.options, progress, stop).await;
        let done = done.map_err(|error| match self.create {
            Some(_) => {
                error.hint(format!("The new database on {target} holds a part of the backup. Drop it."))
            }
            None => error,
        })?;
        if let Some(create) = &self.create {
            run_properties(&create.through, &properties, &target).await?;
        }
        Ok(RestoreReport {
            backup,
            target,
            signature: app.repository.signature_check(),
            entries: done.entries_done + properties.len(),
            entries_left_out: done.entries_left_out - properties.len(),
            rows: done.files.values().filter(|file| file.is_table()).map(|file| file.fingerprint.rows).sum(),
            files: done.files.len(),
            seconds: (app.outside.now)().duration_since(self.started).as_secs_f64(),
            pre_data_seconds: (done.times.clean + done.times.pre_data).as_secs_f64(),
            data_seconds: done.times.data.as_secs_f64(),
            download_seconds: reader.waited().as_secs_f64(),
            post_data_seconds: done.times.post_data.as_secs_f64(),
            warnings: self.warnings,
        })
    }
}

/// Tries what the database itself is to be like, and takes it back, while it is still empty: what the target will refuse
/// is better known before hours of loading than after.
async fn try_properties(through: &Target, properties: &[(String, String)], target: &str) -> Result<()> {
    let hint = format!(
        "Make its roles first, or with --globals; or leave this out with --no-owner or --no-privileges. The new database \
         on {target} is empty. Drop it."
    );
    set_properties(through, properties, "ROLLBACK", &hint).await
}

/// What the database itself is like, once all is in it.
async fn run_properties(through: &Target, properties: &[(String, String)], target: &str) -> Result<()> {
    let hint = format!(
        "The rows and definitions in {target} are complete. Say by hand what the database's owner, privileges and \
         settings are to be: ALTER DATABASE, ALTER ROLE … IN DATABASE."
    );
    set_properties(through, properties, "COMMIT", &hint).await
}

async fn set_properties(
    through: &Target,
    properties: &[(String, String)],
    end: &str,
    hint: &str,
) -> Result<()> {
    if properties.is_empty() {
        return Ok(());
    }
    let session = Session::open(through).await?;
    session.execute("SET standard_conforming_strings = on; SET client_encoding = 'UTF8'; BEGIN").await?;
    for (label, sql) in properties {
        session.execute(sql).await.map_err(|error| error.on(label.clone()).hint(hint))?;
    }
    Ok(session.execute(end).await?)
}

/// Definitions of a newer server may say what an older one does not know.
fn older_server(manifest: &Manifest, session: &Session) -> Option<String> {
    let (from, to) = (manifest.server.version_num / 10_000, session.version_num() / 10_000);
    (to < from).then(|| {
        format!("the backup is of PostgreSQL {from} and the target is {to}: definitions that {to} does not know fail")
    })
}

async fn refuse_existing(session: &Session, name: &str) -> Result<()> {
    let sql = format!("SELECT 1 FROM pg_catalog.pg_database WHERE datname = {}", quote::literal(name));
    if session.rows(&sql).await?.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Target), "exists already")
        .on(format!("database {name}"))
        .hint("Give another name, or restore into the existing database without --create."))
}

/// From `template0`, so that nothing is in it, and with the encoding and locale of the original, so that text sorts
/// and compares as it did (manual, CREATE DATABASE): as the archive says, under another name.
pub(super) fn create_statement(name: &str, manifest: &Manifest, entries: &[Entry]) -> String {
    let original = format!("CREATE DATABASE {} ", quote::identifier(&manifest.server.database));
    let created = entries.iter().find(|entry| entry.desc == "DATABASE");
    let how = created.and_then(|entry| entry.definition.as_deref()?.strip_prefix(&original));
    // An archive of rows alone does not say, and goes into no new database anyway.
    let encoding = format!("TEMPLATE template0 ENCODING {};", quote::literal(&manifest.server.encoding));
    format!("CREATE DATABASE {} {}", quote::identifier(name), how.unwrap_or(&encoding))
}

fn data_bytes(manifest: &Manifest) -> HashMap<String, u64> {
    manifest.objects.iter().map(|object| (object.archive_name.clone(), object.sealed.plain_bytes)).collect()
}

/// What each data file must hold.
fn expected(manifest: &Manifest) -> Result<Option<HashMap<String, Expected>>> {
    let mut expected = HashMap::new();
    for object in &manifest.objects {
        if let Some(rows) = object.rows {
            let sum = match &object.fingerprint {
                Some(text) => Some(Fingerprint::parse(rows, text)?.sum),
                None => None,
            };
            expected.insert(object.archive_name.clone(), Expected { rows, sum });
        }
    }
    Ok(Some(expected))
}
