//! `pgark restore-test` and its steps: that what was restored is compared for real, that nothing is left behind however
//! a test ends, and that the evidence says what happened.

use std::sync::Arc;
use std::time::Duration;

use pg_archive::restore::Silent;
use pgark::Exit;
use pgark::jobs::restore_test::{RestoreTest, RestoreTestReport, TestResult};
use pgark_tests::postgres::server_binaries;
use pgark_tests::{Postgres, wait_until};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[path = "restore_test/assertions.rs"]
mod assertions;
#[path = "restore_test/leaks.rs"]
mod leaks;
#[path = "restore_test/leftovers.rs"]
mod leftovers;
#[path = "restore_test/reworded.rs"]
mod reworded;
#[path = "restore_test/targets.rs"]
mod targets;
#[path = "restore_test/unrestorable.rs"]
mod unrestorable;
#[path = "restore_test/world.rs"]
mod world;

use world::World;

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(30);

/// Programs of one version, as the program takes them.
fn binaries(major: u32) -> anyhow::Result<String> {
    Ok(server_binaries(major)?.display().to_string())
}

/// How many scratch databases a server has.
fn scratch_databases(server: &Postgres) -> anyhow::Result<String> {
    server.psql("select count(*) from pg_database where datname like 'pgark\\_test\\_%'")
}

/// Restores a backup of `source`, changes the scratch database, and checks it then.
async fn changed(world: &World, server: &Postgres, change: &str) -> anyhow::Result<RestoreTestReport> {
    let app = world.app(&server.url("postgres"), Some(server)).await?;
    let stop = CancellationToken::new();
    let mut test = RestoreTest::default().begin(&app).await?;
    let restored = Box::pin(test.restore(Arc::new(Silent), &stop)).await;
    let outcome = match restored {
        Ok(()) => {
            let name = test.scratch().expect("it is restored").database().to_owned();
            pgark_tests::postgres::psql(&server.url(&name), change)?;
            Box::pin(test.check(&stop)).await
        }
        failed => failed,
    };
    Ok(Box::pin(test.finish(outcome)).await?)
}

/// The table of what a restore test must find, each by its code and with the name of the object.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_after_the_restore_is_found() -> Result {
    let server = Postgres::start(17)?;
    let source = server.create_database("source")?;
    source.query(
        "create table t (id integer, a text, b text);
         insert into t values (1, 'one', 'eins'), (2, 'two', 'zwei'), (3, 'three', 'drei');
         create index t_a on t (a);
         create table untouched as select i from generate_series(1, 1000) i;
         create role somebody;
         select lo_from_bytea(4711, '\\xdeadbeef');",
    )?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    for (what, change, code, object) in [
        ("nothing", "select 1", "", ""),
        ("order", "update t set a = a where id = 1; vacuum full t", "", ""),
        (
            "one byte of one row",
            "update t set b = 'dreI' where id = 3",
            "table.row-content",
            "table public.t",
        ),
        ("a row is dropped", "delete from t where id = 2", "table.row-count", "table public.t"),
        (
            "a row is there twice",
            "insert into t select * from t where id = 2",
            "table.row-count",
            "table public.t",
        ),
        (
            "values are swapped between two rows",
            "update t set b = case id when 1 then 'zwei' else 'eins' end where id < 3",
            "table.row-content",
            "table public.t",
        ),
        (
            "NULL for the empty text",
            "update t set a = null where id = 1",
            "table.row-content",
            "table public.t",
        ),
        ("a table is gone", "drop table untouched", "table.missing", "table public.untouched"),
        (
            "a byte of a large object",
            "select lo_put(4711, 3, '\\xee')",
            "large-objects.differ",
            "large objects",
        ),
        ("a large object", "select lo_unlink(4711)", "large-objects.differ", "large objects"),
        ("an index", "drop index t_a", "definition.missing", "INDEX public.t_a"),
        ("a default", "alter table t alter a set default 'x'", "definition.differs", "TABLE public.t"),
        ("a view", "create view v as select 1", "definition.unexpected", "VIEW public.v"),
        (
            "an index of other columns",
            "drop index t_a; create index t_a on t (b)",
            "definition.differs",
            "INDEX public.t_a",
        ),
    ] {
        let report = Box::pin(changed(&world, &server, change)).await?;
        let found: Vec<(Value, &str)> =
            report.differences().map(|found| (json!(found.code), found.object.as_str())).collect();
        if code.is_empty() {
            assert_eq!((report.result, found.len()), (TestResult::Passed, 0), "{what}: {report:#?}");
            continue;
        }
        assert_eq!(report.result, TestResult::Failed, "{what}");
        assert!(found.contains(&(json!(code), object)), "{what}: {found:?}");
        let of_rows = |code: &Value| code.as_str().is_some_and(|code| !code.starts_with("definition"));
        assert_eq!(
            found.iter().filter(|(code, _)| of_rows(code)).count(),
            usize::from(!code.starts_with("definition")),
            "{what}: {found:?}"
        );
        let failure = report.failure().expect("it failed");
        assert_eq!((failure.code(), failure.exit()), ("restore-test.failed", Exit::Damaged), "{what}");
        assert!(failure.message().contains(object), "{what}: {failure}");
        assert!(report.target.dropped, "{what}");
        assert_eq!(world.reports()?.last(), Some(&serde_json::to_value(&report)?), "{what}");
    }
    assert_eq!(scratch_databases(&server)?, "0");
    assert_eq!(world.reports()?.len(), 14);
    Ok(())
}

