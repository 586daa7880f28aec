//! Lambda function: backs one PostgreSQL database up.
//!
//! Events, variables and errors are described in docs/functions.md, the job itself in `pgark::jobs::backup`.

use std::process::ExitCode;

use pgark::app::App;
use pgark::config::Needs;
use pgark::jobs::backup::Backup;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    pgark::lambda::serve(Needs::BACKUP, async |job: Backup, app: &App, stop: &CancellationToken| {
        job.watched(app, &(), stop).await?.or_failure()
    })
    .await
}

#[cfg(test)]
mod tests;
