//! Functions and procedures.

use crate::Result;
use crate::catalog::{Catalog, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A function or procedure (`pg_proc`).
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// OIDs of its input arguments' types (`proargtypes`).
    pub argument_types: Vec<u32>,
    /// Whether the order of restore forced it behind the data (`postponed_def`).
    pub postponed: bool,
}

/// Reads all functions and procedures that could be dumped.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a function's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _function: &Function) -> Result<()> {
    Ok(())
}
