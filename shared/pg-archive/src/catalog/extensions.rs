//! Extensions, their members and their configuration tables.

use crate::Result;
use crate::catalog::{Catalog, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// An extension (`pg_extension`).
#[derive(Clone, Debug, Default)]
pub struct Extension {
    /// Name of the schema it was created in.
    pub schema: String,
    /// Whether it can be moved to another schema.
    pub relocatable: bool,
    /// Version.
    pub version: String,
    /// OIDs of its configuration tables (`extconfig`).
    pub config_tables: Vec<u32>,
    /// The WHERE clause for each of them (`extcondition`), empty for none.
    pub config_conditions: Vec<String>,
}

/// Reads all extensions, and which objects are their members.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes an extension's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _extension: &Extension) -> Result<()> {
    Ok(())
}

/// See [`Emitter::extension_dependencies`].
pub fn depends_on(_catalog: &Catalog, _object: &Object, _kind: &str, _name: &str) -> String {
    String::new()
}

/// The configuration tables of all extensions: the extension, the OID of the table, and the WHERE clause for its rows.
pub fn config_tables(_catalog: &Catalog) -> Vec<(crate::catalog::DumpId, u32, String)> {
    Vec::new()
}
