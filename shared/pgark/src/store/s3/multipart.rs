//! Creating an object of any size: one PUT if it fits in a part, a multipart upload otherwise.
//!
//! Memory is two parts at most: one filling and one under way (`parts` says how large). Several objects are written at a
//! time, which keeps the line busy; a second part under way in each took a backup of 2 GB with four jobs over 200 MiB
//! (tests/bench/memory). All parts but the last are of one size. After a failure the upload is aborted; a dropped writer
//! spawns that, best effort. An abort can cross a part that is still arriving, and parts then stay (Amazon says so of
//! AbortMultipartUpload): the bucket's lifecycle rule and `prune` remove those.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;

use super::parts::{PARTS_MAX, part_bytes};
use super::write::{exists, written};
use super::{CREATE_TOKEN, S3Store, errors};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ObjectWritten, StoreRead as _, StoreWrite as _, UnfinishedUpload};

const PARTS_IN_FLIGHT: usize = 1;

/// Writes one object into a bucket.
#[derive(Debug)]
pub struct S3Writer {
    store: S3Store,
    key: String,
    token: String,
    part_bytes: usize,
    buffer: BytesMut,
    bytes: u64,
    upload_id: Option<String>,
    in_flight: JoinSet<Result<CompletedPart>>,
    parts: Vec<CompletedPart>,
    next_part: i32,
}

impl S3Writer {
    pub(super) fn new(store: S3Store, key: &str, size_hint: Option<u64>) -> Self {
        Self {
            token: store.create_token(),
            store,
            key: key.to_owned(),
            part_bytes: part_bytes(size_hint),
            buffer: BytesMut::new(),
            bytes: 0,
            upload_id: None,
            in_flight: JoinSet::new(),
            parts: Vec::new(),
            next_part: 1,
        }
    }

    pub(in crate::store) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            // A full part leaves only when more follows, so the last part is never empty.
            if self.buffer.len() == self.part_bytes {
                self.send_part().await?;
            }
            let room = self.part_bytes - self.buffer.len();
            self.buffer.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
        }
        Ok(())
    }

    pub(in crate::store) async fn finish(mut self) -> Result<ObjectWritten> {
        if self.upload_id.is_none() {
            let bytes = std::mem::take(&mut self.buffer).freeze();
            return self.store.put_small(&self.key, bytes).await;
        }
        let completed = self.complete().await;
        match completed {
            Ok(etag) => {
                self.upload_id = None;
                Ok(written(&self.key, self.bytes, etag))
            }
            Err(error) => {
                if let Err(abort) = self.abort_now().await {
                    tracing::warn!(
                        error = &abort as &dyn std::error::Error,
                        "a failed upload could not be aborted"
                    );
                }
                Err(error)
            }
        }
    }

    pub(in crate::store) async fn abort(mut self) -> Result<()> {
        self.abort_now().await
    }

    async fn complete(&mut self) -> Result<Option<String>> {
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        while let Some(part) = self.in_flight.join_next().await {
            self.parts.push(joined(part)?);
        }
        self.parts.sort_unstable_by_key(|part| part.part_number);
        if self.store.if_none_match().is_none() && self.store.head(&self.key).await?.is_some() {
            return Err(exists(&self.store, &self.key));
        }
        loop {
            let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts.clone())).build();
            let request = self.store.client().complete_multipart_upload().bucket(self.store.bucket());
            let answer = request
                .key(self.store.full_key(&self.key))
                .set_upload_id(self.upload_id.clone())
                .set_if_none_match(self.store.if_none_match())
                .multipart_upload(parts)
                .send()
                .await;
            let error = match answer {
                Ok(answer) => return Ok(answer.e_tag),
                Err(error) => error,
            };
            if self.store.adapt(&error) {
                continue;
            }
            // A retried request finds the object that the first try made, whose answer was lost.
            let may_be_ours = errors::status(&error) == 412 || errors::code(&error) == "NoSuchUpload";
            if may_be_ours && self.store.created_by(&self.key, &self.token, self.bytes).await? {
                return Ok(None);
            }
            return Err(errors::map(error).on(self.store.object(&self.key)));
        }
    }

    /// Hands the buffer to a task, once fewer than the allowed number are under way.
    async fn send_part(&mut self) -> Result<()> {
        if self.next_part > PARTS_MAX {
            let message = format!("needs more than {PARTS_MAX} parts of {} bytes", self.part_bytes);
            return Err(Error::new(ErrorKind::ObjectTooLarge, message)
                .on(self.store.object(&self.key))
                .hint("The size was estimated much too low. Set PGARK_CHUNK_BYTES lower, so that large tables are cut into several objects."));
        }
        while self.in_flight.len() >= PARTS_IN_FLIGHT {
            if let Some(part) = self.in_flight.join_next().await {
                self.parts.push(joined(part)?);
            }
        }
        let upload_id = match &self.upload_id {
            Some(upload_id) => upload_id.clone(),
            None => self.upload_id.insert(create(&self.store, &self.key, &self.token).await?).clone(),
        };
        let body = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(self.part_bytes)).freeze();
        self.in_flight.spawn(upload_part(
            self.store.clone(),
            self.key.clone(),
            upload_id,
            self.next_part,
            body,
        ));
        self.next_part += 1;
        Ok(())
    }

    async fn abort_now(&mut self) -> Result<()> {
        self.in_flight.shutdown().await;
        match self.upload_id.take() {
            None => Ok(()),
            Some(upload_id) => {
                let upload = UnfinishedUpload {
                    key: self.key.clone(),
                    upload_id,
                    started: jiff::Timestamp::UNIX_EPOCH,
                };
                self.store.abort_upload(&upload).await
            }
        }
    }
}

