//! Which events the function takes: every file of events/restore-test, and none of the others here.

use std::path::PathBuf;

use pgark::jobs::restore_test::RestoreTest;
use pgark::lambda::arguments;
use serde_json::{Value, json};

/// The arguments that each file means. A file which is not named here fails the test.
fn expected(name: &str) -> Value {
    match name {
        "default" | "eventbridge-scheduled" | "scheduler-default" | "scheduler-input" => {
            json!({ "backup": "latest", "source": null, "assertions": [] })
        }
        "oldest-tested" => json!({ "backup": "oldest-tested", "source": "shop", "assertions": [] }),
        "assertions" => json!({ "backup": "latest", "source": null, "assertions": [
            { "name": "every order has a customer", "sql": "select not exists (select from sales.orders o left join sales.customers c on c.id = o.customer_id where c.id is null)", "expect": true },
            { "name": "customers are there", "sql": "select count(*) > 1000 from sales.customers", "expect": true },
        ] }),
        other => panic!("nobody says what events/restore-test/{other}.json means"),
    }
}

#[test]
fn every_event_file_means_what_it_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/restore-test");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of events") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).expect("an event")).expect("JSON");
        let job: RestoreTest = arguments(event).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(serde_json::to_value(job).expect("JSON"), expected(&name), "{name}");
        files += 1;
    }
    assert!(files >= 6, "{files}");
}

#[test]
fn what_the_function_does_not_know_is_refused_by_name() {
    for (event, part) in [
        (json!({ "bakcup": "latest" }), "unknown field `bakcup`"),
        (json!({ "backup": 7 }), "`backup`: invalid type: integer"),
        (json!({ "assertions": [{ "name": "n" }] }), "missing field `sql`"),
        (
            json!({ "assertions": [{ "name": "n", "sql": "select 1", "expects": 1 }] }),
            "unknown field `expects`",
        ),
        (json!({ "on": "postgresql://u:secret@h/d" }), "unknown field `on`"),
        (json!([]), "is not an object"),
    ] {
        let error = arguments::<RestoreTest>(event.clone()).expect_err(&event.to_string());
        assert_eq!(error.code(), "usage.invalid");
        assert!(error.to_string().contains(part), "{event}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
