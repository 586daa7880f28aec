//! A backup that no server takes has failed its restore test, and everybody who asks hears so.

use pgark_tests::Postgres;
use serde_json::json;

use crate::world::World;
use crate::{Result, binaries};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_restored_has_failed() -> Result {
    let source = Postgres::shared(17)?.create_database("unrestorable")?;
    source.query(
        "create table patient (id int primary key, name text, diagnosis text);
         insert into patient values (1, 'Test Person', 'a cold');
         create function ok(text) returns bool language sql immutable as 'select true';
         alter table patient add check (ok(name));
         create or replace function ok(text) returns bool language sql immutable as 'select false'",
    )?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let programs = binaries(17)?;
    let (code, error) = world.run(&["restore-test"], &[("PGARK_POSTGRES_BIN", &programs)])?;
    assert_eq!((code, &error["error"]["code"]), (3, &json!("restore-test.failed")), "{error:#}");
    let hint = error["error"]["hint"].as_str().unwrap_or_default();
    assert!(!hint.contains("pgark_test_") && !hint.contains("--clean"), "a database that is gone: {hint}");
    let [report] = world.reports()?.try_into().expect("one report");
    assert_eq!(
        (&report["result"], &report["error"]["code"]),
        (&json!("failed"), &json!("restore-test.failed")),
        "{report:#}"
    );

    let (code, health) = world.run(&["health"], &[])?;
    assert_eq!(code, 4, "{health:#}");
    assert!(health.to_string().contains("restore-test.failed"), "{health:#}");
    let (_, plan) = world.run(&["prune"], &[("PGARK_KEEP", "daily 7")])?;
    assert!(plan.to_string().contains("\"state\":\"damaged\""), "{plan:#}");
    Ok(())
}
