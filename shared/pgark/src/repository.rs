//! A repository: the backups in a store.
//!
//! A backup is a commit. Its objects are written first, each create-only, under a folder whose random name no other run
//! has; its manifest is written last, create-only. What has no manifest is not a backup, and nothing here takes
//! it for one. What the objects hold is left to the jobs.

use std::fmt;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Compression, Encryption, Identities, SealedWriter, Sealer, Unseal};
use crate::signature::{SignatureCheck, VerificationKeys};
use crate::store::{ByteStream, Store, StoreRead as _, StoreWrite as _};

mod alerts;
pub mod archive;
pub mod candidates;
mod catalog;
pub mod holds;
mod id;
pub mod keys;
pub mod manifest;
pub mod part;
pub(crate) mod proof;
mod reports;

pub(crate) use catalog::only_source;
pub use catalog::{Filter, Found};
pub(crate) use id::SERVER_BYTES_MAX;
pub use id::{BackupId, SourceName, Tier};
pub use keys::{ArchiveFile, ReportKind, RunState};
pub use manifest::{Manifest, ObjectRecord};
use part::Part;
pub use proof::{Level, Looked};

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

    /// What a signature of the manifest says besides: time and place in minisign's own form. It is for people; what
    /// binds a manifest to its place is the manifest itself.
    pub fn trusted_comment(&self, now: Timestamp) -> String {
        format!("timestamp:{}\tfile:{}\thashed", now.as_second(), self.key(keys::MANIFEST))
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
    /// Who must have signed the manifests, if anybody must.
    signers: Option<VerificationKeys>,
}

impl Repository {
    /// The repository at the root of a store.
    pub fn new(store: Store) -> Self {
        Self { store, signers: None }
    }

    /// The same, in which only what one of these keys signed is taken for a backup's manifest.
    #[must_use]
    pub fn signed_by(self, signers: Option<VerificationKeys>) -> Self {
        Self { signers, ..self }
    }

    /// What loading a manifest here says of its signature.
    pub fn signature_check(&self) -> SignatureCheck {
        match self.signers {
            Some(_) => SignatureCheck::Verified,
            None => SignatureCheck::NotChecked,
        }
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

    /// Reads an object of a backup back as plain bytes; `part` is for messages; see [`Unseal::stream`] for what its end means.
    pub async fn open_object(
        &self,
        backup: &BackupRef,
        record: &ObjectRecord,
        part: &Part,
        identities: Option<&Identities>,
    ) -> Result<ByteStream> {
        let key = backup.key(&record.name);
        // Keys hold escaped and shortened names: a table is named as people know it.
        let object = match part.table() {
            Some(table) => format!("{key} (table {table})"),
            None => key.clone(),
        };
        let encrypted = Encryption::of_file_name(&record.name);
        if encrypted && identities.is_none() {
            return Err(Error::new(ErrorKind::Identity, "is encrypted, and no identity file is set")
                .on(object)
                .hint("Set PGARK_IDENTITY_FILE to the age secret key of one of the backup's recipients."));
        }
        let stored = self.store.get(&key, None).await.map_err(|error| match error.kind() {
            ErrorKind::ObjectMissing => Error::new(ErrorKind::ObjectMissing, "does not exist")
                .on(&object)
                .hint("Use another backup, and run `pgark verify all` to see what else is affected.")
                .because(error),
            _ => error,
        })?;
        let unseal = Unseal {
            object,
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
        self.remove_manifest(backup).await?;
        self.remove_rest(backup).await
    }

    /// Removes a backup's manifest, which makes it none.
    pub async fn remove_manifest(&self, backup: &BackupRef) -> Result<()> {
        self.store.delete(&[backup.key(keys::MANIFEST)]).await
    }

    /// Removes what is in the folder of something that is no backup. Uploads go first: one that somebody finished
    /// meanwhile shows as an object after.
    pub async fn remove_rest(&self, backup: &BackupRef) -> Result<()> {
        self.abort_uploads(backup).await?;
        let keys: Vec<_> =
            self.store.list(&backup.prefix())?.map_ok(|object| object.key).try_collect().await?;
        for key in &keys {
            within(backup, key)?;
        }
        self.store.delete(&keys).await
    }

    /// Aborts the unfinished uploads in a folder.
    pub async fn abort_uploads(&self, backup: &BackupRef) -> Result<()> {
        for upload in self.store.list_unfinished_uploads(&backup.prefix()).await? {
            within(backup, &upload.key)?;
            self.store.abort_upload(&upload).await?;
        }
        Ok(())
    }
}

/// Nothing outside of a backup's folder is deleted for its sake, wherever the key came from.
fn within(backup: &BackupRef, key: &str) -> Result<()> {
    if key.starts_with(&backup.prefix()) {
        return Ok(());
    }
    let message = "lies outside of the folder that is to be removed, so nothing was deleted";
    Err(Error::new(ErrorKind::Internal, message).on(key).hint(format!("The folder is {}.", backup.prefix())))
}

#[cfg(test)]
mod tests;
