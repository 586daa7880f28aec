//! Sequences and their values.

use crate::Result;
use crate::catalog::{DumpId, Object};
use crate::emit::Emitter;

/// Writes the `setval` of a sequence.
pub fn emit_set(_out: &mut Emitter<'_>, _object: &Object, _sequence: DumpId) -> Result<()> {
    Ok(())
}
