//! Ends a job before Lambda would: a function that is killed leaves what it has begun, and says only "Task timed out".
//!
//! First the job is told to stop, with time left to remove what it wrote and to take leave of the database. If that
//! takes too long as well, the job is dropped, so that there is an answer in any case.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};

/// The time kept for stopping is a tenth of all, but at least and at most this.
const STOPPING_MIN: Duration = Duration::from_secs(1);
const STOPPING_MAX: Duration = Duration::from_secs(30);
/// The part of that which is kept for the answer.
const ANSWER_PART: u32 = 5;

/// When a job is told to stop, and when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    stop_at: Instant,
    drop_at: Instant,
}

impl Deadline {
    pub(super) fn new(now: Instant, left: Duration) -> Self {
        let stopping = (left / 10).clamp(STOPPING_MIN, STOPPING_MAX);
        let answering = stopping / ANSWER_PART;
        Self { stop_at: now + left.saturating_sub(stopping), drop_at: now + left.saturating_sub(answering) }
    }

    /// Runs a job that listens to `stop`.
    pub(super) async fn run<T>(
        self,
        stop: &CancellationToken,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut work = pin!(work);
        if let Ok(outcome) = tokio::time::timeout_at(self.stop_at, &mut work).await {
            return outcome;
        }
        tracing::warn!("the time of this invocation is nearly up: stopping");
        stop.cancel();
        match tokio::time::timeout_at(self.drop_at, work).await {
            Ok(Err(error)) if is_stop(&error) => {
                Err(out_of_time("the time of the function was up before the work was done").because(error))
            }
            Ok(outcome) => outcome,
            Err(_) => Err(out_of_time(
                "the time of the function was up before the work was done, and before all that was begun could be removed",
            )),
        }
    }
}

fn is_stop(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Stopped | ErrorKind::Archive(pg_archive::ErrorKind::Stopped))
}

fn out_of_time(message: &str) -> Error {
    Error::new(ErrorKind::Stopped, message).hint(
        "Raise the function's timeout (900 seconds at most), or its memory, with which Lambda gives more CPU. What does \
         not fit into 900 seconds can be run with `pgark` on a machine of your own.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_kept_for_stopping() {
        let now = Instant::now();
        for (left, stop_after, drop_after) in [
            (900_000, 870_000, 894_000),
            (60_000, 54_000, 58_800),
            (5_000, 4_000, 4_800),
            (900, 0, 700),
            (0, 0, 0),
        ] {
            let after = |ms| now + Duration::from_millis(ms);
            let expected = Deadline { stop_at: after(stop_after), drop_at: after(drop_after) };
            assert_eq!(Deadline::new(now, Duration::from_millis(left)), expected, "{left} ms");
        }
    }

    fn deadline(drop_after: Duration) -> Deadline {
        Deadline { stop_at: Instant::now(), drop_at: Instant::now() + drop_after }
    }

    #[tokio::test]
    async fn a_job_that_stops_when_told_says_that_the_time_was_up() {
        let stop = CancellationToken::new();
        let work = async {
            stop.cancelled().await;
            Err::<(), _>(Error::new(ErrorKind::Stopped, "was stopped"))
        };
        let error = deadline(Duration::from_mins(1)).run(&stop, work).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stopped);
        assert!(error.message().contains("the time of the function was up"), "{error}");
        assert!(error.hint_text().unwrap().contains("timeout"));
    }

    #[tokio::test]
    async fn a_job_that_does_not_stop_is_dropped() {
        let work = std::future::pending::<Result<()>>();
        let stop = CancellationToken::new();
        let error = deadline(Duration::from_millis(1)).run(&stop, work).await.unwrap_err();
        assert!(error.message().contains("before all that was begun could be removed"), "{error}");
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn what_fails_or_succeeds_while_stopping_keeps_its_outcome() {
        let stop = CancellationToken::new();
        let until_stopped = || deadline(Duration::from_mins(1));
        let done = async {
            stop.cancelled().await;
            Ok(7)
        };
        assert_eq!(until_stopped().run(&stop, done).await.unwrap(), 7);
        let failing = async { Err::<(), _>(Error::new(ErrorKind::StoreBusy, "slow down")) };
        assert_eq!(until_stopped().run(&stop, failing).await.unwrap_err().kind(), ErrorKind::StoreBusy);
    }
}