/// As PostgreSQL's own test of amcheck does (`contrib/amcheck/t/005_pitr.pl` and its kin): an operator class whose
/// order changes under its index.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_out_of_order_is_found() -> Result {
    let server = Postgres::start(16)?;
    let source = server.create_database("source")?;
    source.query(
        "create function cmp(a integer, b integer) returns integer language sql immutable as
           'select case when a < b then -1 when a > b then 1 else 0 end';
         create operator class by_cmp for type integer using btree as
           operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 cmp(integer, integer);
         create table t as select i from generate_series(1, 500) i;
         create index t_by_cmp on t (i by_cmp);",
    )?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let turn =
        "create or replace function cmp(a integer, b integer) returns integer language sql immutable as
                  'select case when a < b then 1 when a > b then -1 else 0 end'";
    let report = Box::pin(changed(&world, &server, turn)).await?;
    let found: Vec<(Value, &str)> =
        report.differences().map(|found| (json!(found.code), found.object.as_str())).collect();
    assert!(found.contains(&(json!("index.corrupt"), "index public.t_by_cmp")), "{found:?}");
    Ok(())
}

/// The table's own fingerprint against those of its objects: no server is started for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_contradicts_itself_ends_the_program_with_3_and_names_the_table() -> Result {
    let server = Postgres::shared(17)?;
    let source = server.create_database("mismatch")?;
    source
        .query("create table t as select i from generate_series(1, 3) i; create table u as select 1 as i")?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let manifest = world.manifest()?;
    let mut changed: Value = serde_json::from_slice(&std::fs::read(&manifest)?)?;
    changed["tables"][0]["fingerprint"] = json!(format!("xxh3-128-sum:{}", "0".repeat(32)));
    std::fs::write(&manifest, serde_json::to_vec(&changed)?)?;
    let (code, error) = world.run(&["restore-test"], &[("PGARK_POSTGRES_BIN", &binaries(17)?)])?;
    assert_eq!((code, &error["error"]["code"]), (3, &json!("manifest.damaged")), "{error:#}");
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("table public.t "), "{error:#}");
    let [report] = world.reports()?.try_into().expect("one report");
    assert_eq!((&report["result"], &report["error"]["code"]), (&json!("failed"), &json!("manifest.damaged")));
    assert_eq!(report["target"]["kind"], Value::Null);
    Ok(())
}

/// Which partition a row belongs to depends on the OIDs of the enum's labels, so rows move, and the partitions have
/// their columns in another order.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_move_between_partitions_are_the_same_rows() -> Result {
    let labels: Vec<String> = (0..50).map(|label| format!("'{label}'")).collect();
    let server = Postgres::shared(17)?;
    let source = server.create_database("moving")?;
    source.query(&format!(
        "create type label as enum ({labels});
         create table tree (l label, a integer, b text, c integer generated always as (a * 2) stored)
             partition by hash (l);
         create table first (b text, gone integer, l label, a integer,
             c integer generated always as (a * 2) stored);
         alter table first drop column gone;
         create table second (a integer, c integer generated always as (a * 2) stored, l label, b text);
         alter table tree attach partition first for values with (modulus 2, remainder 0);
         alter table tree attach partition second for values with (modulus 2, remainder 1);
         insert into tree (l, a, b) select i::text::label, i, 'row ' || i from generate_series(0, 49) i;",
        labels = labels.join(", ")
    ))?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    // On the same server, where no OID is given twice.
    let report = world.done(&["restore-test", "--on", &server.url("postgres")], &[])?;
    assert_eq!(report["result"], json!("passed"), "{report:#}");
    Ok(())
}

/// A test that cannot be completed says so, in the report as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_fails_with_its_own_code_and_leaves_evidence() -> Result {
    let source = Postgres::shared(17)?.create_database("damaged")?;
    source.query("create table t as select i from generate_series(1, 100000) i")?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let data = world.manifest()?.with_file_name("data").join("public.t.dat.zst.age");
    let mut bytes = std::fs::read(&data)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&data, bytes)?;
    let settings = [("PGARK_POSTGRES_BIN", binaries(18)?)];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (code, report) = world.run(&["restore-test"], &settings)?;
    assert_eq!((code, &report["error"]["code"]), (3, &json!("object.damaged")), "{report:#}");
    let [report] = world.reports()?.try_into().expect("one report");
    assert_eq!((&report["result"], &report["error"]["code"]), (&json!("failed"), &json!("object.damaged")));
    assert_eq!(report["target"]["dropped"], json!(true));

    let (code, error) = world.run(&["restore-test", "--identity-file", "/nowhere/key"], &settings)?;
    assert_eq!((code, &error["error"]["code"]), (2, &json!("identity.invalid")), "{error:#}");
    let last = world.reports()?.pop().expect("a report");
    assert_eq!((&last["result"], &last["target"]["kind"]), (&json!("incomplete"), &Value::Null));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_whose_test_is_longest_ago_comes_next() -> Result {
    let source = Postgres::shared(17)?.create_database("rotation")?;
    source.query("create table t as select 1 as i")?;
    let world = World::new()?;
    let first = world.backup(&source.url()).await?;
    let binaries = binaries(17)?;
    let tested = |argument: &str| -> anyhow::Result<String> {
        let report = world.done(&["restore-test", argument], &[("PGARK_POSTGRES_BIN", &binaries)])?;
        Ok(report["backup"]["id"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(tested("latest")?, first);
    // Ids are of seconds: two backups of one second have no order.
    let begun = jiff::Timestamp::now().as_second();
    wait_until(SOON, "the next second", || jiff::Timestamp::now().as_second() > begun)?;
    let second = world.backup(&source.url()).await?;
    let third = world.backup(&source.url()).await?;
    let both = [tested("oldest-tested")?, tested("oldest-tested")?];
    assert!(both.contains(&second) && both.contains(&third), "{both:?}: never tested before");
    assert_eq!(tested("oldest-tested")?, first);
    Ok(())
}
