//! Where objects are kept: an S3 bucket or a local folder, behind one contract.
//!
//! # The contract
//! - Keys are relative to the store's root (`s3://bucket/prefix`, `file:///folder`) and mean the same everywhere:
//!   non-empty components joined by `/`, none of them `.` or `..`, no control characters, no backslashes (`SeaweedFS`
//!   takes them for slashes), and at most 900 bytes;
//!   [`ErrorKind::ObjectName`] otherwise. Prefixes are empty or end in `/`.
//! - An object is created whole or not at all, and never overwritten: the second writer of a key gets
//!   [`ErrorKind::ObjectExists`]. Nothing is visible under its key before `put_small` or `finish` returns, and then it is
//!   durable.
//! - A write that was given up, by an error, `abort` or a drop, leaves no object. It may leave an *unfinished upload* if
//!   the process was killed or the store did not answer; [`StoreRead::list_unfinished_uploads`] finds those.
//! - After an error of kind `StoreFailed`, `StoreUnreachable` or `StoreBusy` on a write it is unknown whether the object
//!   exists.
//! - Listings come in ascending order of the keys' bytes, page by page. Every key lies under the prefix that was asked for:
//!   a listing with another is an error ([`ErrorKind::StoreListing`]), because whoever lists may be about to delete.
//! - Deleting what is not there succeeds.
//!
//! Reading and writing are two traits, so that a job which only looks cannot write by mistake. One suite,
//! `conformance`, runs against every store. What servers do not honour stands in [`s3`].
//! What keys and bytes mean is left to [`crate::repository`] and [`crate::seal`].

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use crate::config::StoreUrl;
use crate::error::{Error, ErrorKind, Result};

#[cfg(any(test, feature = "conformance"))]
#[doc(hidden)]
pub mod conformance;
mod dispatch;
pub mod local;
mod lock_rule;
pub mod s3;

pub use dispatch::{ObjectWriter, Store};
pub use lock_rule::LockRule;

/// Bytes of an object, piece by piece. An error is the last item; only an end without one means that all came.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// Objects of a listing.
pub type ObjectStream = BoxStream<'static, Result<ObjectInfo>>;

/// An object, as listings tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// When the store saw it last written, by the store's clock.
    pub modified: Timestamp,
}

/// A finished write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectWritten {
    /// The key.
    pub key: String,
    /// How many bytes were written.
    pub bytes: u64,
    /// The server's entity tag, where there is one.
    pub etag: Option<String>,
}

/// A write that neither finished nor was aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The key it would have become. A folder does not know it and names the temporary file beside it.
    pub key: String,
    /// The store's name for the upload.
    pub upload_id: String,
    /// When it began, by the store's clock.
    pub started: Timestamp,
}

/// What the store itself does about the deletion of an object: S3's Object Lock. A folder has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// Until when it is retained.
    pub until: Option<Timestamp>,
    /// Whether it is under a legal hold.
    pub legal_hold: bool,
}

/// How far the store's own copying of an object to another bucket is: S3's replication status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// The store says nothing: no rule covers the object, or there was none yet when it was written.
    NotCovered,
    /// It is being copied, or waits for it.
    Pending,
    /// It could not be copied, and is not tried again.
    Failed,
    /// It was copied, or is a copy itself.
    Done,
}

/// Reading.
pub trait StoreRead: Send + Sync {
    /// The store's address, for messages; it holds no secret.
    fn address(&self) -> String;

    /// Reads an object, or a range of it that must lie inside. A broken connection is resumed where it broke, a bounded
    /// number of times, and only on the same version of the object: [`ErrorKind::ObjectChanged`] otherwise.
    fn get(&self, key: &str, range: Option<Range<u64>>) -> impl Future<Output = Result<ByteStream>> + Send;

    /// Length and time of an object; `None` if there is none (or, on S3, no such bucket).
    fn head(&self, key: &str) -> impl Future<Output = Result<Option<ObjectInfo>>> + Send;

    /// The same out of a listing. Whoever may only see names may ask so (s3:ListBucket); [`head`](Self::head) takes the right
    /// to read ("HeadObject", S3 API reference).
    fn listed(&self, key: &str) -> impl Future<Output = Result<Option<ObjectInfo>>> + Send;

    /// All objects under a prefix, at any depth.
    fn list(&self, prefix: &str) -> Result<ObjectStream>;

    /// The names of the folders directly under a prefix, without slashes. One whose objects were all deleted may still be
    /// named for a while (`SeaweedFS` does so).
    fn list_dirs(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Writes under a prefix that neither finished nor were aborted, running ones included.
    fn list_unfinished_uploads(
        &self,
        prefix: &str,
    ) -> impl Future<Output = Result<Vec<UnfinishedUpload>>> + Send;

    /// The store's lock on an object; `None` if it may not be asked for. What is not there has none.
    fn lock(&self, key: &str) -> impl Future<Output = Result<Option<ObjectLock>>> + Send;

    /// Reads a whole small object into memory; [`ErrorKind::ObjectTooLarge`] if it is larger than that.
    fn get_small(&self, key: &str, bytes_max: usize) -> impl Future<Output = Result<Bytes>> + Send {
        async move {
            use futures_util::TryStreamExt as _;
            let mut stream = self.get(key, None).await?;
            let mut whole = Vec::new();
            while let Some(piece) = stream.try_next().await? {
                if whole.len() + piece.len() > bytes_max {
                    let message = format!("is larger than the {bytes_max} bytes it may have");
                    return Err(Error::new(ErrorKind::ObjectTooLarge, message).on(key));
                }
                whole.extend_from_slice(&piece);
            }
            Ok(whole.into())
        }
    }
}

/// Writing.
pub trait StoreWrite: Send + Sync {
    /// Creates a small object in one request.
    fn put_small(&self, key: &str, bytes: Bytes) -> impl Future<Output = Result<ObjectWritten>> + Send;

