//! Writes a backup as a plain directory archive, ready for `pg_restore`: decrypted, proved whole, and compressed anew
//! as asked. `toc.dat` is written last, so that a directory which was not finished is no archive.

use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::archive::BackupReader;
use crate::repository::{ArchiveFile, BackupId, Filter, ObjectRecord, SourceName};
use crate::seal::{Compression, Encryption, Sealer};
use crate::signature::SignatureCheck;

/// The arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// An id, a unique prefix of one, or `latest`.
    pub backup: String,
    /// Only of this source.
    #[serde(default)]
    pub source: Option<SourceName>,
    /// The directory to write, which must be empty or not exist.
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
    /// Bytes as read from the store.
    pub stored_bytes: u64,
    /// Bytes before compression.
    pub plain_bytes: u64,
}

/// Hears how many stored bytes have been dealt with.
pub type OnBytes<'a> = &'a (dyn Fn(u64) + Sync);

impl Fetch {
    /// Runs the job.
    ///
    /// # Errors
    /// When the backup is missing or damaged, or the directory cannot be written. What was written is then left, but
    /// without `toc.dat`.
    pub async fn run(
        &self,
        app: &App,
        on_bytes: OnBytes<'_>,
        stop: &CancellationToken,
    ) -> Result<FetchReport> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Error::new(ErrorKind::Stopped, "was stopped before it was done")),
            result = self.fetch(app, on_bytes) => result,
        }
    }

    async fn fetch(&self, app: &App, on_bytes: OnBytes<'_>) -> Result<FetchReport> {
        let filter = Filter { source: self.source.clone(), tier: None };
        let backup = app.repository.resolve(&self.backup, &filter).await?;
        let manifest = app.repository.load_manifest(&backup).await?;
        let reader = BackupReader::new(app.repository.clone(), backup, manifest, app.settings.identities()?);
        let toc = reader.toc().await?;
        empty_directory(&self.directory).await?;
        let toc_name = ArchiveFile::Toc.archive_name();
        let objects: Vec<&ObjectRecord> =
            reader.manifest().objects.iter().filter(|object| object.archive_name != toc_name).collect();
        let writes = objects.iter().map(|object| async {
            self.write_object(&reader, object).await?;
            on_bytes(object.sealed.stored_bytes);
            Ok::<_, Error>(())
        });
        stream::iter(writes).buffer_unordered(app.settings.jobs.get()).try_collect::<Vec<()>>().await?;
        let path = self.directory.join(&toc_name);
        write_file(&path, &toc).await?;
        let totals = reader.manifest().totals;
        Ok(FetchReport {
            backup: reader.manifest().id,
            directory: self.directory.display().to_string(),
            signature: app.repository.signature_check(),
            files: reader.manifest().objects.len(),
            stored_bytes: totals.stored_bytes,
            plain_bytes: totals.plain_bytes,
        })
    }

    async fn write_object(&self, reader: &BackupReader, object: &ObjectRecord) -> Result<()> {
        // pg_restore looks for `x.dat`, `x.dat.gz` and, from 16, `x.dat.zst`; globals.sql is for psql.
        let globals = object.archive_name == ArchiveFile::Globals.archive_name();
        let compression = if globals { Compression::None } else { self.compression };
        let path = self.directory.join(format!("{}{}", object.archive_name, compression.suffix()));
        let mut file = tokio::fs::File::create_new(&path).await.map_err(|source| local(&path, source))?;
        let mut codec = Sealer::new(compression, &Encryption::None)?;
        let mut plain = reader.open_record(object).await?;
        let mut out = Vec::new();
        while let Some(piece) = plain.try_next().await? {
            codec.write(&piece, &mut out)?;
            file.write_all(&out).await.map_err(|source| local(&path, source))?;
            out.clear();
        }
        codec.finish(&mut out)?;
        file.write_all(&out).await.map_err(|source| local(&path, source))?;
        file.sync_all().await.map_err(|source| local(&path, source))
    }
}

async fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = tokio::fs::File::create_new(path).await.map_err(|source| local(path, source))?;
    file.write_all(bytes).await.map_err(|source| local(path, source))?;
    file.sync_all().await.map_err(|source| local(path, source))
}

/// Makes the directory, or makes sure that it is empty: files of another archive would be taken for this one's.
async fn empty_directory(directory: &Path) -> Result<()> {
    tokio::fs::create_dir_all(directory).await.map_err(|source| local(directory, source))?;
    let mut entries = tokio::fs::read_dir(directory).await.map_err(|source| local(directory, source))?;
    match entries.next_entry().await.map_err(|source| local(directory, source))? {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Usage, "is not empty")
            .on(directory.display().to_string())
            .hint("Give a directory that is empty or does not exist yet.")),
    }
}

fn local(path: &Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::LocalFile, "cannot be written").on(path.display().to_string()).because(source)
}
