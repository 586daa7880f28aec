//! Types: enums, composites, domains, ranges, base types.

use crate::Result;
use crate::catalog::{Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A type (`pg_type`). Every type of the database is read, built-in ones too, because others depend on them.
#[derive(Clone, Debug, Default)]
pub struct Type {
    /// `typtype`.
    pub kind: char,
    /// The shell type that stands in for it while its I/O functions are created.
    pub shell: Option<DumpId>,
    /// CHECK (and from 18 NOT NULL) constraints of a domain.
    pub constraints: Vec<DumpId>,
}

/// Reads all types.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a type's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _type: &Type) -> Result<()> {
    Ok(())
}

/// Writes a shell type's entry.
pub fn emit_shell(_out: &mut Emitter<'_>, _object: &Object, _base: DumpId) -> Result<()> {
    Ok(())
}
