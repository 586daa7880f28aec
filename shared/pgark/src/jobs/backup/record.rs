//! What is said of a backup: its manifest, and the report of the job.

use jiff::{SignedDuration, Timestamp};
use pg_archive::dump::{DataFile, DumpedFiles, Plan, Rows, table_fingerprint};
use pg_archive::fingerprint::Fingerprint;

use super::{Backup, BackupReport, Roles};
use crate::app::App;
use crate::config::StoreUrl;
use crate::cost;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::BackupRef;
use crate::repository::manifest::{
    BackupOptions, EncryptionRecord, FORMAT_VERSION, LargeObjectsRecord, LeftOutRecord, Manifest,
    ObjectRecord, Server, Snapshot, TableRecord, Totals,
};
use crate::runs::RunCost;
use crate::seal::Encryption;
use crate::store::StoreRead as _;

pub(super) struct Times {
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
}

/// The manifest of a dump whose files are all written.
pub(super) fn manifest(
    job: &Backup,
    app: &App,
    (plan, files): (&Plan, &DumpedFiles),
    place: &BackupRef,
    mut objects: Vec<ObjectRecord>,
    times: &Times,
) -> Result<Manifest> {
    for (at, file) in plan.files.iter().enumerate() {
        let dumped = files.get(&at).ok_or_else(|| lost(file))?;
        let record =
            objects.iter_mut().find(|object| object.archive_name == file.name).ok_or_else(|| lost(file))?;
        record.rows = Some(dumped.restored.rows);
        record.fingerprint = Some(dumped.restored.to_string());
    }
    let tables = table_records(plan, files, &objects);
    let snapshot_at = plan.snapshot.taken_at.parse().unwrap_or(times.started);
    Ok(Manifest {
        format_version: FORMAT_VERSION.to_owned(),
        id: place.id,
        source: place.source.clone(),
        tier: place.tier,
        pgark_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: times.started,
        snapshot_at,
        finished_at: times.finished,
        server: Server {
            version: plan.server.version.clone(),
            version_num: plan.server.version_num,
            database: plan.server.database.clone(),
            encoding: plan.server.encoding.clone(),
            text_settings: Some(plan.server.text_settings.iter().cloned().collect()),
            collation: plan.server.collation.clone(),
            ctype: plan.server.ctype.clone(),
            locale_provider: plan.server.locale_provider.clone(),
            system_identifier: plan.server.system_identifier.clone(),
        },
        snapshot: Snapshot {
            xids: plan.snapshot.transactions.clone(),
            wal_lsn: plan.snapshot.wal_lsn.clone(),
        },
        compression: app.settings.compression,
        encryption: encryption_record(app.settings.encryption()?),
        options: BackupOptions {
            schema_only: job.schema_only,
            data_only: job.data_only,
            exclude_tables: job.exclude_tables.clone(),
            exclude_table_data: job.exclude_table_data.clone(),
            exclude_schemas: job.exclude_schemas.clone(),
            exclude_large_objects: false,
            role_passwords: job.role_passwords,
        },
        allow_missing: plan.missing.iter().map(ToString::to_string).collect(),
        left_out: plan.left_out.iter().map(LeftOutRecord::from).collect(),
        toc_entries: plan.entries.len() as u64,
        large_objects: large_objects_record(plan, files, &objects),
        totals: Totals::of(&tables, &objects),
        tables,
        objects,
        warnings: plan.warnings.clone(),
    })
}

fn encryption_record(encryption: &Encryption) -> Option<EncryptionRecord> {
    match encryption {
        Encryption::None => None,
        Encryption::Age(_) => {
            Some(EncryptionRecord { scheme: "age-x25519".to_owned(), recipients: encryption.recipients() })
        }
    }
}

fn table_records(plan: &Plan, files: &DumpedFiles, objects: &[ObjectRecord]) -> Vec<TableRecord> {
    plan.tables
        .iter()
        .map(|table| {
            let fingerprint = table_fingerprint(table, files);
            let names: Vec<&DataFile> = table.files.iter().map(|at| &plan.files[*at]).collect();
            TableRecord {
                schema: table.schema.clone(),
                name: table.name.clone(),
                rows: fingerprint.rows,
                fingerprint: fingerprint.to_string(),
                columns: table.columns.clone(),
                objects: object_names(&names, objects),
                plain_bytes: table.files.iter().filter_map(|at| files.get(at)).map(|file| file.bytes).sum(),
                loaded_through: table.loaded_through.clone(),
            }
        })
        .collect()
}

