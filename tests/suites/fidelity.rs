//! What goes through pgark comes back as it was: pg_dump prints the same text of a database and of what was restored
//! from its backup, whichever way it was restored, and the rows have the fingerprints that the manifest says.
//!
//! It drives the real program against servers of every major version. The fixtures share a database, so that each
//! way of restoring runs once a version.

#[path = "fidelity/accepted.rs"]
mod accepted;
#[path = "fidelity/before.rs"]
mod before;
#[path = "fidelity/bytes.rs"]
mod bytes;
#[path = "fidelity/changes.rs"]
mod changes;
#[path = "fidelity/definitions.rs"]
mod definitions;
#[path = "fidelity/encodings.rs"]
mod encodings;
#[path = "fidelity/entries.rs"]
mod entries;
#[path = "fidelity/extensions.rs"]
mod extensions;
#[path = "fidelity/fetching.rs"]
mod fetching;
#[path = "fidelity/fingerprints.rs"]
mod fingerprints;
#[path = "fidelity/generated.rs"]
mod generated;
#[path = "fidelity/globals.rs"]
mod globals;
#[path = "fidelity/kinds.rs"]
mod kinds;
#[path = "fidelity/left_out.rs"]
mod left_out;
#[path = "fidelity/locales.rs"]
mod locales;
#[path = "fidelity/login_triggers.rs"]
mod login_triggers;
#[path = "fidelity/majors.rs"]
mod majors;
#[path = "fidelity/newer.rs"]
mod newer;
#[path = "fidelity/oracle.rs"]
mod oracle;
#[path = "fidelity/partitions.rs"]
mod partitions;
#[path = "fidelity/parts.rs"]
mod parts;
#[path = "fidelity/replace.rs"]
mod replace;
#[path = "fidelity/rights.rs"]
mod rights;
#[path = "fidelity/role_map.rs"]
mod role_map;
#[path = "fidelity/selections.rs"]
mod selections;
#[path = "fidelity/settings.rs"]
mod settings;
#[path = "fidelity/single.rs"]
mod single;
#[path = "fidelity/strangers.rs"]
mod strangers;
#[path = "fidelity/text.rs"]
mod text;
#[path = "fidelity/vault.rs"]
mod vault;
#[path = "fidelity/wall.rs"]
mod wall;

use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use pgark_tests::postgres::{Database, MAJORS};
use pgark_tests::{Postgres, fixtures};
use serde_json::Value;

use text::Text;
use vault::{PgRestore, Vault};

type Result = anyhow::Result<()>;

/// A way of restoring the newest backup.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// `pgark fetch`, and `pg_restore` with that many jobs.
    Stock(PgRestore, &'static str),
    /// `pgark restore --create` with that many jobs.
    Pgark(&'static str),
}

impl Way {
    /// Restores into a database that is new with this.
    fn restore<'a>(self, server: &'a Postgres, vault: &Vault) -> anyhow::Result<Database<'a>> {
        // The name is taken by this database, which is dropped with its guard; pgark wants to create it itself.
        let target = server.create_database("restored")?;
        match self {
            Self::Stock(pg_restore, jobs) => {
                pg_restore.run(server, &target.url(), &["--jobs", jobs], &vault.fetch()?)?;
            }
            Self::Pgark(jobs) => {
                server.psql(&format!("drop database {}", target.name()))?;
                let (to, name) = (server.url("postgres"), target.name());
                vault.run(&["restore", "latest", "--to", &to, "--create", name, "--jobs", jobs], &[])?;
            }
        }
        Ok(target)
    }
}

/// Whole tables, compressed with zstd; fetched as gzip, as pg_restore 15 needs it.
const WHOLE: (&[&str], [Way; 4]) = (
    &[],
    [Way::Pgark("1"), Way::Pgark("4"), Way::Stock(PgRestore::V15, "4"), Way::Stock(PgRestore::V18, "1")],
);

/// Tables in chunks of a few pages.
const CHUNKED: (&[&str], [Way; 4]) = (
    &["--compression", "gzip", "--chunk-bytes", "64KiB"],
    [
        Way::Pgark("4"),
        Way::Stock(PgRestore::V15, "1"),
        Way::Stock(PgRestore::V15, "4"),
        Way::Stock(PgRestore::V18, "4"),
    ],
);

