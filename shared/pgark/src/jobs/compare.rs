//! Compares a database with a backup: definitions one by one, and the rows of each table by their fingerprint.
//!
//! What cannot agree is not compared, and the [`Scope`] says what that is: roles that were not restored, and the words in
//! which another version of PostgreSQL tells the same definition. The differences never quote a definition, which may
//! hold a password (user mappings, subscriptions).

use std::collections::BTreeMap;

use pg_archive::connect::Target;
use pg_archive::dump::{Content, Observer, scan};
use pg_archive::fingerprint::Fingerprint;
use pg_archive::toc::{self, Entry};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::repository::archive::BackupReader;
use crate::repository::{Filter, Manifest};
use crate::signature::SignatureCheck;

mod again;
mod definitions;
mod difference;

pub(crate) use again::read_again;
pub(crate) use definitions::{are_reworded, differences as definition_differences};
pub use difference::{Difference, DifferenceKind};

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether the manifest's signature was checked.
    pub signature: SignatureCheck,
    /// Tables whose rows were compared.
    pub tables: usize,
    /// Rows that were compared.
    pub rows: u64,
    /// Large objects that were compared.
    pub large_objects: u64,
    /// Definitions that were compared.
    pub definitions: usize,
    /// Of these, how many the restored database tells in other words: in those that the server makes of the backup's own
    /// text when it reads it.
    pub reworded: usize,
    /// What differs; empty if nothing does.
    pub differences: Vec<Difference>,
}

/// How far definitions can agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Their text; otherwise only that they are there. Another major version words them differently.
    pub texts: bool,
    /// Whose they are.
    pub owners: bool,
    /// Privileges, and default privileges.
    pub privileges: bool,
}

impl Scope {
    /// Everything, as on the server that was backed up.
    pub const WHOLE: Self = Self { texts: true, owners: false, privileges: true };
}

/// A backup, and what a database holds that should be the same.
pub(crate) struct Pair {
    manifest: Manifest,
    pub(crate) entries: Vec<Entry>,
    found: Content,
}

/// Reads a backup's table of contents, and a whole database.
pub(crate) async fn read(
    app: &App,
    backup: &str,
    target: &Target,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<Pair> {
    let backup = app.repository.resolve(backup, &Filter::default()).await?;
    let manifest = app.repository.load_manifest(&backup).await?;
    let reader = BackupReader::new(app.repository.clone(), backup, manifest, app.settings.identities()?);
    let (_, entries) = toc::read::read(&reader.toc().await?)?;
    let options = super::as_backed_up(app, reader.manifest());
    let found = scan(target, options, observer, stop).await?;
    Ok(Pair { manifest: reader.manifest().clone(), entries, found })
}

impl Pair {
    /// Whether the definitions of the backup must be read again for the two to be compared.
    pub(crate) fn are_reworded(&self) -> bool {
        are_reworded(&self.entries, &self.found.plan.entries, Scope::WHOLE)
    }

    /// Compares.
    pub(crate) fn compare(&self, app: &App, again: Option<&[Entry]>) -> Result<Comparison> {
        let signature = app.repository.signature_check();
        contents(signature, (&self.manifest, &self.entries), &self.found, again, Scope::WHOLE)
    }
}

/// Compares a database with a backup, definitions in the backup's own words.
///
/// # Errors
/// When one of them cannot be read. A difference is no error.
pub async fn compare(
    app: &App,
    backup: &str,
    target: &Target,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<Comparison> {
    read(app, backup, target, observer, stop).await?.compare(app, None)
}

/// Compares what a backup says with what was found in a database. `again` is what the server makes of the backup's
/// definitions, if that was needed.
pub(crate) fn contents(
    signature: SignatureCheck,
    (manifest, entries): (&Manifest, &[Entry]),
    found: &Content,
    again: Option<&[Entry]>,
    scope: Scope,
) -> Result<Comparison> {
    let dumped = sums(manifest.tables.iter().map(|table| {
        let fingerprint = Fingerprint::parse(table.rows, &table.fingerprint)?;
        Ok((compared_as(&table.schema, &table.name, table.loaded_through.as_ref()), fingerprint))
    }))?;
    let present = sums(found.plan.tables.iter().zip(&found.tables).map(|(table, fingerprint)| {
        Ok((compared_as(&table.schema, &table.name, table.loaded_through.as_ref()), *fingerprint))
    }))?;
    let mut differences = row_differences(&dumped, &present);
    differences.extend(large_object_difference(manifest, found)?);
    let (of_definitions, reworded) = definitions::compared(entries, &found.plan.entries, again, scope);
    differences.extend(of_definitions);
    Ok(Comparison {
        signature,
        tables: dumped.len(),
        rows: dumped.values().map(|table| table.rows).sum(),
        large_objects: manifest.large_objects.as_ref().map_or(0, |large| large.count),
        definitions: entries.iter().filter(|entry| definitions::is_compared(entry, scope)).count(),
        reworded: if again.is_some() { reworded } else { 0 },
        differences,
    })
}

/// Rows that are loaded through the root of their partition tree may be in another partition afterwards: the sum over
/// all partitions is what must agree.
fn compared_as(schema: &str, name: &str, root: Option<&String>) -> String {
    root.cloned().unwrap_or_else(|| format!("{schema}.{name}"))
}

fn sums(
    tables: impl Iterator<Item = Result<(String, Fingerprint)>>,
) -> Result<BTreeMap<String, Fingerprint>> {
    let mut sums: BTreeMap<String, Fingerprint> = BTreeMap::new();
    for table in tables {
        let (name, fingerprint) = table?;
        sums.entry(name).or_default().merge(fingerprint);
    }
    Ok(sums)
}

fn row_differences(
    dumped: &BTreeMap<String, Fingerprint>,
    present: &BTreeMap<String, Fingerprint>,
) -> Vec<Difference> {
    let of = |kind, table: &str, message| Difference::new(kind, format!("table {table}"), message);
    let lost = dumped.iter().filter_map(|(table, dumped)| match present.get(table) {
        None => Some(of(DifferenceKind::TableMissing, table, "is not in the database".to_owned())),
        Some(present) if present.rows != dumped.rows => {
            let message = format!("has {} rows, and {} were dumped", present.rows, dumped.rows);
            Some(of(DifferenceKind::RowCount, table, message))
        }
        Some(present) if present != dumped => {
            let message = format!("has {} rows, but not those that were dumped", present.rows);
            Some(of(DifferenceKind::RowContent, table, message))
        }
        Some(_) => None,
    });
    // Tables whose rows a backup leaves out are there, and empty.
    let added = present.iter().filter(|(table, found)| found.rows > 0 && !dumped.contains_key(*table));
    let added = added.map(|(table, found)| {
        let message = format!("has {} rows, and the backup holds none of it", found.rows);
        of(DifferenceKind::TableUnexpected, table, message)
    });
    lost.chain(added).collect()
}

fn large_object_difference(manifest: &Manifest, found: &Content) -> Result<Option<Difference>> {
    let Some(dumped) = &manifest.large_objects else { return Ok(None) };
    // What was dumped is known by its sum alone: of the pages, only their number would be missing.
    let sum = Fingerprint::parse(found.large_objects.rows, &dumped.fingerprint)?;
    let message = match found.plan.large_objects {
        count if count != dumped.count => format!("are {count}, and {} were dumped", dumped.count),
        count if sum != found.large_objects => format!("are {count}, but not those that were dumped"),
        _ => return Ok(None),
    };
    Ok(Some(Difference::new(DifferenceKind::LargeObjects, "large objects", message)))
}
