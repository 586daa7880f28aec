//! Which events the function takes: every file of events/verify, and none of the others here.

use std::path::PathBuf;

use pgark::jobs::verify::Verify;
use pgark::lambda::arguments;
use serde_json::{Value, json};

/// The arguments that each file means. A file which is not named here fails the test.
fn expected(name: &str) -> Value {
    match name {
        "default" | "eventbridge-scheduled" | "scheduler-default" => json!({}),
        "all" => json!({ "backup": "all" }),
        "all-sampled" | "eventbridge-detail" => json!({ "backup": "all", "sample": "10%" }),
        "stored" => json!({ "level": "stored" }),
        "one" => json!({ "backup": "20261121T020000Z-7k3f", "source": "shop", "no_report": true }),
        other => panic!("nobody says what events/verify/{other}.json means"),
    }
}

#[test]
fn every_event_file_means_what_it_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/verify");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of events") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).expect("an event")).expect("JSON");
        let job: Verify = arguments(event).unwrap_or_else(|error| panic!("{name}: {error}"));
        let meant: Verify = serde_json::from_value(expected(&name)).unwrap();
        assert_eq!(serde_json::to_value(job).unwrap(), serde_json::to_value(meant).unwrap(), "{name}");
        files += 1;
    }
    assert!(files >= 8, "{files}");
}

#[test]
fn what_the_function_does_not_know_is_refused_by_name() {
    for (event, part) in [
        (json!({ "backups": "all" }), "unknown field `backups`"),
        (json!({ "level": "deep" }), "`level`: unknown variant `deep`"),
        (json!({ "sample": "10" }), "`sample`: Give a share such as 10%"),
        (json!({ "sample": 10 }), "`sample`: invalid type: integer"),
        (json!({ "source": "../x" }), "`source`"),
    ] {
        let error = arguments::<Verify>(event.clone()).expect_err(&event.to_string());
        assert_eq!(error.code(), "usage.invalid");
        assert!(error.to_string().contains(part), "{event}: {error}");
    }
}

/// A scheduled run must look at something that exists on every night.
#[test]
fn by_default_the_latest_backup_is_checked_whole() {
    let job: Verify = arguments(Value::Null).unwrap();
    assert_eq!(job.backup, "latest");
    assert_eq!((job.sample, job.no_report), (None, false));
}
