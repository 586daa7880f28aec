//! The conformance suite of stores, on a real S3 server.

use std::process::Command;

use pgark::store::{Store, StoreOptions, conformance};
use pgark_tests::ObjectStore;

/// The variable that tells the inner run where the server is.
const ENDPOINT: &str = "PGARK_TEST_S3_ENDPOINT";

#[test]
fn s3_keeps_the_contract() -> anyhow::Result<()> {
    let server = ObjectStore::start()?;
    // The SDK reads credentials from the environment of the process, so the suite runs in one of its own.
    let inner = Command::new(std::env::current_exe()?)
        .args(["--exact", "inner_process_runs_the_conformance_suite", "--ignored", "--nocapture"])
        .envs(server.environment())
        .env(ENDPOINT, server.endpoint())
        .output()?;
    let printed = String::from_utf8_lossy(&inner.stdout) + String::from_utf8_lossy(&inner.stderr);
    assert!(inner.status.success() && printed.contains("1 passed"), "{printed}");
    Ok(())
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
