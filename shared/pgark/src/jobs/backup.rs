//! Backs a database up: plan, stream, and commit by the manifest, which is written last.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use pg_archive::catalog::selection::{NamePattern, Selection};
use pg_archive::connect::Target;
use pg_archive::dump::{Dump, DumpOptions, DumpedFiles, Observer, Plan};
use pg_archive::text_settings::TextForm;
use pg_archive::{raw_text, toc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::variable;
use crate::error::{Error, ErrorKind, Result};
use crate::health::{Finding, changes};
use crate::repository::archive::BackupWriter;
use crate::repository::manifest::LeftOutRecord;
use crate::repository::{ArchiveFile, BackupId, BackupRef, Filter, Manifest, SourceName, Tier, keys};
use crate::runs::answer::answer;
use crate::runs::{Answer, Job, JobName, RunCost};
use crate::seal::Encryption;
use crate::signature::SigningKey;
use crate::store::StoreRead as _;

mod clocks;
mod record;

/// The arguments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// Connect and plan, but write nothing.
    pub dry_run: bool,
    /// Definitions only.
    pub schema_only: bool,
    /// Rows, sequence values and large objects only.
    pub data_only: bool,
    /// Patterns of tables to leave out.
    pub exclude_tables: Vec<String>,
    /// Patterns of tables whose rows to leave out.
    pub exclude_table_data: Vec<String>,
    /// Patterns of schemas to leave out.
    pub exclude_schemas: Vec<String>,
    /// Go on although user objects exist that a backup cannot hold yet.
    pub allow_missing: bool,
    /// Put the hashes of roles' passwords into the globals, which needs the right to read them.
    pub role_passwords: bool,
    /// Compare with the backup before, which takes the right to read it. Functions have none, so no event asks for it:
    /// there, health tells what changed.
    #[serde(skip)]
    pub compare_with_before: bool,
}

/// What a backup holds of the cluster's roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Roles {
    /// Nothing: only rows were asked for.
    None,
    /// All but their passwords.
    WithoutPasswords,
    /// All.
    WithPasswords,
}

/// What a backup, or the plan of one, came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackupReport {
    /// The backup; `null` for a dry run.
    pub id: Option<BackupId>,
    /// Where it is, or would be.
    pub location: String,
    /// The source.
    pub source: SourceName,
    /// The tier.
    pub tier: Tier,
    /// The database and its server.
    pub database: String,
    /// The server's version.
    pub server_version: String,
    /// When the snapshot was taken.
    pub snapshot_at: String,
    /// How long it took.
    pub seconds: f64,
    /// Tables whose rows are in it.
    pub tables: u64,
    /// Rows; for a dry run what the planner of the server thinks.
    pub rows: u64,
    /// Entries of the table of contents.
    pub toc_entries: u64,
    /// Data files.
    pub files: u64,
    /// Bytes before compression; for a dry run the bytes on the server's disk.
    pub plain_bytes: u64,
    /// Bytes as stored; 0 for a dry run.
    pub stored_bytes: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The id of the minisign key that signed its manifest; `null` if it is not signed.
    pub signed_by: Option<String>,
    /// What it holds of the cluster's roles.
    pub roles: Roles,
    /// User objects that are not in it, accepted by `allow_missing`.
    pub missing: Vec<String>,
    /// What is no longer as it was in the backup before, where that may be read: another server, tables that are emptied or
    /// gone.
    pub changes: Vec<Finding>,
    /// User objects that no backup holds, as `pg_dump` leaves them out too; `warnings` names them as well.
    pub left_out: Vec<LeftOutRecord>,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// What it costs at Amazon, estimated; `null` for a dry run, and in a folder.
    pub cost: Option<RunCost>,
}

