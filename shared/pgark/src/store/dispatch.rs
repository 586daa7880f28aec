//! The concrete store and writer that jobs hold: one of the two kinds, without dynamic dispatch.

use std::ops::Range;

use bytes::Bytes;

use super::local::{LocalStore, LocalWriter};
use super::s3::{S3Store, S3Writer};
use super::{
    ByteStream, ObjectInfo, ObjectLock, ObjectStream, ObjectWritten, StoreRead, StoreWrite, UnfinishedUpload,
    check_key, check_prefix,
};
use crate::error::Result;

/// A store. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Store {
    /// A bucket, or a part of one.
    S3(S3Store),
    /// A folder.
    Local(LocalStore),
}

/// Writes one object. Dropping it gives the object up, as far as that works without waiting.
#[derive(Debug)]
pub enum ObjectWriter {
    /// Into a bucket.
    S3(S3Writer),
    /// Into a folder.
    Local(LocalWriter),
}

macro_rules! each {
    ($self:expr, $inner:ident => $call:expr) => {
        match $self {
            Self::S3($inner) => $call,
            Self::Local($inner) => $call,
        }
    };
}

impl ObjectWriter {
    /// Takes bytes; waits while too many are under way. On an error nothing but [`abort`](Self::abort) is left to do.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        each!(self, writer => writer.write(bytes).await)
    }

    /// Makes the object exist, durably. After an error it has been given up.
    pub async fn finish(self) -> Result<ObjectWritten> {
        each!(self, writer => writer.finish().await)
    }

    /// Gives the object up and removes what was written of it.
    pub async fn abort(self) -> Result<()> {
        each!(self, writer => writer.abort().await)
    }
}

impl StoreRead for Store {
    fn address(&self) -> String {
        each!(self, store => store.address())
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        check_key(key)?;
        each!(self, store => store.get(key, range).await)
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>> {
        check_key(key)?;
        each!(self, store => store.head(key).await)
    }

    async fn listed(&self, key: &str) -> Result<Option<ObjectInfo>> {
        check_key(key)?;
        each!(self, store => store.listed(key).await)
    }

    fn list(&self, prefix: &str) -> Result<ObjectStream> {
        check_prefix(prefix)?;
        each!(self, store => store.list(prefix))
    }

    async fn list_dirs(&self, prefix: &str) -> Result<Vec<String>> {
        check_prefix(prefix)?;
        each!(self, store => store.list_dirs(prefix).await)
    }

    async fn list_unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        check_prefix(prefix)?;
        each!(self, store => store.list_unfinished_uploads(prefix).await)
    }

    async fn lock(&self, key: &str) -> Result<Option<ObjectLock>> {
        check_key(key)?;
        each!(self, store => store.lock(key).await)
    }
}

impl StoreWrite for Store {
    async fn put_small(&self, key: &str, bytes: Bytes) -> Result<ObjectWritten> {
        check_key(key)?;
        each!(self, store => store.put_small(key, bytes).await)
    }

    async fn open_writer(&self, key: &str, size_hint: Option<u64>) -> Result<ObjectWriter> {
        check_key(key)?;
        each!(self, store => store.open_writer(key, size_hint).await)
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        keys.iter().try_for_each(|key| check_key(key))?;
        each!(self, store => store.delete(keys).await)
    }

    async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        each!(self, store => store.abort_upload(upload).await)
    }
}
