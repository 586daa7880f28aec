//! Stores that refuse, are full, or go away.

use std::net::SocketAddr;

use pgark_tests::{Direction, Fate, Fault, FaultProxy, ObjectStore, RequestProxy, eventually};

use super::place::Place;
use super::source::Source;
use super::{Result, SOON};

/// The size of one part of an upload, at least.
const PART_BYTES: u64 = 8 << 20;

fn address(server: &ObjectStore) -> Result<SocketAddr> {
    Ok(server.endpoint().trim_start_matches("http://").parse()?)
}

#[test]
fn a_store_that_refuses_is_named_with_the_cure() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    let bucket = Place::bucket()?;
    let wrong = "n0t-the-secret";
    let backup = || anyhow::Ok(source.backup(&bucket)?.secret(wrong));
    let ended = backup()?.set("AWS_SECRET_ACCESS_KEY", wrong).run()?;
    ended.failed(1, "store.refused", &["s3://failures", "credentials", "AWS_SECRET_ACCESS_KEY"])?;

    let ended = backup()?.set("PGARK_STORE", "s3://there-is-no-such-bucket").run()?;
    ended.failed(
        2,
        "store.missing",
        &["s3://there-is-no-such-bucket", "Create the bucket", "PGARK_STORE"],
    )?;

    let ended = backup()?.set("AWS_ACCESS_KEY_ID", "").set("AWS_SECRET_ACCESS_KEY", "").run()?;
    ended.failed(2, "store.credentials", &["s3://failures", "no usable AWS credentials", "AWS_PROFILE"])?;

    source.is_left_alone()?;
    bucket.is_untouched()
}

#[test]
fn a_folder_that_refuses_is_named_with_the_cure() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    let place = Place::folder()?;
    // Nobody can write there, not even root.
    let ended = source.backup(&place)?.set("PGARK_STORE", "file:///sys").run()?;
    ended.failed(1, "store.refused", &["/sys/", "access denied", "Give the user"])?;

    let ended = source.backup(&place)?.set("PGARK_STORE", "file:///no/such/folder").run()?;
    ended.failed(2, "store.missing", &["/no/such/folder", "Create the folder, or mount the disk"])?;
    source.is_left_alone()?;
    place.is_untouched()
}

#[test]
fn a_full_folder_is_named_with_the_cure() -> Result {
    let source = Source::large()?;
    let place = Place::folder()?;
    let ended = source.backup(&place)?.file_bytes_max(PART_BYTES).run()?;
    let root = place.url().replace("file://", "");
    ended.failed(1, "store.full", &[&root, "public.large", "no room left", "Make room"])?;
    source.is_left_alone()?;
    place.is_untouched()
}

/// A failed backup removes what it wrote, and nothing else, whatever the store says lies in its folder.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_store_that_lists_foreign_keys_a_failed_backup_deletes_nothing_foreign() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    let (server, bucket) = (ObjectStore::shared()?, ObjectStore::shared()?.create_bucket("lying")?);
    let place = Place::Bucket(server, bucket.clone());
    source.backup(&place)?.run()?.done()?;
    let before = place.contents()?;
    let lie = server.listing_of_everything(&bucket)?;
    let proxy = RequestProxy::start(server.endpoint(), move |seen| {
        if seen.method == "PUT" && seen.target.contains("manifest.json") {
            Fate::Refuse
        } else if seen.lists_a_backup() {
            Fate::Answer(lie.clone())
        } else {
            Fate::Pass
        }
    })
    .await?;
    let ended = source.backup(&place)?.set("AWS_ENDPOINT_URL", proxy.endpoint()).run()?;
    ended.failed(1, "store.refused", &["manifest.json"])?;
    let after = place.contents()?;
    let lost: Vec<_> = before.iter().filter(|key| !after.contains(key)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(ended.err.contains("left in the store") && ended.err.contains("does not lie there"), "{ended}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_for_good_fails_the_backup() -> Result {
    let source = Source::large()?;
    let place = Place::bucket()?;
    let proxy = FaultProxy::start(address(ObjectStore::shared()?)?).await?;
    let endpoint = format!("http://{}", proxy.address());
    let running = source.backup(&place)?.set("AWS_ENDPOINT_URL", endpoint).start()?;
    eventually(SOON, "two parts are sent", async || proxy.bytes(Direction::ToServer) > 2 * PART_BYTES)
        .await?;
    proxy.set(Fault::Refuse).await?;
    let ended = running.end()?;
    ended.failed(1, "store.unreachable", &["s3://failures", "public.large", "AWS_ENDPOINT_URL"])?;
    // What is in a store that nobody can reach, nobody can remove. It is no backup, and the message says that it is there.
    assert!(ended.err.contains("left in the store"), "{ended}");
    source.is_left_alone()?;
    assert!(place.listed()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_for_a_moment_is_tried_again() -> Result {
    let source = Source::with(
        "create table public.t as select n, md5(n::text) || repeat('x', 900) as body
         from generate_series(1, 40000) n",
    )?;
    let place = Place::bucket()?;
    let proxy = FaultProxy::start(address(ObjectStore::shared()?)?).await?;
    proxy.set(Fault::CutAfter(Direction::ToServer, PART_BYTES + PART_BYTES / 2)).await?;
    let endpoint = format!("http://{}", proxy.address());
    let report = source.backup(&place)?.set("AWS_ENDPOINT_URL", endpoint).run()?.done()?;
    assert_eq!(report["rows"], serde_json::json!(40_000));
    assert_eq!(place.listed()?.len(), 1);
    assert_eq!(place.unfinished_uploads()?, [""; 0]);
    Ok(())
}