impl Backup {
    /// Runs the job on the database that is meant, or on each of several, as [`runs::answer`](crate::runs::answer) does.
    /// A dry run leaves no record.
    ///
    /// # Errors
    /// As [`run`](Self::run), if one database is meant.
    pub async fn watched(
        &self,
        app: &App,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<Answer<BackupReport>> {
        let job = Job { name: JobName::Backup, recorded: !self.dry_run };
        answer(app, job, stop, async |app, stop| self.run(app, observer, stop).await).await
    }

    /// Runs the job. `stop` ends it early, with nothing left behind.
    ///
    /// # Errors
    /// On any failure at all: there is no backup then, and what was written of it is removed.
    pub async fn run(
        &self,
        app: &App,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<BackupReport> {
        let (target, options) = (app.database()?, self.dump_options(app)?);
        let done = Box::pin(self.back_up(app, &target, options, (observer, stop))).await;
        // What has no object of its own happened to the database as a whole.
        done.map_err(|error| error.on(format!("database {}", target.display())))
    }

    async fn back_up(
        &self,
        app: &App,
        target: &Target,
        options: DumpOptions,
        (observer, stop): (&dyn Observer, &CancellationToken),
    ) -> Result<BackupReport> {
        let started = (app.outside.now)();
        let encryption = app.settings.encryption()?.clone();
        // Before the database is read: a key that cannot sign should not be noticed at the end.
        let signer = signer(app)?;
        let mut dump = Box::pin(Dump::plan(target, options, stop)).await?;
        let (place, before) = match Box::pin(self.place(app, started, &dump.plan)).await {
            Ok(Placed { place, before, warning }) => {
                dump.plan.warnings.extend(warning);
                (place, before)
            }
            Err(error) => {
                dump.abandon().await;
                return Err(error);
            }
        };
        if self.dry_run {
            let mut report = record::planned(self, app, &dump.plan, &place, &encryption, started);
            report.signed_by = signer.map(|key| key.public().id());
            dump.abandon().await;
            return Ok(report);
        }
        let ways = Ways { encryption, signer };
        match Box::pin(self.write(app, dump, &place, &ways, started, (observer, stop))).await {
            Ok((mut report, manifest)) => {
                if self.compare_with_before {
                    report.changes = since(app, before, &manifest).await;
                }
                Ok(report)
            }
            Err(error) => {
                Box::pin(remove_remains(app, &place)).await;
                Err(error)
            }
        }
    }

    /// What the dump is asked to do.
    fn dump_options(&self, app: &App) -> Result<DumpOptions> {
        if self.schema_only && self.data_only {
            return Err(Error::new(ErrorKind::Usage, "schema only and data only leave nothing to back up")
                .hint("Give one of --schema-only and --data-only."));
        }
        if self.role_passwords && self.data_only {
            return Err(Error::new(ErrorKind::Usage, "rows alone hold no roles, and so no passwords")
                .hint("Leave one of --role-passwords and --data-only away."));
        }
        let mut problems = Vec::new();
        let mut patterns = |texts: &[String]| -> Vec<NamePattern> {
            let parsed = texts.iter().map(|text| text.parse::<NamePattern>());
            parsed.filter_map(|pattern| pattern.map_err(|problem| problems.push(problem)).ok()).collect()
        };
        let selection = Selection {
            exclude_schemas: patterns(&self.exclude_schemas),
            exclude_tables: patterns(&self.exclude_tables),
            exclude_table_data: patterns(&self.exclude_table_data),
            schema: !self.data_only,
            data: !self.schema_only,
        };
        if !problems.is_empty() {
            return Err(Error::new(ErrorKind::Usage, problems.join("; ")).hint(
                "Patterns are as in psql: NAME or SCHEMA.NAME, with * and ? as wildcards and double quotes around \
                 names that have capitals or dots.",
            ));
        }
        Ok(DumpOptions {
            selection,
            jobs: app.settings.jobs.get(),
            lock_timeout: app.settings.lock_timeout,
            chunk_bytes: app.settings.chunk_bytes,
            allow_missing: self.allow_missing,
            role_passwords: self.role_passwords,
            text: TextForm::default(),
            table_file: |schema, table, chunk| ArchiveFile::Table { schema, table, chunk }.archive_name(),
            random: app.outside.random,
        })
    }

    /// Where the backup goes. The tier follows from the date and from what there is already. What is said of the clocks
    /// comes with it.
    async fn place(&self, app: &App, started: Timestamp, plan: &Plan) -> Result<Placed> {
        let source = app.source()?;
        let filter = Filter { source: Some(source.clone()), tier: None };
        let there = app.repository.rightly_dated(&filter).await?;
        let clocks = clocks::Clocks {
            machine: (started, (app.outside.now)()),
            server: plan.snapshot.taken_at.parse().ok(),
            store: store_clock(app, &source).await?,
            newest: there.last().map(|newest| newest.id.time()),
        };
        let warning = clocks::judge(&clocks)?;
        let good = there.iter().map(|backup| (backup.tier, backup.id.time()));
        let by_date = || Tier::for_backup(started, &app.settings.retention.policy.zone, good);
        let tier = app.settings.tier.unwrap_or_else(by_date);
        #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
        let id = BackupId::new(started, (app.outside.random)() as u32);
        Ok(Placed { place: BackupRef { id, tier, source }, before: there.last().cloned(), warning })
    }

    async fn write(
        &self,
        app: &App,
        dump: Dump,
        place: &BackupRef,
        ways: &Ways,
        started: Timestamp,
        (observer, stop): (&dyn Observer, &CancellationToken),
    ) -> Result<(BackupReport, Manifest)> {
        let compression = app.settings.compression;
        let writer =
            BackupWriter::new(app.repository.clone(), place.clone(), compression, ways.encryption.clone());
        let plan = dump.plan.clone();
        let files = Box::pin(dump.run(&writer, observer, stop)).await?;
        if !plan.globals.is_empty() {
            writer
                .write_whole(&ArchiveFile::Globals, Bytes::from(raw_text::encode(&plan.globals).into_owned()))
                .await?;
        }
        writer.write_whole(&ArchiveFile::Toc, toc_bytes(&plan, started)).await?;
        let manifest = self.manifest(app, &plan, &files, place, &writer, started)?;
        // From here on it is a backup. Somebody who asked to stop a moment ago is still obeyed.
        if stop.is_cancelled() {
            return Err(Error::new(ErrorKind::Stopped, "was stopped before its manifest was written")
                .hint("Nothing of it is kept. Run it again."));
        }
        let json = manifest.to_json()?;
        let signature = match &ways.signer {
            Some(key) => Some(key.sign(&json, &place.trusted_comment((app.outside.now)()))?),
            None => None,
        };
        app.repository.commit(place, json, signature).await?;
        let mut report = record::finished(app, &manifest, place);
        report.signed_by = ways.signer.as_ref().map(|key| key.public().id());
        Ok((report, manifest))
    }

    fn manifest(
        &self,
        app: &App,
        plan: &Plan,
        files: &DumpedFiles,
        place: &BackupRef,
        writer: &BackupWriter,
        started: Timestamp,
    ) -> Result<Manifest> {
        let times = record::Times { started, finished: (app.outside.now)() };
        record::manifest(self, app, (plan, files), place, writer.records(), &times)
    }
}

/// Where a backup goes.
struct Placed {
    place: BackupRef,
    /// The newest one that is there.
    before: Option<BackupRef>,
    /// What is to be said of the clocks.
    warning: Option<String>,
}

/// A manifest of a hundred thousand tables has more; a function has not the memory for two of them.
const COMPARED_BYTES_MAX: u64 = 16 << 20;

/// What is no longer as it was. Whoever makes backups need not be allowed to read them; then health tells.
async fn since(app: &App, before: Option<BackupRef>, manifest: &Manifest) -> Vec<Finding> {
    let Some(before) = before else { return Vec::new() };
    let listed = app.repository.store().listed(&before.key(keys::MANIFEST)).await;
    if !listed.is_ok_and(|listed| listed.is_some_and(|listed| listed.bytes <= COMPARED_BYTES_MAX)) {
        return Vec::new();
    }
    match app.repository.load_manifest(&before).await {
        Ok(before) => changes(&before, manifest),
        Err(error) => {
            tracing::debug!(%error, "the backup is not compared with the one before");
            Vec::new()
        }
    }
}

/// How late it is by the store's clock, at least: a run that takes a lease writes there a moment before.
async fn store_clock(app: &App, source: &SourceName) -> Result<Option<Timestamp>> {
    let mut moves = app.repository.store().list(&keys::leases_prefix(source, JobName::Backup))?;
    let mut newest = None;
    while let Some(made) = moves.try_next().await? {
        newest = newest.max(Some(made.modified));
    }
    Ok(newest)
}

/// How what is written is protected.
struct Ways {
    encryption: Encryption,
    signer: Option<SigningKey>,
}

/// The signing key, if one is set. It must be one whose signatures the same settings accept.
pub(super) fn signer(app: &App) -> Result<Option<SigningKey>> {
    let Some(key) = app.settings.signing_key()? else { return Ok(None) };
    let trusted = app.settings.verification_keys()?;
    if trusted.is_none_or(|keys| keys.contains(key.public())) {
        return Ok(Some(key));
    }
    Err(Error::new(ErrorKind::SignatureKey, "is not the public half of the signing key")
        .on(variable::verification_key)
        .hint(format!("Add {} to it, or sign with a key that belongs to it.", key.public())))
}

fn toc_bytes(plan: &Plan, started: Timestamp) -> Bytes {
    let header = toc::Header {
        created: toc::CalendarTime::from_unix_seconds(started.as_second()),
        database: Some(plan.server.database.clone()),
        server_version: Some(plan.server.version.clone()),
        dumped_by: Some(format!("pgark {}", env!("CARGO_PKG_VERSION"))),
    };
    toc::write::write(&header, &plan.entries).into()
}

/// Removes what a failed run wrote. A role that may only write cannot; then it is left to prune, which removes what
/// has no manifest.
async fn remove_remains(app: &App, place: &BackupRef) {
    if let Err(error) = app.repository.remove(place).await {
        tracing::warn!(
            %error,
            backup = %place,
            "objects of the failed backup are left in the store; they are no backup, and prune removes them"
        );
    }
}
