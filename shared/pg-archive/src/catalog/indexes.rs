//! Indexes, and the attachment of a partition's index to the partitioned one.

use crate::Result;
use crate::catalog::{Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// An index (`pg_index`).
#[derive(Clone, Debug)]
pub struct Index {
    /// Its table.
    pub table: DumpId,
    /// OID of the partitioned index that it belongs to, or 0.
    pub parent_oid: u32,
    /// The constraint it implements.
    pub constraint: Option<DumpId>,
}

/// That an index of a partition belongs to one of the partitioned table.
#[derive(Clone, Debug)]
pub struct IndexAttach {
    /// The partitioned index.
    pub parent: DumpId,
    /// The partition's index.
    pub index: DumpId,
}

/// Reads the indexes of all interesting tables.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes an index's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _index: &Index) -> Result<()> {
    Ok(())
}

/// Writes the attachment of an index.
pub fn emit_attach(_out: &mut Emitter<'_>, _object: &Object, _attach: &IndexAttach) -> Result<()> {
    Ok(())
}
