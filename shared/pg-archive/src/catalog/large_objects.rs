//! Large objects: their metadata, owners, grants and comments, and the entries of their data.

use crate::Result;
use crate::catalog::{Catalog, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A large object (`pg_largeobject_metadata`).
#[derive(Clone, Debug, Default)]
pub struct LargeObject {}

/// Reads all large objects.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a large object's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _large: &LargeObject) -> Result<()> {
    Ok(())
}

/// Writes the entry of the data of all large objects.
pub fn emit_data(_out: &mut Emitter<'_>, _object: &Object) -> Result<()> {
    Ok(())
}