impl Drop for S3Writer {
    fn drop(&mut self) {
        let Some(upload_id) = self.upload_id.take() else { return };
        self.in_flight.abort_all();
        let (store, key) = (self.store.clone(), std::mem::take(&mut self.key));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            tracing::warn!(
                key,
                "an upload was dropped outside the runtime; its parts stay until they are pruned"
            );
            return;
        };
        runtime.spawn(async move {
            let upload = UnfinishedUpload { key, upload_id, started: jiff::Timestamp::UNIX_EPOCH };
            if let Err(error) = store.abort_upload(&upload).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a dropped upload could not be aborted"
                );
            }
        });
    }
}

async fn create(store: &S3Store, key: &str, token: &str) -> Result<String> {
    loop {
        let (lock_mode, lock_until) = store.lock_of(key);
        let request = store.client().create_multipart_upload().bucket(store.bucket());
        let answer = request
            .key(store.full_key(key))
            .metadata(CREATE_TOKEN, token)
            .set_object_lock_mode(lock_mode)
            .set_object_lock_retain_until_date(lock_until)
            .set_checksum_algorithm(store.checksum())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let missing = || {
                    Error::new(ErrorKind::StoreFailed, "the store gave no upload id").on(store.object(key))
                };
                return answer.upload_id.ok_or_else(missing);
            }
            Err(error) if store.adapt(&error) => {}
            Err(error) => return Err(errors::map(error).on(store.object(key))),
        }
    }
}

async fn upload_part(
    store: S3Store,
    key: String,
    upload_id: String,
    number: i32,
    body: Bytes,
) -> Result<CompletedPart> {
    let answer = loop {
        let request = store.client().upload_part().bucket(store.bucket()).key(store.full_key(&key));
        let answer = request
            .upload_id(&upload_id)
            .part_number(number)
            .set_checksum_algorithm(store.checksum())
            .body(body.clone().into())
            .send()
            .await;
        match answer {
            Ok(answer) => break answer,
            Err(error) if store.adapt(&error) => {}
            Err(error) => return Err(errors::map(error).on(store.object(&key))),
        }
    };
    Ok(CompletedPart::builder()
        .part_number(number)
        .set_e_tag(answer.e_tag)
        .set_checksum_crc32_c(answer.checksum_crc32_c)
        .build())
}

fn joined(part: Result<Result<CompletedPart>, tokio::task::JoinError>) -> Result<CompletedPart> {
    part.unwrap_or_else(|source| Err(Error::new(ErrorKind::Internal, "an upload task died").because(source)))
}
