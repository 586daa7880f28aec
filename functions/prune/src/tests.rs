//! Which events the function takes: every file of events/prune, and none of the others here.

use std::path::PathBuf;

use pgark::jobs::prune::Prune;
use pgark::lambda::arguments;
use serde_json::{Value, json};

/// The arguments that each file means. A file which is not named here fails the test.
fn expected(name: &str) -> Value {
    match name {
        "default" | "eventbridge-scheduled" => json!({}),
        "apply" | "eventbridge-detail" => json!({ "apply": true }),
        "meant" => json!({ "source": "shop", "apply": true, "allow_share": true, "allow_no_good": true }),
        "one-source" => json!({ "source": "shop", "apply": true }),
        other => panic!("nobody says what events/prune/{other}.json means"),
    }
}

#[test]
fn every_event_file_means_what_it_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/prune");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of events") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).expect("an event")).expect("JSON");
        let job: Prune = arguments(event).unwrap_or_else(|error| panic!("{name}: {error}"));
        let meant: Prune = serde_json::from_value(expected(&name)).unwrap();
        assert_eq!(serde_json::to_value(job).unwrap(), serde_json::to_value(meant).unwrap(), "{name}");
        files += 1;
    }
    assert!(files >= 6, "{files}");
}

#[test]
fn what_the_function_does_not_know_is_refused_by_name() {
    for (event, part) in [
        (json!({ "aply": true }), "unknown field `aply`"),
        (json!({ "apply": "yes" }), "`apply`: invalid type: string"),
        (json!({ "keep": "last 1" }), "unknown field `keep`"),
        (json!({ "source": "../x" }), "`source`"),
    ] {
        let error = arguments::<Prune>(event.clone()).expect_err(&event.to_string());
        assert_eq!(error.code(), "usage.invalid");
        assert!(error.to_string().contains(part), "{event}: {error}");
    }
}

/// Whoever schedules it without a word gets a plan.
#[test]
fn by_default_nothing_is_deleted() {
    let job: Prune = arguments(Value::Null).unwrap();
    assert!(!job.apply && !job.allow_share && !job.allow_no_good);
}
