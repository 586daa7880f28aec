//! Reading an object through broken connections.
//!
//! Safe because each resumed request asks for the bytes from where the last one broke, and only of the version that was
//! read before (`If-Match` with its entity tag). A body that ends early counts as broken, never as the end.

use std::ops::Range;

use aws_sdk_s3::primitives::ByteStream as Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::{S3Store, errors};
use crate::error::{Error, ErrorKind, Result};
use crate::store::ByteStream;

/// In a row without a byte in between; each request is retried by the SDK besides.
const TRIES_WITHOUT_PROGRESS_MAX: u32 = 5;
const RESUMES_MAX: u32 = 50;

struct Reading {
    store: S3Store,
    key: String,
    etag: Option<String>,
    body: Body,
    at: u64,
    end: u64,
    tries: u32,
    resumes: u32,
}

pub(super) async fn get(store: &S3Store, key: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
    // No server has a header for the empty range.
    if range.as_ref().is_some_and(Range::is_empty) {
        return Ok(stream::empty().boxed());
    }
    let header = range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1));
    let request = store.client().get_object().bucket(store.bucket()).key(store.full_key(key));
    let answer = request.set_range(header).send().await;
    let answer = answer.map_err(|error| errors::map(error).on(store.object(key)))?;
    let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
    let length = length.ok_or_else(|| {
        Error::new(ErrorKind::StoreFailed, "the store gave no Content-Length").on(store.object(key))
    })?;
    let at = range.as_ref().map_or(0, |range| range.start);
    if let Some(range) = range.filter(|range| range.end - range.start != length) {
        let message = format!("the store gave {length} bytes for the range {}..{}", range.start, range.end);
        return Err(Error::new(ErrorKind::StoreFailed, message).on(store.object(key)));
    }
    let reading = Reading {
        store: store.clone(),
        key: key.to_owned(),
        etag: answer.e_tag,
        body: answer.body,
        at,
        end: at + length,
        tries: 0,
        resumes: 0,
    };
    Ok(stream::try_unfold(reading, |mut reading| async move {
        Ok(reading.next().await?.map(|piece| (piece, reading)))
    })
    .boxed())
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.at < self.end {
            let broken = match self.body.next().await {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => {
                    self.at += piece.len() as u64;
                    if self.at > self.end {
                        return Err(
                            self.error(ErrorKind::StoreFailed, "the store sent more than it announced")
                        );
                    }
                    self.tries = 0;
                    return Ok(Some(piece));
                }
                Some(Err(error)) => Some(error),
                None => None,
            };
            self.resume(broken).await?;
        }
        Ok(None)
    }

    async fn resume(&mut self, broken: Option<aws_sdk_s3::primitives::ByteStreamError>) -> Result<()> {
        self.tries += 1;
        self.resumes += 1;
        if self.tries > TRIES_WITHOUT_PROGRESS_MAX || self.resumes > RESUMES_MAX {
            let error = self.error(ErrorKind::StoreUnreachable, "reading kept breaking off");
            return Err(match broken {
                Some(source) => error.because(source),
                None => error,
            });
        }
        tracing::debug!(key = self.key, at = self.at, tries = self.tries, "resuming a broken read");
        let request = self.store.client().get_object().bucket(self.store.bucket());
        let request = request
            .key(self.store.full_key(&self.key))
            .range(format!("bytes={}-{}", self.at, self.end - 1))
            .set_if_match(self.etag.clone());
        let answer = request.send().await.map_err(|error| match errors::status(&error) {
            412 => self.error(ErrorKind::ObjectChanged, "was replaced while it was read").because(error),
            _ => errors::map(error).on(self.store.object(&self.key)),
        })?;
        // A server that ignores If-Match or the range must not splice two objects together.
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
        if answer.e_tag != self.etag || length != Some(self.end - self.at) {
            return Err(self.error(ErrorKind::ObjectChanged, "was replaced while it was read"));
        }
        self.body = answer.body;
        Ok(())
    }

    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message).on(self.store.object(&self.key))
    }
}
