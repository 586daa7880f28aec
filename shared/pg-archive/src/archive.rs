//! Where an archive's data files go to and come from.
//!
//! The dump pushes bytes into an [`ArchiveSink`], the restore pulls them from an [`ArchiveSource`].
//! Names are those inside the archive, such as `public.orders.dat`. Both sides see plain bytes:
//! compression, encryption and hashing belong to whoever implements the traits.

use std::future::Future;

use bytes::Bytes;

/// An error of the place where files live. It stays whole as the source of an [`crate::Error`].
pub type StorageError = Box<dyn std::error::Error + Send + Sync>;

/// Takes the data files of a dump. Several files are written at the same time.
pub trait ArchiveSink: Send + Sync {
    /// A file that is being written.
    type File: SinkFile;

    /// Starts a file. `bytes_estimate` is what the catalogs say of its size, good for planning only.
    fn create(
        &self,
        name: &str,
        bytes_estimate: u64,
    ) -> impl Future<Output = Result<Self::File, StorageError>> + Send;
}

/// A file that is being written. It exists only once `finish` has returned; a file that is aborted or
/// dropped leaves nothing behind.
pub trait SinkFile: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), StorageError>> + Send;
    /// Completes the file.
    fn finish(self) -> impl Future<Output = Result<(), StorageError>> + Send;
    /// Gives the file up.
    fn abort(self) -> impl Future<Output = ()> + Send;
}

/// Gives the data files of an archive back.
pub trait ArchiveSource: Send + Sync {
    /// A file that is being read.
    type File: SourceFile;

    /// Opens a file for reading from its start.
    fn open(&self, name: &str) -> impl Future<Output = Result<Self::File, StorageError>> + Send;
}

/// A file that is being read.
pub trait SourceFile: Send {
    /// The next bytes, or `None` at the end: and the end is reported only when the file proved whole.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, StorageError>> + Send;
}
