//! pgark.toml: the same settings by their keys. Unknown keys are problems, never ignored.

use toml::{Table, Value};

use super::RawSettings;
use super::problems::Problems;

/// Reads the text of a pgark.toml. What is unknown or of the wrong type becomes a problem.
pub(super) fn parse(text: &str, problems: &mut Problems) -> RawSettings {
    let mut raw = RawSettings::default();
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            // Not the error's own text, which quotes the line: that may be the one with the password.
            let line =
                error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let message = format!("line {line} is not TOML: {}", error.message());
            problems.add("pgark.toml", message, "Write settings as `key = \"value\"`.");
            return raw;
        }
    };
    for (key, value) in table {
        let Some(slot) = raw.slot(&key) else {
            let known = RawSettings::NAMES.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", ");
            problems.add("pgark.toml", format!("unknown key `{key}`"), format!("The keys are: {known}."));
            continue;
        };
        match text_of(&value) {
            Some(text) => *slot = Some(text),
            None => problems.add(
                "pgark.toml",
                format!("`{key}` has the wrong type"),
                "Give it a string, a whole number, or a list of strings.",
            ),
        }
    }
    raw
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Array(list) => {
            let texts: Option<Vec<_>> = list.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}
