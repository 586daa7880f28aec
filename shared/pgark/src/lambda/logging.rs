//! Logs: one JSON object a line, with `timestamp` and `level`.
//!
//! Lambda's log filter takes every line without both for INFO ("Configuring JSON and plain text log formats", Lambda
//! Developer Guide). The Lambda runtime's own subscriber leaves the time out, hence this one.

use std::panic;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LAMBDA_LOG_LEVEL;

/// Repeats what the handler returned, which is logged already.
const RUNTIME_REPEATS: &str = "lambda_runtime::layers::panic";

/// Logs from here on, panics included.
pub(super) fn start(environment: fn(&str) -> Option<String>) {
    let filter = Targets::new()
        .with_default(level(environment(LAMBDA_LOG_LEVEL).as_deref()))
        .with_target(RUNTIME_REPEATS, LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stdout);
    // It fails only if there is a subscriber already, and then that one logs.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("no message"));
    }));
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
