//! A worker's lock on the table whose rows it reads: had at once or not at all, and let go when the next file's turn comes.
//!
//! The coordinator holds a lock on every table. Somebody who wants to alter one waits for that, and whoever asks after him
//! waits behind him: a worker that waited there would wait for the end of the backup. So it never waits; what it cannot
//! lock, the coordinator reads, which needs no further lock. `pg_dump -j` fails instead (`lockTableForWorker`).
//!
//! A lock that a subtransaction took ends with its rollback. Without that, each worker would hold one on every table that
//! it has read, and the server's table of locks would fill up.

use std::time::Duration;

use crate::dump::DataFile;
use crate::session::Session;
use crate::{ErrorKind, Result};

/// Begins the subtransaction that every turn goes back to.
pub(super) const BEFORE_ALL: &str = "SAVEPOINT pgark_turn";

/// How much longer than for a table a worker waits for an index of it: the planner locks all of them, and REINDEX, which
/// holds one, does not wait for the backup.
const WAIT_FOR_INDEXES: u32 = 20;

/// Ends the session's last turn and locks what it reads in this one. Returns whether it could.
pub(super) async fn begin(session: &Session, file: &DataFile, lock_timeout: Duration) -> Result<bool> {
    let back = "ROLLBACK TO SAVEPOINT pgark_turn";
    let Some(relation) = &file.relation else { return session.execute(back).await.map(|()| true) };
    let wait = lock_timeout.saturating_mul(WAIT_FOR_INDEXES).as_millis().min(i32::MAX as u128);
    let sql = format!(
        "{back}; LOCK TABLE ONLY {relation} IN ACCESS SHARE MODE NOWAIT; SET LOCAL lock_timeout = {wait}"
    );
    match session.execute(&sql).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind == ErrorKind::LockTimeout => Ok(false),
        Err(error) => Err(error),
    }
}