/// Loads every kind of object, and more scripts.
fn load<'a>(server: &'a Postgres, scripts: &[&str]) -> anyhow::Result<Database<'a>> {
    // Roles are the server's: two tests at a time would be in each other's way.
    static LOADING: [Mutex<()>; MAJORS.len()] = [const { Mutex::new(()) }; MAJORS.len()];
    let at = MAJORS.iter().position(|major| *major == server.major()).context("no such major version")?;
    let _loading = LOADING[at].lock().unwrap_or_else(PoisonError::into_inner);
    let database = server.create_database("source")?;
    database.query(fixtures::ROLES)?;
    database.query(&fixtures::objects(server.major()))?;
    for script in scripts {
        database.query(script)?;
    }
    Ok(database)
}

/// The largest number of objects that a table of the manifest is in.
fn most_chunks(manifest: &Value) -> usize {
    let tables = manifest["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
    tables.iter().filter_map(|table| Some(table["objects"].as_array()?.len())).max().unwrap_or(0)
}

fn everything_comes_back(major: u32) -> Result {
    let server = Postgres::shared(major)?;
    let source = load(server, &[fixtures::CONTENT, fixtures::SHOP])?;
    let before = Text::of(&source.url())?;
    for (flags, ways) in [WHOLE, CHUNKED] {
        let vault = Vault::new()?;
        let report = vault.backup(&source.url(), flags)?;
        assert_eq!(report["encrypted"], true);
        let manifest = vault.manifest()?;
        // Only servers since 14 read a range of pages without reading the whole table.
        let in_chunks = !flags.is_empty() && major >= 14;
        assert_eq!(most_chunks(&manifest) > 10, in_chunks, "{} chunks", most_chunks(&manifest));
        for way in ways {
            let context = || format!("PostgreSQL {major}, backup {flags:?}, restored by {way:?}");
            let restored = way.restore(server, &vault).with_context(context)?;
            before.must_equal(&Text::of(&restored.url())?).with_context(context)?;
            let compared = fingerprints::must_match(&restored.url(), &manifest).with_context(context)?;
            assert!(compared > 90, "{}: only {compared} tables", context());
        }
    }
    assert!(before.lines() > 6000 && before.tables() > 90, "{} lines", before.lines());
    Ok(())
}

macro_rules! for_each_major {
    ($($name:ident: $major:literal),*) => { $(
        #[test]
        fn $name() -> Result {
            everything_comes_back($major)
        }
    )* };
}

for_each_major!(
    everything_comes_back_on_13: 13,
    everything_comes_back_on_14: 14,
    everything_comes_back_on_15: 15,
    everything_comes_back_on_16: 16,
    everything_comes_back_on_17: 17,
    everything_comes_back_on_18: 18
);

#[test]
fn what_few_databases_have_comes_back_too() -> Result {
    for major in MAJORS {
        let server = Postgres::shared(major)?;
        let source = server.create_database("kinds")?;
        source.query(fixtures::ROLES)?;
        source.query(fixtures::KINDS)?;
        let before = Text::of(&source.url())?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        for way in [Way::Pgark("4"), Way::Stock(PgRestore::V15, "4"), Way::Stock(PgRestore::V18, "1")] {
            let context = || format!("PostgreSQL {major}, restored by {way:?}");
            let restored = way.restore(server, &vault).with_context(context)?;
            before.must_equal(&Text::of(&restored.url())?).with_context(context)?;
        }
    }
    Ok(())
}

#[test]
fn an_empty_database_comes_back_empty() -> Result {
    for major in MAJORS {
        let server = Postgres::shared(major)?;
        let source = server.create_database("empty")?;
        let before = Text::of(&source.url())?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        assert_eq!(vault.manifest()?["tables"], serde_json::json!([]));
        for way in [Way::Pgark("2"), Way::Stock(PgRestore::V15, "1"), Way::Stock(PgRestore::V18, "2")] {
            let context = || format!("PostgreSQL {major}, restored by {way:?}");
            let restored = way.restore(server, &vault).with_context(context)?;
            before.must_equal(&Text::of(&restored.url())?).with_context(context)?;
        }
    }
    Ok(())
}
