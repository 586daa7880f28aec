//! What functions say in their logs: every line of it is held to the form (`lines`), whatever happens.

use std::collections::BTreeSet;

use anyhow::Context as _;
use pgark::telemetry::Metric;
use pgark_tests::template::Template;
use pgark_tests::{Ministack, Rie, repository, workspace_binary};
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

/// Lambda says the level: one of those that the template offers. Each opens and closes the log as its name says.
#[test]
fn the_levels_of_the_template_are_those_of_the_log() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let template = Template::application()?;
    let offered = template.section("Parameters")["LogLevel"]["AllowedValues"].clone();
    let offered: Vec<String> = serde_json::from_value(offered)?;
    assert!(offered.contains(&template.default("LogLevel")?));
    let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
    for (kept, level) in levels.iter().enumerate() {
        assert!(offered.iter().any(|one| one == level), "the template does not offer {level}");
        let settings = [("PGARK_DATABASE_URL", shop.url()), ("AWS_LAMBDA_LOG_LEVEL", (*level).to_owned())];
        let (lines, answer) = invoked(&world.function(settings)?, &event("dry-run")?)?;
        assert_eq!(answer["source"], "shop", "{answer}");
        let of: BTreeSet<&str> = lines.iter().filter_map(|line| line["level"].as_str()).collect();
        assert!(of.iter().all(|level| levels[kept..].contains(level)), "{level}: {of:?}");
        // A run that goes well has nothing to warn of.
        assert_eq!(of.contains(level), kept < 3, "{level}: {of:?}");
    }
    assert_eq!(offered.len(), levels.len());
    Ok(())
}

/// docs/functions.md: each key that every function's line may have, and no other.
#[test]
fn the_keys_are_documented() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let function = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    function.invoke(&event("dry-run")?)?;
    function.invoke(&json!({ "dryrun": true }))?;
    let page = std::fs::read_to_string(repository().join("docs/functions.md"))?;
    let section = page.split("\n## ").find(|section| section.starts_with("Logs\n")).context("a section")?;
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let documented: BTreeSet<&str> =
        cells.flat_map(|cell| cell.split(", ")).map(|key| key.trim_matches('`')).collect();
    let lines = lines::of(&function.output())?;
    let mut said: BTreeSet<&str> =
        lines.iter().filter_map(Value::as_object).flat_map(|line| line.keys()).map(String::as_str).collect();
    // The emulator traces nothing.
    assert!(said.insert("xray_trace_id"));
    assert_eq!(documented, said);
    // The queries that are shown ask for keys that there are.
    let queries =
        section.lines().filter(|line| ["filter ", "| fields "].iter().any(|start| line.starts_with(start)));
    let unquoted = queries.map(|query| query.split('"').step_by(2).collect::<String>());
    let is_key = |word: &&str| word.contains(|c: char| c == '_' || c.is_uppercase());
    let asked = unquoted.collect::<Vec<_>>().join(" ");
    let asked: Vec<&str> = asked.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(is_key).collect();
    for key in &asked {
        let metric = Metric::ALL.iter().any(|metric| metric.as_str() == *key);
        assert!(metric || documented.contains(key), "a query asks for {key}");
    }
    assert!(asked.contains(&"function_request_id") && asked.contains(&"exception_name"), "{asked:?}");
    // The line that is shown there is one.
    let shown = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(lines::of(shown.context("a line")?)?.len(), 1);
    Ok(())
}
