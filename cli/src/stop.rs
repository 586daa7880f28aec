//! Ends a job on SIGTERM and SIGINT: what runs is cancelled, what was begun is given up.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels. A second one ends the process at once, as if nobody had listened.
pub(crate) fn token() -> CancellationToken {
    let token = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let token = token.clone();
        match signal(kind) {
            Ok(mut signals) => {
                tokio::spawn(async move {
                    signals.recv().await;
                    tracing::warn!("stopping; what was begun is given up");
                    token.cancel();
                    signals.recv().await;
                    std::process::exit(1);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "signals cannot be heard; an interrupted job leaves its remains");
            }
        }
    }
    token
}
