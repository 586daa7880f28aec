//! What all sessions of one restore share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::CancelToken;

use super::options::RestoreOptions;
use super::progress::Progress;
use super::select::Wanted;
use crate::session::Connect;
use crate::toc::Entry;
use crate::toc::settings::Settings;

/// How long the server has to answer a request to cancel.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(5);

/// What all sessions of one restore share.
pub(super) struct Job<C, S> {
    pub(super) connector: Arc<C>,
    pub(super) source: Arc<S>,
    pub(super) entries: Vec<Entry>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) settings: Settings,
    pub(super) options: RestoreOptions,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) sessions: Sessions,
}

/// The open sessions of a restore.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Vec<CancelToken>>);

impl Sessions {
    pub(super) fn add(&self, token: CancelToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(token);
    }

    /// Forgets all sessions.
    pub(super) fn take(&self) -> Vec<CancelToken> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Asks the server to stop what these sessions run. That it cannot be asked is no new failure: something failed
/// already, and the sessions end with their connections.
pub(super) async fn cancel<C: Connect>(connector: &C, tokens: Vec<CancelToken>) {
    let all = join_all(tokens.into_iter().map(|token| connector.cancel(token)));
    match tokio::time::timeout(CANCEL_TIME_MAX, all).await {
        Err(_) => tracing::warn!("the server did not answer a request to cancel in time"),
        Ok(results) => {
            for error in results.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "a session of the restore could not be cancelled");
            }
        }
    }
}

/// Cancels the sessions of a restore that is given up by being dropped.
pub(super) struct CancelOnDrop<C: Connect + 'static, S: Send + Sync + 'static>(pub(super) Arc<Job<C, S>>);

impl<C: Connect + 'static, S: Send + Sync + 'static> Drop for CancelOnDrop<C, S> {
    fn drop(&mut self) {
        let tokens = self.0.sessions.take();
        if tokens.is_empty() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let connector = Arc::clone(&self.0.connector);
            runtime.spawn(async move { cancel(&*connector, tokens).await });
        }
    }
}
