//! Events that come twice, and functions of several sources.

use pgark_tests::Postgres;
use serde_json::{Value, json};

use super::world::{self, World};
use super::{Result, event, shop};

fn records(world: &World, end: &str) -> anyhow::Result<usize> {
    Ok(world.all_keys()?.iter().filter(|key| key.starts_with("backups/runs/") && key.ends_with(end)).count())
}

fn manifests(world: &World) -> anyhow::Result<usize> {
    Ok(world.keys()?.iter().filter(|key| key.ends_with("/manifest.json")).count())
}

#[test]
fn a_schedule_event_that_comes_twice_does_nothing_twice() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let function = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    let scheduled = event("eventbridge-scheduled")?;
    let first = function.invoke(&scheduled)?;
    assert!(first["id"].is_string(), "{first}\n{}", function.log());
    let second = function.invoke(&scheduled)?;
    let why = second["skipped"].as_str().unwrap_or_default();
    assert!(why.starts_with("the work of slot 2026-11-21T02:00:00Z was done by run "), "{second}");
    assert_eq!((&second["job"], &second["source"]), (&"backup".into(), &"shop".into()));
    assert_eq!((manifests(&world)?, records(&world, ".backup.start.json")?), (1, 1));
    function.wait_for_log("skipped: the work of slot")?;

    // The next night's is another one, and so is one without a slot.
    let mut next = scheduled;
    next["time"] = "2026-11-22T02:00:00Z".into();
    assert!(function.invoke(&next)?["id"].is_string());
    assert!(function.invoke(&event("default")?)?["id"].is_string());
    assert_eq!((manifests(&world)?, records(&world, ".backup.end.json")?), (3, 4));
    Ok(())
}

/// Lambda repeats an asynchronous invocation that failed.
#[test]
fn a_schedule_event_whose_run_failed_is_worked_on_again() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let wrong = shop.server().url_as("postgres", super::PASSWORD, shop.name());
    let function = world.function([("PGARK_DATABASE_URL", wrong)])?;
    let scheduled = event("eventbridge-scheduled")?;
    assert_eq!(function.invoke(&scheduled)?["errorType"], "connect.authentication");
    drop(function);
    let function = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    assert!(function.invoke(&scheduled)?["id"].is_string(), "{}", function.log());
    assert_eq!((manifests(&world)?, records(&world, ".backup.end.json")?), (1, 2));
    Ok(())
}

#[test]
fn a_function_looks_after_several_databases() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let crm = Postgres::shared(17)?.create_database("crm")?;
    let sources = json!({ "sources": {
        "shop": { "database_url": shop.url() },
        "crm": { "database_url": crm.url(), "lock_timeout": "5s" },
        "lost": { "database_url": shop.server().url_as("postgres", super::PASSWORD, shop.name()) },
    }});
    let function =
        world.function([("PGARK_SOURCES", sources.to_string()), ("PGARK_SOURCE", String::new())])?;
    let answer = function.invoke(&event("one-of-several")?)?;
    assert_eq!(answer["source"], "crm", "{answer}\n{}", function.log());
    assert_eq!(function.invoke(&event("one-of-several")?)?["source"], "crm");

    let answer = function.invoke(&json!({}))?;
    assert_eq!(answer["errorType"], "connect.authentication", "{answer}");
    let message = answer["errorMessage"].as_str().unwrap_or_default();
    assert!(message.contains("failed on 1 of 3 sources: lost: "), "{answer}");
    // crm by name twice, of which the second was a repetition; then crm and shop.
    assert_eq!(manifests(&world)?, 3);
    world::assert_no_secret_in_log(&function);
    let unknown: Value = function.invoke(&json!({ "source": "nobody" }))?;
    assert_eq!(unknown["errorType"], "usage.invalid", "{unknown}");
    Ok(())
}
