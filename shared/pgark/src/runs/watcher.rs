//! Who is told of runs, by the settings: pings and alerts ([`crate::notify`]), and metrics ([`crate::telemetry`]).

use futures_util::future::BoxFuture;

use super::{RunRecord, Watcher};
use crate::app::App;
use crate::notify::Notifiers;
use crate::telemetry::Metrics;

/// All who are told.
#[derive(Debug)]
pub(super) struct Told {
    notifiers: Notifiers,
    metrics: Metrics,
}

impl Told {
    pub(super) fn from_settings(app: &App) -> Self {
        Self { notifiers: Notifiers::from_settings(app), metrics: Metrics::from_settings(app) }
    }
}

impl Watcher for Told {
    fn started<'a>(&'a self, run: &'a RunRecord) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async {
            let undelivered = self.notifiers.run_started(run).await;
            undelivered.iter().map(ToString::to_string).collect()
        })
    }

    /// All at the same time: a slow webhook must not cost the metrics.
    fn ended<'a>(&'a self, run: &'a RunRecord) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async {
            let (undelivered, unpublished) =
                tokio::join!(self.notifiers.run_ended(run), self.metrics.record_run(run));
            undelivered.iter().map(ToString::to_string).chain(unpublished).collect()
        })
    }
}
