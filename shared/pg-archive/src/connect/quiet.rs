//! A target whose sessions fire no event triggers: what a user's triggers write when somebody logs in (PostgreSQL 17 and
//! newer) or runs DDL would change a copy, and a copy must be what was copied.

use super::Target;
use crate::Result;
use crate::quote::literal;
use crate::session::Session;

const SETTING: &str = "event_triggers";

/// The target with `event_triggers = off` from the first moment of a session on, where the server knows the setting and the
/// role may set it (superusers, and whoever was granted SET on it). A pooler in between may refuse options: then, too, the
/// target stays as it is.
///
/// `session` is one on the same server, as the same role; its database need not be the target's.
///
/// # Errors
/// When the session ends.
pub async fn without_event_triggers(target: &Target, session: &Session) -> Result<Target> {
    if session.version_num() < 170_000 {
        return Ok(target.clone());
    }
    let sql = format!("SELECT pg_catalog.has_parameter_privilege({}, 'SET') AS may", literal(SETTING));
    if !session.row(&sql).await?.flag("may")? {
        return Ok(target.clone());
    }
    let quiet = target.with_setting(SETTING, "off");
    // Tried where there is a database for certain.
    let here = session.row("SELECT pg_catalog.current_database() AS name").await?.string("name")?;
    match Session::open(&quiet.with_database(here)).await {
        Ok(_) => Ok(quiet),
        Err(error) => {
            tracing::debug!(%error, "sessions cannot be opened with event triggers off");
            Ok(target.clone())
        }
    }
}
