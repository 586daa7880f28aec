//! Was the newest backup copied elsewhere, as the bucket's replication promises?
//!
//! That a rule is enabled says little: a key that may not be used, a policy or a role that is missing at the target, a
//! prefix that covers nothing, and the copy stays empty. The store tells of each object how far its copy is. One object
//! is looked at, the manifest: it is written last, and the role of the health check may read no other.

use jiff::Timestamp;

use super::{Code, Facts, Found, ReplicaState, seconds_between};
use crate::notify::wording;
use crate::store::Replication;

/// S3's Replication Time Control promises a copy within 15 minutes; without it, most take no longer, and some "a couple
/// of hours" ("Meeting compliance requirements with S3 Replication Time Control", S3 User Guide).
const PATIENCE_SECONDS: f64 = 3.0 * 3600.0;

impl ReplicaState {
    /// Whether there is no copy yet, and none is owed yet.
    pub(crate) fn is_under_way(&self, now: Timestamp) -> bool {
        self.replication == Replication::Pending && seconds_between(self.written_at, now) <= PATIENCE_SECONDS
    }
}

/// Whether a backup is so old that its copy may be owed.
pub(crate) fn is_due(started_at: Timestamp, now: Timestamp) -> bool {
    seconds_between(started_at, now) > PATIENCE_SECONDS
}

pub(super) fn judge(facts: &Facts, now: Timestamp, found: &mut Found) {
    for (number, replica) in facts.replicas.iter().enumerate() {
        let backup = replica.backup;
        match replica.replication {
            Replication::Failed => found.unhealthy(
                Code::ReplicationFailed,
                format!("the bucket could not copy backup {backup} elsewhere"),
                "Look at the rights of the rule's role, at the policy of the target's bucket, and at both KMS keys. What \
                 failed is not tried again: run `pgark backup`, or copy with S3 Batch Replication.",
            ),
            Replication::Pending if !replica.is_under_way(now) => {
                let age = wording::duration(seconds_between(replica.written_at, now));
                found.unhealthy(
                    Code::ReplicationOverdue,
                    format!("the bucket has not copied backup {backup} elsewhere, which was written {age} ago"),
                    "Look whether the target's bucket and region can be reached, and whether the bucket has a long way to \
                     catch up: S3 shows it as ReplicationLatency and OperationsPendingReplication in CloudWatch.",
                );
            }
            // Older ones may be from before the rule.
            Replication::NotCovered if number == 0 => found.unhealthy(
                Code::ReplicationMissing,
                format!(
                    "backup {backup} was not copied elsewhere: no rule of the bucket covers it, or it was made before \
                     the rule"
                ),
                "If the rule is new, run `pgark backup`; S3 Batch Replication copies what was there before. Else look at \
                 the rule's prefix, and whether it takes objects that are encrypted with KMS.",
            ),
            Replication::NotCovered | Replication::Pending | Replication::Done => {}
        }
    }
}
