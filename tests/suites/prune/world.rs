//! A bucket, and backups in it that were never dumped: a manifest that is right in itself, and an object of each kind.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use pgark::app::{App, Outside};
use pgark::config::{Needs, RawSettings};
use pgark::jobs::prune::{Prune, SourceReport};
use pgark::repository::{BackupId, BackupRef, Filter, SourceName, Tier};
use pgark::store::{StoreRead as _, StoreWrite as _};
use pgark_tests::ObjectStore;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Result;

pub(crate) const APPLY: Prune =
    Prune { source: None, apply: true, allow_share: false, allow_no_good: false, remove: Vec::new() };
const REQUESTS_IN_FLIGHT: usize = 24;

pub(crate) struct World {
    pub(crate) app: App,
    /// The store's address.
    store: String,
}

impl World {
    /// An empty store, with this policy and a floor of two. All of them are in one bucket, because each bucket costs
    /// SeaweedFS several of its volumes.
    pub(crate) async fn new(keep: &str) -> Result<Self> {
        static BUCKET: OnceLock<String> = OnceLock::new();
        static STORES: AtomicU32 = AtomicU32::new(0);
        let server = ObjectStore::shared()?;
        let bucket = if let Some(bucket) = BUCKET.get() {
            bucket
        } else {
            let created = server.create_bucket("prune")?;
            BUCKET.get_or_init(|| created)
        };
        let number = STORES.fetch_add(1, Ordering::Relaxed);
        Self::at(&format!("s3://{bucket}/store-{number}"), keep, server.endpoint()).await
    }

    /// What is there already.
    pub(crate) async fn at(store: &str, keep: &str, endpoint: &str) -> Result<Self> {
        let settings = RawSettings {
            store: Some(store.to_owned()),
            source: Some("shop".to_owned()),
            s3_endpoint: Some(endpoint.to_owned()),
            keep: Some(keep.to_owned()),
            keep_min: Some("2".to_owned()),
            prune_share_max: Some("100%".to_owned()),
            // One step after the other, so that the order of requests is always the same.
            jobs: Some("1".to_owned()),
            ..RawSettings::default()
        };
        let outside = Outside { environment: |_| None, ..Outside::real() };
        let needs = Needs::STORE;
        let mut app = App::load(settings, None, needs, 1, outside).await?;
        // What a run that was killed left would be cleared away days later. Tests do not have days.
        app.settings.retention.grace = std::time::Duration::ZERO;
        Ok(Self { app, store: store.to_owned() })
    }

    /// The same store by another way.
    pub(crate) async fn through(&self, endpoint: &str) -> Result<Self> {
        let keep = self.app.settings.retention.policy.rules.to_string();
        Self::at(&self.store, &keep, endpoint).await
    }

    /// Good backups of the last days, one a day, the oldest first.
    pub(crate) async fn backups(&self, count: u32) -> Result<Vec<BackupRef>> {
        let places = places(count);
        let writing = places.iter().map(|place| self.write(place));
        stream::iter(writing).buffered(REQUESTS_IN_FLIGHT).try_collect::<()>().await?;
        Ok(places)
    }

    async fn write(&self, place: &BackupRef) -> Result {
        let store = self.app.repository.store();
        for name in ["toc.dat", "data/public.orders.dat"] {
            store.put_small(&place.key(name), bytes::Bytes::from_static(b"stored")).await?;
        }
        self.app.repository.commit(place, manifest(place), None).await?;
        Ok(())
    }

    /// Prunes, and expects a report.
    pub(crate) async fn prune(&self, job: Prune) -> Result<SourceReport> {
        let mut report = job.run(&self.app, &CancellationToken::new()).await?;
        report.reports.pop().context("no report")
    }

    /// The backups that are there, ascending. Each must be whole, and nothing may be there besides.
    pub(crate) async fn whole(&self) -> Result<Vec<BackupRef>> {
        let found = self.app.repository.find(&Filter::default()).await?;
        for (backup, manifest) in self.app.repository.load_manifests(&found.complete).await {
            for object in manifest?.objects {
                let there = self.app.repository.store().head(&backup.key(&object.name)).await?;
                anyhow::ensure!(there.is_some(), "{backup} is listed, and lacks {}", object.name);
            }
        }
        Ok(found.complete)
    }

    /// Folders without a manifest.
    pub(crate) async fn remains(&self) -> Result<Vec<BackupRef>> {
        Ok(self.app.repository.find(&Filter::default()).await?.incomplete)
    }
}

/// Places of backups, one a day until yesterday, the oldest first.
pub(crate) fn places(count: u32) -> Vec<BackupRef> {
    let (now, source) = (Timestamp::now(), SourceName::of_database("shop"));
    let id = |days: u32| BackupId::new(now - SignedDuration::from_hours(24 * i64::from(days)), 7);
    let place = |days| BackupRef { id: id(days), tier: Tier::Daily, source: source.clone() };
    (1..=count).rev().map(place).collect()
}

/// What a backup of one small table says of itself.
pub(crate) fn manifest(place: &BackupRef) -> Vec<u8> {
    let fingerprint = format!("xxh3-128-sum:{:032x}", 255);
    let hash = "0".repeat(64);
    let object = |name: &str| {
        json!({
            "name": name, "archive_name": name.rsplit('/').next(),
            "stored_bytes": 6, "stored_sha256": hash, "plain_bytes": 6, "plain_sha256": hash,
        })
    };
    let mut data = object("data/public.orders.dat");
    data["rows"] = json!(42);
    data["fingerprint"] = json!(fingerprint);
    let time = place.id.time();
    let manifest = json!({
        "format_version": "1.0", "id": place.id, "source": place.source, "tier": place.tier,
        "pgark_version": "0.1.0", "started_at": time, "snapshot_at": time, "finished_at": time,
        "server": { "version": "17.0", "version_num": 170_000, "database": "shop", "encoding": "UTF8" },
        "snapshot": { "xids": "1:1:", "wal_lsn": null },
        "compression": "none", "encryption": null, "options": {}, "allow_missing": [], "toc_entries": 1,
        "tables": [{
            "schema": "public", "name": "orders", "rows": 42, "fingerprint": fingerprint, "columns": ["id"],
            "objects": ["data/public.orders.dat"], "plain_bytes": 6,
        }],
        "large_objects": null, "objects": [object("toc.dat"), data],
        "totals": { "tables": 1, "rows": 42, "objects": 2, "plain_bytes": 12, "stored_bytes": 12 },
        "warnings": [],
    });
    manifest.to_string().into_bytes()
}
