//! Says what changed between two backups: tables by their rows and sizes, which manifests tell without a key, and
//! definitions, which take an identity where backups are encrypted.

use std::collections::{BTreeMap, BTreeSet};

use pg_archive::toc::{self, Entry};
use serde::{Deserialize, Serialize};

use super::compare::{self, DifferenceKind, Scope};
use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::archive::BackupReader;
use crate::repository::manifest::TableRecord;
use crate::repository::{BackupId, BackupRef, Filter, Manifest, SourceName};

/// The arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// The earlier backup: an id, a unique prefix of one, or `latest`.
    pub before: String,
    /// The later one.
    pub after: String,
    /// Only of this source.
    #[serde(default)]
    pub source: Option<SourceName>,
    /// Although the two are backups of different sources.
    #[serde(default)]
    pub across_sources: bool,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// The source of the earlier backup.
    pub source_before: SourceName,
    /// The source of the later one.
    pub source_after: SourceName,
    /// The earlier backup.
    pub before: BackupId,
    /// The later one.
    pub after: BackupId,
    /// Tables that are not the same in both, by name.
    pub tables: Vec<TableChange>,
    /// How many tables are the same in both.
    pub tables_unchanged: u64,
    /// Definitions that are not the same in both; `null` if they were not compared.
    pub definitions: Option<Vec<DefinitionChange>>,
    /// Why definitions were not compared.
    pub definitions_not_compared: Option<String>,
}

/// A table that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableChange {
    /// `schema.name`.
    pub table: String,
    /// How.
    pub change: Change,
    /// In the earlier backup; `null` if it was not there.
    pub before: Option<TableSize>,
    /// In the later one; `null` if it is not there any more.
    pub after: Option<TableSize>,
    /// Columns that came.
    pub columns_added: Vec<String>,
    /// Columns that went.
    pub columns_removed: Vec<String>,
}

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the later backup has it.
    Added,
    /// Only the earlier one has it.
    Removed,
    /// Both have it, and not the same.
    Changed,
}

/// The rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// How many.
    pub rows: u64,
    /// Their bytes before compression.
    pub plain_bytes: u64,
}

/// A definition that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefinitionChange {
    /// The object: `INDEX public.orders_pkey`.
    pub object: String,
    /// How.
    pub change: Change,
}

impl Diff {
    /// Runs the job.
    ///
    /// # Errors
    /// When one of the backups is missing or damaged.
    pub async fn run(&self, app: &App) -> Result<DiffReport> {
        let filter = Filter { source: self.source.clone(), tier: None };
        let before = app.repository.resolve(&self.before, &filter).await?;
        // What is said of the later one alone means one of the same source.
        let same = Filter { source: Some(before.source.clone()), tier: None };
        let of_same = self.after == "latest" && !self.across_sources;
        let after = app.repository.resolve(&self.after, if of_same { &same } else { &filter }).await?;
        if before.source != after.source && !self.across_sources {
            let message = format!("{before} and {after} are backups of two sources");
            return Err(Error::new(ErrorKind::Usage, message)
                .hint("Give --across-sources if you mean to compare two sources."));
        }
        let manifests =
            (app.repository.load_manifest(&before).await?, app.repository.load_manifest(&after).await?);
        let (tables, tables_unchanged) = table_changes(&manifests.0, &manifests.1);
        let reason = not_compared(app.settings.identities()?.is_some(), &manifests.0, &manifests.1);
        let definitions = match &reason {
            Some(_) => None,
            None => Some(definition_changes(
                &entries(app, before.clone(), manifests.0).await?,
                &entries(app, after.clone(), manifests.1).await?,
            )),
        };
        Ok(DiffReport {
            source_before: before.source.clone(),
            source_after: after.source.clone(),
            before: before.id,
            after: after.id,
            tables,
            tables_unchanged,
            definitions,
            definitions_not_compared: reason,
        })
    }
}

fn not_compared(has_identity: bool, before: &Manifest, after: &Manifest) -> Option<String> {
    let encrypted = before.encryption.is_some() || after.encryption.is_some();
    let (from, to) = (before.server.version_num / 10_000, after.server.version_num / 10_000);
    if before.options.data_only || after.options.data_only {
        Some("one of the backups holds rows alone".to_owned())
    } else if encrypted && !has_identity {
        Some("the backups are encrypted, and no identity file is set".to_owned())
    } else if from != to {
        Some(format!("PostgreSQL {from} and {to} word definitions differently"))
    } else {
        None
    }
}

