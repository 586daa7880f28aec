//! What a backup leaves out: what `pg_dump` leaves out too is named and stops nothing; what would be lost fails by name.

use pgark_tests::Postgres;
use serde_json::{Value, json};

use super::Result;
use super::place::Place;
use super::program::Pgark;
use super::source::{Source, backup_through};

/// An index that CREATE INDEX CONCURRENTLY could not finish, and indexes of partitioned tables that wait for others.
const INVALID_INDEXES: &str = "create table t (a int, b text); insert into t values (1, 'x'), (1, 'y');
    create index good on t (b) where false;
    create table p (a int, b int) partition by range (a);
    create table p1 partition of p for values from (0) to (10); insert into p values (1, 1);
    create index p_b on only p (b); create unique index p_u on only p (a); create unique index p1_u on p1 (a);";

fn kinds_and_names(left_out: &Value) -> Vec<(&str, &str)> {
    let objects = left_out.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &'_ Value| value.as_str().is_some_and(|text| !text.is_empty());
    assert!(objects.iter().all(|object| text(&object["reason"])), "{left_out}");
    let named = objects.iter().filter_map(|object| object["kind"].as_str().zip(object["identity"].as_str()));
    named.collect()
}

fn show(place: &Place) -> Result<Value> {
    Pgark::new(["show", "latest", "--json"])?.set_all(place.variables()).run()?.done()
}

#[test]
fn an_invalid_index_is_left_out_by_name() -> Result {
    let source = Source::with(INVALID_INDEXES)?;
    // It fails, and leaves the index behind.
    assert!(source.query("create unique index concurrently t_a_u on t (a)").is_err());
    let place = Place::folder()?;
    let report = source.backup(&place)?.run()?.done()?;
    assert_eq!(kinds_and_names(&report["left_out"]), [("index", "public.t_a_u")], "{report}");
    assert!(report["warnings"].to_string().contains("index public.t_a_u is left out: it is not valid"));
    assert_eq!(report["missing"], json!([]));
    let shown = show(&place)?;
    assert_eq!(kinds_and_names(&shown["manifest"]["left_out"]), [("index", "public.t_a_u")], "{shown}");

    let target = Postgres::shared(17)?.create_database("target")?;
    let restore = Pgark::new(["restore", "latest", "--to", &target.url(), "--json"])?;
    restore.set_all(place.variables()).run()?.done()?;
    let indexes =
        "select string_agg(indexname, ' ' order by indexname) from pg_indexes where schemaname = 'public'";
    assert_eq!(target.query(indexes)?, "good p1_u p_b p_u");
    Ok(())
}

#[test]
fn objects_in_information_schema_and_pg_catalog_are_not_lost_silently() -> Result {
    let source = Source::with(
        "create table information_schema.kept (a serial primary key, b text);
         insert into information_schema.kept (b) values ('x');
         create view information_schema.seen as select 1 as one;
         create type information_schema.mood as enum ('good');
         create sequence information_schema.counter;
         set allow_system_table_mods = on;
         create function pg_catalog.of_mine() returns int language sql as 'select 1';",
    )?;
    let place = Place::folder()?;
    let objects = [
        "function pg_catalog.of_mine()",
        "sequence information_schema.counter",
        "table information_schema.kept",
        "type information_schema.mood",
        "view information_schema.seen",
    ];
    let failed = source.backup(&place)?.run()?;
    failed.failed(
        1,
        "dump.census",
        &[&["5 user objects", "SET SCHEMA", "--allow-missing"], &objects[..]].concat(),
    )?;
    place.is_untouched()?;
    // Each is accepted as missing, or excluded with its schema, or moved.
    let report = source.backup(&place)?.with(["--allow-missing"]).run()?.done()?;
    assert_eq!(report["missing"], json!(objects));
    let excluded = ["--exclude-schema", "information_schema", "--exclude-schema", "pg_catalog"];
    source.backup(&place)?.with(excluded).run()?.done()?;
    source.query(
        "create schema app; alter table information_schema.kept set schema app;
         alter view information_schema.seen set schema app; alter type information_schema.mood set schema app;
         alter sequence information_schema.counter set schema app;
         set allow_system_table_mods = on; alter function pg_catalog.of_mine() set schema app;",
    )?;
    assert_eq!(source.backup(&place)?.run()?.done()?["rows"], json!(1));
    Ok(())
}

