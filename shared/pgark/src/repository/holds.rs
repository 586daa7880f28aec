//! Holds: a person's word that a backup stays. Records are only added, and the newest of a backup's decides, so that it
//! can be seen later who held what, and who let go of it. What a hold means is left to [`crate::retention`].

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BackupId, BackupRef, Repository, SourceName, keys};
use crate::error::{Error, ErrorKind, Result};
use crate::retention::{Hold, later};
use crate::store::{StoreRead as _, StoreWrite as _};

/// The version of the form of records.
const FORMAT_VERSION: &str = "1.0";
const RECORD_BYTES_MAX: usize = 64 * 1024;
const REQUESTS_IN_FLIGHT: usize = 16;

/// A hold, or the release of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRecord {
    /// The version of the form.
    pub format_version: String,
    /// Whether it holds or releases.
    pub kind: HoldKind,
    /// The record's id, by which its key sorts.
    pub id: BackupId,
    /// The source.
    pub source: SourceName,
    /// The backup.
    pub backup: BackupId,
    /// Why.
    pub reason: String,
    /// Until when; `null` for until it is released.
    pub until: Option<Timestamp>,
    /// Whose word it is, as the machine knows it.
    pub by: Option<String>,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// The backup stays.
    Hold,
    /// It need not stay any more.
    Release,
}

impl HoldRecord {
    /// A record on a backup. Its id comes after that of every record before it, whatever the clocks say.
    pub fn new(
        kind: HoldKind,
        backup: &BackupRef,
        reason: &str,
        now: Timestamp,
        random: u32,
        newest: Option<BackupId>,
    ) -> Self {
        let after = newest.map(|newest| later(newest.time(), jiff::SignedDuration::from_secs(1)));
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            kind,
            id: BackupId::new(after.map_or(now, |after| now.max(after)), random),
            source: backup.source.clone(),
            backup: backup.id,
            reason: reason.to_owned(),
            until: None,
            by: None,
        }
    }
}

impl Repository {
    /// The holds on a source's backups. One whose time is over is among them; one that was released is not.
    ///
    /// A record that cannot be understood holds: whoever wrote it meant something.
    pub async fn holds(&self, source: &SourceName) -> Result<BTreeMap<BackupId, Hold>> {
        let newest = self.newest_records(&keys::holds_prefix(source)).await?;
        let read = stream::iter(newest)
            .map(|(backup, record)| async move {
                Ok::<_, Error>((backup, self.hold_of(source, backup, record).await?))
            })
            .buffered(REQUESTS_IN_FLIGHT);
        let read: Vec<(BackupId, Option<Hold>)> = read.try_collect().await?;
        Ok(read.into_iter().filter_map(|(backup, hold)| Some((backup, hold?))).collect())
    }

    /// The hold on a backup, and the id of the newest record on it.
    pub async fn hold_on(&self, backup: &BackupRef) -> Result<(Option<Hold>, Option<BackupId>)> {
        let newest = self.newest_records(&keys::holds_on_prefix(&backup.source, backup.id)).await?;
        let Some(record) = newest.get(&backup.id).copied() else { return Ok((None, None)) };
        Ok((self.hold_of(&backup.source, backup.id, record).await?, Some(record)))
    }

    /// Adds a record.
    pub async fn put_hold(&self, record: &HoldRecord) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(record).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write a hold as JSON").because(source)
        })?;
        json.push(b'\n');
        let key = keys::hold(&record.source, record.backup, record.id);
        self.store().put_small(&key, Bytes::from(json)).await.map(drop)
    }

    /// The newest record on each backup under a prefix.
    async fn newest_records(&self, prefix: &str) -> Result<BTreeMap<BackupId, BackupId>> {
        let mut newest: BTreeMap<BackupId, BackupId> = BTreeMap::new();
        let mut objects = self.store().list(prefix)?;
        while let Some(object) = objects.try_next().await? {
            let mut parts = object.key.rsplit('/');
            let id: Option<BackupId> = parts.next().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            let backup: Option<BackupId> = parts.next().and_then(|name| name.parse().ok());
            if let (Some(id), Some(backup)) = (id, backup) {
                newest.entry(backup).and_modify(|known| *known = id.max(*known)).or_insert(id);
            }
        }
        Ok(newest)
    }

    async fn hold_of(&self, source: &SourceName, backup: BackupId, id: BackupId) -> Result<Option<Hold>> {
        let key = keys::hold(source, backup, id);
        let json = self.store().get_small(&key, RECORD_BYTES_MAX).await?;
        let since = id.time();
        match serde_json::from_slice::<HoldRecord>(&json) {
            Ok(HoldRecord { kind: HoldKind::Release, .. }) => Ok(None),
            Ok(HoldRecord { reason, until, .. }) => Ok(Some(Hold { reason, until, since })),
            Err(error) => {
                tracing::warn!(%error, key, "a hold cannot be understood, and holds");
                let reason = format!("{key} cannot be understood");
                Ok(Some(Hold { reason, until: None, since }))
            }
        }
    }
}
