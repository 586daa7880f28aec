//! Compares a database with a backup: definitions one by one, and the rows of each table by their fingerprint.

use std::collections::BTreeMap;

use pg_archive::connect::Target;
use pg_archive::dump::{Observer, scan};
use pg_archive::fingerprint::Fingerprint;
use pg_archive::toc::{self, Entry, Section};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::repository::Filter;
use crate::repository::archive::BackupReader;
use crate::signature::SignatureCheck;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether the manifest's signature was checked.
    pub signature: SignatureCheck,
    /// Tables whose rows were compared.
    pub tables: usize,
    /// Rows that were compared.
    pub rows: u64,
    /// Definitions that were compared.
    pub definitions: usize,
    /// What differs, each in a sentence; empty if nothing does.
    pub differences: Vec<String>,
}

/// Compares a database with a backup.
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
    let backup = app.repository.resolve(backup, &Filter::default()).await?;
    let manifest = app.repository.load_manifest(&backup).await?;
    let reader = BackupReader::new(app.repository.clone(), backup, manifest, app.settings.identities()?);
    let (_, entries) = toc::read::read(&reader.toc().await?)?;
    let found = scan(target, super::whole_database(app), observer, stop).await?;
    let dumped = sums(reader.manifest().tables.iter().map(|table| {
        let fingerprint = Fingerprint::parse(table.rows, &table.fingerprint)?;
        Ok((compared_as(&table.schema, &table.name, table.loaded_through.as_ref()), fingerprint))
    }))?;
    let present = sums(found.plan.tables.iter().zip(&found.tables).map(|(table, fingerprint)| {
        Ok((compared_as(&table.schema, &table.name, table.loaded_through.as_ref()), *fingerprint))
    }))?;
    let mut differences = definition_differences(&entries, &found.plan.entries);
    differences.extend(row_differences(&dumped, &present));
    Ok(Comparison {
        signature: app.repository.signature_check(),
        tables: dumped.len(),
        rows: dumped.values().map(|table| table.rows).sum(),
        definitions: entries.iter().filter(|entry| is_definition(entry)).count(),
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
) -> Vec<String> {
    let lost = dumped.iter().filter_map(|(table, dumped)| match present.get(table) {
        None => Some(format!("table {table} is not in the database")),
        Some(present) if present.rows != dumped.rows => {
            Some(format!("table {table} has {} rows, and {} were dumped", present.rows, dumped.rows))
        }
        Some(present) if present != dumped => {
            Some(format!("table {table} has {} rows, but not those that were dumped", present.rows))
        }
        Some(_) => None,
    });
    let added = present.keys().filter(|table| !dumped.contains_key(*table));
    lost.chain(added.map(|table| format!("table {table} is not in the backup"))).collect()
}

/// Definitions that only one side has. Numbers and OIDs differ between databases and are not compared.
fn definition_differences(dumped: &[Entry], present: &[Entry]) -> Vec<String> {
    let mut balance: BTreeMap<(String, &str), i64> = BTreeMap::new();
    for (entries, sign) in [(dumped, 1), (present, -1)] {
        for entry in entries.iter().filter(|entry| is_definition(entry)) {
            *balance.entry((entry.label(), entry.definition.as_deref().unwrap_or_default())).or_default() +=
                sign;
        }
    }
    let unequal = balance.into_iter().filter(|(_, count)| *count != 0);
    unequal
        .map(|((label, _), count)| {
            let side = if count > 0 { "only the backup has" } else { "only the database has" };
            format!("{label}: {side} this definition")
        })
        .collect()
}

/// What belongs to the schema. Sequence values move on, and rows are compared by fingerprint; the database itself has
/// another name, and what is said of it is not restored into one that is there.
fn is_definition(entry: &Entry) -> bool {
    let of_database = entry.desc.starts_with("DATABASE") || entry.tag.starts_with("DATABASE ");
    entry.section != Section::Data && !of_database
}
