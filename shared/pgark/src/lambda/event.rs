//! From an event to a job's arguments.
//!
//! Three forms are taken: nothing (`null` or `{}`) for the defaults; the arguments themselves, which is also how
//! EventBridge Scheduler passes the input of a schedule; and EventBridge's envelope, whose `detail` may hold arguments.
//! A key that is not an argument is an error in the first two forms, so that a misspelt one cannot turn a dry run into
//! a real one. The form of the envelope is that of "Events in Amazon EventBridge" (EventBridge User Guide).

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};

/// What can be parsed from an event: a job with serde's `default` and `deny_unknown_fields`.
pub trait Arguments: DeserializeOwned + Serialize + Default {}

impl<T: DeserializeOwned + Serialize + Default> Arguments for T {}

/// The arguments that an event holds.
///
/// # Errors
/// When it has keys that are no arguments, or values of another type.
pub fn arguments<J: Arguments>(event: Value) -> Result<J> {
    match event {
        Value::Null => Ok(J::default()),
        Value::Object(event) if is_envelope(&event) => of_detail(event),
        Value::Object(event) => strictly(event),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(invalid::<J>("is not an object"))
        }
    }
}

fn is_envelope(event: &Map<String, Value>) -> bool {
    ["source", "detail-type", "detail"].iter().all(|key| event.contains_key(*key))
}

/// Events of other services trigger backups too; their details are none of our business.
fn of_detail<J: Arguments>(mut event: Map<String, Value>) -> Result<J> {
    let detail = match event.remove("detail") {
        // EventBridge Scheduler writes the detail of its default event as text.
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::Null),
        detail => detail.unwrap_or(Value::Null),
    };
    match detail {
        Value::Object(detail) if keys::<J>().iter().any(|key| detail.contains_key(key)) => strictly(detail),
        Value::Object(detail) if !detail.is_empty() => {
            tracing::warn!("the event's detail has none of the arguments: the defaults are used");
            Ok(J::default())
        }
        _ => Ok(J::default()),
    }
}

fn strictly<J: Arguments>(arguments: Map<String, Value>) -> Result<J> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner().to_string();
        // serde names an unknown key itself.
        let known = path == "." || inner.starts_with("unknown field");
        invalid::<J>(if known { inner } else { format!("`{path}`: {inner}") })
    })
}

fn keys<J: Arguments>() -> Vec<String> {
    match serde_json::to_value(J::default()) {
        Ok(Value::Object(arguments)) => arguments.into_iter().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    }
}

fn invalid<J: Arguments>(message: impl Into<String>) -> Error {
    let hint = format!("The arguments are: {}. An empty object takes the defaults.", keys::<J>().join(", "));
    Error::new(ErrorKind::Usage, message).on("event").hint(hint)
}
