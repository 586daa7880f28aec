//! Which events the function takes: every file of events/backup, and none of the others here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pgark::jobs::backup::Backup;
use pgark::lambda::arguments;
use serde_json::{Value, json};

fn event_files() -> BTreeMap<String, Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/backup");
    let entries =
        std::fs::read_dir(folder).expect("the folder of events").map(|entry| entry.expect("a file").path());
    let read = |path: PathBuf| {
        assert!(path.extension().is_some_and(|extension| extension == "json"), "{}", path.display());
        let event = std::fs::read_to_string(&path).expect("an event");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, serde_json::from_str(&event).expect("JSON"))
    };
    entries.map(read).collect()
}

/// The arguments that each file means. A file which is not named here fails the test.
fn expected(name: &str) -> Value {
    match name {
        "default" | "eventbridge-scheduled" | "scheduler-default" | "one-of-several" => json!({}),
        "dry-run" | "eventbridge-detail" => json!({ "dry_run": true }),
        "schema-only" => json!({ "schema_only": true }),
        "exclusions" => json!({
            "exclude_schemas": ["staging"],
            "exclude_tables": ["public.import_*"],
            "exclude_table_data": ["public.sessions", "audit.*"],
        }),
        "scheduler-input" => json!({ "exclude_table_data": ["public.sessions"] }),
        other => panic!("nobody says what events/backup/{other}.json means"),
    }
}

#[test]
fn every_event_file_means_what_it_says() {
    let files = event_files();
    assert!(files.len() >= 8, "{:?}", files.keys());
    for (name, event) in files {
        let job: Backup = arguments(event).unwrap_or_else(|error| panic!("{name}: {error}"));
        let meant: Backup = serde_json::from_value(expected(&name)).unwrap();
        assert_eq!(serde_json::to_value(job).unwrap(), serde_json::to_value(meant).unwrap(), "{name}");
    }
}

#[test]
fn what_the_function_does_not_know_is_refused_by_name() {
    let envelope = |detail: Value| json!({ "version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": detail });
    for (event, part) in [
        (json!({ "dryrun": true }), "unknown field `dryrun`"),
        (json!({ "dry_run": "yes" }), "`dry_run`: invalid type: string"),
        (json!({ "dry_run": null }), "`dry_run`: invalid type: null"),
        (json!({ "exclude_tables": "public.t" }), "`exclude_tables`: invalid type: string"),
        (json!({ "exclude_tables": ["a", 7] }), "`exclude_tables[1]`: invalid type: integer"),
        (json!({ "Records": [{ "eventSource": "aws:sqs" }] }), "unknown field `Records`"),
        (json!({ "source": "AWS", "dry_run": true }), "`source`: is no name for a source"),
        (envelope(json!({ "dry_run": true, "databse": "shop" })), "unknown field `databse`"),
        (envelope(json!({ "dry_run": 1 })), "`dry_run`: invalid type: integer"),
        (json!([]), "is not an object"),
        (json!("default"), "is not an object"),
        (json!(true), "is not an object"),
    ] {
        let error = arguments::<Backup>(event.clone()).expect_err(&event.to_string());
        assert_eq!(error.code(), "usage.invalid");
        assert!(error.to_string().contains(part), "{event}: {error}");
        assert!(error.hint_text().unwrap().contains("exclude_table_data"), "{event}");
    }
}

#[test]
fn details_of_others_are_none_of_our_business() {
    for detail in [json!({ "service": "shop", "state": "DEPLOYED" }), json!(null), json!([]), json!("words")]
    {
        let event = json!({ "source": "com.example", "detail-type": "Deployed", "detail": detail });
        let job: Backup = arguments(event).unwrap();
        assert_eq!(serde_json::to_value(job).unwrap(), serde_json::to_value(Backup::default()).unwrap());
    }
    let job: Backup = arguments(Value::Null).unwrap();
    assert!(!job.dry_run);
}
