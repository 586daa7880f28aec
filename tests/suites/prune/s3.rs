//! Against SeaweedFS: killed at every request, refused, two at once, more keys than a listing has, Object Lock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use pgark::jobs::prune::Done;
use pgark::store::{StoreRead as _, StoreWrite as _};
use pgark_tests::{Fate, ObjectStore, RequestProxy};
use tokio_util::sync::CancellationToken;

use super::Result;
use super::world::{APPLY, World, manifest, places};

/// The run is dropped at one request after the other: nothing that comes behind it is sent, as when the process is killed.
/// Once the server never hears of that request, and once it does what it says.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn killed_at_every_request_it_loses_nothing_good_and_the_next_run_ends_it() -> Result {
    let endpoint = ObjectStore::shared()?.endpoint();
    let (mut number, mut killed) = (0, 0);
    'requests: loop {
        number += 1;
        for fate in [Fate::Swallow, Fate::SwallowAnswer] {
            let world = World::new("last 2").await?;
            let all = world.backups(4).await?;
            let at_that_request = fate.clone();
            let proxy = RequestProxy::start(endpoint, move |seen| match seen.number {
                n if n < number => Fate::Pass,
                n if n == number => at_that_request.clone(),
                _ => Fate::Swallow,
            })
            .await?;
            let through = world.through(&proxy.endpoint()).await?;
            let (job, stop) = (APPLY, CancellationToken::new());
            let ended = tokio::select! {
                done = job.run(&through.app, &stop) => Some(done),
                () = proxy.swallowed() => None,
            };
            let left = world.whole().await?;
            ensure!(left.ends_with(&all[2..]), "killed at {number} ({fate:?}): {left:?}");
            if let Some(done) = ended {
                ensure!(done?.good && proxy.requests() < number, "{number}");
                break 'requests;
            }
            killed += 1;
            let report = world.prune(APPLY).await?;
            ensure!(report.is_good(), "{report:?}");
            ensure!(world.whole().await? == all[2..], "killed at {number} ({fate:?})");
            ensure!(world.remains().await?.is_empty(), "killed at {number} ({fate:?})");
        }
    }
    println!("killed {killed} times, at each of {} requests", number - 1);
    ensure!(number > 20, "only {number} requests");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn a_refused_deletion_leaves_that_backup_whole_and_the_others_go() -> Result {
    let world = World::new("last 2").await?;
    let all = world.backups(5).await?;
    let (locked, half) = (all[0].clone(), all[1].clone());
    let (manifest_of, data_of) = (locked.key("manifest.json"), half.key("data/public.orders.dat"));
    let proxy = RequestProxy::start(ObjectStore::shared()?.endpoint(), move |seen| {
        let of = |key: &str| seen.body.contains(key) || seen.target.contains(key);
        if seen.deletes() && (of(&manifest_of) || of(&data_of)) { Fate::Refuse } else { Fate::Pass }
    })
    .await?;
    let report = world.through(&proxy.endpoint()).await?.prune(APPLY).await?;
    let done: Vec<_> = report.backups.iter().map(|line| line.done).collect();
    assert_eq!(done, [Done::Failed, Done::Failed, Done::Removed, Done::Kept, Done::Kept]);
    let failed: Vec<_> =
        report.failures.iter().map(|failure| (failure.backup.as_str(), failure.code)).collect();
    let expected = [(locked.to_string(), "store.refused"), (half.to_string(), "store.refused")];
    assert_eq!(failed, expected.each_ref().map(|(backup, code)| (backup.as_str(), *code)));
    let hint = |index: usize| report.failures[index].hint.clone().unwrap_or_default();
    assert!(hint(0).starts_with("Nothing else of the backup was touched. "), "{}", hint(0));
    assert!(hint(1).starts_with("Its manifest is gone, so it is no backup any more; "), "{}", hint(1));
    assert_eq!(world.whole().await?, [&all[..1], &all[3..]].concat());
    assert_eq!(world.remains().await?, [half]);
    // Once it is allowed, the rest goes.
    world.prune(APPLY).await?;
    assert_eq!((world.whole().await?, world.remains().await?), (all[3..].to_vec(), vec![]));
    Ok(())
}

/// A server that ignores prefixes, or a gateway that mixes its answers up: whose keys are they?
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn behind_a_store_that_lists_foreign_keys_nothing_foreign_is_deleted() -> Result {
    let server = ObjectStore::shared()?;
    let bucket = server.create_bucket("lying")?;
    let world = World::at(&format!("s3://{bucket}"), "last 3", server.endpoint()).await?;
    let all = world.backups(6).await?;
    let lie = server.listing_of_everything(&bucket)?;
    let proxy = RequestProxy::start(server.endpoint(), move |seen| {
        if seen.lists_a_backup() { Fate::Answer(lie.clone()) } else { Fate::Pass }
    })
    .await?;
    let report = world.through(&proxy.endpoint()).await?.prune(APPLY).await?;
    // The manifests of those that go are asked for by name, so these are gone. Of the rest nobody knows what is theirs.
    assert_eq!(world.whole().await?, all[3..]);
    let codes: Vec<_> = report.failures.iter().map(|failure| failure.code).collect();
    assert_eq!(codes, ["store.listing"; 3], "{:?}", report.failures);
    assert_eq!(world.remains().await?, all[..3]);
    let message = &report.failures[0].message;
    assert!(message.contains(&all[0].prefix()) && message.contains("which does not lie there"), "{message}");
    // By a store that answers right the next run ends it.
    world.prune(APPLY).await?;
    assert_eq!((world.whole().await?, world.remains().await?), (all[3..].to_vec(), vec![]));
    Ok(())
}

