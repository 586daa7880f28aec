//! What all sessions of one restore share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::options::RestoreOptions;
use super::progress::Progress;
use super::select::Wanted;
use crate::connect::{Canceller, Target};
use crate::toc::Entry;
use crate::toc::settings::Settings;

/// How long the server has to answer a request to cancel.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(5);

/// What all sessions of one restore share.
pub(super) struct Job<S> {
    pub(super) target: Target,
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
pub(super) struct Sessions(Mutex<Vec<Canceller>>);

impl Sessions {
    pub(super) fn add(&self, canceller: Canceller) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(canceller);
    }

    /// Forgets all sessions.
    pub(super) fn take(&self) -> Vec<Canceller> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Asks the server to stop what these sessions run. That it cannot be asked is no new failure: something failed
/// already, and the sessions end with their connections.
pub(super) async fn cancel(sessions: Vec<Canceller>) {
    let all = join_all(sessions.iter().map(Canceller::cancel));
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
pub(super) struct CancelOnDrop<S: Send + Sync + 'static>(pub(super) Arc<Job<S>>);

impl<S: Send + Sync + 'static> Drop for CancelOnDrop<S> {
    fn drop(&mut self) {
        let sessions = self.0.sessions.take();
        if sessions.is_empty() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(cancel(sessions));
        }
    }
}
