//! Restores a backup into a database: look at everything first, then change the target.
//!
//! `request` turns arguments into options, `prechecks` into one refusal what cannot end well, `create` makes databases,
//! `rehearsal` tries the definitions, `state` and `marker` write on a database that it is not complete, `left_out` says what
//! the server did not take, `replace` puts a restored database in the place of a live one.

use std::collections::HashMap;
use std::sync::Arc;

use pg_archive::connect::{Target, without_event_triggers};
use pg_archive::databases;
use pg_archive::fingerprint::Fingerprint;
use pg_archive::globals;
use pg_archive::quote;
use pg_archive::restore::{
    self, Expected, Facts, ForeignKey, LeaveOut, Made, Progress, RestoreOptions, RoleMap, check,
    database_properties, user_objects,
};
use pg_archive::session::Session;
use pg_archive::toc::{self, Entry, Section};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, Exit, Result};
use crate::jobs::compare::Comparison;
use crate::repository::archive::BackupReader;
use crate::repository::{ArchiveFile, BackupId, Filter, Manifest, SourceName};
use crate::signature::SignatureCheck;

pub(super) mod create;
mod left_out;
mod marker;
mod prechecks;
mod rehearsal;
mod replace;
mod request;
mod state;

pub use left_out::{LeftOut, UnderSearchPath, WouldLeaveOut};
pub use replace::{Replaced, Replacing, Step};

use create::{CreateDatabase, try_properties};
use marker::Marker;
use state::{stopped, with_state};

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
    /// Not these tables, views and sequences; patterns.
    pub exclude_tables: Vec<String>,
    /// Nothing in these schemas; patterns.
    pub exclude_schemas: Vec<String>,
    /// Only these sections: `pre-data`, `data`, `post-data`.
    pub sections: Vec<String>,
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
    /// Restore beside the database, compare, and then give the restored one its name.
    pub replace: bool,
    /// Load rows alone without foreign keys and triggers.
    pub disable_triggers: bool,
    /// Make the backup's roles, memberships, settings and tablespaces first.
    pub globals: bool,
    /// Roles that have other names at the target: `OLD=NEW` each.
    pub role_map: Vec<String>,
    /// End at the first object that the server does not take. Otherwise a restore into a new or empty database goes on
    /// without it, and says so.
    pub exit_on_error: bool,
}

/// A restore that could begin: everything was read and checked, nothing was changed.
pub struct Prepared {
    target: Target,
    version_num: u32,
    superuser: bool,
    create: Option<CreateDatabase>,
    replace: bool,
    /// Whether a mark is written on the target while it is not complete.
    marks: bool,
    /// The text of the globals, if they are wanted, and where to connect for them.
    globals: Option<(Target, String)>,
    role_map: RoleMap,
    options: RestoreOptions,
    entries: Vec<Entry>,
    reader: Arc<BackupReader>,
    /// The comment that the target has, or had before a restore that did not end.
    comment: Option<String>,
    /// What is in the target already.
    pub present: u64,
    /// How many entries would be restored.
    pub planned_entries: usize,
    /// How many bytes of rows would be loaded, as COPY text.
    pub planned_bytes: u64,
    /// What a user should know before it begins.
    pub warnings: Vec<String>,
    started: jiff::Timestamp,
}

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestoreReport {
    /// The backup.
    pub backup: BackupId,
    /// Its source.
    pub source: SourceName,
    /// The database that was backed up.
    pub database: String,
    /// The version of its server.
    pub server_version: String,
    /// Where it went: host, port and database.
    pub target: String,
    /// Whether the manifest's signature was checked.
    pub signature: SignatureCheck,
    /// Entries of the table of contents that were restored.
    pub entries: usize,
    /// Entries that nobody wanted.
    pub entries_unwanted: usize,
    /// What the server did not take, and what could not be made without it; in the order of the archive.
    pub left_out: Vec<LeftOut>,
    /// Rows that are not in the target because of that.
    pub rows_left_out: u64,
    /// What the server took only under the `search_path` of the source.
    pub under_search_path: Vec<UnderSearchPath>,
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
    /// The comparison with the backup, where one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// What became of the database that was replaced, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
    /// What a user should know.
    pub warnings: Vec<String>,
}

impl RestoreReport {
    /// How the process ends.
    pub fn exit(&self) -> Exit {
        if self.left_out.is_empty() { Exit::Done } else { Exit::LeftOut }
    }
}

impl Restore {
    /// Reads the backup, looks at the target, and refuses what cannot end well.
    ///
    /// # Errors
    /// When the backup is missing or damaged, or the target is not fit for it.
    pub async fn prepare(&self, app: &App) -> Result<Prepared> {
        let prepared = self.prepare_on(app, app.target(&self.to)?).await?;
        let mut prepared = Prepared { marks: true, ..prepared };
        prepared.warnings.extend(prepared.foreign_name());
        Ok(prepared)
    }