async fn entries(app: &App, backup: BackupRef, manifest: Manifest) -> Result<Vec<Entry>> {
    let reader = BackupReader::new(app.repository.clone(), backup, manifest, app.settings.identities()?);
    Ok(toc::read::read(&reader.toc().await?)?.1)
}

fn table_changes(before: &Manifest, after: &Manifest) -> (Vec<TableChange>, u64) {
    let by_name = |manifest: &Manifest| -> BTreeMap<String, TableRecord> {
        let tables = manifest.tables.iter();
        tables.map(|table| (format!("{}.{}", table.schema, table.name), table.clone())).collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let all = names.len();
    let changes: Vec<TableChange> =
        names.into_iter().filter_map(|name| table_change(name, before.get(name), after.get(name))).collect();
    let unchanged = (all - changes.len()) as u64;
    (changes, unchanged)
}

fn table_change(
    name: &str,
    before: Option<&TableRecord>,
    after: Option<&TableRecord>,
) -> Option<TableChange> {
    let change = match (before, after) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        (Some(before), Some(after)) => {
            let same = (before.rows, &before.fingerprint, &before.columns)
                == (after.rows, &after.fingerprint, &after.columns);
            if same {
                return None;
            }
            Change::Changed
        }
    };
    let columns = |table: Option<&TableRecord>| -> BTreeSet<String> {
        table.into_iter().flat_map(|table| table.columns.iter().cloned()).collect()
    };
    let (had, has) = (columns(before), columns(after));
    let both = change == Change::Changed;
    let size = |table: &TableRecord| TableSize { rows: table.rows, plain_bytes: table.plain_bytes };
    Some(TableChange {
        table: name.to_owned(),
        change,
        before: before.map(size),
        after: after.map(size),
        columns_added: has.difference(&had).filter(|_| both).cloned().collect(),
        columns_removed: had.difference(&has).filter(|_| both).cloned().collect(),
    })
}

fn definition_changes(before: &[Entry], after: &[Entry]) -> Vec<DefinitionChange> {
    let scope = Scope { texts: true, owners: true, privileges: true };
    let differences = compare::definition_differences(before, after, scope);
    let change = |kind| match kind {
        DifferenceKind::DefinitionMissing => Change::Removed,
        DifferenceKind::DefinitionUnexpected => Change::Added,
        _ => Change::Changed,
    };
    let changes = differences.into_iter();
    changes
        .map(|difference| DefinitionChange { change: change(difference.code), object: difference.object })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64, fingerprint: &str, columns: &[&str]) -> TableRecord {
        TableRecord {
            schema: "public".to_owned(),
            name: name.to_owned(),
            rows,
            fingerprint: fingerprint.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            objects: Vec::new(),
            plain_bytes: rows * 10,
            loaded_through: None,
        }
    }

    #[test]
    fn a_table_changed_if_its_rows_or_columns_did() {
        let before = table("t", 2, "a", &["x", "y"]);
        let change = |after: Option<&TableRecord>| {
            table_change("public.t", Some(&before), after)
                .map(|found| (found.change, found.columns_added, found.columns_removed))
        };
        let (none, z, y) = (Vec::<String>::new(), vec!["z".to_owned()], vec!["y".to_owned()]);
        assert_eq!(change(Some(&before.clone())), None);
        assert_eq!(
            change(Some(&table("t", 3, "b", &["x", "y"]))),
            Some((Change::Changed, none.clone(), none.clone()))
        );
        assert_eq!(
            change(Some(&table("t", 2, "b", &["x", "y"]))),
            Some((Change::Changed, none.clone(), none.clone()))
        );
        assert_eq!(change(Some(&table("t", 2, "b", &["x", "z"]))), Some((Change::Changed, z, y)));
        assert_eq!(change(None), Some((Change::Removed, none.clone(), none.clone())));
        let added = table_change("public.t", None, Some(&before)).unwrap();
        assert_eq!((added.change, added.before, added.columns_added), (Change::Added, None, none));
    }
}
