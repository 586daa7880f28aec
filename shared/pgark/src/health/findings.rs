//! What can be found. Codes are public: alerts and scripts are built on them, so none is renamed or reused.
//! docs/health.md lists them, and a test holds the two together.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $name:literal,)*) => {
        /// What was found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $code,)*
        }

        impl Code {
            /// All.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// As in reports and messages.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }
        }
    };
}

codes! {
    /// There is no good backup.
    BackupNone = "backup.none",
    /// The newest good backup is too old.
    BackupOverdue = "backup.overdue",
    /// A backup does not count as good. A finding if it is the newest one, else a warning.
    BackupBad = "backup.bad",
    /// The newest backup is far smaller than those before.
    SizeCollapsed = "size.collapsed",
    /// The newest backup is far larger than those before.
    SizeJumped = "size.jumped",
    /// The newest backup has far fewer rows than those before.
    RowsCollapsed = "rows.collapsed",
    /// The newest backup has far more rows than those before.
    RowsJumped = "rows.jumped",
    /// A table that had rows in the backup before has none.
    TableEmptied = "table.emptied",
    /// A table has far fewer rows than in the backup before.
    TableCollapsed = "table.collapsed",
    /// A table that had rows in the backup before is not there.
    TableGone = "table.gone",
    /// The newest backup is of another server than the one before.
    ServerChanged = "server.changed",
    /// The newest backup is of an older major version than the one before.
    ServerOlder = "server.older",
    /// The source is not found on its server any more.
    SourceVanished = "source.vanished",
    /// No verification found a backup good for too long.
    VerifyOverdue = "verify.overdue",
    /// No restore test passed for too long.
    RestoreTestOverdue = "restore-test.overdue",
    /// The last restore test failed.
    RestoreTestFailed = "restore-test.failed",
    /// There was more time between backups than was promised.
    RecoveryPointMissed = "recovery-point.missed",
    /// The last restore took longer than was promised.
    RecoveryTimeMissed = "recovery-time.missed",
    /// A run started and did not end.
    RunUnfinished = "run.unfinished",
    /// Uploads or objects of failed runs lie around.
    Remains = "remains",
    /// Retention promises backups that are not there.
    TierIncomplete = "tier.incomplete",
    /// Backups are there that retention should have deleted.
    PruneOverdue = "prune.overdue",
    /// The bucket lacks something that it is to have.
    BucketUnprotected = "bucket.unprotected",
    /// The store could not copy the newest backup elsewhere.
    ReplicationFailed = "replication.failed",
    /// The store has been copying a backup for too long.
    ReplicationOverdue = "replication.overdue",
    /// The store does not copy the newest backup.
    ReplicationMissing = "replication.missing",
    /// Something could not be looked at.
    NotLookedAt = "not-looked-at",
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// What exactly: lowercase, no full stop.
    pub message: String,
    /// What to do, in full sentences.
    pub hint: String,
}
