//! S3's Object Lock: whether a bucket retains an object.
//!
//! HEAD tells of retention and legal hold only whoever may ask for them (s3:GetObjectRetention, s3:GetObjectLegalHold),
//! and says nothing at all to others ("HeadObject", S3 API reference). So silence means "none" only once it is known that
//! we may ask, which one request of each kind finds out for the whole run.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::ObjectLockLegalHoldStatus;

use super::{S3Store, errors, read};
use crate::error::Result;
use crate::store::ObjectLock;

pub(super) async fn of(store: &S3Store, key: &str) -> Result<Option<ObjectLock>> {
    let head = store.client().head_object().bucket(store.bucket()).key(store.full_key(key)).send().await;
    let head = match head {
        Ok(head) => head,
        Err(error) if errors::status(&error) == 404 => return Ok(Some(ObjectLock::default())),
        Err(error) => return Err(errors::map(error).on(store.object(key))),
    };
    let until = head.object_lock_retain_until_date().map(|time| read::timestamp(Some(time))).transpose()?;
    let legal_hold = head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On);
    let lock = ObjectLock { until, legal_hold };
    if lock != ObjectLock::default() {
        return Ok(Some(lock));
    }
    let readable = store.inner.locks_readable.get_or_try_init(|| may_ask(store, key)).await?;
    Ok(readable.then_some(lock))
}

/// Whether locks are told to us. A bucket or a server that has none answers so, which is an answer.
async fn may_ask(store: &S3Store, key: &str) -> Result<bool> {
    let full = store.full_key(key);
    let retention = store.client().get_object_retention().bucket(store.bucket()).key(&full).send().await;
    let hold = store.client().get_object_legal_hold().bucket(store.bucket()).key(&full).send().await;
    let told = |answer: Result<bool>| answer.map_err(|error| error.on(store.object(key)));
    Ok(told(is_answer(retention))? && told(is_answer(hold))?)
}

fn is_answer<T, E>(answer: Result<T, SdkError<E>>) -> Result<bool>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) => match errors::status(&error) {
            401 | 403 => Ok(false),
            // No lock on the object, no lock in the bucket, no such request on this server.
            400 | 404 | 405 | 501 => Ok(true),
            _ => Err(errors::map(error)),
        },
    }
}
