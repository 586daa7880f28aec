//! Privileges: of objects, of columns, and default ones.

use std::collections::HashMap;

use crate::Result;
use crate::catalog::{Address, Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// The privileges of an object (`DumpableAcl` in `pg_dump.h`): arrays of aclitem as text.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The object's own, `None` for the default ones.
    pub acl: Option<String>,
    /// What `acldefault()` says.
    pub default: String,
}

/// What `pg_init_privs` holds: privileges of objects and columns when they were made.
#[derive(Debug, Default)]
pub struct InitialGrants {
    /// By object and column (0 for the whole object): `privtype` and `initprivs`.
    pub by_object: HashMap<(Address, i32), (char, String)>,
}

/// `ALTER DEFAULT PRIVILEGES` (`pg_default_acl`).
#[derive(Clone, Debug, Default)]
pub struct DefaultGrants {
    /// The role whose future objects it is for.
    pub role: String,
    /// `defaclobjtype`.
    pub object_type: char,
}

/// Reads default privileges.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Reads `pg_init_privs`; see [`Catalog::initial_grants`].
pub async fn read_initial(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// See [`Emitter::grants`].
pub fn emit(
    _out: &mut Emitter<'_>,
    _object: &Object,
    _kind: &str,
    _name: &str,
    _tag: &str,
) -> Option<DumpId> {
    None
}

/// The privileges of a table's columns (`dumpTable`), each an entry that depends on the table's ACL entry.
pub fn emit_columns(_out: &mut Emitter<'_>, _object: &Object, _table_entry: Option<DumpId>) {}

/// Writes the entry of default privileges.
pub fn emit_default(_out: &mut Emitter<'_>, _object: &Object, _grants: &DefaultGrants) -> Result<()> {
    Ok(())
}
