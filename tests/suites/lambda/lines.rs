//! The form of every line that a function prints: one flat JSON object, under the key names of Powertools for AWS Lambda,
//! with the time and the level by which Lambda filters.

use std::fmt;

use anyhow::{Context as _, ensure};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Keys that a function without an invocation cannot have.
const OF_INVOCATION: [&str; 4] = ["cold_start", "function_arn", "function_request_id", "xray_trace_id"];

/// The lines of a function's output. One that is not of the form is an error.
pub(crate) fn of(output: &str) -> anyhow::Result<Vec<Value>> {
    output.lines().map(|line| parsed(line).with_context(|| format!("no line of ours: {line}"))).collect()
}

fn parsed(text: &str) -> anyhow::Result<Value> {
    let Members(members) = serde_json::from_str(text)?;
    let line = Value::Object(members);
    let time = line["timestamp"].as_str().context("no time")?;
    let milliseconds = "2026-11-21T02:00:00.000Z".len();
    ensure!(time.len() == milliseconds && time.ends_with('Z'), "not milliseconds in UTC: {time}");
    time.parse::<jiff::Timestamp>().context("no time of RFC 3339")?;
    let level = line["level"].as_str().context("no level")?;
    ensure!(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level), "no level of Lambda's: {level}");
    ensure!(line["message"].is_string(), "no message");
    ensure!(line["service"] == "pgark", "no service");
    if line["_aws"].is_null() {
        own_keys(&line)?;
    }
    ensure!(line["exception_name"].is_string() == line["exception"].is_string(), "half an exception");
    let nested =
        line.as_object().into_iter().flatten().find(|(key, value)| value.is_object() && *key != "_aws");
    ensure!(nested.is_none(), "not flat: {nested:?}");
    Ok(line)
}

/// The keys of lines that are no metrics.
fn own_keys(line: &Value) -> anyhow::Result<()> {
    ensure!(line["location"].as_str().is_some_and(|place| place.contains(':')), "no location");
    ensure!(line["function_name"].is_string(), "no name of the function");
    ensure!(line["function_memory_size"].is_u64(), "no memory");
    if line.get("function_request_id").is_none() {
        ensure!(!OF_INVOCATION.iter().any(|key| line.get(*key).is_some()), "half an invocation");
        return Ok(());
    }
    ensure!(line["cold_start"].is_boolean(), "nobody knows whether it was cold");
    ensure!(line["function_arn"].as_str().is_some_and(|arn| arn.starts_with("arn:aws:lambda:")), "no ARN");
    let trace = line.get("xray_trace_id").map(|id| id.as_str().unwrap_or_default());
    ensure!(trace.is_none_or(|id| id.starts_with("1-") && !id.contains(';')), "no id of a trace");
    Ok(())
}

/// The members of an object, of which none has the name of another.
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Distinct;
        impl<'de> Visitor<'de> for Distinct {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if members.contains_key(&key) {
                        return Err(A::Error::custom(format!("{key} is there twice")));
                    }
                    members.insert(key, value);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Distinct)
    }
}

#[test]
fn what_is_not_of_the_form_is_found() {
    let good = r#"{"timestamp":"2026-11-21T02:00:00.000Z","level":"INFO","message":"m","location":"a:1","service":"pgark","function_name":"f","function_memory_size":128}"#;
    assert!(of(good).is_ok_and(|lines| lines.len() == 1));
    for (part, instead) in [
        ("{", "["),
        ("}", r#","level":"WARN"}"#),
        (".000Z", ".000000Z"),
        (".000Z", "+01:00 "),
        ("INFO", "info"),
        (r#""message":"m","#, ""),
        ("pgark", "else"),
        (r#""location":"a:1""#, r#""target":"a""#),
        ("128", "\"128\""),
        ("}", r#","cold_start":true}"#),
        ("}", r#","function_request_id":"7"}"#),
        ("}", r#","exception_name":"internal"}"#),
        ("}", r#","span":{}}"#),
        ("}", "}\nEND"),
    ] {
        assert!(good.contains(part) && of(&good.replacen(part, instead, 1)).is_err(), "{part} -> {instead}");
    }
}
