//! Waiting for conditions. Tests never sleep for a guessed time: they say what they wait for, and until when.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How often a condition is looked at.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns as soon as `condition` holds; fails, naming `what`, when it does not within `limit`.
///
/// It blocks its thread: in async tests use [`eventually`].
pub fn wait_until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > limit {
            bail!("waited {} s in vain until {what}", limit.as_secs_f32());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// [`wait_until`] for async tests.
pub async fn eventually(
    limit: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !condition().await {
        if started.elapsed() > limit {
            bail!("waited {} s in vain until {what}", limit.as_secs_f32());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
