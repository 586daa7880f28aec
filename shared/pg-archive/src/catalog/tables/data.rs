//! The entries of rows: one for a table, or several for a large one, each with a data file of its own.
//!
//! A table in several files follows the one layout which parallel pg_restore was measured to restore whole: entries
//! without dependencies, and every post-data entry of the table depending on all of them (docs/decisions).

use crate::Result;
use crate::catalog::tables::Table;
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts};
use crate::emit::{Definition, Emitter};
use crate::quote::identifier;
use crate::toc::{Entry, Section};

/// Adds an object for the data of each table, sequence and materialized view that has some (`getTableData`).
pub fn plan_data(catalog: &mut Catalog) {
    if !catalog.selection.data {
        return;
    }
    let relations: Vec<DumpId> = catalog
        .tables()
        .filter(|(object, table)| object.dump.has(Parts::DATA) && "rmS".contains(table.relkind))
        // A standby refuses to read unlogged tables; they are empty after failover anyway.
        .filter(|(_, table)| !(table.persistence == 'u' && catalog.server.in_recovery))
        // A refresh counts as a definition: `pg_dump --data-only` writes none, nor would pg_restore run it.
        .filter(|(_, table)| table.relkind != 'm' || catalog.selection.schema)
        .filter(|(object, _)| !excluded(catalog, object))
        .map(|(object, _)| object.id)
        .collect();
    for id in relations {
        add_data(catalog, id);
    }
}

fn excluded(catalog: &Catalog, object: &Object) -> bool {
    let schema = catalog.schema_name(object);
    catalog.matches(&catalog.selection.exclude_table_data, schema, &object.name)
}

fn add_data(catalog: &mut Catalog, id: DumpId) {
    let object = catalog.get(id);
    let Kind::Table(table) = &object.kind else { return };
    let kind = match table.relkind {
        'm' => Kind::RefreshMaterializedView { view: id },
        'S' => Kind::SequenceSet { sequence: id },
        _ => Kind::TableData { table: id },
    };
    // The catalog's number is left out, so that nothing in pg_depend takes it for the table.
    let mut data = Object::new(Address::new(0, object.address.oid), object.name.clone(), kind);
    (data.schema, data.owner) = (object.schema, object.owner.clone());
    data.dump = Parts::ALL;
    data.parts = Parts::DEFINITION.with(Parts::DATA);
    data.depend_on(id);
    let data = catalog.add(data);
    if let Kind::Table(table) = &mut catalog.get_mut(id).kind {
        table.data = Some(data);
    }
}

/// The columns that rows are dumped with, generated ones left out.
///
/// Rows that are loaded through the root of their partition tree have the columns in the root's order: which partition
/// they come to lie in is not known, and only rows of one form can be compared wherever they are.
pub(crate) fn data_columns<'a>(catalog: &'a Catalog, table: &'a Table) -> Vec<&'a str> {
    let own = table.columns.iter().filter(|column| !column.dropped && column.generated == ' ');
    let mut names: Vec<&str> = own.map(|column| column.name.as_str()).collect();
    if let Some(root) = load_root(catalog, table)
        && let Kind::Table(root) = &catalog.get(root).kind
    {
        names.sort_by_key(|name| root.columns.iter().position(|column| column.name == *name));
    }
    names
}

/// The same in parentheses, quoted (`fmtCopyColumnList`); empty if there is none.
pub(crate) fn copy_columns(catalog: &Catalog, table: &Table) -> String {
    let names: Vec<String> = data_columns(catalog, table).into_iter().map(identifier).collect();
    if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) }
}

/// Writes the entries of a table's rows (`dumpTableData`).
pub fn emit_data(out: &mut Emitter<'_>, object: &Object, id: DumpId) -> Result<()> {
    let catalog = out.catalog;
    let owner = catalog.get(id);
    let Kind::Table(table) = &owner.kind else { return Ok(()) };
    let root = load_root(catalog, table);
    let target = catalog.qualified(root.map_or(owner, |root| catalog.get(root)));
    let files = out.files_of(id).to_vec();
    // A chunk does not depend on its table (docs/decisions/0003-chunks-without-dependencies.md).
    let mut dependencies = if files.len() > 1 { Vec::new() } else { vec![id] };
    dependencies.extend(out.data_entries_before(object));
    for (at, file) in files.into_iter().enumerate() {
        let entry_id = if at == 0 { object.id } else { out.next_id() };
        out.push(Entry {
            id: entry_id,
            address: object.address,
            tag: owner.name.clone(),
            desc: "TABLE DATA".to_owned(),
            section: Section::Data,
            // pg_restore looks for these words, to leave out a TRUNCATE that would empty other partitions.
            definition: Some(
                root.map_or_else(String::new, |_| format!("-- load via partition root {target}")),
            ),
            drop_statement: None,
            copy_statement: Some(format!("COPY {target} {} FROM stdin;\n", copy_columns(catalog, table))),
            schema: Some(catalog.schema_name(owner).to_owned()),
            tablespace: None,
            table_access_method: None,
            owner: Some(owner.owner.clone()),
            dependencies: dependencies.clone(),
            data_file: Some(file),
        });
        out.note_data_entry(id, entry_id);
    }
    Ok(())
}

/// The root of the partition tree, if rows cannot be trusted to belong to the same partition after a restore
/// (`forcePartitionRootLoad`).
pub(crate) fn load_root(catalog: &Catalog, table: &Table) -> Option<DumpId> {
    let (mut unsafe_above, mut root, mut current) = (false, None, table);
    while current.is_partition
        && let Some(parent) = current.parents.first()
        && let Kind::Table(above) = &catalog.get(*parent).kind
    {
        unsafe_above |= above.unsafe_partitions;
        (root, current) = (Some(*parent), above);
    }
    root.filter(|_| unsafe_above)
}

/// Writes the REFRESH of a materialized view (`refreshMatViewData`).
pub fn emit_refresh(out: &mut Emitter<'_>, object: &Object, id: DumpId) -> Result<()> {
    let owner = out.catalog.get(id);
    let Kind::Table(view) = &owner.kind else { return Ok(()) };
    if !view.populated {
        return Ok(());
    }
    let create = format!("REFRESH MATERIALIZED VIEW {};\n", out.catalog.qualified(owner));
    let entry = out.define(
        object,
        Definition {
            tag: owner.name.clone(),
            desc: "MATERIALIZED VIEW DATA",
            section: Section::PostData,
            create,
            drop: String::new(),
        },
    );
    entry.dependencies.clone_from(&object.dependencies);
    Ok(())
}
