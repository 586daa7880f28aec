//! Creating small objects, and removing.

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::types::{ChecksumAlgorithm, Delete, ObjectIdentifier};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use std::sync::atomic::Ordering;

use super::multipart::S3Writer;
use super::{CREATE_TOKEN, S3Store, errors};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ObjectWriter, ObjectWritten, StoreRead as _, StoreWrite, UnfinishedUpload};

/// What `DeleteObjects` takes.
const DELETE_BATCH: usize = 1000;
const DELETES_IN_FLIGHT: usize = 8;
/// Amazon answers 409 while another conditional create of the key is under way.
const CONFLICT_TRIES_MAX: u32 = 5;

impl StoreWrite for S3Store {
    async fn put_small(&self, key: &str, bytes: Bytes) -> Result<ObjectWritten> {
        let token = self.create_token();
        let mut conflicts = 0;
        loop {
            if self.if_none_match().is_none() && self.head(key).await?.is_some() {
                return Err(exists(self, key));
            }
            let error = match self.put(key, bytes.clone(), &token).await {
                Ok(answer) => return Ok(written(key, bytes.len() as u64, answer.e_tag)),
                Err(error) => error,
            };
            if self.adapt(&error) {
                continue;
            }
            match errors::status(&error) {
                409 if conflicts < CONFLICT_TRIES_MAX => conflicts += 1,
                // A retried request finds the object that the first try made, whose answer was lost.
                412 if self.created_by(key, &token, bytes.len() as u64).await? => {
                    return Ok(written(key, bytes.len() as u64, None));
                }
                _ => return Err(errors::map(error).on(self.object(key))),
            }
        }
    }

    async fn open_writer(&self, key: &str, size_hint: Option<u64>) -> Result<ObjectWriter> {
        Ok(ObjectWriter::S3(S3Writer::new(self.clone(), key, size_hint)))
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        let mut failures = Vec::new();
        for batch in keys.chunks(DELETE_BATCH) {
            failures.extend(self.delete_batch(batch).await?);
        }
        let count = failures.len();
        match failures.into_iter().next() {
            None => Ok(()),
            Some(first) if count == 1 => Err(first),
            Some(first) => {
                let message = format!("{count} of {} objects could not be deleted", keys.len());
                Err(Error::new(first.kind(), message).on(self.address()).because(first))
            }
        }
    }

    async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        let request = self.client().abort_multipart_upload().bucket(self.bucket());
        match request.key(self.full_key(&upload.key)).upload_id(&upload.upload_id).send().await {
            Ok(_) => Ok(()),
            Err(error) if errors::code(&error) == "NoSuchUpload" => Ok(()),
            Err(error) => Err(errors::map(error).on(self.object(&upload.key))),
        }
    }
}

impl S3Store {
    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        token: &str,
    ) -> Result<PutObjectOutput, SdkError<PutObjectError>> {
        let (lock_mode, lock_until) = self.lock_of(key);
        self.client()
            .put_object()
            .bucket(self.bucket())
            .key(self.full_key(key))
            .metadata(CREATE_TOKEN, token)
            .set_object_lock_mode(lock_mode)
            .set_object_lock_retain_until_date(lock_until)
            .set_if_none_match(self.if_none_match())
            .set_checksum_algorithm(self.checksum())
            .body(bytes.into())
            .send()
            .await
    }

    /// Learns what the server cannot do. True if the request is worth repeating because of it.
    pub(super) fn adapt<E: aws_sdk_s3::error::ProvideErrorMetadata>(&self, error: &SdkError<E>) -> bool {
        if errors::refuses_checksums(error) && self.inner.checksums.swap(false, Ordering::Relaxed) {
            tracing::info!("the store takes no checksum headers; the signed SHA-256 of each request remains");
            return true;
        }
        if errors::refuses_conditions(error) && self.inner.conditional_creates.swap(false, Ordering::Relaxed)
        {
            tracing::warn!("the store cannot create conditionally; it is asked before each create instead");
            return true;
        }
        false
    }

    /// Whether the object under this key was made by this very create, of that many bytes.
    pub(super) async fn created_by(&self, key: &str, token: &str, bytes: u64) -> Result<bool> {
        let answer = self.client().head_object().bucket(self.bucket()).key(self.full_key(key)).send().await;
        match answer {
            Ok(answer) => {
                let made_by = answer.metadata().and_then(|metadata| metadata.get(CREATE_TOKEN));
                Ok(made_by.is_some_and(|made_by| made_by == token))
            }
            Err(error) if errors::status(&error) == 404 => Ok(false),
            // Whoever may write and not read is told no more than the length. That is enough for the keys of a backup, which
            // have its random id in them, so that nobody else writes them; whoever takes leases may read them.
            Err(error) if errors::status(&error) == 403 => {
                Ok(self.listed(key).await?.is_some_and(|listed| listed.bytes == bytes))
            }
            Err(error) => Err(errors::map(error).on(self.object(key))),
        }
    }

    /// The failures of single objects; an error if the whole request failed.
    async fn delete_batch(&self, keys: &[String]) -> Result<Vec<Error>> {
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(self.full_key(key)).build());
        let delete = objects
            .collect::<Result<Vec<_>, _>>()
            .and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build())
            .map_err(|source| Error::new(ErrorKind::Internal, "cannot build a request").because(source))?;
        // The protocol demands a checksum here.
        let request = self.client().delete_objects().bucket(self.bucket()).delete(delete);
        match request.checksum_algorithm(ChecksumAlgorithm::Crc32C).send().await {
            Ok(answer) => Ok(answer.errors().iter().filter_map(|error| self.delete_failure(error)).collect()),
            // Servers without batches, and B2, which does not take the checksum.
            Err(error) if matches!(errors::status(&error), 400 | 405 | 501) => self.delete_singly(keys).await,
            Err(error) => Err(errors::map(error).on(self.address())),
        }
    }

    fn delete_failure(&self, error: &aws_sdk_s3::types::Error) -> Option<Error> {
        let code = error.code().unwrap_or_default();
        let kind = match code {
            "NoSuchKey" => return None,
            "AccessDenied" => ErrorKind::StoreRefused,
            _ => ErrorKind::StoreFailed,
        };
        let key = error.key().unwrap_or_default();
        let failure = Error::new(kind, format!("cannot be deleted ({code})"));
        Some(failure.on(format!("s3://{}/{key}", self.bucket())).hint(
            "Allow s3:DeleteObject to the one that prunes; an object under a retention lock cannot be deleted before its time.",
        ))
    }

    async fn delete_singly(&self, keys: &[String]) -> Result<Vec<Error>> {
        let deletions = keys.iter().cloned().map(|key| self.clone().delete_one(key));
        let failures = stream::iter(deletions).buffer_unordered(DELETES_IN_FLIGHT);
        Ok(failures.filter_map(std::future::ready).collect().await)
    }

    async fn delete_one(self, key: String) -> Option<Error> {
        let request = self.client().delete_object().bucket(self.bucket()).key(self.full_key(&key));
        match request.send().await {
            Err(error) if errors::code(&error) != "NoSuchKey" => {
                Some(errors::map(error).on(self.object(&key)))
            }
            _ => None,
        }
    }
}

pub(super) fn written(key: &str, bytes: u64, etag: Option<String>) -> ObjectWritten {
    ObjectWritten { key: key.to_owned(), bytes, etag }
}

pub(super) fn exists(store: &S3Store, key: &str) -> Error {
    Error::new(ErrorKind::ObjectExists, "exists already")
        .hint("Objects are never overwritten.")
        .on(store.object(key))
}
