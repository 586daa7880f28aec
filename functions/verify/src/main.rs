//! Lambda function: checks backups against their manifests.
//!
//! Events, variables and errors are described in docs/functions.md, the job itself in `pgark::jobs::verify`. Damage
//! answers as an error, so that whatever watches the function for errors sees it; the report is in the store.

use std::process::ExitCode;

use pgark::app::App;
use pgark::config::Needs;
use pgark::jobs::verify::Verify;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    pgark::lambda::serve(Needs::CONTENT, async |job: Verify, app: &App, stop: &CancellationToken| {
        job.watched(app, &(), stop).await?.or_failure()
    })
    .await
}

#[cfg(test)]
mod tests;
