//! Lines as they are written, read back: each is one JSON object in which no key comes twice.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::*;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "AWS_LAMBDA_FUNCTION_NAME" => "pgark-backup",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" => "1769",
        _ => return None,
    };
    Some(value.to_owned())
}

fn log(environment: fn(&str) -> Option<String>) -> Log {
    let now = || "2026-11-21T02:00:00.0001Z".parse().unwrap();
    Log::new(&Outside { now, environment, ..Outside::real() })
}

/// The lines of what is done, as text.
fn written(log: &Log, what: impl FnOnce()) -> Vec<String> {
    let written = Written::default();
    let writer = written.clone();
    tracing::subscriber::with_default(log.subscriber(move || writer.clone()), what);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(str::to_owned).collect()
}

fn one_line(log: &Log, what: impl FnOnce()) -> Value {
    let lines = written(log, what);
    let [line] = &lines[..] else { panic!("not one line: {lines:#?}") };
    serde_json::from_str(line).unwrap()
}

fn context(request: &str) -> Context {
    let mut context = Context::default();
    context.request_id = request.to_owned();
    context.invoked_function_arn = "arn:aws:lambda:eu-west-1:1:function:pgark-backup".to_owned();
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    context.xray_trace_id = Some(header.to_owned());
    context
}

#[test]
fn a_line_has_the_keys_of_powertools() {
    let log = log(environment);
    let current = log.invocation(&context("7"));
    let mut line = one_line(&log, || tracing::warn!(object = "s3://b", rows = 3, "slow"));
    let location = line["location"].take();
    let location = location.as_str().and_then(|text| text.strip_prefix(concat!(module_path!(), ":")));
    assert!(location.is_some_and(|line| line.parse::<u32>().is_ok()), "{location:?}");
    let expected = json!({
        "timestamp": "2026-11-21T02:00:00.000Z", "level": "WARN", "message": "slow", "location": null,
        "service": "pgark", "function_name": "pgark-backup", "function_memory_size": 1769,
        "cold_start": true, "function_arn": "arn:aws:lambda:eu-west-1:1:function:pgark-backup",
        "function_request_id": "7", "xray_trace_id": "1-5759e988-bd862e3fe1be46a994272793",
        "object": "s3://b", "rows": 3,
    });
    assert_eq!(line, expected);
    drop(current);

    // Another invocation of the same process, then none.
    let current = log.invocation(&context("8"));
    let line = one_line(&log, || tracing::info!("again"));
    assert_eq!((&line["cold_start"], &line["function_request_id"]), (&json!(false), &json!("8")));
    drop(current);
    let line = one_line(&log, || tracing::info!("between"));
    assert_eq!(line.get("function_request_id").or(line.get("cold_start")), None, "{line}");
}

/// A span would not reach there.
#[test]
fn a_line_of_another_thread_belongs_to_the_invocation() {
    let log = log(environment);
    let _current = log.invocation(&context("7"));
    let subscriber = Written::default();
    let writer = subscriber.clone();
    let there = tracing::Dispatch::new(log.subscriber(move || writer.clone()));
    std::thread::spawn(move || tracing::dispatcher::with_default(&there, || tracing::info!("there")))
        .join()
        .unwrap();
    let line: Value = serde_json::from_slice(&subscriber.0.lock().unwrap()).unwrap();
    assert_eq!((&line["message"], &line["function_request_id"]), (&json!("there"), &json!("7")));
}

#[test]
fn the_service_is_called_as_powertools_is_told() {
    let named = |name: &str| (name == "POWERTOOLS_SERVICE_NAME").then(|| "backups".to_owned());
    assert_eq!(one_line(&log(named), || tracing::info!("x"))["service"], "backups");
    let empty = |name: &str| (name == "POWERTOOLS_SERVICE_NAME").then(String::new);
    assert_eq!(one_line(&log(empty), || tracing::info!("x"))["service"], "pgark");
}

#[test]
fn nothing_that_is_logged_breaks_a_line() {
    let awkward = "\"quotes\", \\, a\nbreak, \r, \t, \u{0}, \u{1b}[31m, \u{2028}, {\"level\":\"INFO\"}, 🦀";
    let log = log(environment);
    let line = one_line(&log, || {
        let error = io::Error::other(io::Error::other(awkward));
        let error = &error as &(dyn std::error::Error + 'static);
        tracing::error!(text = awkward, shown = %awkward, debug = ?awkward, error, "{awkward}");
    });
    for key in ["text", "shown", "message", "error"] {
        assert_eq!(line[key], awkward, "{key}");
    }
    assert_eq!(line["debug"], format!("{awkward:?}"));
    let line = one_line(&log, || {
        let (nan, large, small, on) = (f64::NAN, u64::MAX, i64::MIN, true);
        tracing::info!(nan, half = 0.5, large, small, on, huge = u128::MAX);
    });
    let said = ["nan", "half", "large", "small", "on", "huge", "message"].map(|key| line[key].clone());
    let huge = u128::MAX.to_string();
    assert_eq!(json!(said), json!(["NaN", 0.5, u64::MAX, i64::MIN, true, huge, ""]));
}

/// JSON leaves open which of two members of one name counts (RFC 8259, section 4).
#[test]
fn no_key_comes_twice() {
    let log = log(environment);
    let _current = log.invocation(&context("7"));
    let lines = written(&log, || {
        let _outer = tracing::info_span!("outer", source = "outer", level = "span", outer = 1).entered();
        let _inner = tracing::info_span!("inner", source = "inner", message = "span", part = 2).entered();
        tracing::info!(level = "mine", service = "mine", function_request_id = 9, object = "a", "said");
        tracing::info!(location = "there:1", source = "event", "said");
    });
    for line in &lines {
        let members: Value = serde_json::from_str(line).unwrap();
        for key in members.as_object().unwrap().keys() {
            assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{key}: {line}");
        }
    }
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |line: &Value, keys: &[&str]| json!(keys.iter().map(|key| &line[*key]).collect::<Vec<_>>());
    let kept = ["message", "level", "service", "function_request_id", "source", "part", "outer"];
    assert_eq!(of(&lines[0], &kept), json!(["said", "INFO", "pgark", "7", "inner", 2, 1]));
    let apart = ["field_level", "field_service", "field_function_request_id"];
    assert_eq!(of(&lines[0], &apart), json!(["mine", "mine", 9]));
    assert_eq!(of(&lines[1], &["location", "source", "field_level"]), json!(["there:1", "event", "span"]));
}

/// "Log-level filtering" (Lambda Developer Guide) has these levels.
#[test]
fn the_level_is_the_one_that_lambda_is_told() {
    let all = [
        ("TRACE", 5),
        ("DEBUG", 4),
        ("INFO", 3),
        ("WARN", 2),
        ("ERROR", 1),
        ("FATAL", 1),
        ("debug", 4),
        ("?", 3),
    ];
    for (name, lines) in all {
        let mut log = log(environment);
        Arc::get_mut(&mut log.0).unwrap().level = level(Some(name));
        let written = written(&log, || {
            tracing::trace!("");
            tracing::debug!("");
            tracing::info!("");
            tracing::warn!("");
            tracing::error!("");
            tracing::error!(target: "lambda_runtime::layers::panic", "what is logged already");
        });
        assert_eq!(written.len(), lines, "{name}: {written:?}");
    }
    assert_eq!(log(environment).0.level, LevelFilter::INFO);
}
