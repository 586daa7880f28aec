//! Indexes, and the attachment of a partition's index to the partitioned one.
//!
//! An index that implements a constraint has no entry of its own: the constraint's creates it
//! ([`super::constraints`]). Only a comment on it is written here.

use crate::catalog::table_parts::{Owner, describe_within};
use crate::catalog::{Catalog, DumpId, Kind, Object, Parts};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::Session;
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

mod attachments;
mod rows;

/// An index (`pg_index`).
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a column of the catalog")]
pub struct Index {
    /// Its table.
    pub table: DumpId,
    /// OID of the partitioned index that it belongs to, or 0.
    pub parent_oid: u32,
    /// The constraint it implements.
    pub constraint: Option<DumpId>,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// `indkey`: the numbers of its columns, 0 for an expression, included columns at the end.
    pub columns: Vec<i32>,
    /// `indnkeyatts`: how many of them are the key.
    pub key_columns: usize,
    /// Whether NULLs are not distinct (from 15).
    pub nulls_not_distinct: bool,
    /// Whether its last key column is the period of a temporal constraint (`conperiod`, from 18).
    pub without_overlaps: bool,
    /// Whether the table is clustered on it.
    pub clustered: bool,
    /// Whether it is the table's replica identity.
    pub replica_identity: bool,
    /// Tablespace; empty for the database's default one.
    pub tablespace: String,
    /// `reloptions`, an array as text.
    pub options: Option<String>,
    /// Statistics targets that are not the default, by column number of the index.
    pub statistics_targets: Vec<(i32, i32)>,
    /// The attachments of partitions' indexes to this one.
    pub attachments: Vec<DumpId>,
}

/// That an index of a partition belongs to one of the partitioned table.
#[derive(Clone, Debug)]
pub struct IndexAttach {
    /// The partitioned index.
    pub parent: DumpId,
    /// The partition's index.
    pub index: DumpId,
}

/// Reads the indexes of all interesting tables, with the constraints that they implement (`getIndexes` in
/// `pg_dump.c`, `flagInhIndexes` in `common.c`).
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    rows::read(catalog, session).await?;
    attachments::add(catalog);
    Ok(())
}

/// Writes an index's entries (`dumpIndex` in `pg_dump.c`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, index: &Index) -> Result<()> {
    let name = quote::identifier(&object.name);
    if let Some(constraint) = index.constraint {
        describe_within(out, object, constraint, "INDEX", &name);
        return Ok(());
    }
    if object.dumps(Parts::DEFINITION) {
        let qualified = out.catalog.qualified(object);
        let table = out.catalog.owner(index.table)?;
        let targets = index.statistics_targets.iter().map(|(column, target)| {
            format!("ALTER INDEX {qualified} ALTER COLUMN {column} SET STATISTICS {target};\n")
        });
        let create = [
            format!("{};\n", index.definition),
            cluster(index, &name, &table),
            targets.collect(),
            out.extension_dependencies(object, "INDEX", &qualified),
            replica_identity(index, &name, &table),
        ]
        .concat();
        // The server refuses to drop a member of a partitioned index: it goes with that or with its table.
        let drop = if index.parent_oid == 0 { format!("DROP INDEX {qualified};\n") } else { String::new() };
        let entry = out.define(
            object,
            Definition { tag: object.name.clone(), desc: "INDEX", section: Section::PostData, create, drop },
        );
        entry.tablespace = Some(index.tablespace.clone());
    }
    out.describe(object, "INDEX", &name);
    Ok(())
}

/// The statement that clusters a table on an index, if it is. The index's name is never qualified in it.
pub(super) fn cluster(index: &Index, name: &str, table: &Owner<'_>) -> String {
    if index.clustered {
        format!("\nALTER TABLE {} CLUSTER ON {name};\n", table.qualified)
    } else {
        String::new()
    }
}

/// The statement that makes an index the replica identity, if it is. The index's name is never qualified in it.
pub(super) fn replica_identity(index: &Index, name: &str, table: &Owner<'_>) -> String {
    if index.replica_identity {
        format!("\nALTER TABLE ONLY {} REPLICA IDENTITY USING INDEX {name};\n", table.qualified)
    } else {
        String::new()
    }
}

/// The index with a number.
pub(super) fn get(catalog: &Catalog, id: DumpId) -> Result<(&Object, &Index)> {
    let object = catalog.get(id);
    match &object.kind {
        Kind::Index(index) => Ok((object, index)),
        _ => Err(Error::new(ErrorKind::Catalog, "an index was expected").on(catalog.qualified(object))),
    }
}

/// Writes the attachment of an index (`dumpIndexAttach` in `pg_dump.c`). It has no drop statement, because
/// there is none to detach an index.
pub fn emit_attach(out: &mut Emitter<'_>, object: &Object, attach: &IndexAttach) -> Result<()> {
    let catalog = out.catalog;
    let index = catalog.get(attach.index);
    if !index.dumps(Parts::DEFINITION) {
        return Ok(());
    }
    let parent = catalog.get(attach.parent);
    let create =
        format!("ALTER INDEX {} ATTACH PARTITION {};\n", catalog.qualified(parent), catalog.qualified(index));
    let entry = out.define(
        object,
        Definition {
            tag: object.name.clone(),
            desc: "INDEX ATTACH",
            section: Section::PostData,
            create,
            drop: String::new(),
        },
    );
    entry.drop_statement = None;
    Ok(())
}
