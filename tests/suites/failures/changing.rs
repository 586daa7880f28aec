//! Databases that others change while a backup is planned and runs: it reads anew what has vanished, never waits behind
//! somebody who waits for it, and holds no more locks than it must.

use std::process::{Child, Stdio};

use pgark_tests::postgres::client;
use pgark_tests::{Postgres, wait_until};
use serde_json::{Value, json};

use super::place::Place;
use super::planning::Other;
use super::program::Pgark;
use super::source::Source;
use super::{Result, SOON};

/// Rows of each table of the newest backup.
fn rows(place: &Place) -> Result<Vec<(String, u64)>> {
    let shown = Pgark::new(["show", "latest", "--json"])?.set_all(place.variables()).run()?.done()?;
    let tables = shown["manifest"]["tables"].as_array().cloned().unwrap_or_default();
    let named = |table: &Value| Some((table["name"].as_str()?.to_owned(), table["rows"].as_u64()?));
    Ok(tables.iter().filter_map(named).collect())
}

/// Everything here is in the snapshot and gone, renamed or empty when its turn to be read comes. The server's functions
/// then say NULL or an error, and COPY would find no row in the truncated table, without a word: `pg_dump` writes it as
/// empty.
#[test]
fn what_vanished_after_the_snapshot_is_read_anew() -> Result {
    let source = Source::with(
        "create schema app; create table app.held (i int); create index dropped on app.held (i);
         create index renamed on app.held (i); insert into app.held select generate_series(1, 1000);
         create table app.dropped_too (i int); create view app.seen as select * from app.held;
         create function app.twice(i int) returns int language sql as 'select 2 * i';
         create type app.mood as enum ('good'); create table app.truncated as select generate_series(1, 10);
         create table app.rewritten as select generate_series(1, 20) as i;",
    )?;
    let mut other = Other::doing(&source, "lock table app.held in access exclusive mode;")?;
    let place = Place::folder()?;
    let running = source.backup(&place)?.start()?;
    source.session("a.wait_event_type = 'Lock' and a.query like 'LOCK TABLE%'")?;
    other.say(
        "drop index app.dropped; alter index app.renamed rename to renamed_too; drop table app.dropped_too;
         drop view app.seen; drop function app.twice; drop type app.mood; create table app.late (i int);
         truncate app.truncated; insert into app.truncated values (1);
         alter table app.rewritten alter i type bigint; commit;",
    )?;
    running.end()?.done()?;
    let expected = [("held", 1000), ("late", 0), ("rewritten", 20), ("truncated", 1)];
    assert_eq!(rows(&place)?, expected.map(|(name, rows)| (name.to_owned(), rows)));
    source.is_left_alone()
}

/// A statement in a session of its own.
fn saying(source: &Source<'_>, sql: &str) -> Result<Child> {
    let psql = client("psql")?
        .args(["-Xq", "--set=ON_ERROR_STOP=1", "--dbname", &source.url(), "--command", sql])
        .stdout(Stdio::null())
        .spawn()?;
    Ok(psql)
}

/// Each of these waits for the backup, and whoever wants to read the table then waits for them.
const MIGRATIONS: [&str; 6] = [
    "alter table m1 add column more int",
    "truncate m2",
    "create trigger t before insert on m3 for each row execute function tsvector_update_trigger(a, b, c)",
    "drop index m4_i",
    "vacuum full m5",
    "alter table m6 attach partition m6_2 for values in (2)",
];

/// The first file waits for an index that somebody rebuilds, which takes longer than any lock on a table may; meanwhile,
/// the migrations begin to wait.
#[test]
fn migrations_that_wait_for_a_backup_do_not_fail_it() -> Result {
    for major in [14, 17] {
        let source = Source::on(
            Postgres::shared(major)?,
            "create table first as select generate_series(1, 20000) as i; create index first_i on first (i);
             create table m1 as select 1 as i; create table m2 as select 1 as i;
             create table m3 (a tsvector, b text, c text); insert into m3 values ('', '', '');
             create table m4 as select 1 as i; create index m4_i on m4 (i); create table m5 as select 1 as i;
             create table m6 (i int) partition by list (i); create table m6_1 partition of m6 for values in (1);
             create table m6_2 (i int); insert into m6 values (1); insert into m6_2 values (2);
             select lo_from_bytea(0, 'large');",
        )?;
        let mut other = Other::doing(&source, "reindex index first_i;")?;
        let place = Place::folder()?;
        let backup = source.backup(&place)?.set("PGARK_LOCK_TIMEOUT", "1s");
        let running = backup.with(["--chunk-bytes", "64KiB"]).start()?;
        source.session("a.wait_event_type = 'Lock' and a.query ilike 'copy%first%'")?;
        let migrations = MIGRATIONS.iter().map(|sql| saying(&source, sql)).collect::<Result<Vec<_>>>()?;
        let waiting = "select count(distinct l.pid) from pg_locks l join pg_database d on d.oid = l.database
                       where d.datname = current_database() and not granted and mode = 'AccessExclusiveLock'";
        wait_until(SOON, "all but CREATE TRIGGER wait", || {
            source.query(waiting).is_ok_and(|count| count == "5")
        })?;
        other.say("commit;")?;
        let report = running.end()?.done()?;
        assert_eq!(report["rows"], json!(20_000 + 7), "PostgreSQL {major}: {report}");
        for mut migration in migrations {
            assert!(migration.wait()?.success(), "PostgreSQL {major}: a migration failed");
        }
        source.is_left_alone()?;
    }
    Ok(())
}

/// One session alone holds a lock on every table. Two would not fit into this server's table of locks.
#[test]
fn a_backup_holds_each_lock_once() -> Result {
    let server =
        Postgres::options(17).setting("max_locks_per_transaction", "10").setting("max_connections", "20");
    let server = server.start()?;
    let source = Source::on(&server, "select 1")?;
    source.query(&tables(0, FIT))?;
    let place = Place::folder()?;
    let report = source.backup(&place)?.set("PGARK_JOBS", "4").run()?.done()?;
    assert_eq!(report["tables"], json!(FIT), "{report}");

    // More than one session can hold: the number that is needed is said.
    source.query(&tables(FIT, FIT))?;
    let parts = ["out of shared memory", "max_locks_per_transaction", &format!("{} tables", 2 * FIT)];
    source.backup(&place)?.run()?.failed(1, "postgres.statement", &parts)?;
    source.backup(&place)?.with(["--dry-run"]).run()?.failed(1, "postgres.statement", &parts)?;
    source.is_left_alone()
}

/// Tables that a server as above has locks for once, and not twice.
const FIT: usize = 600;

fn tables(from: usize, count: usize) -> String {
    let numbers = from..from + count;
    // In transactions of their own: each takes locks too.
    let create = numbers.map(|number| format!("create table t{number} ();"));
    create.collect::<Vec<_>>().join("\n")
}
