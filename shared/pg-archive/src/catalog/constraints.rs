//! Constraints: of tables (check, unique, primary key, exclusion, foreign key, not null) and of domains.

use crate::Result;
use crate::catalog::{Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A constraint (`pg_constraint`).
#[derive(Clone, Debug, Default)]
pub struct Constraint {
    /// The table, unless it is a domain's.
    pub table: Option<DumpId>,
    /// The domain, unless it is a table's.
    pub domain: Option<DumpId>,
    /// `contype`: `c`, `p`, `u`, `x`, `f`, `n`, `t`.
    pub kind: char,
    /// `pg_get_constraintdef`; unset for those that an index implements.
    pub definition: Option<String>,
    /// The index that implements it.
    pub index: Option<DumpId>,
    /// `condeferrable`.
    pub deferrable: bool,
    /// `condeferred`.
    pub deferred: bool,
    /// Whether it is defined here rather than inherited (`conislocal`).
    pub local: bool,
    /// Whether it is made by a statement of its own rather than inside the table or domain.
    pub separate: bool,
}

/// Reads the foreign keys and the constraints of domains. Check constraints come with
/// their tables, those that an index implements with the indexes.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a constraint's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _constraint: &Constraint) -> Result<()> {
    Ok(())
}

/// Writes the comment on a constraint.
pub fn emit_comment(_out: &mut Emitter<'_>, _object: &Object, _constraint: &Constraint) {}
