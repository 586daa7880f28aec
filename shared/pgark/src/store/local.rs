//! A store in a local folder.
//!
//! Safe because an object is written under a temporary name in the folder where it will stand, synced, and then given
//! its name by a rename that refuses to replace (`renameat2` with `RENAME_NOREPLACE`, or a hard link where the file
//! system lacks it); the folder is synced after. So a name stands for a whole object or for nothing, whatever
//! breaks, and of two writers one wins. Temporary files that a killed process left are listed as unfinished uploads.
//! The folder itself must exist: were it created, an unmounted disk would be backed up beside its mount point.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use tempfile::TempPath;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{
    ByteStream, ObjectInfo, ObjectLock, ObjectStream, ObjectWriter, ObjectWritten, StoreRead, StoreWrite,
    UnfinishedUpload, check_key,
};
use crate::error::{Error, ErrorKind, Result};

mod walk;

/// How temporary files are called; no key has a component that starts so.
pub(super) const TEMPORARY_PREFIX: &str = ".pgark-tmp-";

const PIECE_BYTES: usize = 128 * 1024;

/// A folder that holds objects as files.
#[derive(Debug, Clone)]
pub struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    /// A store in this folder, which must exist by the time it is used.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn object(&self, key: &str) -> String {
        self.root.join(key).display().to_string()
    }

    /// Runs file system calls where they may block. The path in an error is that of the key.
    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        action: &'static str,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (root, path) = (self.root.clone(), self.root.join(key));
        let done = tokio::task::spawn_blocking(move || {
            if !root.is_dir() {
                return Err(folder_missing(&root));
            }
            work(&root, &path).map_err(|source| failed(action, source))
        });
        let done = done.await.unwrap_or_else(|source| {
            Err(Error::new(ErrorKind::Internal, "a file system call panicked").because(source))
        });
        done.map_err(|error| error.on(self.object(key)))
    }
}

impl StoreRead for LocalStore {
    fn address(&self) -> String {
        format!("file://{}", self.root.display())
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let (file, bytes) = self
            .blocking(key, "cannot open", |_, path| {
                let file = File::open(path)?;
                let meta = file.metadata()?;
                if meta.is_dir() {
                    return Err(io::ErrorKind::NotFound.into());
                }
                Ok((file, meta.len()))
            })
            .await?;
        let object = self.object(key);
        let range = range.unwrap_or(0..bytes);
        if range.start > range.end || range.end > bytes {
            let message = format!("has {bytes} bytes, so it has no range {}..{}", range.start, range.end);
            return Err(Error::new(ErrorKind::StoreFailed, message).on(object));
        }
        let mut file = tokio::fs::File::from_std(file);
        if range.start > 0 {
            file.seek(io::SeekFrom::Start(range.start))
                .await
                .map_err(|source| failed("cannot read", source).on(&object))?;
        }
        let state = (file, range.end - range.start, object);
        let pieces = stream::try_unfold(state, |(mut file, left, object)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut piece =
                BytesMut::with_capacity(PIECE_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX)));
            let read = (&mut file).take(left).read_buf(&mut piece).await;
            match read.map_err(|source| failed("cannot read", source).on(&object))? {
                0 => Err(Error::new(ErrorKind::ObjectChanged, "became shorter while it was read").on(object)),
                read => Ok(Some((piece.freeze(), (file, left - read as u64, object)))),
            }
        });
        Ok(pieces.boxed())
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>> {
        let name = key.to_owned();
        self.blocking(key, "cannot look at", |_, path| match fs::metadata(path) {
            Ok(meta) if meta.is_file() => walk::info(name, &meta).map(Some),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(error),
        })
        .await
    }

    async fn listed(&self, key: &str) -> Result<Option<ObjectInfo>> {
        self.head(key).await
    }

    /// The listing is taken at once and held in memory, about 150 bytes an object.
    fn list(&self, prefix: &str) -> Result<ObjectStream> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        let listing = async move {
            let start = prefix.clone();
            store.blocking(&prefix, "cannot list", move |root, _| walk::objects(root, &start)).await
        };
        let listing = stream::once(listing).map(|listing| match listing {
            Ok(objects) => stream::iter(objects.into_iter().map(Ok)).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        });
        Ok(listing.flatten().boxed())
    }

    async fn list_dirs(&self, prefix: &str) -> Result<Vec<String>> {
        self.blocking(prefix, "cannot list", |_, path| walk::folders(path)).await
    }

    async fn list_unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        let start = prefix.to_owned();
        self.blocking(prefix, "cannot list", move |root, _| walk::temporaries(root, &start)).await
    }

    async fn lock(&self, _key: &str) -> Result<Option<ObjectLock>> {
        Ok(Some(ObjectLock::default()))
    }
}

