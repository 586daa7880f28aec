//! The attachments of partitions' indexes to those of partitioned tables.
//!
//! `pg_depend` knows nothing of an attachment, so what it needs is said here.

use crate::catalog::indexes::IndexAttach;
use crate::catalog::table_parts::part;
use crate::catalog::{Address, Catalog, DumpId, Kind, Parts, class};

/// Adds an attachment for each index of a partition (`flagInhIndexes` in `common.c`). An index whose parent was
/// not read, because that table is left out, stands for itself.
pub(super) fn add(catalog: &mut Catalog) {
    for (table, index, parent_oid) in members(catalog) {
        let Some(parent) = catalog.find(Address::new(class::CLASS, parent_oid)) else { continue };
        let Kind::Index(parent_index) = &catalog.get(parent).kind else { continue };
        let parent_table = parent_index.table;
        let kind = Kind::IndexAttach(IndexAttach { parent, index });
        let name = &catalog.get(index).name;
        let mut attach = part(catalog.get(table), Address::default(), name, Parts::ALL, kind);
        // ATTACH is run by the owner of the partitioned table.
        attach.owner.clone_from(&catalog.get(parent_table).owner);
        // Both indexes must exist. The tables keep a parallel restore from attaching while it works on them.
        for needed in [index, parent, table, parent_table] {
            attach.depend_on(needed);
        }
        let attach = catalog.add(attach);
        if let Kind::Index(parent) = &mut catalog.get_mut(parent).kind {
            parent.attachments.push(attach);
        }
    }
}

/// The indexes of partitions which belong to a partitioned index: table, index, OID of the partitioned index.
fn members(catalog: &Catalog) -> Vec<(DumpId, DumpId, u32)> {
    let partitions = catalog.tables().filter(|(_, table)| table.is_partition && !table.parents.is_empty());
    let indexes = partitions.flat_map(|(object, table)| table.indexes.iter().map(move |id| (object.id, *id)));
    indexes
        .filter_map(|(table, id)| match &catalog.get(id).kind {
            Kind::Index(index) if index.parent_oid != 0 => Some((table, id, index.parent_oid)),
            _ => None,
        })
        .collect()
}
