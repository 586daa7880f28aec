//! Lambda function: restores a backup into a scratch database, compares, and stores the evidence.
//!
//! Events, variables and errors are described in docs/functions.md, the job itself in `pgark::jobs::restore_test`. A test
//! that found a difference is an error of the invocation, so that whatever watches invocations hears of it.

use std::process::ExitCode;
use std::sync::Arc;

use pg_archive::restore::Silent;
use pgark::app::App;
use pgark::config::Needs;
use pgark::jobs::restore_test::RestoreTest;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    pgark::lambda::serve(
        Needs::RESTORE_TEST,
        async |job: RestoreTest, app: &App, stop: &CancellationToken| {
            job.watched(app, Arc::new(Silent), stop).await?.or_failure()
        },
    )
    .await
}

#[cfg(test)]
mod tests;
