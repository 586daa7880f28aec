//! CloudWatch's embedded metric format: metrics as lines of a function's log, which CloudWatch turns into metrics. It
//! takes no request and no rights. ("Specification: Embedded metric format", Amazon CloudWatch User Guide, which says that
//! "A DimensionSet MAY be empty".)
//!
//! The line carries the level from which on Lambda keeps log lines: one without a level counts as INFO and would be
//! thrown away where only warnings are kept ("Log-level filtering", Lambda Developer Guide).

use std::io::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::datum::Data;

/// A metric directive has at most this many metrics.
const METRICS_MAX: usize = 100;

/// The log that the lines are for.
#[derive(Debug, Clone)]
pub(super) struct Log {
    /// The level from which on lines are kept.
    pub(super) level: String,
    /// The function's name for itself.
    pub(super) service: String,
    /// The invocation, as the function's other lines name it.
    pub(super) request_id: Option<String>,
}

/// The lines that say these values, without ends of lines.
pub(super) fn lines(data: &Data, namespace: &str, log: &Log) -> Vec<String> {
    let Some(subject) = data.values.first().map(|datum| datum.metric.subject()) else { return Vec::new() };
    let names =
        |dimensions: &[super::Dimension]| dimensions.iter().map(|one| one.as_str()).collect::<Vec<_>>();
    let line = |values: &[super::Datum]| {
        let metrics: Vec<Value> = values
            .iter()
            .map(|datum| json!({ "Name": datum.metric.as_str(), "Unit": datum.metric.unit().as_str() }))
            .collect();
        let mut line = Map::new();
        line.insert("timestamp".into(), json!(timestamp(data.at)));
        line.insert("level".into(), json!(log.level));
        line.insert("message".into(), json!("metrics"));
        line.insert("service".into(), json!(log.service));
        if let Some(id) = &log.request_id {
            line.insert("function_request_id".into(), json!(id));
        }
        line.insert(
            "_aws".into(),
            json!({
                "Timestamp": data.at.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": [names(subject.dimensions()), names(subject.dimensions_of_all())],
                    "Metrics": metrics,
                }],
            }),
        );
        for dimension in subject.dimensions() {
            line.insert(dimension.as_str().into(), json!(data.dimension(*dimension)));
        }
        for datum in values {
            line.insert(datum.metric.as_str().into(), json!(datum.value));
        }
        Value::Object(line).to_string()
    };
    data.values.chunks(METRICS_MAX).map(line).collect()
}

/// RFC 3339 with milliseconds, as our log lines have it.
fn timestamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Writes the lines to standard output, which is the log of a function.
pub(super) fn print(lines: &[String]) -> std::io::Result<()> {
    let text = lines.join("\n") + "\n";
    // One write, so that no log line gets in between.
    let mut log = std::io::stdout().lock();
    log.write_all(text.as_bytes())?;
    log.flush()
}
