//! One generated database, backed up, restored and compared.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use pgark_tests::{Postgres, kept_folder};

use super::super::accepted::{AcceptedDifferences, Place};
use super::super::entries::{Entries, PgDump};
use super::super::fingerprints;
use super::super::text::Text;
use super::super::vault::{PgRestore, Vault};
use super::super::{Result, Way};

/// What came of a seed that did not fail.
pub(super) enum Outcome {
    /// The server refuses the script: the expressions in it mix collations that do not go together.
    NotLoaded {
        /// What it says.
        why: String,
    },
    /// Nothing differs.
    Same {
        /// Of the archive.
        entries: usize,
    },
    /// `pg_restore` does not restore `pg_dump`'s own archive. The entries are the same.
    PgDumpFails {
        /// What it says.
        why: String,
    },
}

/// What is backed up, and how. Each seed has its own.
struct Backup {
    flags: Vec<&'static str>,
    /// For `pg_dump` to make the same choice.
    pg_dump_flags: &'static [&'static str],
    jobs: &'static str,
    also_in_parallel_by_stock_tools: bool,
}

impl Backup {
    fn of(seed: u64) -> Self {
        let mut flags = Vec::new();
        let pg_dump_flags: &'static [&'static str] = match seed % 10 {
            8 => &["--schema-only"],
            9 => &["--data-only"],
            _ => &[],
        };
        flags.extend(pg_dump_flags);
        if seed % 3 == 1 {
            flags.extend(["--compression", "gzip", "--chunk-bytes", "8KiB"]);
        }
        let jobs = if seed.is_multiple_of(2) { "4" } else { "1" };
        Self { flags, pg_dump_flags, jobs, also_in_parallel_by_stock_tools: !seed.is_multiple_of(2) }
    }
}

/// Makes the database of a seed, and compares.
pub(super) fn run(seed: u64, major: u32) -> anyhow::Result<Outcome> {
    let server = Postgres::shared(major)?;
    let script = super::script::script(seed, major);
    let file = kept_folder("generated")?.join(format!("{seed}-{major}.sql"));
    fs::write(&file, &script)?;
    let outcome = compare(server, &script, &Backup::of(seed))
        .with_context(|| format!("the script is in {}", file.display()))?;
    fs::remove_file(file)?;
    Ok(outcome)
}

fn compare(server: &Postgres, script: &str, backup: &Backup) -> anyhow::Result<Outcome> {
    let source = server.create_database("generated")?;
    if let Err(why) = source.query(script).map(drop) {
        let why = format!("{why:#}");
        if why.contains("could not determine which collation to use") {
            return Ok(Outcome::NotLoaded { why });
        }
        bail!("the script cannot be loaded: {why}");
    }
    let (pg_dump, pg_restore) =
        if server.major() <= 15 { (PgDump::V15, PgRestore::V15) } else { (PgDump::V18, PgRestore::V18) };
    let folder = tempfile::tempdir()?;
    let stock = folder.path().join("archive");
    pg_dump.write(&source.url(), backup.pg_dump_flags, &stock)?;
    let theirs = Entries::of_archive(&stock)?.without_large_objects();

    let data_only = backup.flags.contains(&"--data-only");
    // A backup of rows alone makes no database, because it would be one without tables.
    let theirs = if data_only { theirs.without_database() } else { theirs };

    let vault = Vault::new()?;
    vault.backup(&source.url(), &backup.flags)?;
    let ours = Entries::of_archive(&vault.fetch()?)?.with_whole_tables().without_large_objects();
    AcceptedDifferences::read(Place::Generated)?
        .check(&ours.differences(&theirs))
        .context("our archive, compared with pg_dump's")?;
    if data_only {
        return Ok(Outcome::Same { entries: theirs.count() });
    }
    match text_after_stock_tools(server, pg_restore, &stock)? {
        Ok(text) => same_text(server, &vault, &text, backup, pg_restore)?,
        Err(why) => return Ok(Outcome::PgDumpFails { why }),
    }
    Ok(Outcome::Same { entries: theirs.count() })
}

/// What `pg_restore` makes of `pg_dump`'s archive, or what it complains of.
fn text_after_stock_tools(
    server: &Postgres,
    pg_restore: PgRestore,
    archive: &Path,
) -> anyhow::Result<std::result::Result<Text, String>> {
    let restored = server.create_database("stock")?;
    match pg_restore.run(server, &restored.url(), &["--jobs=1"], archive) {
        Ok(()) => Ok(Ok(Text::of(&restored.url())?)),
        Err(error) => {
            let message = error.to_string();
            if !message.contains("pg_restore: error:") && !message.contains("pg_restore: warning:") {
                bail!("pg_restore did not run: {message}");
            }
            Ok(Err(message))
        }
    }
}

fn same_text(server: &Postgres, vault: &Vault, text: &Text, backup: &Backup, stock: PgRestore) -> Result {
    let manifest = vault.manifest()?;
    let mut ways = vec![Way::Pgark(backup.jobs)];
    if backup.also_in_parallel_by_stock_tools {
        ways.push(Way::Stock(stock, "4"));
    }
    for way in ways {
        let context = || format!("restored by {way:?}, backup {:?}", backup.flags);
        let restored = way.restore(server, vault).with_context(context)?;
        text.must_equal(&Text::of(&restored.url())?).with_context(context)?;
        fingerprints::must_match(&restored.url(), &manifest).with_context(context)?;
    }
    Ok(())
}
