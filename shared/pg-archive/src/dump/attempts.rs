//! Plans with a fresh snapshot again when others dropped or changed objects while they were read.
//!
//! Functions such as `pg_get_indexdef`, and locks, see the present and not the snapshot. What somebody drops between the
//! two is in the snapshot and cannot be read any more. Nothing was written so far, so the plan is made anew: of a later
//! moment, at which the object is gone, or there again. `pg_dump` writes a broken definition in such a case, or fails.

use tokio_postgres::error::SqlState;

use crate::catalog::{Catalog, tables};
use crate::dump::snapshot::Coordinator;
use crate::dump::{DumpOptions, Plan, plan};
use crate::{Error, ErrorKind, Result};

/// How often a plan is made before the backup fails. A stream of DDL statements without a pause spoils some of them.
const ATTEMPTS_MAX: usize = 25;

/// Plans until a plan is whole.
pub(super) async fn until_whole(coordinator: &mut Coordinator, options: &DumpOptions) -> Result<Plan> {
    let mut last: Option<String> = None;
    let mut contradicts_itself = false;
    for _ in 1..ATTEMPTS_MAX {
        let mut catalog = catalog(coordinator, options, contradicts_itself);
        let error = match plan(coordinator, options, &mut catalog).await {
            Err(error) if passes(&error, last.as_deref()) => error,
            Err(error) if tables::is_out_of_locks(&error) => {
                let tables = tables::locked_names(&catalog).len();
                return Err(tables::too_many(tables, &coordinator.session, error).await?);
            }
            done => return done,
        };
        tracing::debug!(%error, "objects changed while they were read: planning again with a new snapshot");
        contradicts_itself |= error.kind == ErrorKind::Catalog;
        last = Some(error.to_string());
        coordinator.renew(&options.text, &tables::locked_names(&catalog)).await?;
    }
    let mut catalog = catalog(coordinator, options, contradicts_itself);
    plan(coordinator, options, &mut catalog).await.map_err(|error| {
        if passes(&error, None) { Error { kind: ErrorKind::Changed, ..error }.hint(HINT) } else { error }
    })
}

fn catalog(coordinator: &Coordinator, options: &DumpOptions, contradicts_itself: bool) -> Catalog {
    let mut catalog = Catalog::new(coordinator.server.clone(), options.selection.clone());
    catalog.contradicts_itself = contradicts_itself;
    catalog
}

const HINT: &str = "Other sessions went on dropping and changing objects while the backup was planned, also when it \
                    began anew. Run it when fewer of them do.";

/// Whether an error may be gone with a new snapshot. Contradictions in the catalogs name the row, so one that comes a
/// second time is there to stay.
fn passes(error: &Error, last: Option<&str>) -> bool {
    match error.kind {
        ErrorKind::Changed => true,
        ErrorKind::Catalog => last != Some(&error.to_string()),
        ErrorKind::Statement => {
            let refusal = error.driver().and_then(tokio_postgres::Error::as_db_error);
            refusal.is_some_and(|refusal| is_vanished(refusal.code(), refusal.message()))
        }
        _ => false,
    }
}

/// Errors of the server that say that something is not there, or that it is in the way of somebody who waits for us: with
/// the snapshot, our locks go. Its internal ones have no code of their own:
/// `cache lookup failed for index 16400`, `could not open relation with OID 16400`.
fn is_vanished(code: &SqlState, message: &str) -> bool {
    let codes = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_OBJECT,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    let internal = [
        "cache lookup failed",
        "could not open relation",
        "could not find",
        "does not exist",
        "does not have",
    ];
    codes.contains(code)
        || *code == SqlState::INTERNAL_ERROR && internal.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanished_is_tried_again_and_what_stays_is_not() {
        let changed = Error::new(ErrorKind::Changed, "was dropped").on("table a");
        assert!(passes(&changed, None) && passes(&changed, Some("table a: was dropped")));
        let dangling = Error::new(ErrorKind::Catalog, "role with OID 7 does not exist");
        assert!(passes(&dangling, None) && passes(&dangling, Some("role with OID 8 does not exist")));
        assert!(!passes(&dangling, Some("role with OID 7 does not exist")));
        for kind in [ErrorKind::Census, ErrorKind::Permission, ErrorKind::LockTimeout, ErrorKind::Statement] {
            assert!(!passes(&Error::new(kind, "x"), None), "{kind:?}");
        }
    }

    #[test]
    fn internal_errors_are_told_by_their_words() {
        assert!(is_vanished(
            &SqlState::INTERNAL_ERROR,
            "cache lookup failed for index 16400 (SQLSTATE XX000)"
        ));
        assert!(!is_vanished(&SqlState::INTERNAL_ERROR, "invalid memory alloc request size"));
        assert!(is_vanished(&SqlState::UNDEFINED_TABLE, ""));
        assert!(!is_vanished(&SqlState::DIVISION_BY_ZERO, ""));
    }
}
