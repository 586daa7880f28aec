//! Logs: one JSON object a line, flat, under the key names of Powertools for AWS Lambda, so that queries and dashboards
//! which people have for their other functions work for these.
//!
//! The keys are those of "Logger", sections "Standard structured keys" and "Capturing Lambda context info" (Powertools for
//! AWS Lambda (Python)): `level`, `location`, `message`, `timestamp`, `service`, `xray_trace_id`, `exception_name`,
//! `exception`; `cold_start`, `function_name`, `function_memory_size`, `function_arn`, `function_request_id`. The time is
//! RFC 3339 in UTC, which Lambda's own filter asks for: it takes every line without such a time or without a level for
//! INFO ("Log-level filtering", Lambda Developer Guide).
//!
//! What a line is made of stands in [`line`]. Which invocation is under way is remembered here and not in a span: spans
//! do not reach the tasks and threads that jobs start, and what these say belongs to the invocation too. There is one at a
//! time, because [`serve`](super::serve) takes the next only after the answer.
//!
//! Metrics are lines of the same log, written by `telemetry::embedded`.

use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lambda_runtime::Context;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::app::Outside;
use crate::config::{LAMBDA_FUNCTION_NAME, LAMBDA_LOG_LEVEL, LAMBDA_MEMORY};
use crate::telemetry::service_name;

mod line;

use line::Line;

/// Repeats what the handler returned, which is logged already.
const RUNTIME_REPEATS: &str = "lambda_runtime::layers::panic";

/// What every line says of the function, and of the invocation under way.
#[derive(Debug, Clone)]
pub(super) struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    now: fn() -> Timestamp,
    level: LevelFilter,
    function: Function,
    state: Mutex<State>,
}

/// What stays as long as the process.
#[derive(Debug)]
struct Function {
    service: String,
    name: Option<String>,
    memory_mb: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether there was an invocation before.
    warm: bool,
    invocation: Option<Arc<Invocation>>,
}

/// What changes with each invocation.
#[derive(Debug)]
struct Invocation {
    cold_start: bool,
    request_id: String,
    arn: String,
    xray_trace_id: Option<String>,
}

impl Log {
    pub(super) fn new(outside: &Outside) -> Self {
        let environment = outside.environment;
        Self(Arc::new(Shared {
            now: outside.now,
            level: level(environment(LAMBDA_LOG_LEVEL).as_deref()),
            function: Function {
                service: service_name(environment),
                name: environment(LAMBDA_FUNCTION_NAME),
                memory_mb: environment(LAMBDA_MEMORY).and_then(|memory| memory.parse().ok()),
            },
            state: Mutex::default(),
        }))
    }

    /// Logs from here on, panics of every thread included.
    pub(super) fn start(&self) {
        // It fails only if there is a subscriber already, and then that one logs.
        let _ = self.subscriber(std::io::stdout).try_init();
        panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string);
            tracing::error!(location, "panicked: {}", panic.payload_as_str().unwrap_or("no message"));
        }));
    }

    fn subscriber<W>(&self, writer: W) -> impl Subscriber + Send + Sync + use<W>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let filter = Targets::new().with_default(self.0.level).with_target(RUNTIME_REPEATS, LevelFilter::OFF);
        let lines = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(self.clone())
            .with_writer(writer);
        tracing_subscriber::registry().with(lines.with_filter(filter))
    }

    /// Lines are this invocation's until what is returned is dropped.
    pub(super) fn invocation(&self, context: &Context) -> Current<'_> {
        let mut state = self.state();
        state.invocation = Some(Arc::new(Invocation {
            cold_start: !std::mem::replace(&mut state.warm, true),
            request_id: context.request_id.clone(),
            arn: context.invoked_function_arn.clone(),
            xray_trace_id: context.xray_trace_id.as_deref().map(|header| root(header).to_owned()),
        }));
        Current(self)
    }

    /// Held for a moment, never while something is written. A panic leaves it as it should be.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The invocation under way.
pub(super) struct Current<'a>(&'a Log);

impl Drop for Current<'_> {
    fn drop(&mut self) {
        self.0.state().invocation = None;
    }
}

impl<S, N> FormatEvent<S, N> for Log
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = Line::of(event, (self.0.now)());
        line.add_function(&self.0.function);
        let invocation = self.state().invocation.clone();
        if let Some(invocation) = invocation {
            line.add_invocation(&invocation);
        }
        line.add_fields(event);
        line.add_spans(context);
        writeln!(writer, "{line}")
    }
}

/// The part of the header that X-Ray knows the trace by ("Tracing header", X-Ray Developer Guide).
fn root(header: &str) -> &str {
    header.split(';').find_map(|part| part.trim().strip_prefix("Root=")).unwrap_or(header)
}

/// Lambda's names of levels; it knows one above ERROR.
fn level(name: Option<&str>) -> LevelFilter {
    match name.map(str::to_ascii_uppercase).as_deref() {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests;
