//! Partitioned tables: what is made behind the rows waits for them, in parallel too, and the table of contents grows with
//! the number of partitions and not with its square.

use std::fmt::Write as _;
use std::fs;

use anyhow::Context as _;
use pgark_tests::Postgres;
use pgark_tests::postgres::{client, psql};

use crate::text::Text;
use crate::vault::{PgRestore, Vault, succeed};
use crate::{Result, Way};

/// Everything that a root can have which reaches its partitions, with a level between, and a foreign key from elsewhere.
fn partitioned(partitions: usize) -> String {
    let mut script = String::from(
        "create table root (id int not null, kind int not null, text varchar(40), primary key (id, kind))
           partition by list (kind);
         create table seen (id int);
         create function refuse() returns trigger language plpgsql as 'begin raise exception ''fired''; end';",
    );
    script.push_str("create table middle partition of root for values in (1) partition by range (id);\n");
    for number in 0..partitions {
        let (from, to) = (number * 10, number * 10 + 10);
        let _ = writeln!(
            script,
            "create table leaf_{number} partition of middle for values from ({from}) to ({to});"
        );
    }
    let _ = write!(
        script,
        "create table other partition of root for values in (2);
         insert into root select n, 1, 'row ' || n from generate_series(0, {rows} - 1) n;
         insert into root select n, 2, repeat('other ', 6) from generate_series(0, 20000) n;
         create index on root (text); alter table root add unique (kind, id, text);
         create table refers (id int, kind int, foreign key (id, kind) references root);
         insert into refers select id, kind from root where id % 7 = 0;
         alter table root add check (id >= 0);
         create trigger refuse before insert on root for each row execute function refuse();",
        rows = partitions * 10
    );
    script
}

/// The trigger refuses rows that come too late; keys and foreign keys fail where rows are missing.
#[test]
fn what_a_root_has_waits_for_the_rows_of_all_partitions() -> Result {
    let server = Postgres::shared(17)?;
    let source = server.create_database("partitions")?;
    source.query(&partitioned(25))?;
    let before = Text::of(&source.url())?;
    let ways = [
        Way::Pgark("4"),
        Way::Stock(PgRestore::V15, "1"),
        Way::Stock(PgRestore::V15, "4"),
        Way::Stock(PgRestore::V18, "4"),
    ];
    for flags in [&[][..], &["--chunk-bytes", "64KiB"]] {
        let vault = Vault::new()?;
        vault.backup(&source.url(), flags)?;
        for way in ways {
            let context = || format!("backup {flags:?}, restored by {way:?}");
            let restored = way.restore(server, &vault).with_context(context)?;
            before.must_equal(&Text::of(&restored.url())?).with_context(context)?;
            let rows = restored.query("select (select count(*) from root), (select count(*) from refers)")?;
            assert_eq!(rows, "20251|2894", "{}", context());
        }
    }
    Ok(())
}

/// Bytes of our table of contents, and of that of `pg_dump`.
fn bytes_of_contents(partitions: usize) -> anyhow::Result<(u64, u64)> {
    let server = Postgres::shared(18)?;
    let source = server.create_database("contents")?;
    let mut script = String::from(
        "create table m (k int primary key, v text) partition by range (k); create index on m (v);",
    );
    for number in 0..partitions {
        let (from, to) = (number * 10, number * 10 + 10);
        let _ =
            writeln!(script, "create table m_{number} partition of m for values from ({from}) to ({to});");
    }
    psql(&source.url(), &script)?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let ours = fs::metadata(vault.fetch()?.join("toc.dat"))?.len();
    let folder = tempfile::tempdir()?;
    let theirs = folder.path().join("dump");
    let mut dump = client("pg_dump")?;
    dump.args(["--format=directory", "--compress=none", "--dbname", &source.url(), "--file"]).arg(&theirs);
    succeed(&mut dump)?;
    Ok((ours, fs::metadata(theirs.join("toc.dat"))?.len()))
}

#[test]
fn the_table_of_contents_grows_with_the_number_of_partitions() -> Result {
    let (small, _) = bytes_of_contents(50)?;
    let (large, theirs) = bytes_of_contents(200)?;
    // The same bytes for each partition, but for longer numbers and names.
    assert!(large < 5 * small, "{small} bytes for 50 partitions, {large} for 200");
    assert!(large < 2 * theirs, "{large} bytes, and {theirs} of pg_dump");
    Ok(())
}
