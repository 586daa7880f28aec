//! Prune on real stores: whatever happens to it, and whatever runs beside it, no good backup is lost or half there, and
//! the next run comes to the same end.
//!
//! `prune/beside` runs the program on a folder, with real backups. `prune/s3` runs the job against SeaweedFS, in a process
//! of its own, because AWS's SDK takes its credentials from the environment of the process.

#[path = "prune/beside.rs"]
mod beside;
#[path = "prune/s3.rs"]
mod s3;
#[path = "prune/world.rs"]
mod world;

type Result<T = (), E = anyhow::Error> = std::result::Result<T, E>;

#[test]
fn on_a_real_s3_server() -> Result {
    let inner = std::process::Command::new(std::env::current_exe()?)
        .args(["s3::", "--ignored", "--nocapture", "--test-threads", "2"])
        .envs(pgark_tests::ObjectStore::credentials())
        .output()?;
    let printed = String::from_utf8_lossy(&inner.stdout) + String::from_utf8_lossy(&inner.stderr);
    assert!(inner.status.success() && printed.contains("0 failed"), "{printed}");
    println!("{printed}");
    Ok(())
}
