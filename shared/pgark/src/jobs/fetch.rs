//! Writes a backup as a plain directory archive, ready for `pg_restore`: decrypted, proved whole, and compressed anew
//! as asked.
//!
//! `toc.dat` is written last, so that a directory which was not finished is no archive. What an earlier run of the same
//! fetch has finished is kept: each file that is there is read, and kept only if its content has the hash of the manifest.
//! A directory with any other file in it is refused, before anything is downloaded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::archive::BackupReader;
use crate::repository::{ArchiveFile, BackupId, Filter, ObjectRecord, SourceName};
use crate::seal::{Compression, Encryption, Sealer, has_content};
use crate::signature::SignatureCheck;

/// Files that are being written are called so, lest half of one be taken for all of it.
const UNFINISHED: &str = ".part";

/// The arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// An id, a unique prefix of one, or `latest`.
    pub backup: String,
    /// Only of this source.
    #[serde(default)]
    pub source: Option<SourceName>,
    /// The directory to write: empty, not existing, or one in which a fetch of the same backup was begun.
    pub directory: PathBuf,
    /// The codec of the data files.
    pub compression: Compression,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchReport {
    /// The backup.
    pub backup: BackupId,
    /// The directory.
    pub directory: String,
    /// Whether the manifest's signature was checked.
    pub signature: SignatureCheck,
    /// Files in it.
    pub files: usize,
    /// Of these, files that were there already, and whole.
    pub files_kept: usize,
    /// Bytes as read from the store.
    pub stored_bytes: u64,
    /// Bytes before compression, of all files.
    pub plain_bytes: u64,
}

/// Hears how many stored bytes have been dealt with.
pub type OnBytes<'a> = &'a (dyn Fn(u64) + Sync);

