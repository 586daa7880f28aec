//! Schemas.

use crate::Result;
use crate::catalog::{Catalog, Object, Parts};
use crate::emit::Emitter;
use crate::session::Session;

/// A schema (`pg_namespace`).
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Whether its CREATE statement goes into the archive; `public` has none where it is as initdb made it.
    pub create: bool,
    /// The parts of the objects in it that are dumped (`dump_contains`).
    pub contains: Parts,
}

/// Reads all schemas.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a schema's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _schema: &Schema) -> Result<()> {
    Ok(())
}