    /// Starts an object of any size. The hint, in bytes as stored, sizes the parts; a wrong one costs only memory or
    /// requests as long as the object stays under 10,000 parts.
    fn open_writer(
        &self,
        key: &str,
        size_hint: Option<u64>,
    ) -> impl Future<Output = Result<ObjectWriter>> + Send;

    /// Deletes objects. All are tried; the error tells how many failed and names the first.
    fn delete(&self, keys: &[String]) -> impl Future<Output = Result<()>> + Send;

    /// Removes what an unfinished upload left; one that is gone already is fine.
    fn abort_upload(&self, upload: &UnfinishedUpload) -> impl Future<Output = Result<()>> + Send;
}

/// What opening a store needs beside its address.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// A custom S3 endpoint; path-style addressing is used with it.
    pub endpoint_url: Option<String>,
    /// The S3 region.
    pub region: Option<String>,
    /// A random number that no other process shares: it marks this process's objects, so that a create whose answer was
    /// lost is told from one that another process won.
    pub session: u64,
    /// How long S3 is to lock what is written. A folder has no locks.
    pub lock: Option<LockRule>,
}

impl Store {
    /// Opens a store. Does not contact it.
    pub async fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Self> {
        match url {
            StoreUrl::S3 { bucket, prefix } => s3::S3Store::open(bucket, prefix, options).await.map(Self::S3),
            StoreUrl::Folder(folder) => Ok(Self::Local(local::LocalStore::new(folder))),
        }
    }
}

const KEY_BYTES_MAX: usize = 900;

/// The rules for keys, which are the same for every store.
fn check_key(key: &str) -> Result<()> {
    let wrong = if key.len() > KEY_BYTES_MAX {
        "is too long for an object name"
    } else if key.contains(|c: char| c.is_control() || c == '\\') {
        "has control characters or backslashes in it"
    } else if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "has an empty, `.` or `..` component"
    } else if key.split('/').any(|part| part.starts_with(local::TEMPORARY_PREFIX)) {
        "is named like a temporary file"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::ObjectName, wrong).on(format!("{key:?}")))
}

/// Prefixes name folders, so that `daily/app/` never takes in `daily/app2/`.
fn check_prefix(prefix: &str) -> Result<()> {
    match prefix.strip_suffix('/') {
        None if prefix.is_empty() => Ok(()),
        Some(folder) => check_key(folder),
        None => {
            Err(Error::new(ErrorKind::ObjectName, "is a prefix without a final slash")
                .on(format!("{prefix:?}")))
        }
    }
}

/// A key of a listing, if it lies under the prefix that was asked for. Servers were seen that ignore the prefix, and a cache
/// in between may mix answers up: such an answer is not believed in any part.
fn check_listed<'a>(store: &str, prefix: &str, key: &'a str) -> Result<&'a str> {
    if key.starts_with(prefix) {
        return Ok(key);
    }
    let message = format!("was asked to list {prefix:?} and listed {key:?}, which does not lie there");
    Err(Error::new(ErrorKind::StoreListing, message).on(store).hint(
        "Find out what answers there: a proxy, a gateway or a cache in front of the store, or a server that ignores \
         prefixes. Nothing of this answer was used, and nothing was deleted because of it.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_believed_under_its_prefix_alone() {
        let listed = |key| check_listed("s3://bucket", "daily/shop/", key);
        assert_eq!(listed("daily/shop/a").unwrap(), "daily/shop/a");
        for key in ["", "daily/shop", "daily/shop2/a", "weekly/shop/a", "/daily/shop/a"] {
            let error = listed(key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreListing);
            assert!(error.to_string().contains(&format!("{key:?}")), "{error}");
        }
        check_listed("s3://bucket", "", "anything").unwrap();
    }

    #[test]
    fn keys_that_leave_the_root_or_differ_between_stores_are_refused() {
        for key in ["a", "a/b.c", "ü/ '\"+%&=", &"k".repeat(900)] {
            check_key(key).unwrap();
        }
        for key in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "a\nb",
            "a\\b",
            "a\0",
            "x/.pgark-tmp-1",
            &"k".repeat(901),
        ] {
            assert_eq!(check_key(key).unwrap_err().kind(), ErrorKind::ObjectName, "{key:?}");
        }
    }

    #[test]
    fn prefixes_are_folders() {
        for prefix in ["", "a/", "a/b/"] {
            check_prefix(prefix).unwrap();
        }
        for prefix in ["a", "/", "../", "a//"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
