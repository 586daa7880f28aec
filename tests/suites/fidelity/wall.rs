//! Ordinary schemas, never loaded from a dump before: whatever way they are restored, all come out alike, and their backup
//! passes its restore test.
//!
//! PostgreSQL says many of these definitions in other words once it has read them back (`varchar IN (…)`, two `BETWEEN`),
//! so what is restored is compared with what stock `pg_dump` and `pg_restore` make of the same database.

use anyhow::Context as _;
use pgark_tests::{Postgres, fixtures, postgres};
use serde_json::json;

use crate::vault::{PgRestore, Vault, succeed};
use crate::{Result, Way};

/// A case of public bug reports: one of each kind of definition with `varchar IN (…)`. Expressions in statistics came with
/// 14.
const VARCHAR_IN: &str = "
    create schema varchars; set search_path = varchars;
    create table t (id int primary key, status varchar(10) check (status in ('a', 'b')),
        n numeric(5,2) check (n between 1 and 2));
    create index pidx on t (id) where status in ('a', 'b');
    create view v as select * from t where status in ('a', 'b') or status not in ('x', 'y');
    create policy p on t using (status in ('a', 'b'));
    create function f() returns trigger language plpgsql as 'begin return new; end';
    create trigger tr before update on t for each row when (new.status in ('a', 'b')) execute function f();
    alter table t add column g boolean generated always as (status in ('a', 'b')) stored;
    alter table t alter status set default ('a' || 'b');
    create rule r as on delete to t where old.status in ('a', 'b') do nothing;
    create materialized view mv as select count(*) from t where status in ('a', 'b');
    create domain d as varchar(3) check (value in ('a', 'b'));
    create table p (s varchar(3)) partition by list ((case when s in ('a', 'b') then 1 else 2 end));
    create table p1 partition of p for values in (1);";
const VARCHAR_IN_14: &str = "
    create statistics s on (status in ('a', 'b')), id from t;
    create function at() returns bigint language sql
        begin atomic select count(*) from varchars.t where status in ('a', 'b'); end;";

fn the_wall_stands(major: u32) -> Result {
    let server = Postgres::shared(major)?;
    let source = server.create_database("wall")?;
    source.query(&fixtures::wall())?;
    source.query(&format!("{VARCHAR_IN}{}", if major >= 14 { VARCHAR_IN_14 } else { "" }))?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;

    let stock = server.create_database("stock")?;
    let file = vault.store().join("../stock.dump");
    let mut pg_dump = postgres::client("pg_dump")?;
    succeed(pg_dump.args(["--format=custom", "--dbname", &source.url(), "--file"]).arg(&file))?;
    PgRestore::V18.run(server, &stock.url(), &[], &file)?;
    let expected = stock.dump_text()?;
    assert!(expected != source.dump_text()?, "nothing is said in other words any more");
    for way in [Way::Pgark("2"), Way::Stock(PgRestore::V18, "1"), Way::Stock(PgRestore::V18, "4")] {
        let restored = way.restore(server, &vault).with_context(|| format!("{major}, {way:?}"))?;
        assert_eq!(restored.dump_text()?, expected, "{major}, {way:?}");
    }

    let on = server.url("postgres");
    let report = vault.run(&["restore-test", "--on", &on], &[])?;
    assert_eq!(report["result"], json!("passed"), "{report:#}");
    let report = vault.run(&["restore", "latest", "--to", &source.url(), "--replace", "--yes"], &[])?;
    assert_eq!(report["comparison"]["differences"], json!([]), "{report:#}");
    assert!(report["comparison"]["reworded"].as_u64() > Some(50), "{report:#}");
    let former = report["replaced"]["former"].as_str().context("a former database")?;
    server.psql(&format!("drop database \"{former}\""))?;
    let left = server.psql("select count(*) from pg_database where datname like 'wall%pgark%'")?;
    assert_eq!(left, "0", "of the replacement");
    Ok(())
}

#[test]
fn the_wall_stands_on_13() -> Result {
    the_wall_stands(13)
}

#[test]
fn the_wall_stands_on_14() -> Result {
    the_wall_stands(14)
}

#[test]
fn the_wall_stands_on_15() -> Result {
    the_wall_stands(15)
}

#[test]
fn the_wall_stands_on_16() -> Result {
    the_wall_stands(16)
}

#[test]
fn the_wall_stands_on_17() -> Result {
    the_wall_stands(17)
}

#[test]
fn the_wall_stands_on_18() -> Result {
    the_wall_stands(18)
}
