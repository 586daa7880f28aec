//! What becomes of a panic. No event makes a function of ours panic, so this is one that does, around the same edge.

use std::path::Path;

use anyhow::Context as _;
use pgark_tests::Rie;
use serde_json::{Value, json};

use super::{Result, lines};

#[test]
fn a_panic_is_one_line_with_its_place_and_an_answer_and_the_function_lives_on() -> Result {
    let binary = Path::new(env!("CARGO_BIN_EXE_faulty-function"));
    let folder = tempfile::tempdir()?;
    let store = format!("file://{}", folder.path().display());
    let function = Rie::start(binary, [("PGARK_STORE", store)])?;
    assert_eq!(function.invoke(&json!({}))?, json!(true), "{}", function.log());
    for (place, message) in [
        ("job", "panicked: a \"fault\": of \\ ours. This is a fault in pgark."),
        ("task", "a background task died: "),
        ("thread", "a background task died: "),
    ] {
        let before = function.output().len();
        let answer = function.invoke(&json!({ "panic": place }))?;
        assert_eq!(answer["errorType"], "internal", "{answer}\n{}", function.log());
        assert!(answer["errorMessage"].as_str().unwrap_or_default().starts_with(message), "{answer}");

        // The panic itself, as the hook saw it, and the failure, of the same invocation.
        let lines = lines::of(&function.output()[before..])?;
        let [panic, failure] = &lines[..] else { panic!("{place}: {lines:#?}") };
        assert_eq!((&panic["level"], &failure["level"]), (&json!("ERROR"), &json!("ERROR")));
        assert_eq!(panic["message"], "panicked: a \"fault\"\nof \\ ours");
        let at = panic["location"].as_str().context("no place")?;
        assert!(at.starts_with("tests/src/bin/faulty-function.rs:"), "{at}");
        assert_eq!(
            (&failure["exception_name"], &failure["message"]),
            (&json!("internal"), &answer["errorMessage"])
        );
        assert!(panic["function_request_id"].is_string(), "{panic}");
        assert_eq!(panic["function_request_id"], failure["function_request_id"]);
        // The process is still the same.
        assert_eq!((&panic["cold_start"], &failure["cold_start"]), (&json!(false), &json!(false)));
        assert_eq!(function.invoke(&json!({}))?, Value::Bool(true));
    }
    Ok(())
}
