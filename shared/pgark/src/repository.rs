//! A repository: the backups in a store.
//!
//! A backup is a commit. Its objects are written first, each create-only, under a folder whose random name no other run
//! has; its manifest is written last, create-only. What has no manifest is not a backup, and nothing here takes
//! it for one. What the objects hold is left to the jobs.

use std::fmt;

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Compression, Encryption, Identities, SealedWriter, Sealer, Unseal};
use crate::store::{ByteStream, Store, StoreRead as _, StoreWrite as _};

pub mod archive;
mod catalog;
mod id;
pub mod keys;
pub mod manifest;
mod reports;

pub use catalog::{Filter, Found};
pub use id::{BackupId, SourceName, Tier};
pub use keys::{ArchiveFile, ReportKind};
pub use manifest::{Manifest, ObjectRecord};

/// The place of a backup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupRef {
    /// The id; first, so that backups sort by time.
    pub id: BackupId,
    /// The tier.
    pub tier: Tier,
    /// The source.
    pub source: SourceName,
}

impl BackupRef {
    /// The key of something in this backup.
    pub fn key(&self, name: &str) -> String {
        self.prefix() + name
    }

    /// The folder of this backup, with a final slash.
    pub fn prefix(&self) -> String {
        keys::backup_prefix(self.tier, &self.source, &self.id)
    }
}

impl fmt::Display for BackupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix().trim_end_matches('/'))
    }
}

/// The backups in a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Store,
}

impl Repository {
    /// The repository at the root of a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Starts an object of a backup in the making. `size_hint` is the expected length as stored.
    pub async fn create_object(
        &self,
        backup: &BackupRef,
        file: &ArchiveFile<'_>,
        compression: Compression,
        encryption: &Encryption,
        size_hint: Option<u64>,
    ) -> Result<SealedWriter> {
        let key = backup.key(&file.object_name(compression, encryption));
        let sealer = Sealer::new(file.compression(compression), encryption)?;
        let writer = self.store.open_writer(&key, size_hint).await?;
        Ok(SealedWriter::start(sealer, writer))
    }

    /// Reads an object of a backup back as plain bytes; see [`Unseal::stream`] for what its end means.
    pub async fn open_object(
        &self,
        backup: &BackupRef,
        record: &ObjectRecord,
        identities: Option<&Identities>,
    ) -> Result<ByteStream> {
        let key = backup.key(&record.name);
        let encrypted = Encryption::of_file_name(&record.name);
        if encrypted && identities.is_none() {
            return Err(Error::new(ErrorKind::Identity, "is encrypted, and no identity file is set")
                .on(key)
                .hint("Set PGARK_IDENTITY_FILE to the age secret key of one of the backup's recipients."));
        }
        let stored = self.store.get(&key, None).await?;
        let unseal = Unseal {
            object: key,
            sealed: record.sealed,
            compression: Compression::of_file_name(&record.name),
            identities: identities.filter(|_| encrypted).cloned(),
        };
        Ok(unseal.stream(stored))
    }

    /// Commits a backup: its signature, if any, then its manifest. The backup exists from here on.
    ///
    /// `json` is [`Manifest::to_json`], exactly what was signed.
    pub async fn commit(&self, backup: &BackupRef, json: Vec<u8>, signature: Option<Vec<u8>>) -> Result<()> {
        if let Some(signature) = signature {
            self.store.put_small(&backup.key(keys::SIGNATURE), Bytes::from(signature)).await?;
        }
        self.store.put_small(&backup.key(keys::MANIFEST), Bytes::from(json)).await.map(|_| ())
    }

    /// Removes all that a backup, or a failed run, has in the store.
    ///
    /// The manifest goes first: from then on it is no backup, whatever of it is left if this fails half way.
    pub async fn remove(&self, backup: &BackupRef) -> Result<()> {
        self.store.delete(&[backup.key(keys::MANIFEST)]).await?;
        let prefix = backup.prefix();
        for upload in self.store.list_unfinished_uploads(&prefix).await? {
            self.store.abort_upload(&upload).await?;
        }
        let keys: Vec<_> = self.store.list(&prefix)?.map_ok(|object| object.key).try_collect().await?;
        self.store.delete(&keys).await
    }
}

#[cfg(test)]
mod tests;
