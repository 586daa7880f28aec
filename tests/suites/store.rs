//! Stores on a real S3 server: the conformance suite of stores, and locks.

use std::process::Command;

use jiff::{Timestamp, ToSpan as _};
use pgark::config::LockOnWrite;
use pgark::store::{LockRule, Store, StoreOptions, StoreRead as _, StoreWrite as _, conformance};
use pgark_tests::ObjectStore;

/// The variables that tell the inner run where the server is, and which bucket.
const ENDPOINT: &str = "PGARK_TEST_S3_ENDPOINT";
const BUCKET: &str = "PGARK_TEST_S3_BUCKET";

/// The SDK reads credentials from the environment of the process, so this runs a test of this file in one of its own.
fn in_a_process_of_its_own(test: &str, server: &ObjectStore, bucket: &str) -> anyhow::Result<()> {
    let inner = Command::new(std::env::current_exe()?)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .envs(server.environment())
        .env(ENDPOINT, server.endpoint())
        .env(BUCKET, bucket)
        .output()?;
    let printed = String::from_utf8_lossy(&inner.stdout) + String::from_utf8_lossy(&inner.stderr);
    assert!(inner.status.success() && printed.contains("1 passed"), "{printed}");
    Ok(())
}

#[test]
fn s3_keeps_the_contract() -> anyhow::Result<()> {
    in_a_process_of_its_own("inner_process_runs_the_conformance_suite", &ObjectStore::start()?, "")
}

#[test]
#[ignore = "run by s3_keeps_the_contract"]
fn inner_process_runs_the_conformance_suite() -> anyhow::Result<()> {
    let endpoint = std::env::var(ENDPOINT)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let options = StoreOptions { endpoint_url: Some(endpoint), region: None, session: 7, lock: None };
        for (bucket, prefix) in [("conformance-a", ""), ("conformance-b", "/some/prefix")] {
            let store =
                Store::open(&format!("s3://{bucket}{prefix}").parse().map_err(anyhow::Error::msg)?, &options)
                    .await?;
            conformance::run_on_missing(&store).await;
            let Store::S3(s3) = &store else { anyhow::bail!("an S3 address opens an S3 store") };
            s3.create_bucket().await?;
            conformance::run(&store).await;
        }
        Ok(())
    })
}

#[test]
fn backups_are_locked_by_tier_and_nothing_else_is() -> anyhow::Result<()> {
    let server = ObjectStore::start()?;
    let bucket = server.create_bucket_with_lock("locks")?;
    in_a_process_of_its_own("inner_process_writes_what_is_to_be_locked", &server, &bucket)
}

#[test]
#[ignore = "run by backups_are_locked_by_tier_and_nothing_else_is"]
fn inner_process_writes_what_is_to_be_locked() -> anyhow::Result<()> {
    let (endpoint, bucket) = (std::env::var(ENDPOINT)?, std::env::var(BUCKET)?);
    let on_write = LockOnWrite::parse("GOVERNANCE daily 7, yearly 365").map_err(anyhow::Error::msg)?;
    let lock = on_write.map(|on_write| LockRule::new(on_write, Timestamp::now));
    tokio::runtime::Runtime::new()?.block_on(async {
        let options = StoreOptions { endpoint_url: Some(endpoint), region: None, session: 7, lock };
        let address = format!("s3://{bucket}").parse().map_err(anyhow::Error::msg)?;
        let store = Store::open(&address, &options).await?;
        // One request, and several parts.
        for (tier, bytes, days) in
            [("daily", 10, Some(7)), ("yearly", 20 << 20, Some(365)), ("weekly", 10, None)]
        {
            let key = format!("{tier}/shop/20261121T020000Z-7k3f/data/a.dat");
            let mut writer = store.open_writer(&key, None).await?;
            writer.write(pattern(bytes).into()).await?;
            writer.finish().await?;
            let until = store.lock(&key).await?.and_then(|lock| lock.until);
            match (until, days) {
                (Some(until), Some(days)) => {
                    let off = (Timestamp::now() + (days * 24).hours()).duration_since(until);
                    assert!(off.as_secs().abs() < 600, "{key} is locked until {until}");
                }
                (until, days) => assert!(until.is_none() && days.is_none(), "{key}: {until:?}"),
            }
        }
        let lease = "leases/shop/backup/00000001.json";
        store.put_small(lease, pattern(10).into()).await?;
        assert_eq!(store.lock(lease).await?.and_then(|lock| lock.until), None);
        Ok(())
    })
}

/// Bytes that are the same each time.
fn pattern(count: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(count).collect()
}
