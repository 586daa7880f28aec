//! Which events the function takes: every file of events/health-check, and none of the others here.

use std::path::PathBuf;

use pgark::jobs::health::Health;
use pgark::lambda::arguments;
use serde_json::{Value, json};

/// The arguments that each file means. A file which is not named here fails the test.
fn expected(name: &str) -> Value {
    match name {
        "default" | "eventbridge-scheduled" | "scheduler-default" => json!({}),
        "one" | "eventbridge-detail" => json!({ "source": "shop" }),
        "quiet" => json!({ "no_report": true, "quiet": true }),
        other => panic!("nobody says what events/health-check/{other}.json means"),
    }
}

#[test]
fn every_event_file_means_what_it_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/health-check");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of events") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).expect("an event")).expect("JSON");
        let job: Health = arguments(event).unwrap_or_else(|error| panic!("{name}: {error}"));
        let meant: Health = serde_json::from_value(expected(&name)).unwrap();
        assert_eq!(job, meant, "{name}");
        files += 1;
    }
    assert!(files >= 6, "{files}");
}

#[test]
fn what_the_function_does_not_know_is_refused_by_name() {
    for (event, part) in [
        (json!({ "sources": "shop" }), "unknown field `sources`"),
        (json!({ "source": "../x" }), "`source`"),
        (json!({ "quiet": "yes" }), "`quiet`: invalid type"),
    ] {
        let error = arguments::<Health>(event.clone()).expect_err(&event.to_string());
        assert_eq!(error.code(), "usage.invalid");
        assert!(error.to_string().contains(part), "{event}: {error}");
    }
}

/// A scheduled check must look at everything, and say what it finds.
#[test]
fn by_default_everything_is_looked_at_and_told() {
    let job: Health = arguments(Value::Null).unwrap();
    assert_eq!(job, Health { source: None, no_report: false, quiet: false });
}
