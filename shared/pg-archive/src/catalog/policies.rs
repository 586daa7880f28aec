//! Row security and its policies.

use crate::Result;
use crate::catalog::{Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A policy (`pg_policy`), or, without a name, that row security is enabled for the table.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The table.
    pub table: DumpId,
}

/// Reads which tables have row security, and all policies.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a policy's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _policy: &Policy) -> Result<()> {
    Ok(())
}
