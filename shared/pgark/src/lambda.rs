//! The Lambda side of every function: settings and clients once, then one job for each event.
//!
//! The only place that knows the Lambda runtime. A function gives the settings it needs and what it does; this reads the
//! settings in the init phase, and for each invocation parses the event, runs the job, which reads the secrets it needs
//! anew, under the invocation's [`deadline`], and answers with the report or with our error code and one line.
//! What is done is left to [`crate::jobs`].

use std::process::ExitCode;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use lambda_runtime::{Context, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Outside, Trigger};
use crate::config::{LAMBDA_RUNTIME_API, Needs, RawSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::panics;
use crate::repository::SourceName;
use crate::secrets::Secrets;

mod deadline;
mod event;
mod failure;
mod logging;

use deadline::Deadline;
use event::Event;
pub use event::{Arguments, arguments};
use failure::Failure;
use logging::Log;

/// Serves invocations until Lambda ends the process; what it returns is the process's exit code.
///
/// `job` gets the event's arguments, the app, and the token that tells it to stop before the time is up.
pub async fn serve<J, R, F>(needs: Needs, job: F) -> ExitCode
where
    J: Arguments,
    R: Serialize,
    F: AsyncFn(J, &App, &CancellationToken) -> Result<R>,
{
    let outside = Outside::real();
    let log = Log::new(&outside);
    log.start();
    if (outside.environment)(LAMBDA_RUNTIME_API).is_none() {
        tracing::error!(
            "this is a Lambda function, and {LAMBDA_RUNTIME_API} is not set. Deploy it, or run it under the Lambda runtime interface emulator; `pgark` does the same by hand."
        );
        return ExitCode::from(crate::Exit::Usage as u8);
    }
    let function = match Function::init(needs, outside, log).await {
        Ok(function) => function,
        Err(error) => {
            failure::report_init(&error).await;
            return ExitCode::FAILURE;
        }
    };
    let handler = service_fn(|event: LambdaEvent<Value>| function.invoke(event, &job));
    match Runtime::new(handler).run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the connection to the Lambda runtime is lost");
            ExitCode::FAILURE
        }
    }
}

/// What outlives an invocation.
struct Function {
    app: App,
    needs: Needs,
    log: Log,
}

impl Function {
    /// Everything that can be found wrong before there is an event is found wrong here.
    async fn init(needs: Needs, outside: Outside, log: Log) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let app = App::load(RawSettings::default(), None, needs, cores, outside).await?;
        let sources = &app.settings.sources;
        if needs.database && sources.is_empty() && app.settings.database_secret.is_none() {
            app.database()?;
        }
        let servers = sources.servers.values().map(|server| &server.settings);
        for settings in sources.databases.values().chain(servers).chain([&*app.settings]) {
            Secrets::open(settings, needs).await?;
        }
        Ok(Self { app, needs, log })
    }

    async fn invoke<J, R, F>(&self, event: LambdaEvent<Value>, job: &F) -> Result<Value, Failure>
    where
        J: Arguments,
        R: Serialize,
        F: AsyncFn(J, &App, &CancellationToken) -> Result<R>,
    {
        let (event, context) = event.into_parts();
        let _current = self.log.invocation(&context);
        // Lambda throws the answers of scheduled invocations away: the log is where they are found.
        match self.answer(event, &context, job).await {
            Ok(report) => {
                tracing::info!(%report, "done");
                Ok(report)
            }
            Err(error) => Err(Failure::log(&error)),
        }
    }

    async fn answer<J, R, F>(&self, event: Value, context: &Context, job: &F) -> Result<Value>
    where
        J: Arguments,
        R: Serialize,
        F: AsyncFn(J, &App, &CancellationToken) -> Result<R>,
    {
        let Event { job: arguments, source, slot } = event::parse(event)?;
        let trigger = Trigger { slot, wait: None, by: Some(context.request_id.clone()) };
        let app = self.app.triggered_by(trigger);
        let deadline = Deadline::new(Instant::now(), self.time_left(context.deadline));
        let stop = CancellationToken::new();
        let work = async {
            let app = match source {
                Some(source) => self.naming(&app, source).await?,
                None => app,
            };
            let report = job(arguments, &app, &stop).await?;
            serde_json::to_value(report).map_err(|error| {
                Error::new(ErrorKind::Internal, "the report cannot be written as JSON").because(error)
            })
        };
        // Boxed, because jobs nest futures deeper than the compiler likes.
        deadline.run(&stop, panics::caught(work).boxed_local()).await
    }

    /// The app for one source. A function of one database has no other.
    async fn naming(&self, app: &App, source: SourceName) -> Result<App> {
        if self.needs.database && app.settings.sources.is_empty() {
            let own = app.unlocked().await?.source()?;
            if own != source {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("`source` is {source}, and this function's is {own}"),
                )
                .on("event")
                .hint("Leave it away, or set PGARK_SOURCES to the sources that the function is for."));
            }
        }
        Ok(app.naming(source))
    }

    fn time_left(&self, deadline_unix_ms: u64) -> Duration {
        let now_unix_ms = u64::try_from(self.now().as_millisecond()).unwrap_or(0);
        Duration::from_millis(deadline_unix_ms.saturating_sub(now_unix_ms))
    }

    fn now(&self) -> Timestamp {
        (self.app.outside.now)()
    }
}

#[cfg(test)]
mod tests;
