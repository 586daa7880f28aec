//! Comments and security labels.

use std::collections::HashMap;

use crate::Result;
use crate::catalog::{Address, Catalog, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// All comments and security labels, by object and column (0 for the whole object).
#[derive(Debug, Default)]
pub struct Comments {
    /// `pg_description`.
    pub comments: HashMap<Address, Vec<(i32, String)>>,
    /// `pg_seclabel`: column, provider, label.
    pub labels: HashMap<Address, Vec<(i32, String, String)>>,
}

/// Reads all comments and labels, and marks the objects that have one.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// See [`Emitter::describe`].
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _kind: &str, _name: &str, _qualified: bool) {}

/// Comments and labels of a table and its columns (`dumpTableComment`, `dumpTableSecLabel`).
/// `columns` are (attribute number, name).
pub fn emit_table(_out: &mut Emitter<'_>, _object: &Object, _kind: &str, _columns: &[(i32, String)]) {}
