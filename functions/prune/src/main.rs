//! Lambda function: deletes backups by policy.
//!
//! Events, variables and errors are described in docs/functions.md, the job itself in `pgark::jobs::prune`. Without
//! `"apply": true` it answers with its plan and deletes nothing. A plan that is refused, and what could not be deleted,
//! answer as errors, so that whatever watches the function for errors sees them; the report is in the store.

use std::process::ExitCode;

use pgark::app::App;
use pgark::config::Needs;
use pgark::jobs::prune::Prune;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    pgark::lambda::serve(Needs::STORE, async |job: Prune, app: &App, stop: &CancellationToken| {
        job.watched(app, stop).await?.or_failure()
    })
    .await
}

#[cfg(test)]
mod tests;
