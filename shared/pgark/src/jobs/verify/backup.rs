//! Checks one backup: manifest and signature, what lies in its folder, and then its objects, several at a time.

use std::collections::{HashMap, HashSet};
use std::fmt;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pg_archive::fingerprint::Fingerprint;
use pg_archive::globals;
use pg_archive::inspect::DataFile;
use pg_archive::toc::settings::Settings;
use pg_archive::toc::{self, Entry};

use super::report::{BackupLine, Finding, SourceReport};
use super::{Level, Run, structure};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::archive::BackupReader;
use crate::repository::part::{Part, Parts};
use crate::repository::{BackupRef, Manifest, ObjectRecord, keys};
use crate::seal::check_stored;
use crate::store::StoreRead as _;

/// A backup's id and an object's name.
pub(super) type Chosen = (String, String);

/// How far a backup was checked.
#[derive(Default)]
pub(super) struct Checked {
    /// What the report says of it; `None` if its manifest could not be loaded.
    pub(super) line: Option<BackupLine>,
    /// The names of the objects that were read.
    pub(super) read: Vec<String>,
    /// Nothing more can be checked: the job is to stop, or the store is gone.
    pub(super) over: bool,
}

/// What an object holds, as far as somebody asks.
#[derive(Default)]
struct Read {
    rows: u64,
    toc: Option<Vec<Entry>>,
}

/// Checks a backup. With `wanted`, only those of its objects are read; everything that costs little is looked at anyway.
pub(super) async fn verify(
    run: &Run<'_>,
    backup: &BackupRef,
    wanted: Option<&HashSet<Chosen>>,
    report: &mut SourceReport,
) -> Checked {
    let repository = &run.app.repository;
    let loaded = async { Ok((repository.load_manifest(backup).await?, listing(run, backup).await?)) };
    let (manifest, listed) = match loaded.await {
        Ok(loaded) => loaded,
        Err(error) => {
            report.add(Finding::new(backup, None, &error));
            return Checked { over: ends_everything(&error), ..Checked::default() };
        }
    };
    let findings_before = report.findings.len();
    let level = match level(run, &manifest) {
        Ok(level) => level,
        Err(error) => {
            report.add(Finding::new(backup, None, &error));
            Level::Stored
        }
    };
    let identities = run.identities.clone();
    let parts = Parts::of(&manifest);
    let reader = BackupReader::new(repository.clone(), backup.clone(), manifest, identities);
    let manifest = reader.manifest();
    let mut unfit: HashSet<String> = HashSet::new();
    for (name, error) in structure::against_listing(manifest, &listed) {
        let part = name.as_deref().map_or(&Part::Unknown, |name| parts.get(name));
        report.add(Finding::new(backup, name.as_deref().map(|name| (name, part)), &error));
        unfit.extend(name);
    }
    let is_wanted = |object: &&ObjectRecord| {
        wanted.is_none_or(|wanted| wanted.contains(&(backup.id.to_string(), object.name.clone())))
    };
    let objects: Vec<&ObjectRecord> = manifest.objects.iter().filter(is_wanted).collect();
    let mut line = BackupLine {
        backup: backup.to_string(),
        tier: backup.tier,
        level,
        objects: manifest.objects.len(),
        objects_read: 0,
        stored_bytes_read: 0,
        rows_counted: 0,
        findings: 0,
    };
    let mut checked = Checked::default();
    // What is not there, or is known to be cut, needs no reading: it has been dealt with.
    checked.read.extend(
        objects.iter().filter(|object| unfit.contains(&object.name)).map(|object| object.name.clone()),
    );
    let objects: Vec<_> = objects.into_iter().filter(|object| !unfit.contains(&object.name)).collect();
    run.progress.planned(objects.iter().map(|object| object.sealed.stored_bytes).sum());
    let count = objects.len();
    let reads = objects.into_iter().map(|object| {
        let (reader, part) = (&reader, parts.get(&object.name));
        async move { (object, read_object(run, backup, level, reader, object, part).await) }
    });
    let reads = stream::iter(reads).buffer_unordered(run.app.settings.jobs.get());
    let mut reads = std::pin::pin!(reads.take_until(run.stop.cancelled()));
    while let Some((object, read)) = reads.next().await {
        let named = Some((object.name.as_str(), parts.get(&object.name)));
        line.objects_read += 1;
        line.stored_bytes_read += object.sealed.stored_bytes;
        checked.read.push(object.name.clone());
        run.progress.read(&object.name, object.sealed.stored_bytes);
        match read {
            Ok(read) => {
                line.rows_counted += read.rows;
                for error in read.toc.iter().flat_map(|entries| structure::against_toc(manifest, entries)) {
                    report.add(Finding::new(backup, named, &error));
                }
            }
            Err(error) => {
                checked.over = ends_everything(&error);
                report.add(Finding::new(backup, named, &error));
                if checked.over {
                    break;
                }
            }
        }
    }
    if line.objects_read < count && !checked.over {
        checked.over = true;
        let message = format!("was stopped after {} of {count} objects", line.objects_read);
        let error =
            Error::new(ErrorKind::Stopped, message).hint("Run it again; a sample goes on where this ended.");
        report.add(Finding::new(backup, None, &error));
    }
    line.findings = report.findings.len() - findings_before;
    Checked { line: Some(line), ..checked }
}