impl StoreWrite for LocalStore {
    async fn put_small(&self, key: &str, bytes: Bytes) -> Result<ObjectWritten> {
        let mut writer = self.start(key).await?;
        writer.write(bytes).await?;
        writer.finish().await
    }

    async fn open_writer(&self, key: &str, _size_hint: Option<u64>) -> Result<ObjectWriter> {
        self.start(key).await.map(ObjectWriter::Local)
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        for key in keys {
            let remove = |root: &Path, path: &Path| walk::remove(root, path);
            self.blocking(key, "cannot delete", remove).await?;
        }
        Ok(())
    }

    async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        let (folder, name) = upload.key.rsplit_once('/').unwrap_or(("", &upload.key));
        if !name.starts_with(TEMPORARY_PREFIX) || (!folder.is_empty() && check_key(folder).is_err()) {
            return Err(
                Error::new(ErrorKind::ObjectName, "is no temporary file").on(format!("{:?}", upload.key))
            );
        }
        self.blocking(&upload.key, "cannot delete", walk::remove).await
    }
}

impl LocalStore {
    async fn start(&self, key: &str) -> Result<LocalWriter> {
        let (file, temporary) = self
            .blocking(key, "cannot create", |root, path| {
                let folder = path.parent().unwrap_or(root);
                let mut tries_left = 5;
                loop {
                    create_folders(root, folder)?;
                    match tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder) {
                        Ok(temporary) => return Ok(temporary.into_parts()),
                        // A deletion beside us has just removed the folder, since it was empty.
                        Err(error) if error.kind() == io::ErrorKind::NotFound && tries_left > 0 => {
                            tries_left -= 1;
                        }
                        Err(error) => return Err(error),
                    }
                }
            })
            .await?;
        let store = self.clone();
        Ok(LocalWriter {
            store,
            key: key.to_owned(),
            file: tokio::fs::File::from_std(file),
            temporary,
            bytes: 0,
        })
    }
}

/// Writes one file. Its drop removes the temporary file.
#[derive(Debug)]
pub struct LocalWriter {
    store: LocalStore,
    key: String,
    file: tokio::fs::File,
    temporary: TempPath,
    bytes: u64,
}

impl LocalWriter {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        let written = self.file.write_all(&bytes).await;
        written.map_err(|source| failed("cannot write", source).on(self.store.object(&self.key)))
    }

    pub(super) async fn finish(self) -> Result<ObjectWritten> {
        let Self { store, key, mut file, temporary, bytes } = self;
        let synced = match file.flush().await {
            Ok(()) => file.sync_all().await,
            Err(error) => Err(error),
        };
        synced.map_err(|source| failed("cannot write", source).on(store.object(&key)))?;
        store
            .blocking(&key, "cannot create", |root, path| {
                // Owner and group as the umask would have it: temporary files are made with mode 0600, which stays,
                // since a backup is as private as the database.
                temporary.persist_noclobber(path).map_err(|error| error.error)?;
                File::open(path.parent().unwrap_or(root))?.sync_all()
            })
            .await?;
        Ok(ObjectWritten { key, bytes, etag: None })
    }

    pub(super) async fn abort(self) -> Result<()> {
        let Self { store, key, file, temporary, .. } = self;
        drop(file.into_std().await);
        store.blocking(&key, "cannot remove the temporary file of", |_, _| temporary.close()).await
    }
}

/// Creates the folders between root and `folder`, each durably: a synced file in a lost folder is lost.
fn create_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root);
    create_folders(root, parent)?;
    match fs::create_dir(folder) {
        Ok(()) => File::open(parent)?.sync_all(),
        // Another writer was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn folder_missing(root: &Path) -> Error {
    Error::new(ErrorKind::StoreMissing, "the folder of the store does not exist")
        .on(root.display().to_string())
        .hint("Create the folder, or mount the disk that holds it; pgark does not create it, so that an unmounted disk is noticed.")
}

fn failed(action: &str, source: io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, message, hint) = match source.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => (
            ErrorKind::StoreFull,
            format!("{action}: no room left"),
            "Make room on the disk, raise the quota, or prune old backups.",
        ),
        Io::AlreadyExists => {
            (ErrorKind::ObjectExists, "exists already".to_owned(), "Objects are never overwritten.")
        }
        Io::NotFound => (
            ErrorKind::ObjectMissing,
            "does not exist".to_owned(),
            "Use another backup, and find out who removed the file.",
        ),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => (
            ErrorKind::StoreRefused,
            format!("{action}: access denied"),
            "Give the user that pgark runs as access to this folder.",
        ),
        _ => (ErrorKind::StoreFailed, action.to_owned(), ""),
    };
    let error = Error::new(kind, message).because(source);
    if hint.is_empty() { error } else { error.hint(hint) }
}

#[cfg(test)]
mod tests;