    /// As [`prepare`](Self::prepare), for a target that is known without its connection string: the scratch database of
    /// another job, which knows by itself what is in it, so that no mark is written on it.
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
        // Triggers of the restored database would act on it in every session that comes after them.
        let to = without_event_triggers(&to, &session).await?;
        let made = Made {
            roles: globals_text.map(globals::roles_made).unwrap_or_default(),
            tablespaces: self.globals && !self.no_tablespaces,
        };
        role_map.check_target(&session, &made.roles).await?;
        let globals_file = ArchiveFile::Globals.archive_name();
        let has_globals = manifest.objects.iter().any(|object| object.archive_name == globals_file);
        let options = RestoreOptions {
            data_bytes: data_bytes(manifest),
            expected: expected(manifest)?,
            globals_file: has_globals.then_some(globals_file),
            ..options
        };
        let mut prepared = Prepared {
            target: to.clone(),
            version_num: session.version_num(),
            superuser: false,
            create: None,
            replace: self.replace,
            marks: false,
            globals,
            role_map,
            options,
            entries,
            reader: Arc::new(reader),
            comment: None,
            present: 0,
            planned_entries: 0,
            planned_bytes: 0,
            warnings: Vec::new(),
            started,
        };
        prepared.look(&session, self.create.as_deref(), &made).await?;
        Ok(prepared)
    }
}

impl Prepared {
    /// Looks at the target, and refuses what cannot end well: all problems at once.
    async fn look(&mut self, session: &Session, create: Option<&str>, made: &Made) -> Result<()> {
        let new_database = create.is_some() || self.replace;
        let mut facts = Facts::read(session, new_database).await?;
        self.superuser = facts.superuser;
        self.options.present = Some(facts.present.clone());
        if !self.options.sections.contains(&Section::PreData)
            || self.options.content == restore::Content::Data
        {
            self.options.foreign_keys = ForeignKey::read(session).await?;
            if !self.options.session_settings.is_empty() {
                self.options.foreign_keys.clear();
            }
            facts.look_for_rows(session, &self.entries, &self.options).await?;
        }
        let checked = check(&self.entries, &self.options, &facts, made)?;
        let mut problems = checked.problems;
        self.planned_entries = checked.entries;
        self.planned_bytes = checked.files.iter().filter_map(|file| self.options.data_bytes.get(file)).sum();
        self.warnings.extend(checked.warnings);
        if let Some(name) = create {
            problems.extend(prechecks::existing(session, name).await?);
            let (to, tablespaces) = (self.target.clone(), !self.options.leave_out.tablespaces);
            let create = CreateDatabase::like(
                self.manifest(),
                &self.entries,
                to,
                name,
                session.version_num(),
                tablespaces,
            );
            self.create = Some(create);
            self.target = self.target.with_database(name);
        } else if self.replace {
            let (bound, stays) = databases::bound(session, self.target.database()).await?;
            problems.extend(bound.into_iter().map(|(what, cure)| prechecks::problem(what, cure)));
            problems.extend(prechecks::incomplete(self.manifest()));
            self.warnings.extend(stays);
        } else {
            let comment = prechecks::comment(session).await?;
            let marker = comment.as_deref().and_then(Marker::read);
            let present = user_objects(session).await?;
            self.present = present.count;
            if prechecks::must_be_empty(&self.options) && !present.is_empty() {
                problems.push(prechecks::not_empty(present.count, &present.first, marker.as_ref()));
            }
            self.warnings.extend(prechecks::text_differences(session, self.manifest()).await?);
            self.comment = match marker {
                Some(marker) => marker.comment,
                None => comment,
            };
        }
        // What stands in a database that is in use must not be half replaced; rows alone, and what is made on them, need
        // what they find.
        let definitions = self.options.content != restore::Content::Data
            && self.options.sections.contains(&Section::PreData);
        self.options.exit_on_error |= self.replace || self.options.clean || self.present > 0 || !definitions;
        prechecks::refuse(&problems, &self.target())
    }

    /// The name of the database that loses objects, or its name, if any does: somebody should say yes to that.
    pub fn database_at_stake(&self) -> Option<&str> {
        (self.replace || (self.options.clean && self.present > 0)).then(|| self.target.database())
    }

    /// Whether a live database is to be replaced.
    pub fn replaces(&self) -> bool {
        self.replace
    }