/// Whether an error is about the store as a whole, so that asking on would only repeat it.
fn ends_everything(error: &Error) -> bool {
    use ErrorKind::{StoreCredentials, StoreMissing, StoreUnreachable};
    matches!(error.kind(), StoreCredentials | StoreMissing | StoreUnreachable)
}

/// At which level a backup is checked.
///
/// # Errors
/// When its contents are asked for and cannot be read with the keys at hand.
fn level(run: &Run<'_>, manifest: &Manifest) -> Result<Level> {
    let Some(encryption) = &manifest.encryption else {
        return Ok(run.level.unwrap_or(Level::Content));
    };
    let identity = |kind, message: String| {
        Err(Error::new(kind, message).hint(
            "Set PGARK_IDENTITY_FILE to the age secret key of one of the backup's recipients, or check the stored bytes \
             with --level stored.",
        ))
    };
    match (run.level, &run.identities) {
        (Some(Level::Stored), _) | (None, None) => Ok(Level::Stored),
        (Some(Level::Content), None) => identity(
            ErrorKind::Identity,
            "its contents cannot be checked: they are encrypted, and no identity is set".to_owned(),
        ),
        (_, Some(identities)) => {
            let ours: Vec<String> = identities.recipients().iter().map(ToString::to_string).collect();
            if encryption.recipients.iter().any(|recipient| ours.contains(recipient)) {
                return Ok(Level::Content);
            }
            let theirs = encryption.recipients.join(", ");
            identity(
                ErrorKind::IdentityMismatch,
                format!(
                    "its contents cannot be checked: they are encrypted to {theirs}, and the identity is of others"
                ),
            )
        }
    }
}

/// What lies in the backup's folder: names within it, and lengths.
async fn listing(run: &Run<'_>, backup: &BackupRef) -> Result<HashMap<String, u64>> {
    let prefix = backup.prefix();
    let listed = run.app.repository.store().list(&prefix)?;
    let relative = |key: String| key.strip_prefix(&prefix).map(str::to_owned).unwrap_or(key);
    listed.map_ok(|object| (relative(object.key), object.bytes)).try_collect().await
}

async fn read_object(
    run: &Run<'_>,
    backup: &BackupRef,
    level: Level,
    reader: &BackupReader,
    object: &ObjectRecord,
    part: &Part,
) -> Result<Read> {
    if level == Level::Stored {
        let key = backup.key(&object.name);
        let stored = run.app.repository.store().get(&key, None).await?;
        check_stored(&key, stored, &object.sealed).await?;
        return Ok(Read::default());
    }
    match part {
        Part::Toc => {
            let (_, entries) = toc::read::read(&reader.toc().await?)?;
            Settings::of(&entries)?;
            Ok(Read { toc: Some(entries), ..Read::default() })
        }
        Part::Globals => {
            globals::check(&reader.globals().await?)?;
            Ok(Read::default())
        }
        Part::Table(..) => {
            let found = read_data(reader, object, DataFile::rows()).await?;
            compare(object, found, "rows")?;
            Ok(Read { rows: found.rows, ..Read::default() })
        }
        Part::LargeObjects => {
            let found = read_data(reader, object, DataFile::statements()).await?;
            compare(object, found, "lines")?;
            Ok(Read::default())
        }
        Part::Unknown => {
            let plain = reader.open_record(object).await?;
            plain.try_for_each(|_: Bytes| async { Ok(()) }).await?;
            Ok(Read::default())
        }
    }
}

async fn read_data(reader: &BackupReader, object: &ObjectRecord, mut file: DataFile) -> Result<Fingerprint> {
    let mut plain = reader.open_record(object).await?;
    while let Some(chunk) = plain.try_next().await? {
        file.push(&chunk)?;
    }
    Ok(file.finish()?)
}

fn compare(object: &ObjectRecord, found: Fingerprint, what: &str) -> Result<()> {
    let (Some(rows), Some(text)) = (object.rows, &object.fingerprint) else {
        return Err(other("is data, but its manifest says nothing of its rows".to_owned()));
    };
    if found.rows != rows {
        return Err(other(format!("holds {} {what}, but its manifest says {rows}", found.rows)));
    }
    if found == Fingerprint::parse(rows, text)? {
        return Ok(());
    }
    Err(other(format!(
        "holds {rows} {what}, but not those that its manifest says: their fingerprint is {found}"
    )))
}

fn other(message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Archive), message.to_string())
        .hint("Object and manifest do not belong together. Use another backup.")
}

/// What has a signature and no manifest was signed, and lost its manifest: a signature is written a moment before. (Or it
/// is being committed, or removed, at this very moment.)
pub(super) async fn look_for_manifest(run: &Run<'_>, backup: &BackupRef, report: &mut SourceReport) {
    let store = run.app.repository.store();
    let looked = async {
        let signed = store.head(&backup.key(keys::SIGNATURE)).await?.is_some();
        Ok::<_, Error>(signed && store.head(&backup.key(keys::MANIFEST)).await?.is_none())
    };
    let error = match looked.await {
        Ok(false) => return,
        Ok(true) => Error::new(ErrorKind::ManifestMissing, "has a signature and no manifest, so it is no backup any more")
            .hint(
                "Somebody removed the manifest, or the run died just before it wrote it. Its data may be whole, but \
                 nothing proves it. Use another backup.",
            ),
        Err(error) => error,
    };
    report.add(Finding::new(backup, None, &error));
}
