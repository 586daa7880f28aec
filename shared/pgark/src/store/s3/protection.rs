//! How a bucket protects what is in it: versioning, Object Lock, replication. Reads only its configuration, and what it
//! says of one object's copy, because a rule that is enabled may still copy nothing.

use aws_sdk_s3::types::{
    BucketVersioningStatus, ReplicationConfiguration, ReplicationRuleStatus, ReplicationStatus,
};
use jiff::Timestamp;

use super::read::timestamp;
use super::{S3Store, errors};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Replication;

/// What a bucket has of one kind of protection: a description; `None` if nothing.
type Protection = Option<String>;

impl S3Store {
    /// Versioning.
    ///
    /// # Errors
    /// When the bucket does not tell.
    pub async fn versioning(&self) -> Result<Protection> {
        let answer = self.client().get_bucket_versioning().bucket(self.bucket()).send().await;
        let answer = answer.map_err(|error| errors::map(error).on(self.bucket()))?;
        let enabled = answer.status() == Some(&BucketVersioningStatus::Enabled);
        Ok(enabled.then(|| "enabled".to_owned()))
    }

    /// Object Lock, with a retention that each new object gets.
    ///
    /// # Errors
    /// When the bucket does not tell.
    pub async fn default_lock(&self) -> Result<Protection> {
        let answer = self.client().get_object_lock_configuration().bucket(self.bucket()).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error)
                if errors::status(&error) == 404
                    && errors::code(&error) == "ObjectLockConfigurationNotFoundError" =>
            {
                return Ok(None);
            }
            Err(error) => return Err(errors::map(error).on(self.bucket())),
        };
        let rule = answer.object_lock_configuration().and_then(|lock| lock.rule());
        let retention = rule.and_then(|rule| rule.default_retention());
        Ok(retention.and_then(|retention| {
            let mode = retention.mode()?.as_str().to_lowercase();
            match (retention.days(), retention.years()) {
                (Some(days), _) if days > 0 => Some(format!("{mode} for {days} days")),
                (_, Some(years)) if years > 0 => Some(format!("{mode} for {years} years")),
                _ => None,
            }
        }))
    }

    /// Replication to another bucket, by a rule that is enabled.
    ///
    /// # Errors
    /// When the bucket does not tell.
    pub async fn replication(&self) -> Result<Protection> {
        let answer = self.client().get_bucket_replication().bucket(self.bucket()).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error)
                if errors::status(&error) == 404
                    && errors::code(&error) == "ReplicationConfigurationNotFoundError" =>
            {
                return Ok(None);
            }
            Err(error) => return Err(errors::map(error).on(self.bucket())),
        };
        let rules =
            answer.replication_configuration().map(ReplicationConfiguration::rules).unwrap_or_default();
        let enabled = rules.iter().find(|rule| *rule.status() == ReplicationRuleStatus::Enabled);
        Ok(enabled.and_then(|rule| rule.destination()).map(|to| format!("to {}", to.bucket())))
    }

    /// When an object was written, and whether it was copied elsewhere; `None` if there is no such object. Takes the
    /// right to read it ("HeadObject", S3 API reference; the values: "Getting replication status information", S3 User
    /// Guide).
    ///
    /// # Errors
    /// When the bucket does not tell.
    pub async fn replication_of(&self, key: &str) -> Result<Option<(Timestamp, Replication)>> {
        let head = self.client().head_object().bucket(self.bucket()).key(self.full_key(key)).send().await;
        let head = match head {
            Ok(head) => head,
            Err(error) if errors::status(&error) == 404 => return Ok(None),
            Err(error) => return Err(errors::map(error).on(self.object(key))),
        };
        let replication = match head.replication_status() {
            None => Replication::NotCovered,
            Some(ReplicationStatus::Pending) => Replication::Pending,
            Some(ReplicationStatus::Failed) => Replication::Failed,
            Some(ReplicationStatus::Completed | ReplicationStatus::Complete | ReplicationStatus::Replica) => {
                Replication::Done
            }
            Some(other) => {
                let message = format!("has the replication status {:?}, which is not known", other.as_str());
                return Err(Error::new(ErrorKind::StoreFailed, message).on(self.object(key)));
            }
        };
        Ok(Some((timestamp(head.last_modified())?, replication)))
    }
}
