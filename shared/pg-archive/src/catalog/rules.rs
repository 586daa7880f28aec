//! Rewrite rules, of views too.

use crate::Result;
use crate::catalog::{Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A rule (`pg_rewrite`).
#[derive(Clone, Debug)]
pub struct Rule {
    /// The table or view.
    pub table: DumpId,
    /// `ev_type`: `1` SELECT, `2` UPDATE, `3` INSERT, `4` DELETE.
    pub event: char,
    /// `is_instead`.
    pub instead: bool,
    /// `ev_enabled`: `O`, `D`, `R`, `A`.
    pub enabled: char,
    /// `pg_get_ruledef`, for rules that are made by a statement of their own.
    pub definition: String,
    /// Whether it is made by a statement of its own rather than with its view.
    pub separate: bool,
}

/// Reads all rules.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a rule's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _rule: &Rule) -> Result<()> {
    Ok(())
}
