//! A Lambda function that fails as its event says: what pgark's functions stand on, around a job with faults that no
//! real job has. Tests show with it what becomes of a panic.

use std::process::ExitCode;

use pgark::app::App;
use pgark::config::Needs;
use pgark::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Job {
    panic: Option<Place>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Job,
    Task,
    Thread,
}

/// Two lines, with what JSON escapes.
fn fault() -> bool {
    panic!("a \"fault\"\nof \\ ours")
}

async fn work(job: Job) -> Result<bool> {
    match job.panic {
        None => Ok(true),
        Some(Place::Job) => Ok(fault()),
        // As the jobs do: whoever waits for a task makes an error of its end.
        Some(Place::Task) => tokio::spawn(async { fault() }).await.map_err(died),
        Some(Place::Thread) => tokio::task::spawn_blocking(fault).await.map_err(died),
    }
}

fn died(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "a background task died").because(error)
}

#[tokio::main]
async fn main() -> ExitCode {
    pgark::lambda::serve(Needs::STORE, async |job: Job, _: &App, _: &CancellationToken| work(job).await).await
}