impl Fetch {
    /// Runs the job.
    ///
    /// # Errors
    /// When the backup is missing or damaged, or the directory cannot be written. What was finished is then left, but
    /// without `toc.dat`; the next run goes on with it.
    pub async fn run(
        &self,
        app: &App,
        on_bytes: OnBytes<'_>,
        stop: &CancellationToken,
    ) -> Result<FetchReport> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Error::new(ErrorKind::Stopped, "was stopped before it was done")
                .hint("Run it again with the same directory: what is finished is kept.")),
            result = self.fetch(app, on_bytes) => result,
        }
    }

    async fn fetch(&self, app: &App, on_bytes: OnBytes<'_>) -> Result<FetchReport> {
        let filter = Filter { source: self.source.clone(), tier: None };
        let backup = app.repository.resolve(&self.backup, &filter).await?;
        let manifest = app.repository.load_manifest(&backup).await?;
        let reader = BackupReader::new(app.repository.clone(), backup, manifest, app.settings.identities()?);
        let toc = reader.toc().await?;
        let present = self.prepare_directory(&reader, &toc).await?;
        let toc_name = ArchiveFile::Toc.archive_name();
        let manifest = reader.manifest().clone();
        let objects: Vec<&ObjectRecord> =
            manifest.objects.iter().filter(|object| object.archive_name != toc_name).collect();
        // Tasks, because decoding and compressing anew take a processor each. They end with the set.
        let shared = Arc::new((self.clone(), reader, present));
        let permits = Arc::new(Semaphore::new(app.settings.jobs.get()));
        let mut tasks = JoinSet::new();
        for object in objects.iter().copied().cloned() {
            let (shared, permits) = (Arc::clone(&shared), Arc::clone(&permits));
            tasks.spawn(async move {
                let _permit = permits.acquire_owned().await;
                let (job, reader, present) = &*shared;
                let kept = job.keep_or_write(reader, present, &object).await?;
                Ok::<_, Error>((kept, object.sealed.stored_bytes))
            });
        }
        let (mut files_kept, mut bytes_kept) = (0, 0);
        while let Some(done) = tasks.join_next().await {
            let broke_off = |error| Error::new(ErrorKind::Internal, "a download broke off").because(error);
            let (kept, bytes) = done.map_err(broke_off)??;
            files_kept += usize::from(kept);
            bytes_kept += if kept { bytes } else { 0 };
            on_bytes(bytes);
        }
        let path = self.directory.join(&toc_name);
        write_file(&path, &toc).await?;
        Ok(FetchReport {
            backup: manifest.id,
            directory: self.directory.display().to_string(),
            signature: app.repository.signature_check(),
            files: manifest.objects.len(),
            files_kept,
            stored_bytes: manifest.totals.stored_bytes - bytes_kept,
            plain_bytes: manifest.totals.plain_bytes,
        })
    }

    /// Whether the file was there already.
    async fn keep_or_write(
        &self,
        reader: &BackupReader,
        present: &BTreeSet<String>,
        object: &ObjectRecord,
    ) -> Result<bool> {
        let name = self.file_name(object);
        if present.contains(&name) && self.is_whole(&name, object).await {
            return Ok(true);
        }
        self.write_object(reader, object).await.map(|()| false)
    }

    /// pg_restore looks for `x.dat`, `x.dat.gz` and, from 16, `x.dat.zst`; globals.sql is for psql.
    fn codec(&self, object: &ObjectRecord) -> Compression {
        let globals = object.archive_name == ArchiveFile::Globals.archive_name();
        if globals { Compression::None } else { self.compression }
    }

    fn file_name(&self, object: &ObjectRecord) -> String {
        if object.archive_name == ArchiveFile::Toc.archive_name() {
            return object.archive_name.clone();
        }
        format!("{}{}", object.archive_name, self.codec(object).suffix())
    }

    /// Makes the directory, or makes sure that it holds nothing but files of this backup: those of another archive would
    /// be taken for this one's. Returns their names. From here on it is no archive, until all of it is there.
    async fn prepare_directory(&self, reader: &BackupReader, toc: &[u8]) -> Result<BTreeSet<String>> {
        let directory = &self.directory;
        tokio::fs::create_dir_all(directory).await.map_err(|source| local(directory, source))?;
        let ours: BTreeSet<String> =
            reader.manifest().objects.iter().map(|object| self.file_name(object)).collect();
        let mut present = BTreeSet::new();
        let mut entries = tokio::fs::read_dir(directory).await.map_err(|source| local(directory, source))?;
        while let Some(entry) = entries.next_entry().await.map_err(|source| local(directory, source))? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !ours.contains(name.strip_suffix(UNFINISHED).unwrap_or(&name)) {
                return Err(self.refuse(&format!("it holds {name}, which is not of this fetch")));
            }
            present.insert(name);
        }
        let path = directory.join(ArchiveFile::Toc.archive_name());
        if present.contains(&ArchiveFile::Toc.archive_name()) {
            let found = tokio::fs::read(&path).await.map_err(|source| local(&path, source))?;
            if found != toc {
                return Err(self.refuse("it holds the archive of another backup"));
            }
            tokio::fs::remove_file(&path).await.map_err(|source| local(&path, source))?;
        }
        Ok(present)
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::new(ErrorKind::Usage, format!("is not empty: {reason}"))
            .on(self.directory.display().to_string())
            .hint(
                "Give a directory that is empty, that does not exist yet, or in which the same backup was begun to be \
                 fetched with the same --compress.",
            )
    }

    /// Whether a file that is there holds what the manifest says.
    async fn is_whole(&self, name: &str, object: &ObjectRecord) -> bool {
        let (path, codec, sealed) = (self.directory.join(name), self.codec(object), object.sealed);
        tokio::task::spawn_blocking(move || has_content(&path, codec, &sealed)).await.unwrap_or(false)
    }

    async fn write_object(&self, reader: &BackupReader, object: &ObjectRecord) -> Result<()> {
        let path = self.directory.join(self.file_name(object));
        let unfinished = self.directory.join(self.file_name(object) + UNFINISHED);
        let failed = |source| local(&unfinished, source);
        let mut file = tokio::fs::File::create(&unfinished).await.map_err(failed)?;
        let mut codec = Sealer::new(self.codec(object), &Encryption::None)?;
        let mut plain = reader.open_record(object).await?;
        let mut out = Vec::new();
        while let Some(piece) = plain.try_next().await? {
            codec.write(&piece, &mut out)?;
            file.write_all(&out).await.map_err(failed)?;
            out.clear();
        }
        codec.finish(&mut out)?;
        file.write_all(&out).await.map_err(failed)?;
        file.sync_all().await.map_err(failed)?;
        tokio::fs::rename(&unfinished, &path).await.map_err(|source| local(&path, source))
    }
}

async fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = tokio::fs::File::create_new(path).await.map_err(|source| local(path, source))?;
    file.write_all(bytes).await.map_err(|source| local(path, source))?;
    file.sync_all().await.map_err(|source| local(path, source))
}

fn local(path: &Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::LocalFile, "cannot be written").on(path.display().to_string()).because(source)
}
