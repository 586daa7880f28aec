//! Aggregate functions.

use crate::Result;
use crate::catalog::{Catalog, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// An aggregate (`pg_aggregate` beside its `pg_proc` row).
#[derive(Clone, Debug, Default)]
pub struct Aggregate {
    /// OIDs of its input arguments' types.
    pub argument_types: Vec<u32>,
}

/// Reads all aggregates that could be dumped.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes an aggregate's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _aggregate: &Aggregate) -> Result<()> {
    Ok(())
}