/// Services put functions of their own into `pg_catalog`. A customer's role is no superuser there, and cannot dump them.
#[test]
fn what_a_service_put_into_pg_catalog_stops_no_backup_of_a_customer() -> Result {
    let source = Source::with(
        "create table t as select 1 as i; set allow_system_table_mods = on;
         create function pg_catalog.of_the_service() returns int language sql as 'select 1';",
    )?;
    let (url, role) = source.role("")?;
    source.query(&format!("grant select on t to {role}"))?;
    let place = Place::folder()?;
    let report = backup_through(&url, &place)?.run()?.done()?;
    assert_eq!(kinds_and_names(&report["left_out"]), [("function", "pg_catalog.of_the_service()")]);
    Ok(())
}

#[test]
fn a_policy_on_a_table_of_an_extension_is_named() -> Result {
    let source = Source::with("create table of_extension (i int);")?;
    source.query("alter extension plpgsql add table of_extension")?;
    source.query("create policy mine on of_extension using (i = 1)")?;
    let place = Place::folder()?;
    let report = source.backup(&place)?.run()?.done()?;
    assert_eq!(kinds_and_names(&report["left_out"]), [("policy", "mine on public.of_extension")], "{report}");
    assert!(report["warnings"].to_string().contains("belongs to the extension plpgsql"), "{report}");
    Ok(())
}

/// Somebody deleted rows of catalogs by hand. What is left is named, and the rest can be backed up.
#[test]
fn objects_without_schema_or_owner_are_named_and_only_left_out_on_request() -> Result {
    let source = Source::with(
        "create table t as select 1 as i; create schema gone; create table gone.lost (i int);
         create table of_nobody (i int); set allow_system_table_mods = on;
         delete from pg_namespace where nspname = 'gone';
         update pg_class set relowner = 4000000000 where relname = 'of_nobody';",
    )?;
    let place = Place::folder()?;
    let parts =
        ["row of pg_class", "lost: its schema", "of_nobody: its owner, OID 4000000000, does not exist"];
    source.backup(&place)?.run()?.failed(1, "dump.census", &parts)?;
    source.is_left_alone()?;
    let report = source.backup(&place)?.with(["--allow-missing"]).run()?.done()?;
    assert_eq!(report["rows"], json!(1), "{report}");
    assert!(report["missing"].to_string().contains("lost: its schema"), "{report}");
    Ok(())
}

/// A prepared transaction has no process that could be looked at or ended.
#[test]
fn a_lock_of_a_prepared_transaction_is_told_by_its_name() -> Result {
    let server = Postgres::options(17).setting("max_prepared_transactions", "2").start()?;
    let source = Source::on(&server, "create table a (x int)")?;
    source.query("begin; lock table a in access exclusive mode; prepare transaction 'gid1'")?;
    let place = Place::folder()?;
    let parts = ["table public.a", "held by prepared transaction gid1", "ROLLBACK PREPARED"];
    let backup = || Ok::<_, anyhow::Error>(source.backup(&place)?.set("PGARK_LOCK_TIMEOUT", "200ms"));
    backup()?.run()?.failed(1, "postgres.lock-timeout", &parts)?;
    let doctor = Pgark::new(["doctor", "--json"])?.set_all(place.variables()).set("PGARK_ENCRYPTION", "none");
    let doctor = doctor.set("PGARK_DATABASE_URL", source.url()).set("PGARK_LOCK_TIMEOUT", "200ms").run()?;
    let text = doctor.to_string();
    assert!(text.contains("postgres.lock-timeout") && text.contains("prepared transaction gid1"), "{doctor}");
    source.query("rollback prepared 'gid1'")?;
    backup()?.run()?.done()?;
    Ok(())
}
