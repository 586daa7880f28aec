//! The function `prune`, on backups that the function `backup` wrote: a plan, a refusal, and the deed.

use std::time::Duration;

use anyhow::Context as _;
use pgark_tests::{repository, wait_until};
use serde_json::{Value, json};

use super::world::{self, World};
use super::{Result, shop};

fn event(name: &str) -> anyhow::Result<Value> {
    let file = repository().join("events/prune").join(format!("{name}.json"));
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

fn manifests(world: &World) -> anyhow::Result<Vec<String>> {
    Ok(world.keys()?.into_iter().filter(|key| key.ends_with("/manifest.json")).collect())
}

#[test]
fn it_plans_by_default_refuses_accidents_and_deletes_what_is_meant() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let backup = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = backup.invoke(&json!({}))?;
        ids.push(answer["id"].as_str().with_context(|| answer.to_string())?.to_owned());
        // Ids of one second are in no order.
        let made = jiff::Timestamp::now().as_second();
        wait_until(Duration::from_secs(10), "the next second", || jiff::Timestamp::now().as_second() > made)?;
    }
    let settings = [
        ("PGARK_KEEP", "last 1".to_owned()),
        ("PGARK_KEEP_MIN", "1".to_owned()),
        ("PGARK_TIME_ZONE", "Europe/Berlin".to_owned()),
    ];
    let prune = world.start("prune", settings)?;
    for name in ["default", "eventbridge-scheduled"] {
        let answer = prune.invoke(&event(name)?)?;
        let report = &answer["reports"][0];
        assert_eq!((&answer["good"], &report["apply"]), (&json!(true), &json!(false)), "{answer}");
        assert_eq!(report["totals"]["backups_removed"], 2, "{name}: {answer}\n{}", prune.log());
        assert_eq!(report["policy"]["time_zone"], "Europe/Berlin");
    }
    let answer = prune.invoke(&event("apply")?)?;
    assert_eq!(answer["errorType"], "prune.refused", "{answer}\n{}", prune.log());
    assert!(
        answer["errorMessage"].as_str().unwrap_or_default().contains("2 of 3 good backups would go at once"),
        "{answer}"
    );
    assert_eq!(world::last_error(&prune)?["exception_name"], "prune.refused");
    assert_eq!(manifests(&world)?.len(), 3);

    let answer = prune.invoke(&event("meant")?)?;
    let report = &answer["reports"][0];
    let done: Vec<_> = report["backups"].as_array().into_iter().flatten().map(|line| &line["done"]).collect();
    assert_eq!(done, ["removed", "removed", "kept"], "{answer}");
    let left = manifests(&world)?;
    assert!(left.len() == 1 && left[0].contains(&ids[2]), "{left:?}");
    let keys = world.keys()?;
    assert!(!keys.iter().any(|key| key.contains(&ids[0]) || key.contains(&ids[1])), "{keys:?}");
    let kept = report["kept_as"].as_str().context("no report is kept")?;
    assert_eq!(&serde_json::from_slice::<Value>(&world.get(&format!("backups/{kept}"))?)?, report);
    for name in ["one-source", "eventbridge-detail"] {
        assert_eq!(prune.invoke(&event(name)?)?["reports"][0]["totals"]["backups_removed"], 0);
    }
    Ok(())
}

#[test]
fn wrong_settings_fail_the_init_phase_and_wrong_events_delete_nothing() -> Result {
    let world = World::new()?;
    let function = world.start("prune", [("PGARK_KEEP", "everything".to_owned())])?;
    let answer = function.invoke(&event("default")?)?;
    assert_eq!(answer["errorType"], "settings.invalid", "{answer}");
    assert!(
        answer["errorMessage"].as_str().unwrap_or_default().contains("PGARK_KEEP: `everything` is no rule")
    );
    let function = world.start("prune", [])?;
    assert_eq!(function.invoke(&json!({ "aply": true }))?["errorType"], "usage.invalid");
    let answer = function.invoke(&event("default")?)?;
    assert_eq!((&answer["good"], &answer["reports"][0]["backups"]), (&json!(true), &json!([])), "{answer}");
    Ok(())
}
