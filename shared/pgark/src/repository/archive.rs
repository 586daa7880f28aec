//! A backup as an archive: where a dump's data files go to, and where a restore's come from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use pg_archive::archive::{ArchiveSink, ArchiveSource, SinkFile, SourceFile, StorageError};
use pg_archive::raw_text;

use super::part::Parts;
use super::{ArchiveFile, BackupRef, Manifest, ObjectRecord, Repository};
use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Compression, Encryption, Identities, SealedWriter};
use crate::store::ByteStream;

/// The most that a table of contents, or the globals, may take in memory. PostgreSQL's regression database has 1 MiB
/// of the first.
const WHOLE_BYTES_MAX: usize = 1 << 30;

/// Text grows when it is read out of pages, and shrinks when it is compressed: the estimate errs to the large side,
/// because too many parts are an error and too large ones are not.
const STORED_BYTES_PER_PAGE_BYTE: u64 = 2;

/// Writes the files of a backup in the making.
pub struct BackupWriter {
    repository: Repository,
    backup: BackupRef,
    compression: Compression,
    encryption: Encryption,
    written: Arc<Mutex<Vec<ObjectRecord>>>,
}

impl BackupWriter {
    /// A writer into a backup that does not exist yet.
    pub fn new(
        repository: Repository,
        backup: BackupRef,
        compression: Compression,
        encryption: Encryption,
    ) -> Self {
        Self { repository, backup, compression, encryption, written: Arc::default() }
    }

    /// Writes a file whole.
    ///
    /// # Errors
    /// When the store refuses it.
    pub async fn write_whole(&self, file: &ArchiveFile<'_>, bytes: Bytes) -> Result<()> {
        let mut object = self.start(file, Some(bytes.len() as u64)).await?;
        object.writer.write(bytes).await?;
        object.complete().await
    }

    /// The records of all files that are complete, by name.
    pub fn records(&self) -> Vec<ObjectRecord> {
        let mut records = self.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records
    }

    async fn start(&self, file: &ArchiveFile<'_>, size_hint: Option<u64>) -> Result<ObjectFile> {
        let writer = self
            .repository
            .create_object(&self.backup, file, self.compression, &self.encryption, size_hint)
            .await?;
        Ok(ObjectFile {
            writer,
            name: file.object_name(self.compression, &self.encryption),
            archive_name: file.archive_name(),
            written: Arc::clone(&self.written),
        })
    }
}

impl ArchiveSink for BackupWriter {
    type File = ObjectFile;

    async fn create(&self, name: &str, bytes_estimate: u64) -> Result<ObjectFile, StorageError> {
        let hint = bytes_estimate.saturating_mul(STORED_BYTES_PER_PAGE_BYTE);
        Ok(self.start(&ArchiveFile::Data(name), Some(hint)).await?)
    }
}

/// A file of a backup in the making.
pub struct ObjectFile {
    writer: SealedWriter,
    name: String,
    archive_name: String,
    written: Arc<Mutex<Vec<ObjectRecord>>>,
}

impl ObjectFile {
    async fn complete(self) -> Result<()> {
        let sealed = self.writer.finish().await?;
        let record = ObjectRecord {
            name: self.name,
            archive_name: self.archive_name,
            sealed,
            rows: None,
            fingerprint: None,
        };
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        Ok(())
    }
}

impl SinkFile for ObjectFile {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        Ok(self.writer.write(bytes).await?)
    }

    async fn finish(self) -> Result<(), StorageError> {
        Ok(self.complete().await?)
    }

    async fn abort(self) {
        let name = self.name;
        if let Err(error) = self.writer.abort().await {
            tracing::warn!(%error, object = name, "an object that was given up may have left parts in the store");
        }
    }
}

/// Reads the files of a backup, each proved whole against the manifest before its end is reported.
pub struct BackupReader {
    repository: Repository,
    backup: BackupRef,
    manifest: Manifest,
    parts: Parts,
    identities: Option<Identities>,
    /// In nanoseconds.
    waited: Arc<AtomicU64>,
}

impl BackupReader {
    /// A reader of a backup.
    pub fn new(
        repository: Repository,
        backup: BackupRef,
        manifest: Manifest,
        identities: Option<Identities>,
    ) -> Self {
        let parts = Parts::of(&manifest);
        Self { repository, backup, manifest, parts, identities, waited: Arc::default() }
    }

    /// How long those who read data files waited for bytes: downloading, decrypting and decompressing.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Opens an object as plain bytes.
    ///
    /// # Errors
    /// When it is encrypted and there is no identity, or the store has it not.
    pub async fn open_record(&self, record: &ObjectRecord) -> Result<ByteStream> {
        let part = self.parts.get(&record.name);
        self.repository.open_object(&self.backup, record, part, self.identities.as_ref()).await
    }

    /// Reads the table of contents.
    ///
    /// # Errors
    /// When it is missing, damaged, or larger than memory allows.
    pub async fn toc(&self) -> Result<Vec<u8>> {
        self.read_whole(&ArchiveFile::Toc).await
    }

    /// Reads the roles, memberships, settings and tablespaces, as SQL.
    ///
    /// # Errors
    /// When the backup has none, because it is one of data only; or when they are damaged.
    pub async fn globals(&self) -> Result<String> {
        Ok(raw_text::decode(&self.read_whole(&ArchiveFile::Globals).await?).into_owned())
    }

    async fn read_whole(&self, file: &ArchiveFile<'_>) -> Result<Vec<u8>> {
        let record = self.record(&file.archive_name())?;
        let mut stream = self.open_record(record).await?;
        let mut whole = Vec::new();
        while let Some(piece) = stream.try_next().await? {
            if whole.len() + piece.len() > WHOLE_BYTES_MAX {
                let message = format!("is larger than {WHOLE_BYTES_MAX} bytes");
                return Err(Error::new(ErrorKind::ObjectTooLarge, message).on(record.name.clone()));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    fn record(&self, archive_name: &str) -> Result<&ObjectRecord> {
        self.manifest.objects.iter().find(|object| object.archive_name == archive_name).ok_or_else(|| {
            Error::new(ErrorKind::ManifestDamaged, format!("does not list {archive_name}"))
                .on(self.backup.to_string())
                .hint("The manifest is not what was written. Use another backup.")
        })
    }
}

impl ArchiveSource for BackupReader {
    type File = ObjectSource;

    async fn open(&self, name: &str) -> Result<ObjectSource, StorageError> {
        let began = Instant::now();
        let stream = self.open_record(self.record(name)?).await?;
        let source = ObjectSource { stream, waited: Arc::clone(&self.waited) };
        source.waited_since(began);
        Ok(source)
    }
}

/// A file of a backup that is being read.
pub struct ObjectSource {
    stream: ByteStream,
    waited: Arc<AtomicU64>,
}

impl ObjectSource {
    fn waited_since(&self, began: Instant) {
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl SourceFile for ObjectSource {
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        let began = Instant::now();
        let next = self.stream.try_next().await;
        self.waited_since(began);
        Ok(next?)
    }
}