/// A request that deletes many objects may delete some of them only, so the manifest must not be one of many.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn the_manifest_goes_first_and_alone() -> Result {
    let world = World::new("last 2").await?;
    let all = world.backups(4).await?;
    let deletions = Arc::new(Mutex::new(Vec::new()));
    let seen_by_proxy = Arc::clone(&deletions);
    let proxy = RequestProxy::start(ObjectStore::shared()?.endpoint(), move |seen| {
        if seen.deletes()
            && let Ok(mut deletions) = seen_by_proxy.lock()
        {
            deletions.push(seen.target.clone() + &seen.body);
        }
        Fate::Pass
    })
    .await?;
    let report = world.through(&proxy.endpoint()).await?.prune(APPLY).await?;
    assert_eq!(report.totals.backups_removed, 2);
    let deletions = deletions.lock().map_err(|error| anyhow::anyhow!("{error}"))?;
    for backup in &all[..2] {
        let first = deletions.iter().find(|text| text.contains(&backup.prefix()));
        let first = first.context("nothing of it was deleted")?;
        assert!(first.contains("manifest.json"), "{first}");
        assert_eq!(first.matches(&backup.prefix()).count(), 1, "{first}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn two_at_once_come_to_the_same_end_as_one() -> Result {
    for _ in 0..5 {
        let world = World::new("last 3").await?;
        let all = world.backups(8).await?;
        let other = world.through(ObjectStore::shared()?.endpoint()).await?;
        let (first, second) = tokio::join!(world.prune(APPLY), other.prune(APPLY));
        for report in [first?, second?] {
            assert!(report.is_good(), "{report:?}");
        }
        assert_eq!((world.whole().await?, world.remains().await?), (all[5..].to_vec(), vec![]));
    }
    Ok(())
}

/// Who sees only the first page of a listing sees the oldest, and takes the newest of those for the newest.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn more_backups_and_more_objects_than_a_page_of_a_listing_has() -> Result {
    let world = World::new("last 1000").await?;
    let all = world.backups(1030).await?;
    let store = world.app.repository.store();
    // And one of them has more objects than can be listed or deleted by one request.
    let strays = (0..2100).map(|number| {
        let key = all[3].key(&format!("data/{number:05}"));
        async move { store.put_small(&key, Bytes::new()).await.map(drop) }
    });
    stream::iter(strays).buffer_unordered(24).try_collect::<()>().await?;
    let report = world.prune(APPLY).await?;
    assert!(report.is_good(), "{:?} {:?}", report.refusals, report.failures);
    assert_eq!((report.totals.backups, report.totals.backups_removed), (1030, 30));
    let left: BTreeSet<_> = world.whole().await?.into_iter().collect();
    assert_eq!(left, all[30..].iter().cloned().collect());
    let keys: Vec<_> = store.list(&all[3].prefix())?.try_collect().await?;
    assert_eq!(keys, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn what_the_store_retains_is_kept_with_that_reason() -> Result {
    let server = ObjectStore::shared()?;
    let bucket = server.create_bucket_with_lock("locked")?;
    let world = World::at(&format!("s3://{bucket}/backups"), "last 2", server.endpoint()).await?;
    let until = Timestamp::now() + SignedDuration::from_hours(48);
    let until = Timestamp::from_second(until.as_second())?;
    let written = until.to_string();
    let retained =
        [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", written.as_str())];
    let held = [("x-amz-object-lock-legal-hold", "ON")];
    let all = places(6);
    for (place, headers) in all.iter().zip([&retained[..], &held[..], &[], &[], &[], &[]]) {
        let key = |name: &str| format!("backups/{}", place.key(name));
        server.put(&bucket, &key("toc.dat"), b"stored")?;
        server.put(&bucket, &key("data/public.orders.dat"), b"stored")?;
        server.put_locked(&bucket, &key("manifest.json"), &manifest(place), headers)?;
    }
    let report = world.prune(APPLY).await?;
    let reasons: Vec<_> = report.backups[..2].iter().map(|line| line.reasons[0].text.clone()).collect();
    let expected =
        [format!("the store retains it until {until}"), "the store has it under a legal hold".to_owned()];
    assert_eq!(reasons, expected);
    assert_eq!(report.warnings, [""; 0]);
    assert!(report.is_good(), "{:?}", report.failures);
    assert_eq!(world.whole().await?, [&all[..2], &all[4..]].concat());
    Ok(())
}

/// A role that may not ask for locks is told nothing, which must not be taken for "there are none" in silence.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_real_s3_server"]
async fn locks_that_may_not_be_asked_for_are_unknown_and_said_to_be() -> Result {
    let world = World::new("last 2").await?;
    world.backups(3).await?;
    let proxy = RequestProxy::start(ObjectStore::shared()?.endpoint(), |seen| {
        let asks = seen.target.contains("?retention") || seen.target.contains("?legal-hold");
        if asks { Fate::Refuse } else { Fate::Pass }
    })
    .await?;
    let report = world.through(&proxy.endpoint()).await?.prune(APPLY).await?;
    assert!(report.is_good() && report.totals.backups_removed == 1);
    assert!(report.warnings[0].contains("is not known for 3 of 3"), "{:?}", report.warnings);
    Ok(())
}
