//! What a test restores to: servers of pgark's own, of the same version and of a newer one, and servers that are named.

use pgark_tests::postgres::Database;
use pgark_tests::{Postgres, fixtures};
use serde_json::{Value, json};

use crate::world::World;
use crate::{Result, binaries, scratch_databases};

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null)
}

/// All fixtures that can share a database. They make roles, which are of the whole server: each test has its own.
fn load(database: &Database<'_>, major: u32) -> Result {
    for script in [fixtures::CONTENT, fixtures::SHOP] {
        database.load(script)?;
    }
    database.query(fixtures::ROLES)?;
    database.query(&fixtures::objects(major)).map(drop)
}

/// Every kind of object, on the same version: everything is the same, word for word, owners and grants too.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_object_comes_back_on_a_server_of_its_own() -> Result {
    for major in [14, 18] {
        let server = Postgres::shared(major)?;
        let source = server.create_database("objects")?;
        load(&source, major)?;
        let world = World::new()?;
        world.backup(&source.url()).await?;
        let report = world.done(&["restore-test"], &[("PGARK_POSTGRES_BIN", &binaries(major)?)])?;
        assert_eq!((&report["result"], &report["error"]), (&json!("passed"), &Value::Null), "{report:#}");
        assert_eq!(report["target"]["kind"], "embedded");
        let server_version = report["target"]["server_version"].as_str().unwrap_or_default();
        assert!(server_version.starts_with(&format!("{major}.")), "{server_version}");
        for (name, at_least) in [("load", 20), ("rows", 20), ("schema", 200), ("indexes", 10)] {
            let check = check(&report, name);
            assert_eq!(check["result"], "passed", "{major}: {check:#}");
            assert!(check["checked"].as_u64() >= Some(at_least), "{major}: {check:#}");
        }
        assert!(check(&report, "schema")["what"].as_str().unwrap_or_default().contains("word for word"));
        for time in ["recovery_seconds", "data_seconds", "download_seconds", "compare_seconds"] {
            assert!(report["times"][time].as_f64() > Some(0.0), "{time}: {:#}", report["times"]);
        }
    }
    Ok(())
}

/// On a newer version, the words differ: then what is there is compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_server_tells_that_everything_is_there() -> Result {
    let source = Postgres::shared(13)?.create_database("older")?;
    load(&source, 13)?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let both = format!("{}:{}", binaries(18)?, binaries(16)?);
    let report = world.done(&["restore-test"], &[("PGARK_POSTGRES_BIN", &both)])?;
    assert_eq!(report["result"], "passed", "{report:#}");
    assert!(report["target"]["server_version"].as_str().unwrap_or_default().starts_with("16."), "{report:#}");
    let schema = check(&report, "schema");
    assert!(
        schema["what"].as_str().unwrap_or_default().contains("PostgreSQL 13 and 16 word definitions"),
        "{schema}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_is_refused_with_the_cure() -> Result {
    let source = Postgres::shared(17)?.create_database("newer")?;
    source.query("create table t as select 1 as i")?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let (code, report) = world.run(&["restore-test"], &[("PGARK_POSTGRES_BIN", &binaries(13)?)])?;
    assert_eq!((code, &report["error"]["code"]), (2, &json!("embedded.missing")), "{report:#}");
    assert!(report["error"]["hint"].as_str().unwrap_or_default().contains("postgresql-17"), "{report:#}");
    let older = Postgres::shared(13)?;
    let (code, report) = world.run(&["restore-test", "--on", &older.url("postgres")], &[])?;
    assert_eq!((code, &report["error"]["code"]), (1, &json!("restore.target")), "{report:#}");
    assert_eq!(scratch_databases(older)?, "0");
    let results: Vec<Value> = world.reports()?.iter().map(|report| report["result"].clone()).collect();
    assert_eq!(results, ["incomplete", "incomplete"]);
    Ok(())
}

/// A role that may create databases is enough, unless there are large objects: what it makes is its own, so owners and
/// grants are left out.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_role_tests_on_a_server_that_is_named() -> Result {
    let server = Postgres::start(17)?;
    let source = server.create_database("shop")?;
    source.load(fixtures::SHOP)?;
    server.psql(
        "create role tester login createdb password 'p@ss'; create role nobody_else;
                 grant pg_read_all_data to tester",
    )?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let url = server.url_as("tester", "p@ss", "postgres");
    let report = world.done(&["restore-test"], &[("PGARK_RESTORE_TEST_URL", &url)])?;
    assert_eq!(
        (&report["result"], &report["target"]["kind"]),
        (&json!("passed"), &json!("server")),
        "{report:#}"
    );
    assert!(
        check(&report, "schema")["what"].as_str().unwrap_or_default().contains("not owners and privileges")
    );
    assert_eq!(check(&report, "indexes")["result"], "skipped", "amcheck takes a superuser: {report:#}");
    assert_eq!(scratch_databases(&server)?, "0");
    assert!(!report.to_string().contains("p@ss"));

    let refused = server.url_as("nobody_else", "", "postgres");
    server.psql("alter role nobody_else login; alter role nobody_else password 'x'")?;
    let refused = refused.replace("nobody_else:", "nobody_else:x");
    let (code, report) = world.run(&["restore-test", "--on", &refused], &[])?;
    assert_eq!((code, &report["error"]["code"]), (1, &json!("postgres.permission")), "{report:#}");
    assert!(report["error"]["hint"].as_str().unwrap_or_default().contains("CREATEDB"), "{report:#}");
    Ok(())
}
