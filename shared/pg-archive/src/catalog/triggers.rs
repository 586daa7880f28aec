//! Triggers of tables.

use crate::Result;
use crate::catalog::{Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A trigger (`pg_trigger`).
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The table.
    pub table: DumpId,
    /// `pg_get_triggerdef`.
    pub definition: String,
    /// `tgenabled`: `O`, `D`, `R`, `A`.
    pub enabled: char,
    /// Whether it was cloned from the partitioned table's, so that only its state may differ.
    pub of_partition: bool,
}

/// Reads the triggers of all dumped tables.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a trigger's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _trigger: &Trigger) -> Result<()> {
    Ok(())
}
