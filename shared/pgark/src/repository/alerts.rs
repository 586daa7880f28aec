//! Alerts: what was last said of a source's health. Each is created once; the newest is the state.

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::{BackupId, Repository, SourceName, keys};
use crate::error::{Error, ErrorKind, Result};
use crate::health::alerts::Alert;
use crate::store::{StoreRead as _, StoreWrite as _};

const ALERT_BYTES_MAX: usize = 1024 * 1024;

impl Repository {
    /// The last alert on a source. One that cannot be read is passed over: then something is said twice rather than
    /// never.
    pub async fn last_alert(&self, source: &SourceName) -> Result<Option<Alert>> {
        let prefix = keys::alerts_prefix(source);
        let objects: Vec<_> = self.store().list(&prefix)?.try_collect().await?;
        let id = |key: &str| key.strip_prefix(&prefix)?.strip_suffix(".json")?.parse::<BackupId>().ok();
        let mut ids: Vec<BackupId> = objects.iter().filter_map(|object| id(&object.key)).collect();
        ids.sort_unstable();
        while let Some(id) = ids.pop() {
            let key = keys::alert(source, id);
            let json = self.store().get_small(&key, ALERT_BYTES_MAX).await?;
            match serde_json::from_slice(&json) {
                Ok(alert) => return Ok(Some(alert)),
                Err(error) => tracing::warn!(%error, key, "an alert cannot be read, and is passed over"),
            }
        }
        Ok(None)
    }

    /// Stores an alert.
    pub async fn put_alert(&self, alert: &Alert) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(alert).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write the alert as JSON").because(source)
        })?;
        json.push(b'\n');
        self.store().put_small(&keys::alert(&alert.source, alert.id), Bytes::from(json)).await.map(|_| ())
    }
}
