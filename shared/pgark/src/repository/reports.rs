//! Reports of jobs on backups: evidence that is kept beside them.

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::{BackupId, ReportKind, Repository, SourceName, keys};
use crate::error::Result;
use crate::retention::{CLOCK_SKEW_MAX, later};
use crate::store::{ObjectInfo, StoreRead as _, StoreWrite as _};

/// A report names each thing that is wrong, at the worst each table of a database.
const REPORT_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Repository {
    /// Stores a report under a new key.
    pub async fn put_report(&self, key: &str, json: Vec<u8>) -> Result<()> {
        self.store().put_small(key, Bytes::from(json)).await.map(|_| ())
    }

    /// The reports of a kind, ascending by time. One that is dated later than the store saw it is passed over, or it would be
    /// the newest word on a backup for as long as it is ahead.
    pub async fn reports(&self, source: &SourceName, kind: ReportKind) -> Result<Vec<BackupId>> {
        let prefix = keys::reports_prefix(source, kind);
        let objects: Vec<_> = self.store().list(&prefix)?.try_collect().await?;
        let name = |key: &str| key.strip_prefix(&prefix)?.strip_suffix(".json")?.parse().ok();
        let believed = |object: &ObjectInfo| {
            let id: BackupId = name(&object.key)?;
            if id.time() <= later(object.modified, CLOCK_SKEW_MAX) {
                return Some(id);
            }
            tracing::warn!(
                key = object.key,
                "a report is dated later than the store saw it, and does not count"
            );
            None
        };
        Ok(objects.iter().filter_map(believed).collect())
    }

    /// The text of a report.
    pub async fn read_report(&self, source: &SourceName, kind: ReportKind, id: BackupId) -> Result<Bytes> {
        self.store().get_small(&keys::report_of(source, kind, id), REPORT_BYTES_MAX).await
    }
}
