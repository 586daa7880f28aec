//! Which rows go into which data file: a pure decision.

use std::collections::{HashMap, HashSet};

use crate::catalog::tables::{Table, copy_columns};
use crate::catalog::{Catalog, DumpId, Kind, Object, large_objects};
use crate::dump::DumpOptions;
use crate::{Error, ErrorKind, Result};

/// What a data file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Rows of a table, all of them or a range of its pages.
    Table {
        /// The table.
        table: DumpId,
        /// Number of the chunk from 1, if the table has several.
        chunk: Option<u32>,
    },
    /// Pages of large objects.
    LargeObjects {
        /// The object of the archive that stands for them.
        data: DumpId,
    },
}

/// A data file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its name inside the archive.
    pub name: String,
    /// What it holds, for people: `table public.orders`.
    pub label: String,
    /// What it holds.
    pub rows: Rows,
    /// The table that its session must lock to read it, quoted; none for large objects.
    pub relation: Option<String>,
    /// The COPY statement that reads it.
    pub copy: String,
    /// Bytes on disk that it covers.
    pub bytes_estimate: u64,
}

/// Plans the files of all tables and large objects that have data.
pub(super) fn plan(catalog: &Catalog, options: &DumpOptions) -> Vec<DataFile> {
    let mut files = Vec::new();
    for object in catalog.objects() {
        match &object.kind {
            Kind::TableData { table } => {
                let owner = catalog.get(*table);
                if let Kind::Table(table) = &owner.kind {
                    table_files(catalog, owner, table, options, &mut files);
                }
            }
            Kind::LargeObjectData(range) => {
                files.push(DataFile {
                    name: range.file_name(),
                    label: format!("large objects {} to {}", range.first_oid, range.last_oid),
                    rows: Rows::LargeObjects { data: object.id },
                    relation: None,
                    copy: range.copy_statement(),
                    bytes_estimate: large_objects::CHUNK_BYTES,
                });
            }
            _ => {}
        }
    }
    files
}

/// One file for a table, or several of about equally many pages. TOAST counts: a table of few pages can be large.
fn table_files(
    catalog: &Catalog,
    object: &Object,
    table: &Table,
    options: &DumpOptions,
    files: &mut Vec<DataFile>,
) {
    let (schema, name) = (catalog.readable(catalog.schema_name(object)), catalog.readable(&object.name));
    let pages = table.heap_bytes.div_ceil(u64::from(catalog.server.block_bytes.max(1)));
    // Before 14 a range of pages is found by reading the whole table (TID Range Scan came with 14).
    let by_range = catalog.server.version_num >= 140_000
        && table.access_method.as_deref() == Some("heap")
        && table.filter.is_none();
    let wanted = if by_range { table.total_bytes.div_ceil(options.chunk_bytes.max(1)) } else { 1 };
    let count = wanted.clamp(1, pages.max(1)).min(9999);
    let label = format!("table {}", catalog.readable(&catalog.qualified(object)));
    for chunk in 0..count {
        let number = (count > 1).then(|| u32::try_from(chunk + 1).unwrap_or(u32::MAX));
        let range = (count > 1).then(|| {
            let from = pages * chunk / count;
            // The last range is open: pages may have been added since the size was asked for.
            let to = (chunk + 1 < count).then(|| pages * (chunk + 1) / count);
            (from, to)
        });
        files.push(DataFile {
            name: (options.table_file)(&schema, &name, number),
            label: label.clone(),
            rows: Rows::Table { table: object.id, chunk: number },
            relation: Some(catalog.qualified(object)),
            copy: copy_statement(catalog, object, table, range),
            bytes_estimate: table.total_bytes / count,
        });
    }
}

/// `COPY … TO STDOUT` of a table, its columns named so that their order is that of the archive's COPY FROM.
fn copy_statement(
    catalog: &Catalog,
    object: &Object,
    table: &Table,
    range: Option<(u64, Option<u64>)>,
) -> String {
    let qualified = catalog.qualified(object);
    let columns = copy_columns(catalog, table);
    let condition = match (range, &table.filter) {
        (None, None) => return format!("COPY {qualified} {columns} TO STDOUT"),
        (None, Some(filter)) => filter.clone(),
        (Some((from, Some(to))), _) => format!("WHERE ctid >= '({from},0)' AND ctid < '({to},0)'"),
        (Some((from, None)), _) => format!("WHERE ctid >= '({from},0)'"),
    };
    let columns = columns.trim_start_matches('(').trim_end_matches(')');
    format!("COPY (SELECT {columns} FROM ONLY {qualified} {condition}) TO STDOUT")
}

/// Two files of one name would be one file, and rows would be lost.
pub(super) fn name_uniquely(files: &[DataFile]) -> Result<()> {
    let mut names = HashSet::new();
    match files.iter().find(|file| !names.insert(&file.name)) {
        None => Ok(()),
        Some(file) => Err(Error::new(
            ErrorKind::Archive,
            format!("two data files of the archive would have the name {}", file.name),
        )
        .on(file.label.clone())
        .hint("This is a fault of pgark: please report it with the names of the tables.")),
    }
}

/// The names of the files of each table, in the order of their chunks, and of each part of the large objects.
pub(super) fn names_by_object(files: &[DataFile]) -> HashMap<DumpId, Vec<String>> {
    let mut names: HashMap<DumpId, Vec<String>> = HashMap::new();
    for file in files {
        let (Rows::Table { table: id, .. } | Rows::LargeObjects { data: id }) = file.rows;
        names.entry(id).or_default().push(file.name.clone());
    }
    names
}