fn large_objects_record(
    plan: &Plan,
    files: &DumpedFiles,
    objects: &[ObjectRecord],
) -> Option<LargeObjectsRecord> {
    let holders: Vec<(usize, &DataFile)> = plan
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| matches!(file.rows, Rows::LargeObjects { .. }))
        .collect();
    if plan.large_objects == 0 {
        return None;
    }
    let mut pages = Fingerprint::default();
    let mut plain_bytes = 0;
    for dumped in holders.iter().filter_map(|(at, _)| files.get(at)) {
        pages.merge(dumped.fingerprint);
        plain_bytes += dumped.bytes;
    }
    let names: Vec<&DataFile> = holders.iter().map(|(_, file)| *file).collect();
    Some(LargeObjectsRecord {
        count: plan.large_objects,
        fingerprint: pages.to_string(),
        objects: object_names(&names, objects),
        plain_bytes,
    })
}

/// The names in the store of data files, in the order of their names in the archive.
fn object_names(files: &[&DataFile], objects: &[ObjectRecord]) -> Vec<String> {
    let mut names: Vec<String> = objects
        .iter()
        .filter(|object| files.iter().any(|file| file.name == object.archive_name))
        .map(|object| object.name.clone())
        .collect();
    names.sort();
    names
}

fn lost(file: &DataFile) -> Error {
    Error::new(ErrorKind::Internal, "was dumped, and no record of it was kept").on(file.label.clone())
}

fn roles(data_only: bool, role_passwords: bool) -> Roles {
    match (data_only, role_passwords) {
        (true, _) => Roles::None,
        (false, true) => Roles::WithPasswords,
        (false, false) => Roles::WithoutPasswords,
    }
}

/// The report of a dry run.
pub(super) fn planned(
    job: &Backup,
    app: &App,
    plan: &Plan,
    place: &BackupRef,
    encryption: &Encryption,
    started: Timestamp,
) -> BackupReport {
    BackupReport {
        id: None,
        location: format!("{}/{}", app.repository.store().address(), place),
        source: place.source.clone(),
        tier: place.tier,
        database: plan.server.database.clone(),
        server_version: plan.server.version.clone(),
        snapshot_at: plan.snapshot.taken_at.clone(),
        seconds: seconds((app.outside.now)().duration_since(started)),
        tables: plan.tables.len() as u64,
        rows: plan.tables.iter().filter_map(|table| table.rows_estimate).sum(),
        toc_entries: plan.entries.len() as u64,
        files: plan.files.len() as u64,
        plain_bytes: plan.tables.iter().map(|table| table.bytes).sum(),
        stored_bytes: 0,
        encrypted: matches!(encryption, Encryption::Age(_)),
        signed_by: None,
        roles: roles(job.data_only, job.role_passwords),
        missing: plan.missing.iter().map(ToString::to_string).collect(),
        changes: Vec::new(),
        left_out: plan.left_out.iter().map(LeftOutRecord::from).collect(),
        warnings: plan.warnings.clone(),
        cost: None,
    }
}

/// The report of a finished backup.
pub(super) fn finished(app: &App, manifest: &Manifest, place: &BackupRef) -> BackupReport {
    BackupReport {
        id: Some(manifest.id),
        location: format!("{}/{place}", app.repository.store().address()),
        source: manifest.source.clone(),
        tier: manifest.tier,
        database: manifest.server.database.clone(),
        server_version: manifest.server.version.clone(),
        snapshot_at: manifest.snapshot_at.to_string(),
        seconds: seconds(manifest.finished_at.duration_since(manifest.started_at)),
        tables: manifest.totals.tables,
        rows: manifest.totals.rows,
        toc_entries: manifest.toc_entries,
        files: manifest.totals.objects,
        plain_bytes: manifest.totals.plain_bytes,
        stored_bytes: manifest.totals.stored_bytes,
        encrypted: manifest.encryption.is_some(),
        signed_by: None,
        roles: roles(manifest.options.data_only, manifest.options.role_passwords),
        missing: manifest.allow_missing.clone(),
        changes: Vec::new(),
        left_out: manifest.left_out.clone(),
        warnings: manifest.warnings.clone(),
        cost: cost(app, manifest),
    }
}

/// What it costs, unless it lies in a folder, for which nobody sends a bill.
fn cost(app: &App, manifest: &Manifest) -> Option<RunCost> {
    if !app.settings.store().is_ok_and(StoreUrl::is_s3) {
        return None;
    }
    let objects: Vec<u64> = manifest.objects.iter().map(|object| object.sealed.stored_bytes).collect();
    let prices = cost::prices();
    let class = app.settings.storage_classes.of(manifest.tier);
    Some(RunCost {
        storage_month_usd: prices.storage_month(class, &objects),
        requests_usd: prices.writing(&objects),
        compute_usd: app.compute_usd(seconds(manifest.finished_at.duration_since(manifest.started_at))),
    })
}

fn seconds(duration: SignedDuration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