    /// What the backup says of the database itself, for one that is made of all of it.
    fn database_properties(&self) -> Vec<(String, String)> {
        match &self.create {
            Some(_) if !self.options.is_part() => {
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

    /// What it is a backup of: source, database and server.
    pub fn origin(&self) -> String {
        let Manifest { source, server, .. } = self.manifest();
        format!("source {source}, database {} of PostgreSQL {}", server.database, server.version)
    }

    /// That the database which loses objects is called otherwise than the one that was backed up. An empty one may be called
    /// as one likes.
    fn foreign_name(&self) -> Option<String> {
        let (here, there) = (&self.manifest().server.database, self.target.database());
        (self.database_at_stake().is_some() && here != there).then(|| {
            format!("The backup is of another database than the target is: it is of {here}, and the target is {there}.")
        })
    }

    /// Restores.
    ///
    /// # Errors
    /// On the first statement or file that fails. The error says what state the target is in, and how to go on.
    pub async fn run(
        mut self,
        app: &App,
        progress: Arc<dyn Progress>,
        stop: &CancellationToken,
    ) -> Result<RestoreReport> {
        if stop.is_cancelled() {
            return Err(stopped());
        }
        self.apply_globals().await?;
        if self.replace {
            return Box::pin(Replacing::begin(self, app).await?.run(app, progress, stop)).await;
        }
        if let Some(create) = &self.create {
            create.run(self.target.database()).await?;
        }
        let target = self.target.clone();
        let properties = self.database_properties();
        // Without the demand for all, what the target refuses is listed at the end and stops nothing.
        if self.options.exit_on_error
            && let Err(error) = self.try_all(app, &target, &properties, stop).await
        {
            return Err(self.forget_created(error).await);
        }
        let marked = self.marks && self.mark().await;
        let Self { entries, reader, options, .. } = &self;
        let done =
            restore::restore(target, entries.clone(), Arc::clone(reader), options.clone(), progress, stop);
        let done = done.await.map_err(|error| {
            // Whose database is not marked drops it, whatever state it is in.
            let error = error.into();
            if self.marks { with_state(error, &self.state_after_failure(marked)) } else { error }
        })?;
        let refused = self.complete(marked, &properties).await?;
        let mut report = self.report(app, &done, properties.len() - refused.len());
        report.left_out.extend(refused);
        Ok(report)
    }

    /// What the target will refuse is better known before hours of loading than after.
    async fn try_all(
        &mut self,
        app: &App,
        target: &Target,
        properties: &[(String, String)],
        stop: &CancellationToken,
    ) -> Result<()> {
        if let Some(create) = &self.create {
            try_properties(&create.through, properties, &self.target()).await?;
        }
        self.rehearse(app, target, stop).await
    }

    async fn apply_globals(&mut self) -> Result<()> {
        let Some((server, text)) = &self.globals else { return Ok(()) };
        let LeaveOut { tablespaces, privileges, .. } = self.options.leave_out;
        let wanted = globals::Wanted {
            roles: self.role_map.clone(),
            tablespaces: !tablespaces,
            privileges: !privileges,
        };
        let applied = globals::apply(&Session::open(server).await?, text, &wanted).await?;
        self.warnings.extend(applied.warnings);
        Ok(())
    }

    /// Drops the database that was just made, in which there is nothing yet.
    async fn forget_created(&self, error: Error) -> Error {
        let Some(create) = &self.create else { return error };
        let sql = format!("DROP DATABASE {} WITH (FORCE)", quote::identifier(self.target.database()));
        let dropped = match Session::open(&create.through).await {
            Ok(session) => session.execute(&sql).await,
            Err(failure) => Err(failure),
        };
        match dropped {
            Ok(()) => error,
            Err(failure) => {
                tracing::warn!(%failure, "the new database was not dropped");
                with_state(error, &format!("The new database on {} is empty: drop it.", self.target()))
            }
        }
    }

    /// What it came to.
    fn report(mut self, app: &App, done: &restore::RestoreReport, properties: usize) -> RestoreReport {
        let backup = self.manifest().id;
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(left_out::note_search_paths(&done.under_search_path));
        RestoreReport {
            backup,
            source: self.manifest().source.clone(),
            database: self.manifest().server.database.clone(),
            server_version: self.manifest().server.version.clone(),
            target: self.target(),
            signature: app.repository.signature_check(),
            entries: done.entries_done + properties,
            entries_unwanted: done.entries_unwanted.saturating_sub(properties),
            left_out: done.left_out.iter().map(|left_out| LeftOut::of(left_out, backup, done)).collect(),
            rows_left_out: done.left_out.iter().map(|left_out| left_out.rows).sum(),
            under_search_path: done.under_search_path.iter().map(UnderSearchPath::from).collect(),
            rows: done.files.values().filter(|file| file.is_table()).map(|file| file.fingerprint.rows).sum(),
            files: done.files.len(),
            seconds: (app.outside.now)().duration_since(self.started).as_secs_f64(),
            pre_data_seconds: (done.times.clean + done.times.pre_data).as_secs_f64(),
            data_seconds: done.times.data.as_secs_f64(),
            download_seconds: self.reader.waited().as_secs_f64(),
            post_data_seconds: done.times.post_data.as_secs_f64(),
            comparison: None,
            replaced: None,
            warnings,
        }
    }
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
