//! Databases that need a test of their own.

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use pg_archive::toc::{self, Section};
use pgark_tests::Postgres;
use pgark_tests::postgres::client;

use crate::text::Text;
use crate::vault::{PgRestore, Vault, succeed};
use crate::{Result, Way, fingerprints};

/// A value of 100 MB is one row of COPY, and 200 MB of it as hexadecimal digits.
#[test]
fn values_of_100_mb_come_back() -> Result {
    const MEASURE: &str = "select id, length(t), md5(t), length(b), md5(b) from large order by id";
    let server = Postgres::shared(17)?;
    let source = server.create_database("large")?;
    source.query(
        "create table large (id integer primary key, t text, b bytea);
         alter table large alter t set storage external, alter b set storage external;
         insert into large values (1, repeat(E'0123456\\n\\\\9', 10000000), null);
         insert into large select 2, null, decode(repeat(md5('x') || '0a5c', 5555556), 'hex');
         insert into large values (3, '', '');",
    )?;
    let before = source.query(MEASURE)?;
    assert!(before.starts_with("1|100000000|") && before.contains("\n2||"), "{before}");
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    for way in [Way::Pgark("2"), Way::Stock(PgRestore::V18, "1")] {
        let restored = way.restore(server, &vault).with_context(|| format!("{way:?}"))?;
        assert_eq!(restored.query(MEASURE)?, before, "{way:?}");
    }
    Ok(())
}

/// Grouping by a primary key makes a materialized view wait for a constraint, which comes behind the data; and so waits
/// whatever needs the view. A restore that goes by sections must not look for it earlier.
#[test]
fn what_needs_something_behind_the_data_is_behind_the_data() -> Result {
    let server = Postgres::shared(17)?;
    let source = server.create_database("behind")?;
    source.query(
        "create table base (id integer primary key, name text);
           insert into base values (1, 'a'), (2, 'b');
           create materialized view counts as select id, name, count(*) from base group by id;
           create view names as select name from counts;
           create function listed() returns setof counts language sql as 'select * from public.counts';
           comment on function listed() is 'of a later type';
           create materialized view again as select * from listed();",
    )?;
    let before = Text::of(&source.url())?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let ways =
        [Way::Pgark("1"), Way::Pgark("4"), Way::Stock(PgRestore::V18, "1"), Way::Stock(PgRestore::V18, "4")];
    for way in ways {
        let restored = way.restore(server, &vault).with_context(|| format!("{way:?}"))?;
        before.must_equal(&Text::of(&restored.url())?).with_context(|| format!("{way:?}"))?;
        assert_eq!(restored.query("select count(*) from again")?, "2", "{way:?}");
    }
    Ok(())
}

/// A child which got columns after its parent did has them in another order in the copy that pg_dump makes. Ours has that
/// of the original.
#[test]
fn columns_keep_their_values_and_their_order() -> Result {
    for major in [13, 18] {
        let server = Postgres::shared(major)?;
        let source = server.create_database("order")?;
        source.query(
            "create table parent (a integer, b text);
             create table child (own text, b text, a integer);
             alter table child inherit parent;
             alter table parent add column later integer default 7;
             create table parted (a integer, b text, c text) partition by list (a);
             create table part (c text, gone integer, b text, a integer);
             alter table part drop column gone;
             alter table parted attach partition part for values in (1);
             insert into parent values (1, 'b', 2);
             insert into child values ('own', 'b of child', 3, 4);
             insert into parted values (1, 'b', 'c');",
        )?;
        let expected = Text::of(&source.url())?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        for way in [Way::Pgark("2"), Way::Stock(PgRestore::V15, "4")] {
            let context = || format!("PostgreSQL {major}, restored by {way:?}");
            let restored = way.restore(server, &vault).with_context(context)?;
            expected.must_equal(&Text::of(&restored.url())?).with_context(context)?;
            fingerprints::must_match(&restored.url(), &vault.manifest()?).with_context(context)?;
            let values = restored.query("select own, b, a, later from child")?;
            assert_eq!(values, "own|b of child|3|4", "{}", context());
        }
    }
    Ok(())
}

/// What is made for a partitioned table holds for its partitions. pg_restore -j must not make it before their rows are
/// loaded, or a trigger fires for them; only the dependencies of the archive can tell it to wait.
#[test]
fn what_holds_for_partitions_waits_for_all_their_rows() -> Result {
    let source = Postgres::shared(16)?.create_database("waits")?;
    source.query(
        "create table root (k integer, v text) partition by list (k);
         create table leaf_1 partition of root for values in (1);
         create table middle partition of root default partition by hash (v);
         create table leaf_2 partition of middle for values with (modulus 1, remainder 0);
         insert into root select i % 3, i from generate_series(1, 5000) i;
         create function quiet() returns trigger language plpgsql as 'begin return null; end';
         create trigger fires before insert on root for each row execute function quiet();
         create type mood as enum ('a', 'b');
         create table by_enum (m mood) partition by hash (m);
         create table enum_0 partition of by_enum for values with (modulus 2, remainder 0);
         create table enum_1 partition of by_enum for values with (modulus 2, remainder 1);
         insert into by_enum values ('a'), ('b');
         create trigger on_leaf before insert on enum_0 for each row execute function quiet();",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &["--chunk-bytes", "64KiB"])?;
    let (_, entries) = toc::read::read(&fs::read(vault.fetch()?.join("toc.dat"))?)?;
    for (trigger, tables) in [("root fires", ["leaf_1", "leaf_2"]), ("enum_0 on_leaf", ["enum_0", "enum_1"])]
    {
        let of_trigger = entries.iter().find(|entry| entry.tag == trigger).context(trigger)?;
        assert_eq!(of_trigger.section, Section::PostData);
        for table in tables {
            let data: Vec<_> =
                entries.iter().filter(|entry| entry.desc == "TABLE DATA" && entry.tag == table).collect();
            assert_eq!(data.len() > 1, table.starts_with("leaf"), "{table}");
            for data in data {
                let waits = of_trigger.dependencies.contains(&data.id);
                assert!(waits, "{trigger} does not wait for {table}: {of_trigger:?}");
            }
        }
    }
    Ok(())
}

/// Backups are what `age` and a pipe of stock tools can open, too.
#[test]
fn without_encryption_and_compression_the_store_holds_the_archive() -> Result {
    let source = Postgres::shared(15)?.create_database("plain")?;
    source.query("create table t as select i from generate_series(1, 3) i")?;
    let vault = Vault::new()?;
    let url = source.url();
    let mut backup =
        vault.pgark(&["backup"], &[("PGARK_DATABASE_URL", &url), ("PGARK_ENCRYPTION", "none")])?;
    backup.env_remove("PGARK_RECIPIENTS").env("PGARK_COMPRESSION", "none");
    succeed(&mut backup)?;
    let files = crate::vault::files(&vault.store())?;
    let data = files
        .iter()
        .find(|file| file.ends_with("data/public.t.dat"))
        .with_context(|| format!("{files:?}"))?;
    assert_eq!(fs::read_to_string(data)?, "1\n2\n3\n\\.\n\n\n");
    let toc = files.iter().find(|file| file.ends_with("toc.dat")).with_context(|| format!("{files:?}"))?;
    let folder = toc.parent().context("toc.dat has no folder")?;
    let list = succeed(Command::new(client("pg_restore")?.get_program()).arg("--list").arg(folder))?;
    assert!(String::from_utf8(list.stdout)?.contains("TABLE DATA public t postgres"));
    Ok(())
}
