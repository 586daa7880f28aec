//! A panic in a job's own task, as an error of the job: it is told, recorded and answered as any failure is.
//!
//! Whoever started the process logs the panic with its place, by the panic hook. A panic in a task or thread that a job
//! started is not seen here: whoever waits for that task makes an error of it.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::error::{Error, ErrorKind, Result};

/// The outcome of the work; if it panics, [`ErrorKind::Internal`].
///
/// What a panic leaves behind is dropped: the work's own state is gone with it, and settings are only read.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("panicked: {message}"))
        .hint("This is a fault in pgark. Please report it with the log of this run.")
}
