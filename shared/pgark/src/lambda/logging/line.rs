//! One line of the log: an event of `tracing` as a flat JSON object.
//!
//! Own code, because no library at hand says all of it: `json-subscriber` flattens too, but documents that keys can then
//! come twice; it takes what is told of the invocation from spans only; and neither it nor tracing-subscriber's own JSON
//! lets a panic say its place. Here a line is a map before it is text, so that no key comes twice and whatever is logged
//! is escaped by serde_json.

use std::error::Error as StdError;
use std::fmt::{self, Debug};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::{FmtContext, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::{Function, Invocation};

/// Keys that an event cannot set: they say when, how grave and whose the line is.
const KEPT: [&str; 9] = [
    "timestamp",
    "level",
    "service",
    "cold_start",
    "function_name",
    "function_memory_size",
    "function_arn",
    "function_request_id",
    "xray_trace_id",
];

/// Written as one line of JSON, without its end.
pub(super) struct Line(Map<String, Value>);

impl Line {
    /// The keys that every line has.
    pub(super) fn of(event: &Event<'_>, now: Timestamp) -> Self {
        let meta = event.metadata();
        let module = meta.module_path().unwrap_or(meta.target());
        let location = meta.line().map_or_else(|| module.to_owned(), |line| format!("{module}:{line}"));
        let mut line = Self(Map::new());
        line.put("timestamp", json!(format!("{now:.3}")));
        line.put("level", json!(meta.level().as_str()));
        line.put("message", json!(""));
        line.put("location", json!(location));
        line
    }

    pub(super) fn add_function(&mut self, function: &Function) {
        self.put("service", json!(function.service));
        if let Some(name) = &function.name {
            self.put("function_name", json!(name));
        }
        if let Some(memory_mb) = function.memory_mb {
            self.put("function_memory_size", json!(memory_mb));
        }
    }

    pub(super) fn add_invocation(&mut self, invocation: &Invocation) {
        self.put("cold_start", json!(invocation.cold_start));
        self.put("function_arn", json!(invocation.arn));
        self.put("function_request_id", json!(invocation.request_id));
        if let Some(id) = &invocation.xray_trace_id {
            self.put("xray_trace_id", json!(id));
        }
    }

    /// The message and whatever else the event says, which may be its own `location`.
    pub(super) fn add_fields(&mut self, event: &Event<'_>) {
        event.record(self);
    }

    /// What the spans around the event say; of the same key, the innermost.
    pub(super) fn add_spans<S, N>(&mut self, context: &FmtContext<'_, S, N>)
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
        N: for<'writer> FormatFields<'writer> + 'static,
    {
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map(|fields| serde_json::from_str(fields));
            if let Some(Ok(Value::Object(fields))) = fields {
                for (key, value) in fields {
                    self.0.entry(free(&key)).or_insert(value);
                }
            }
        }
    }

    fn put(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }
}

/// A field's key. One that is not to be overwritten is kept apart.
fn free(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    if KEPT.contains(&name) { format!("field_{name}") } else { name.to_owned() }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(&free(field.name()), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(&free(field.name()), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(&free(field.name()), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(&free(field.name()), json!(value));
    }

    /// JSON has no infinity and no NaN: they become text.
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.put(&free(field.name()), json!(value));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        let mut text = value.to_string();
        for cause in std::iter::successors(value.source(), |&cause| cause.source()) {
            text = format!("{text}: {cause}");
        }
        self.record_str(field, &text);
    }
}
