//! What all sessions of one restore share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::options::RestoreOptions;
use super::progress::Progress;
use super::search_path::SearchPaths;
use super::select::Wanted;
use crate::archive::{ArchiveSource, SourceFile};
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
    pub(super) paths: OnceCell<SearchPaths>,
}

impl<S: ArchiveSource> Job<S> {
    /// The search paths of the source, which are read when they are first needed. Globals that are missing or cannot be
    /// read leave those of roles out: they only serve for a second try.
    pub(super) async fn search_paths(&self) -> &SearchPaths {
        self.paths
            .get_or_init(|| async {
                let globals = match &self.options.globals_file {
                    Some(file) => self.read(file).await,
                    None => None,
                };
                SearchPaths::of(&self.entries, globals.as_deref())
            })
            .await
    }

    async fn read(&self, file: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let unreadable = |error| tracing::warn!(%error, file, "the search paths of roles cannot be read");
        let mut source = self.source.open(file).await.map_err(unreadable).ok()?;
        while let Some(chunk) = source.next().await.map_err(unreadable).ok()? {
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).ok()
    }
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
