//! Errors as Lambda takes them: our stable code as the type, and one line of object, message, causes and hint.

use lambda_runtime::Diagnostic;
use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{BoxError, PooledClient, build_request};

use crate::error::Error;

/// Runtime API, "Initialization error" (Lambda Developer Guide).
const INIT_ERROR_PATH: &str = "/2018-06-01/runtime/init/error";

/// What an invocation that failed answers. Logged when it is made.
#[derive(Debug)]
pub(super) struct Failure(Diagnostic);

impl Failure {
    /// Logs an error, once, and makes the answer of it.
    pub(super) fn log(error: &Error) -> Self {
        let line = line(error);
        let exception = error.with_causes();
        tracing::error!(exception_name = error.code(), exception, object = error.object(), "{line}");
        Self(Diagnostic { error_type: error.code().to_owned(), error_message: line })
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// Logs an error of the init phase and reports it, so that invocations are answered with it.
pub(super) async fn report_init(error: &Error) {
    let Failure(diagnostic) = Failure::log(error);
    if let Err(error) = post(&diagnostic).await {
        tracing::error!(%error, "the failure of the init phase could not be reported");
    }
}

async fn post(diagnostic: &Diagnostic) -> Result<(), BoxError> {
    let request = build_request()
        .method("POST")
        .uri(INIT_ERROR_PATH)
        .header("content-type", "application/json")
        .header("lambda-runtime-function-error-type", "Runtime.InitError")
        .body(Body::from(serde_json::to_vec(diagnostic)?))?;
    let answer = PooledClient::builder().build().call(request).await?;
    if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string().into()) }
}

/// The whole error on one line: log filters and alarms read lines.
pub(super) fn line(error: &Error) -> String {
    let text = error.with_causes();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    let rest = lines.collect::<Vec<_>>().join(" ");
    let text = if rest.is_empty() { first } else { format!("{first}: {rest}") };
    let hint = error.hint_text().map(|hint| hint.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    match hint {
        Some(hint) if text.ends_with('.') => format!("{text} {hint}"),
        Some(hint) => format!("{text}. {hint}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn everything_stands_on_one_line_and_once() {
        let cause = Error::new(ErrorKind::StoreBusy, "503").because(std::io::Error::other("503 from\nthere"));
        let error =
            Error::new(ErrorKind::StoreFull, "no room").on("s3://b/k").hint("Make room.").because(cause);
        assert_eq!(line(&error), "s3://b/k: no room: 503: 503 from: there. Make room.");
        let settings =
            Error::new(ErrorKind::Settings, "2 settings are wrong\n  A: is not set. Set A.\n  B: no. Do.");
        assert_eq!(line(&settings), "2 settings are wrong: A: is not set. Set A. B: no. Do.");
        let repeated =
            Error::new(ErrorKind::StoreFull, "no room left").because(std::io::Error::other("no room"));
        assert_eq!(line(&repeated), "no room left");
    }
}
