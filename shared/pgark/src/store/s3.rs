//! A store in an S3 bucket: Amazon S3, Cloudflare R2, Backblaze B2, MinIO, SeaweedFS and their like.
//!
//! Safe because every create carries `If-None-Match: *`, on `PutObject` and on `CompleteMultipartUpload`; an object is
//! visible only once it is whole; and every body carries a CRC32C beside the signed SHA-256 of `SigV4`, so that a byte
//! which flips on the way is refused by the server.
//!
//! What servers differ in, and what is done about it:
//! - B2 refuses every `x-amz-checksum` header ("Unsupported header"). The refusal turns the checksum off for the rest
//!   of the run; the signed SHA-256 stays. So does `AWS_REQUEST_CHECKSUM_CALCULATION=when_required`.
//! - A server that answers `NotImplemented` to `If-None-Match` is asked with HEAD before each create instead.
//! - Garage 2.5 and `rclone serve s3` *ignore* `If-None-Match` and overwrite, and s3s-fs lets racing writers win together.
//!   Backup ids are random, so no two runs meet on a key; but there a manifest is not protected against replacement.
//! - R2 wants all parts but the last to be of one size: they are.
//!
//! The credentials come from where the AWS SDK looks for them: environment, profile, container, Lambda, instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectLockMode};
use tokio::sync::OnceCell;

use super::{LockRule, StoreOptions};
use crate::config::LockMode;
use crate::error::{Error, ErrorKind, Result};

mod errors;
mod lock;
mod multipart;
mod parts;
mod protection;
mod read;
mod resume;
mod write;

pub use multipart::S3Writer;

/// How many requests it takes to write an object of this size.
pub fn upload_requests(bytes: u64) -> u64 {
    parts::upload_requests(bytes)
}

/// The metadata key (`x-amz-meta-…`) that says which create made an object.
const CREATE_TOKEN: &str = "pgark-create";

/// A bucket, or the part of it under a prefix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct S3Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    checking: Client,
    unchecking: Client,
    bucket: String,
    /// Empty or with a final slash.
    prefix: String,
    session: u64,
    lock: Option<LockRule>,
    creates: AtomicU64,
    checksums: AtomicBool,
    conditional_creates: AtomicBool,
    locks_readable: OnceCell<bool>,
}

impl S3Store {
    pub(super) async fn open(bucket: &str, prefix: &str, options: &StoreOptions) -> Result<Self> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(retries())
            .timeout_config(timeouts())
            .stalled_stream_protection(stalls());
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        Self::of(&loader.load().await, bucket, prefix, options.session, options.lock)
    }

    fn of(
        shared: &SdkConfig,
        bucket: &str,
        prefix: &str,
        session: u64,
        lock: Option<LockRule>,
    ) -> Result<Self> {
        let custom_endpoint = shared.endpoint_url().is_some();
        let region = match shared.region() {
            Some(region) => region.clone(),
            // Behind a custom endpoint the region is only a word in the signature, and this is the customary one.
            None if custom_endpoint => Region::new("us-east-1"),
            None => {
                return Err(Error::new(ErrorKind::Settings, "no AWS region is set")
                    .on(format!("s3://{bucket}"))
                    .hint("Set AWS_REGION to the region of the bucket."));
            }
        };
        let checksums =
            shared.request_checksum_calculation() != Some(RequestChecksumCalculation::WhenRequired);
        let config = aws_sdk_s3::config::Builder::from(shared)
            .region(region)
            .force_path_style(custom_endpoint)
            // We verify SHA-256 ourselves on reading; the default asks with a header which B2 refuses, and some servers
            // answer to a range with the checksum of the whole object.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        // Under `WhenRequired` the SDK announces a checksum that is named on a request, but does not send it: so there
        // are two clients, and no checksum is named on the one without.
        let client = |when| Client::from_conf(config.clone().request_checksum_calculation(when).build());
        Ok(Self {
            inner: Arc::new(Inner {
                checking: client(RequestChecksumCalculation::WhenSupported),
                unchecking: client(RequestChecksumCalculation::WhenRequired),
                bucket: bucket.to_owned(),
                prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
                session,
                lock,
                creates: AtomicU64::new(0),
                checksums: AtomicBool::new(checksums),
                conditional_creates: AtomicBool::new(true),
                locks_readable: OnceCell::new(),
            }),
        })
    }

    fn client(&self) -> &Client {
        let checksums = self.inner.checksums.load(Ordering::Relaxed);
        if checksums { &self.inner.checking } else { &self.inner.unchecking }
    }

    fn bucket(&self) -> &str {
        &self.inner.bucket
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.inner.prefix)
    }

    fn object(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.inner.bucket, self.inner.prefix)
    }

    fn checksum(&self) -> Option<ChecksumAlgorithm> {
        self.inner.checksums.load(Ordering::Relaxed).then_some(ChecksumAlgorithm::Crc32C)
    }

    /// Mode and end of the lock that a new object gets from us.
    fn lock_of(&self, key: &str) -> (Option<ObjectLockMode>, Option<DateTime>) {
        let Some((mode, until)) = self.inner.lock.and_then(|rule| rule.of(key)) else { return (None, None) };
        let mode = match mode {
            LockMode::Governance => ObjectLockMode::Governance,
            LockMode::Compliance => ObjectLockMode::Compliance,
        };
        (Some(mode), Some(DateTime::from_secs(until.as_second())))
    }

    fn if_none_match(&self) -> Option<String> {
        self.inner.conditional_creates.load(Ordering::Relaxed).then(|| "*".to_owned())
    }

    /// Marks a create, so that it can be told from another's when its answer was lost.
    fn create_token(&self) -> String {
        let count = self.inner.creates.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{count}", self.inner.session)
    }

    /// Creates the bucket, for tests on an empty server.
    #[cfg(any(test, feature = "conformance"))]
    #[doc(hidden)]
    pub async fn create_bucket(&self) -> Result<()> {
        let created = self.client().create_bucket().bucket(self.bucket()).send().await;
        created.map(|_| ()).map_err(|error| errors::map(error).on(self.bucket()))
    }
}

/// Standard mode: exponential backoff with jitter, for throttling, 5xx and broken connections only.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(6)
        .with_initial_backoff(Duration::from_millis(500))
        .with_max_backoff(Duration::from_secs(20))
}

/// An attempt includes the upload of a part, hence its length; a connection that is merely dead is found by
/// [`stalls`] long before.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_mins(3))
        .build()
}

fn stalls() -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled()
        .upload_enabled(true)
        .download_enabled(true)
        .grace_period(Duration::from_secs(20))
        .build()
}

#[cfg(test)]
pub(crate) mod tests;
