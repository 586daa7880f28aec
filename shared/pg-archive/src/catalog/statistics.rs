//! Extended statistics objects.

use crate::Result;
use crate::catalog::{Catalog, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// An extended statistics object (`pg_statistic_ext`).
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// `pg_get_statisticsobjdef`.
    pub definition: String,
    /// `stxstattarget`, -1 for the default.
    pub target: i32,
}

/// Reads all extended statistics objects.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes the entries of a statistics object.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _statistics: &Statistics) -> Result<()> {
    Ok(())
}
