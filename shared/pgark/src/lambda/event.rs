//! From an event to a job's arguments.
//!
//! Three forms are taken: nothing (`null` or `{}`) for the defaults; the arguments themselves, which is also how
//! EventBridge Scheduler passes the input of a schedule; and EventBridge's envelope, whose `detail` may hold arguments.
//! A key that is not an argument is an error in the first two forms, so that a misspelt one cannot turn a dry run into
//! a real one. Besides its own, every job takes `source` and `slot`. The form of the envelope is that of "Events in Amazon EventBridge" (EventBridge User Guide).

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::repository::SourceName;

/// Which source is meant.
const SOURCE: &str = "source";
/// What is to be done once.
const SLOT: &str = "slot";

/// What can be parsed from an event: a job with serde's `default` and `deny_unknown_fields`.
pub trait Arguments: DeserializeOwned + Serialize + Default {}

impl<T: DeserializeOwned + Serialize + Default> Arguments for T {}

/// What an event says.
#[derive(Debug, Default)]
pub(super) struct Event<J> {
    /// The job's arguments.
    pub(super) job: J,
    /// The source that is meant, if not all are.
    pub(super) source: Option<SourceName>,
    /// What is to be done once: by its own name, or by the scheduled time.
    pub(super) slot: Option<String>,
}

/// The arguments that an event holds.
///
/// # Errors
/// When it has keys that are no arguments, or values of another type.
pub fn arguments<J: Arguments>(event: Value) -> Result<J> {
    parse(event).map(|event| event.job)
}

/// All that an event says.
pub(super) fn parse<J: Arguments>(event: Value) -> Result<Event<J>> {
    match event {
        Value::Null => Ok(Event::default()),
        Value::Object(event) if is_envelope(&event) => of_envelope(event),
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
fn of_envelope<J: Arguments>(mut envelope: Map<String, Value>) -> Result<Event<J>> {
    let slot = slot_of(&envelope);
    let detail = match envelope.remove("detail") {
        // EventBridge Scheduler writes the detail of its default event as text.
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::Null),
        detail => detail.unwrap_or(Value::Null),
    };
    let event = match detail {
        Value::Object(detail) if keys::<J>().iter().any(|key| detail.contains_key(key)) => strictly(detail)?,
        Value::Object(detail) if !detail.is_empty() => {
            tracing::warn!("the event's detail has none of the arguments: the defaults are used");
            Event::default()
        }
        _ => Event::default(),
    };
    Ok(Event { slot: event.slot.or(slot), ..event })
}

/// A schedule's event is told by its time, which a repetition has too; any other event by its id.
fn slot_of(envelope: &Map<String, Value>) -> Option<String> {
    let scheduled = envelope.get("detail-type").is_some_and(|kind| kind == "Scheduled Event");
    let key = if scheduled { "time" } else { "id" };
    envelope.get(key)?.as_str().map(str::to_owned)
}

fn strictly<J: Arguments>(mut arguments: Map<String, Value>) -> Result<Event<J>> {
    let slot = take::<J, String>(&mut arguments, SLOT)?;
    let source = match arguments.get(SOURCE).cloned() {
        // Some jobs know it themselves.
        Some(source) if own_keys::<J>().iter().any(|key| key == SOURCE) => Some(source),
        Some(_) => arguments.remove(SOURCE),
        None => None,
    };
    let mut source = source.map(|source| Map::from_iter([(SOURCE.to_owned(), source)])).unwrap_or_default();
    let source = take::<J, SourceName>(&mut source, SOURCE)?;
    let job = serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner().to_string();
        // serde names an unknown key itself.
        let known = path == "." || inner.starts_with("unknown field");
        invalid::<J>(if known { inner } else { format!("`{path}`: {inner}") })
    })?;
    Ok(Event { job, source, slot })
}

/// Takes an argument out that every job has.
fn take<J: Arguments, T: DeserializeOwned>(
    arguments: &mut Map<String, Value>,
    key: &str,
) -> Result<Option<T>> {
    let value = arguments.remove(key).filter(|value| !value.is_null());
    let parsed = value.map(serde_json::from_value).transpose();
    parsed.map_err(|error| invalid::<J>(format!("`{key}`: {error}")))
}

/// The arguments of a job, and those that every job has.
fn keys<J: Arguments>() -> Vec<String> {
    let mut keys = own_keys::<J>();
    for key in [SOURCE, SLOT].map(str::to_owned) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn own_keys<J: Arguments>() -> Vec<String> {
    match serde_json::to_value(J::default()) {
        Ok(Value::Object(arguments)) => arguments.into_iter().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    }
}

fn invalid<J: Arguments>(message: impl Into<String>) -> Error {
    let hint = format!("The arguments are: {}. An empty object takes the defaults.", keys::<J>().join(", "));
    Error::new(ErrorKind::Usage, message).on("event").hint(hint)
}
