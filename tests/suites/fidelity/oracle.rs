//! PostgreSQL's own regression database as the oracle: some 2,400 entries of everything that its developers thought of.
//!
//! Our archive must say what `pg_dump`'s says, entry by entry. What is restored from it, in whatever way, must be
//! dumped by `pg_dump` as what `pg_restore` makes of `pg_dump`'s own archive, without any exception; and the original's
//! text and that differ by no more than they do with stock tools. `make oracle` runs this alone, and prints what was
//! compared.

use std::process::Command;

use anyhow::{Context as _, ensure};
use pgark_tests::postgres::{Database, RegressionDatabase};
use pgark_tests::{Postgres, postgres_15};

use super::accepted::{AcceptedDifferences, Place};
use super::entries::{Difference, Entries, Field, PgDump};
use super::fingerprints;
use super::vault::{PgRestore, Vault, succeed};
use super::{Result, Way};

/// Heirs whose order of columns `CREATE TABLE ... INHERITS` cannot say, so that a restore by stock tools changes it. Ours
/// keeps it: these are compared with the original.
const OTHER_DEFINITION_AFTER_STOCK_TOOLS: [&str; 3] =
    ["TABLE public.gtestxx_4", "TABLE public.test_type_diff2_c1", "TABLE public.test_type_diff2_c2"];

#[test]
fn the_regression_database_comes_back() -> Result {
    let regression = RegressionDatabase::create()?;
    let (server, url) = (regression.server(), regression.url());
    let original = Entries::of_database(PgDump::V15, &url)?;
    ensure!(original.count() > 2400, "the regression database has {} entries only", original.count());

    let vault = Vault::new()?;
    vault.backup(&url, &["--compression", "gzip"])?;
    let manifest = vault.manifest()?;
    let mut accepted = AcceptedDifferences::read(Place::Oracle)?;
    let differences = Entries::of_archive(&vault.fetch()?)?.differences(&original);
    let count = accepted.check(&differences).context("our archive, compared with pg_dump's")?;
    accepted.all_met()?;
    println!("archive: {} entries, {count} accepted differences, 0 others", original.count());

    let yardstick = restored_by_stock_tools(server, &url)?;
    let changed: Vec<Difference> = yardstick.differences(&original);
    let definitions = changed.iter().filter(|difference| difference.field == Field::Definition);
    let definitions: Vec<_> = definitions.map(|difference| difference.entry.as_str()).collect();
    assert_eq!(definitions, OTHER_DEFINITION_AFTER_STOCK_TOOLS);
    for way in [Way::Pgark("4"), Way::Stock(PgRestore::V15, "1"), Way::Stock(PgRestore::V15, "4")] {
        let context = || format!("restored by {way:?}");
        let restored = way.restore(server, &vault).with_context(context)?;
        let entries = Entries::of_database(PgDump::V15, &restored.url())?;
        let mut differences = entries.differences(&yardstick);
        differences.retain(|difference| !is_reordered_by_stock_tools(difference));
        differences.extend(entries.differences(&original).into_iter().filter(is_reordered_by_stock_tools));
        if matches!(way, Way::Pgark(_)) {
            // It makes the database too, which pg_restore was not asked for.
            differences.retain(|difference| !is_of_the_database(difference));
            differences.extend(entries.differences(&original).into_iter().filter(is_of_the_database));
        }
        let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
        ensure!(
            differences.is_empty(),
            "{}: {} differences\n{}",
            context(),
            differences.len(),
            differences.join("")
        );
        let tables = fingerprints::must_match(&restored.url(), &manifest).with_context(context)?;
        println!("{way:?}: 0 differences, the rows of {tables} tables are the same");
    }
    Ok(())
}

fn is_reordered_by_stock_tools(difference: &Difference) -> bool {
    let heir = OTHER_DEFINITION_AFTER_STOCK_TOOLS.contains(&difference.entry.as_str());
    difference.field == Field::Copy || (heir && difference.field == Field::Definition)
}

/// Whether a difference is of the database itself: its properties and settings.
fn is_of_the_database(difference: &Difference) -> bool {
    difference.entry.starts_with("DATABASE")
}

/// What `pg_dump` says of the database after `pg_dump` and `pg_restore`.
fn restored_by_stock_tools(server: &Postgres, url: &str) -> anyhow::Result<Entries> {
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("archive");
    let mut pg_dump = Command::new(postgres_15("pg_dump")?);
    pg_dump.args(["--format=directory", "--no-sync", "--dbname", url, "--file"]).arg(&archive);
    succeed(&mut pg_dump)?;
    let restored: Database<'_> = server.create_database("stock")?;
    PgRestore::V15.run(server, &restored.url(), &["--jobs=1"], &archive)?;
    Entries::of_database(PgDump::V15, &restored.url())
}
