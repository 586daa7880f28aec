//! pgark.toml: the same settings by their keys. Unknown keys are problems, never ignored.

use serde::Deserialize;
use toml::{Table, Value};

use super::problems::Problems;
use super::sources::RawSources;
use super::{Assertion, RawSettings, assertions};

/// The only table among the settings of one source.
const RESTORE_TEST: &str = "restore_test";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreTest {
    assertions: Vec<Assertion>,
}

/// What a pgark.toml says.
#[derive(Default)]
pub(super) struct File {
    pub(super) settings: RawSettings,
    pub(super) assertions: Vec<Assertion>,
    pub(super) sources: RawSources,
}

/// Reads the text of a pgark.toml. What is unknown or of the wrong type becomes a problem.
pub(super) fn parse(text: &str, problems: &mut Problems) -> File {
    let fix = "Write settings as `key = \"value\"`.";
    let Some(mut content) = problems.keep("pgark.toml", Some(toml(text)), fix) else {
        return File::default();
    };
    let sources = RawSources::take(&mut content, problems);
    let (settings, assertions) = settings(content, "pgark.toml", problems);
    File { settings, assertions: assertions.unwrap_or_default(), sources }
}

/// TOML, or which line is none.
pub(super) fn toml(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|error| {
        // Not the error's own text, which quotes the line: that may be the one with the password.
        let line =
            error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        format!("line {line} is not TOML: {}", error.message())
    })
}

/// The settings in a table, and the assertions if it has some.
pub(super) fn settings(
    table: Table,
    place: &str,
    problems: &mut Problems,
) -> (RawSettings, Option<Vec<Assertion>>) {
    let (mut raw, mut assertions) = (RawSettings::default(), None);
    for (key, value) in table {
        if key == RESTORE_TEST {
            assertions = Some(assertions_of(value, place, problems));
            continue;
        }
        let Some(slot) = raw.slot(&key) else {
            let known = RawSettings::NAMES.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", ");
            problems.add(place, format!("unknown key `{key}`"), format!("The keys are: {known}."));
            continue;
        };
        match text_of(&value) {
            Some(text) => *slot = Some(text),
            None => problems.add(
                place,
                format!("`{key}` has the wrong type"),
                "Give it a string, a whole number, or a list of strings.",
            ),
        }
    }
    (raw, assertions)
}

fn assertions_of(value: Value, place: &str, problems: &mut Problems) -> Vec<Assertion> {
    let read = RestoreTest::deserialize(value).map_err(|error| error.message().to_owned());
    let checked = read.and_then(|read| match assertions::problem(&read.assertions) {
        Some(problem) => Err(problem),
        None => Ok(read.assertions),
    });
    let fix = "Write [[restore_test.assertions]] with name, sql and expect: a string, a whole number, true or false.";
    problems.keep(&format!("{place}: restore_test"), Some(checked), fix).unwrap_or_default()
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
