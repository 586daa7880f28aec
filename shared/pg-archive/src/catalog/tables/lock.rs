//! Locks the tables that are dumped, so that nobody drops or alters them meanwhile.
//!
//! ACCESS SHARE conflicts with nothing but ACCESS EXCLUSIVE. The time to wait for it is bounded by the session's
//! `lock_timeout`, which also bounds how long others may queue behind us.

use std::fmt::Write as _;

use crate::catalog::Catalog;
use crate::session::Session;
use crate::{Error, ErrorKind, Result, quote};

/// Tables locked by one statement. One statement a table would cost a round trip each.
const BATCH: usize = 500;

/// Locks every table whose definition or rows are dumped, but for those that the role may not read: the check of
/// rights names them all at once, and the dump ends there.
pub(super) async fn lock(catalog: &Catalog, session: &Session) -> Result<()> {
    let names: Vec<String> = catalog
        .tables()
        .filter(|(object, table)| table.is_locked(object) && !table.unreadable)
        .map(|(object, _)| catalog.qualified(object))
        .collect();
    for batch in names.chunks(BATCH) {
        session.execute("SAVEPOINT pgark_lock").await?;
        let list = batch.iter().map(|name| format!("ONLY {name}")).collect::<Vec<_>>().join(", ");
        match session.execute(&format!("LOCK TABLE {list} IN ACCESS SHARE MODE")).await {
            Ok(()) => session.execute("RELEASE SAVEPOINT pgark_lock").await?,
            Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
            Err(error) => return Err(blame(batch, session, error).await?),
        }
    }
    Ok(())
}

/// Finds which tables of a batch cannot be locked, by trying each alone without waiting.
async fn blame(batch: &[String], session: &Session, first: Error) -> Result<Error> {
    let mut refused = Vec::new();
    let mut kind = first.kind;
    for name in batch {
        session.execute("ROLLBACK TO SAVEPOINT pgark_lock").await?;
        let lock = format!("LOCK TABLE ONLY {name} IN ACCESS SHARE MODE NOWAIT");
        if let Err(error) = session.execute(&lock).await {
            kind = error.kind;
            refused.push((name.clone(), error));
        }
    }
    session.execute("ROLLBACK TO SAVEPOINT pgark_lock").await?;
    let Some((name, error)) = refused.first() else {
        // Whoever held the lock has let go: the first error still stands, the backup must not go on half-locked.
        return Ok(first.on(format!("one of the tables {}", batch.join(", "))));
    };
    let others = match refused.len() {
        1 => String::new(),
        count => format!(" (and {} more: {})", count - 1, list(&refused[1..])),
    };
    let holders = if kind == ErrorKind::LockTimeout { holders(name, session).await? } else { String::new() };
    let message = format!("cannot be locked{others}: {}{holders}", error.message);
    let ours = Error::new(kind, message).on(format!("table {name}"));
    Ok(match kind {
        ErrorKind::LockTimeout | ErrorKind::Cancelled => ours.hint(
            "Another session holds an ACCESS EXCLUSIVE lock (ALTER TABLE, VACUUM FULL, REINDEX …). See pg_locks; run \
             the backup at another time, or raise --lock-timeout.",
        ),
        ErrorKind::Permission => ours.hint(format!(
            "Grant the backup role the right to read everything: GRANT pg_read_all_data TO …; or for this table: \
             GRANT SELECT ON TABLE {name} TO …"
        )),
        _ => ours.hint("The table was dropped or renamed while the backup started. Run the backup again."),
    })
}

/// Who keeps a table from being locked, as far as it shows: process, role and program. Not what they run, for a
/// statement may hold a password.
async fn holders(name: &str, session: &Session) -> Result<String> {
    let sql = format!(
        "SELECT CASE WHEN l.granted THEN 'holds' ELSE 'waits for' END AS does, l.pid, \
         coalesce(a.usename, 'unknown') AS role, coalesce(a.application_name, '') AS program \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.relation = pg_catalog.to_regclass({}) AND l.mode = 'AccessExclusiveLock' \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         AND l.locktype = 'relation' ORDER BY l.granted DESC, l.pid LIMIT 5",
        quote::literal(name)
    );
    let mut text = String::new();
    for row in session.rows(&sql).await? {
        let (does, process, role) = (row.text("does")?, row.text("pid")?, row.text("role")?);
        let program = row.text("program")?;
        let _ =
            write!(text, "; process {process} of role {role:?} (program {program:?}) {does} it exclusively");
    }
    Ok(text)
}

fn list(refused: &[(String, Error)]) -> String {
    const SHOWN: usize = 20;
    let mut names = refused.iter().take(SHOWN).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    if refused.len() > SHOWN {
        names.push_str(", …");
    }
    names
}
