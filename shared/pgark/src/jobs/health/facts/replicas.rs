//! How far the bucket's copies of the newest backups are: one request for a source, two at most.

use jiff::Timestamp;

use crate::config::BucketFeature;
use crate::error::{Error, Result};
use crate::health::{Facts, GoodBackup, ReplicaState, is_due};
use crate::repository::{BackupRef, SourceName, keys};
use crate::store::{Replication, Store};

/// Asks, if the bucket is to have replication and does not say itself that it has none.
pub(super) async fn asked_for(
    store: &Store,
    source: &SourceName,
    facts: &Facts,
    now: Timestamp,
) -> Result<Vec<ReplicaState>> {
    let is_expected = facts
        .bucket
        .iter()
        .any(|state| state.feature == BucketFeature::Replication.as_str() && state.present != Some(false));
    let Store::S3(bucket) = store else { return Ok(Vec::new()) };
    if !is_expected {
        return Ok(Vec::new());
    }
    let look = async |backup: &GoodBackup| {
        let place = BackupRef { id: backup.id, tier: backup.tier, source: source.clone() };
        bucket.replication_of(&place.key(keys::MANIFEST)).await
    };
    of_newest(&facts.good, now, look).await
}

/// The newest. If its copy is still under way, also the newest of those that are old enough to have one: else nothing
/// would ever be found where a backup is made every hour.
async fn of_newest(
    good: &[GoodBackup],
    now: Timestamp,
    look: impl AsyncFn(&GoodBackup) -> Result<Option<(Timestamp, Replication)>>,
) -> Result<Vec<ReplicaState>> {
    let state = async |backup: &GoodBackup| {
        let found = look(backup).await?;
        // Removed just now: the next check looks at another.
        Ok::<_, Error>(found.map(|(written_at, replication)| ReplicaState {
            backup: backup.id,
            written_at,
            replication,
        }))
    };
    let Some((newest, before)) = good.split_last() else { return Ok(Vec::new()) };
    let mut states = Vec::new();
    states.extend(state(newest).await?);
    if states.iter().any(|newest| newest.is_under_way(now))
        && let Some(due) = before.iter().rev().find(|backup| is_due(backup.id.time(), now))
    {
        states.extend(state(due).await?);
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::ToSpan as _;

    use super::*;
    use crate::health::BucketState;
    use crate::repository::manifest::BackupOptions;
    use crate::repository::{BackupId, Tier};
    use crate::store::s3::tests::{answer, scripted};

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn backup(hours: i64) -> GoodBackup {
        let id = BackupId::new(now() - hours.hours(), 0);
        GoodBackup { id, tier: Tier::Daily, stored_bytes: 1, rows: 1, options: BackupOptions::default() }
    }

    /// Backups so many hours ago, and what the newest one says; which ones are asked for, in hours.
    async fn asked(hours: &[i64], written_hours: i64, newest: Replication) -> Vec<i64> {
        let good: Vec<GoodBackup> = hours.iter().map(|hours| backup(*hours)).collect();
        let asked = Mutex::new(Vec::new());
        let look = async |backup: &GoodBackup| {
            asked.lock().unwrap().push(now().duration_since(backup.id.time()).as_hours());
            Ok(Some((now() - written_hours.hours(), newest)))
        };
        let states = of_newest(&good, now(), look).await.unwrap();
        let asked = asked.into_inner().unwrap();
        assert_eq!(states.len(), asked.len());
        asked
    }

    #[tokio::test]
    async fn two_are_asked_for_at_most() {
        use Replication::{Done, Failed, NotCovered, Pending};
        assert_eq!(asked(&[], 0, Done).await, [0; 0]);
        for settled in [Done, Failed, NotCovered] {
            assert_eq!(asked(&[26, 2], 2, settled).await, [2]);
        }
        assert_eq!(asked(&[26, 2], 2, Pending).await, [2, 26], "too young to be owed a copy");
        assert_eq!(asked(&[26, 5], 5, Pending).await, [5], "overdue itself");
        assert_eq!(asked(&[5, 4, 3, 2, 1], 1, Pending).await, [1, 4], "every hour");
        assert_eq!(asked(&[8, 4], 1, Pending).await, [4, 8], "each takes three hours");
        assert_eq!(asked(&[2, 1], 1, Pending).await, [1], "none is old enough");
    }

    fn facts(present: Option<bool>) -> Facts {
        let feature = BucketFeature::Replication.as_str().to_owned();
        let bucket = vec![BucketState { feature, present, detail: "x".to_owned() }];
        Facts { good: vec![backup(26), backup(10)], bucket, ..Facts::default() }
    }

    /// The manifest and nothing else: the role of the health check may read no other object of a backup.
    #[tokio::test]
    async fn the_manifest_is_asked_for_where_replication_is_to_be_there() {
        let head = answer(
            "200 OK",
            "Content-Length: 4\r\nLast-Modified: Sat, 21 Nov 2026 02:01:00 GMT\r\nx-amz-replication-status: FAILED\r\n",
            "",
        );
        for present in [Some(true), None] {
            let (store, server) = scripted(vec![head.clone()]).await;
            let source = "shop".parse().unwrap();
            let states = asked_for(&Store::S3(store), &source, &facts(present), now()).await.unwrap();
            let written_at = "2026-11-21T02:01:00Z".parse().unwrap();
            let backup = BackupId::new(now() - 10.hours(), 0);
            assert_eq!(states, [ReplicaState { backup, written_at, replication: Replication::Failed }]);
            let requests = server.await.unwrap();
            let expected = "head /bucket/root/daily/shop/20261121t020000z-aaaa/manifest.json ";
            assert!(requests[0].starts_with(expected), "{}", requests[0]);
        }
        // Nobody listens there: it is not asked.
        for facts in [facts(Some(false)), Facts { bucket: Vec::new(), ..facts(None) }] {
            let (store, server) = scripted(vec![]).await;
            server.await.unwrap();
            let states = asked_for(&Store::S3(store), &"shop".parse().unwrap(), &facts, now()).await.unwrap();
            assert_eq!(states, []);
        }
    }

    #[tokio::test]
    async fn one_that_is_gone_meanwhile_says_nothing() {
        let states = of_newest(&[backup(2)], now(), async |_: &GoodBackup| Ok(None)).await.unwrap();
        assert_eq!(states, []);
    }
}
