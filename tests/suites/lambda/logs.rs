//! What functions say in their logs: every line of it is held to the form (`lines`), whatever happens.

use std::collections::BTreeSet;

use pgark_tests::{Ministack, Rie, workspace_binary};
use serde_json::{Value, json};

use super::world::{self, World};
use super::{PASSWORD, Result, event, lines, shop};

/// The lines of the last invocation, and what it answered.
fn invoked(function: &Rie, event: &Value) -> anyhow::Result<(Vec<Value>, Value)> {
    let before = function.output().len();
    let answer = function.invoke(event)?;
    Ok((lines::of(&function.output()[before..])?, answer))
}

#[test]
fn a_line_says_whose_it_is() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let function = world.function([
        ("PGARK_DATABASE_URL", shop.url()),
        ("AWS_LAMBDA_FUNCTION_NAME", "pgark-backup".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769".to_owned()),
    ])?;
    let mut requests = BTreeSet::new();
    for (number, event) in
        [event("default")?, event("dry-run")?, json!({ "dryrun": true })].iter().enumerate()
    {
        let (lines, answer) = invoked(&function, event)?;
        let last = lines.last().unwrap_or(&Value::Null);
        assert_eq!(last["function_name"], "pgark-backup", "{lines:?}");
        assert_eq!(last["function_memory_size"], 1769);
        let request = last["function_request_id"].as_str().unwrap_or_default().to_owned();
        for line in &lines {
            assert_eq!(line["function_request_id"], request, "{line}");
            assert!(line["_aws"].is_object() || line["cold_start"] == (number == 0), "{line}");
        }
        match answer["errorType"].as_str() {
            None => assert_eq!((&last["level"], &last["message"]), (&json!("INFO"), &json!("done"))),
            Some(code) => {
                assert_eq!((&last["level"], &last["exception_name"]), (&json!("ERROR"), &json!(code)));
                assert_eq!(last["message"], answer["errorMessage"]);
            }
        }
        assert!(requests.insert(request), "every invocation has an id of its own");
    }
    // The run's record names the invocation, too.
    let keys = world.all_keys()?;
    let record = keys.iter().find(|key| key.ends_with(".backup.end.json")).expect("the backup has a record");
    let record: Value = serde_json::from_slice(&world.get(record)?)?;
    assert!(record["by"].as_str().is_some_and(|by| requests.contains(by)), "{record}");
    Ok(())
}

#[test]
fn lines_of_the_init_phase_are_of_the_form() -> Result {
    let function = Rie::start(&workspace_binary("backup")?, [("PGARK_TIER", "hourly".to_owned())])?;
    function.invoke(&event("default")?)?;
    let error = world::last_error(&function)?;
    assert_eq!(error["exception_name"], "settings.invalid");
    // Several problems: one line of the log, one a line in the exception.
    assert!(error["exception"].as_str().is_some_and(|text| text.lines().count() > 3), "{error}");
    assert_eq!(error.get("function_request_id"), None, "no invocation yet: {error}");
    Ok(())
}

/// At this level all that libraries say is there as well, and none of it may be a secret.
#[test]
fn lines_of_libraries_are_of_the_form_and_hold_no_secret() -> Result {
    let (world, shop, aws) = (World::new()?, shop()?, Ministack::shared()?);
    let (server, role) = (shop.server(), format!("traced_{}", shop.name()));
    server.psql(&format!("create role {role} login superuser password '{PASSWORD}'"))?;
    let secret = json!({
        "engine": "postgres", "host": server.host(), "port": server.port(),
        "username": role, "password": PASSWORD, "dbname": shop.name(),
    });
    let function = world.function([
        ("PGARK_DATABASE_SECRET", aws.create_secret("traced", &secret.to_string())?),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.endpoint().to_owned()),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE".to_owned()),
    ])?;
    let (lines, answer) = invoked(&function, &event("dry-run")?)?;
    assert_eq!(answer["source"], "shop", "{answer}");
    let said: BTreeSet<&str> = lines.iter().filter_map(|line| line["location"].as_str()).collect();
    assert!(said.iter().any(|place| !place.starts_with("pg")), "libraries speak at this level: {said:?}");
    world::assert_no_secret_in_log(&function);
    server.psql(&format!("drop role {role}")).map(drop)
}

/// Lambda says the level; it is that of the template's parameter.
#[test]
fn nothing_below_the_level_is_said() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let level = ("AWS_LAMBDA_LOG_LEVEL", "WARN".to_owned());
    let function = world.function([("PGARK_DATABASE_URL", shop.url()), level])?;
    let (mut lines, answer) = invoked(&function, &event("dry-run")?)?;
    assert_eq!(answer["source"], "shop", "{answer}");
    lines.retain(|line| line["_aws"].is_null());
    assert_eq!(lines, [Value::Null; 0]);
    Ok(())
}
