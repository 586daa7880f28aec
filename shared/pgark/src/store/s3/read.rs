//! Looking at a bucket: get, head and the listings.

use std::collections::VecDeque;
use std::ops::Range;

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::Object;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{S3Store, errors, lock, resume};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{
    ByteStream, ObjectInfo, ObjectLock, ObjectStream, StoreRead, UnfinishedUpload, check_listed,
};

impl StoreRead for S3Store {
    fn address(&self) -> String {
        self.object("").trim_end_matches('/').to_owned()
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        resume::get(self, key, range).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>> {
        let answer = self.client().head_object().bucket(self.bucket()).key(self.full_key(key)).send().await;
        match answer {
            Ok(answer) => Ok(Some(ObjectInfo {
                key: key.to_owned(),
                bytes: length(answer.content_length()),
                modified: timestamp(answer.last_modified())?,
            })),
            Err(error) if errors::status(&error) == 404 => Ok(None),
            Err(error) => Err(errors::map(error).on(self.object(key))),
        }
    }

    async fn listed(&self, key: &str) -> Result<Option<ObjectInfo>> {
        // The key itself comes before all that begin like it.
        let request =
            self.client().list_objects_v2().bucket(self.bucket()).prefix(self.full_key(key)).max_keys(1);
        let page = request.send().await.map_err(|error| errors::map(error).on(self.object(key)))?;
        let first = page.contents().first();
        if let Some(other) = first {
            check_listed(&self.object(""), &self.full_key(key), other.key().unwrap_or_default())?;
        }
        first
            .filter(|object| object.key() == Some(&self.full_key(key)))
            .map(|object| {
                let modified = timestamp(object.last_modified())?;
                Ok(ObjectInfo { key: key.to_owned(), bytes: length(object.size()), modified })
            })
            .transpose()
    }

    fn list(&self, prefix: &str) -> Result<ObjectStream> {
        let pages = Listing {
            store: self.clone(),
            prefix: self.full_key(prefix),
            page: VecDeque::new(),
            token: None,
            last: false,
        };
        let objects = stream::try_unfold(pages, |mut pages| async move {
            Ok(pages.next().await?.map(|object| (object, pages)))
        });
        Ok(objects.boxed())
    }

    async fn list_dirs(&self, prefix: &str) -> Result<Vec<String>> {
        let full = self.full_key(prefix);
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let request = self.client().list_objects_v2().bucket(self.bucket()).prefix(&full).delimiter("/");
            let page = request.set_continuation_token(token).send().await;
            let page = page.map_err(|error| errors::map(error).on(self.object(prefix)))?;
            for object in page.contents() {
                check_listed(&self.object(""), &full, object.key().unwrap_or_default())?;
            }
            for folder in page.common_prefixes().iter().filter_map(|folder| folder.prefix()) {
                let name = check_listed(&self.object(""), &full, folder)?[full.len()..].strip_suffix('/');
                names.extend(name.map(str::to_owned));
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    async fn list_unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        let full = self.full_key(prefix);
        let mut uploads = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = self.client().list_multipart_uploads().bucket(self.bucket()).prefix(&full);
            let request = request.set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let page = request.send().await.map_err(|error| errors::map(error).on(self.object(prefix)))?;
            for upload in page.uploads() {
                let (Some(key), Some(upload_id)) = (upload.key(), upload.upload_id()) else { continue };
                // Not every server honours the prefix of this request.
                if let Some(key) = key.strip_prefix(&self.inner.prefix).filter(|key| key.starts_with(prefix))
                {
                    uploads.push(UnfinishedUpload {
                        key: key.to_owned(),
                        upload_id: upload_id.to_owned(),
                        started: timestamp(upload.initiated())?,
                    });
                }
            }
            if page.is_truncated != Some(true) || page.next_key_marker.is_none() {
                return Ok(uploads);
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    async fn lock(&self, key: &str) -> Result<Option<ObjectLock>> {
        lock::of(self, key).await
    }
}

struct Listing {
    store: S3Store,
    prefix: String,
    page: VecDeque<Object>,
    token: Option<String>,
    last: bool,
}

impl Listing {
    async fn next(&mut self) -> Result<Option<ObjectInfo>> {
        loop {
            if let Some(object) = self.page.pop_front() {
                let key = object.key().unwrap_or_default();
                let key = check_listed(&self.store.object(""), &self.prefix, key)?;
                let key = &key[self.store.inner.prefix.len()..];
                // Consoles make empty "folder" objects; they hold nothing and no key ends so.
                if key.is_empty() || key.ends_with('/') {
                    continue;
                }
                let modified = timestamp(object.last_modified())?;
                return Ok(Some(ObjectInfo { key: key.to_owned(), bytes: length(object.size()), modified }));
            }
            if self.last {
                return Ok(None);
            }
            let request = self.store.client().list_objects_v2().bucket(self.store.bucket());
            let request = request.prefix(&self.prefix).set_continuation_token(self.token.take());
            let page = request.send().await.map_err(|error| errors::map(error).on(self.store.address()))?;
            self.token = page.next_continuation_token;
            self.last = self.token.is_none();
            self.page = page.contents.unwrap_or_default().into();
        }
    }
}

fn length(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

pub(super) fn timestamp(time: Option<&DateTime>) -> Result<Timestamp> {
    let wrong = || Error::new(ErrorKind::StoreFailed, "the store gave no valid time");
    let time = time.ok_or_else(wrong)?;
    let nanoseconds = i32::try_from(time.subsec_nanos()).map_err(|_| wrong())?;
    Timestamp::new(time.secs(), nanoseconds).map_err(|source| wrong().because(source))
}
