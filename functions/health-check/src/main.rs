//! Lambda function: looks whether each source could be recovered now, and tells people if not.
//!
//! Events, variables and errors are described in docs/functions.md, the job itself in `pgark::jobs::health`. It looks at
//! the store alone. A source that is unhealthy answers as an error, so that whatever watches the function for errors
//! sees it; the report is in the store.

use std::process::ExitCode;

use pgark::app::App;
use pgark::config::Needs;
use pgark::jobs::health::Health;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    pgark::lambda::serve(Needs::STORE, async |job: Health, app: &App, stop: &CancellationToken| {
        job.watched(app, stop).await?.or_failure()
    })
    .await
}

#[cfg(test)]
mod tests;
