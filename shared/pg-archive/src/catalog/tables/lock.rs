//! Locks the tables that are dumped, so that nobody drops or alters them meanwhile.
//!
//! ACCESS SHARE conflicts with nothing but ACCESS EXCLUSIVE. The time to wait for it is bounded by the session's
//! `lock_timeout`, which also bounds how long others may queue behind us.

use std::fmt::Write as _;

use tokio_postgres::error::SqlState;

use crate::catalog::{Catalog, Object};
use crate::session::Session;
use crate::{Error, ErrorKind, Result, quote};

/// Tables locked by one statement. One statement a table would cost a round trip each.
const BATCH: usize = 500;

/// The tables whose definition or rows are dumped, but for those that the role may not read: the check of rights names
/// them all at once, and the dump ends there.
pub(super) fn locked(catalog: &Catalog) -> impl Iterator<Item = &Object> {
    let tables = catalog.tables().filter(|(object, table)| table.is_locked(object) && !table.unreadable);
    tables.map(|(object, _)| object)
}

/// The names of the tables that [`lock`] locks.
pub(crate) fn locked_names(catalog: &Catalog) -> Vec<String> {
    locked(catalog).map(|object| catalog.qualified(object)).collect()
}

/// Locks them, and makes sure that their rows are those of the snapshot.
pub(super) async fn lock(catalog: &Catalog, session: &Session) -> Result<()> {
    let names = locked_names(catalog);
    for batch in names.chunks(BATCH) {
        session.execute("SAVEPOINT pgark_lock").await?;
        match session.execute(&statement(batch)).await {
            Ok(()) => session.execute("RELEASE SAVEPOINT pgark_lock").await?,
            Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
            Err(error) if is_out_of_locks(&error) => return Err(error),
            Err(error) => return Err(blame(batch, session, error).await?),
        }
    }
    refuse_rewritten(catalog, session).await
}

/// Locks tables before a snapshot is taken. Those that are gone, or cannot be locked for another reason than time, are
/// left to [`lock`].
pub(crate) async fn lock_before(names: &[String], session: &Session) -> Result<()> {
    for batch in names.chunks(BATCH) {
        session.execute("SAVEPOINT pgark_lock").await?;
        let Err(error) = session.execute(&statement(batch)).await else {
            session.execute("RELEASE SAVEPOINT pgark_lock").await?;
            continue;
        };
        match error.kind {
            ErrorKind::ConnectionLost => return Err(error),
            ErrorKind::LockTimeout | ErrorKind::Cancelled => return Err(blame(batch, session, error).await?),
            _ => {}
        }
        session.execute("ROLLBACK TO SAVEPOINT pgark_lock").await?;
        for name in batch {
            session.execute("SAVEPOINT pgark_lock_one").await?;
            match session.execute(&statement(std::slice::from_ref(name))).await {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
                Err(error) if error.kind == ErrorKind::LockTimeout => {
                    return Err(blame(std::slice::from_ref(name), session, error).await?);
                }
                Err(_) => session.execute("ROLLBACK TO SAVEPOINT pgark_lock_one").await?,
            }
            session.execute("RELEASE SAVEPOINT pgark_lock_one").await?;
        }
        // No snapshot can be exported out of a subtransaction.
        session.execute("RELEASE SAVEPOINT pgark_lock").await?;
    }
    Ok(())
}

fn statement(names: &[String]) -> String {
    let list = names.iter().map(|name| format!("ONLY {name}")).collect::<Vec<_>>().join(", ");
    format!("LOCK TABLE {list} IN ACCESS SHARE MODE")
}

/// Whether the server's table of locks is full.
pub(crate) fn is_out_of_locks(error: &Error) -> bool {
    error.sqlstate() == Some(&SqlState::OUT_OF_MEMORY)
}

/// Says how large the server's table of locks is, and how large it must be. Ends the transaction.
pub(crate) async fn too_many(tables: usize, session: &Session, error: Error) -> Result<Error> {
    session.execute("ROLLBACK").await?;
    let sql = "SELECT pg_catalog.current_setting('max_locks_per_transaction') AS per_transaction, \
               pg_catalog.current_setting('max_connections')::int \
               + pg_catalog.current_setting('max_prepared_transactions')::int AS transactions";
    let row = session.row(sql).await?;
    let (now, transactions) = (row.number::<usize>("per_transaction")?, row.number::<usize>("transactions")?);
    let needed = tables.div_ceil(transactions.max(1)).max(now + 1);
    let message = format!("{tables} tables cannot be locked at once: {}", error.message);
    Ok(Error::new(error.kind, message).hint(format!(
        "A backup holds one lock on each table that it dumps, and the server's table of locks has room for about {} \
         (max_locks_per_transaction is {now}). Set max_locks_per_transaction to at least {needed}, and restart the server; \
         or leave tables out with --exclude-table.",
        now * transactions
    )))
}

/// TRUNCATE, and an ALTER TABLE that writes the table anew, leave nothing of it to snapshots from before (manual,
/// "Caveats" of concurrency control): between snapshot and lock, such a table would be backed up as an empty one.
/// The file that it has now is asked for by a function, which sees the present, and the one that it had comes from the
/// snapshot.
async fn refuse_rewritten(catalog: &Catalog, session: &Session) -> Result<()> {
    let oids: Vec<String> = locked(catalog).map(|object| object.address.oid.to_string()).collect();
    let sql = format!(
        "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = ANY ('{{{}}}'::pg_catalog.oid[]) \
         AND c.relkind = 'r' AND c.relfilenode <> 0 \
         AND pg_catalog.pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode LIMIT 1",
        oids.join(",")
    );
    let Some(row) = session.rows(&sql).await?.pop() else { return Ok(()) };
    let name = catalog.table_with_oid(row.number("oid")?).map(|object| catalog.qualified(object))?;
    Err(Error::new(
        ErrorKind::Changed,
        "was truncated, or its rows were written anew, just as the snapshot was taken",
    )
    .on(format!("table {name}")))
}

/// Finds which tables of a batch cannot be locked, by trying each alone without waiting.
async fn blame(batch: &[String], session: &Session, first: Error) -> Result<Error> {
    let mut refused = Vec::new();
    let mut kind = first.kind;
    for name in batch {
        session.execute("ROLLBACK TO SAVEPOINT pgark_lock").await?;
        let lock = format!("{} NOWAIT", statement(std::slice::from_ref(name)));
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
    let holders =
        if kind == ErrorKind::LockTimeout { holders(name, session).await? } else { Holders::default() };
    let kind = if kind == ErrorKind::Statement { ErrorKind::Changed } else { kind };
    let message = format!("cannot be locked{others}: {}{}", error.message, holders.text);
    let ours = Error::new(kind, message).on(format!("table {name}"));
    Ok(match kind {
        ErrorKind::LockTimeout if holders.prepared => ours.hint(
            "A prepared transaction keeps its locks until somebody ends it, also after a restart: COMMIT PREPARED or \
             ROLLBACK PREPARED with its name, in the database that it was prepared in. See pg_prepared_xacts.",
        ),
        ErrorKind::LockTimeout | ErrorKind::Cancelled => ours.hint(
            "Another session holds an ACCESS EXCLUSIVE lock (ALTER TABLE, VACUUM FULL, REINDEX …). See pg_locks; run \
             the backup at another time, or raise --lock-timeout.",
        ),
        ErrorKind::Permission => ours.hint(format!(
            "Grant the backup role the right to read everything: GRANT pg_read_all_data TO …; or for this table: \
             GRANT SELECT ON TABLE {name} TO …"
        )),
        _ => ours,
    })
}

/// Who keeps a table from being locked.
#[derive(Default)]
struct Holders {
    /// In words, each behind a semicolon.
    text: String,
    /// Whether one is a prepared transaction, which has no session.
    prepared: bool,
}

/// Who keeps a table from being locked, as far as it shows: process, role and program, or the name of a prepared
/// transaction. Not what they run, for a statement may hold a password.
async fn holders(name: &str, session: &Session) -> Result<Holders> {
    // A prepared transaction has no process. Its virtual number is that of its session, or `-1/` and its own after a
    // restart; either way it holds a lock on its own number.
    let sql = format!(
        "SELECT CASE WHEN l.granted THEN 'holds' ELSE 'waits for' END AS does, l.pid, p.gid, \
         coalesce(a.usename, p.owner, 'unknown') AS role, coalesce(a.application_name, '') AS program \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         LEFT JOIN (pg_catalog.pg_locks x JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid) \
         ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction \
         WHERE l.relation = pg_catalog.to_regclass({}) AND l.mode = 'AccessExclusiveLock' \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         AND l.locktype = 'relation' ORDER BY l.granted DESC, l.pid LIMIT 5",
        quote::literal(name)
    );
    let mut holders = Holders::default();
    for row in session.rows(&sql).await? {
        let (does, role, program) = (row.text("does")?, row.text("role")?, row.text("program")?);
        let _ = match (row.optional("gid")?, row.optional("pid")?) {
            (Some(gid), _) => {
                holders.prepared = true;
                write!(holders.text, "; held by prepared transaction {gid} of role {role:?}")
            }
            (None, Some(process)) => write!(
                holders.text,
                "; process {process} of role {role:?} (program {program:?}) {does} it exclusively"
            ),
            (None, None) => write!(holders.text, "; somebody without a session {does} it exclusively"),
        };
    }
    Ok(holders)
}

fn list(refused: &[(String, Error)]) -> String {
    const SHOWN: usize = 20;
    let mut names = refused.iter().take(SHOWN).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    if refused.len() > SHOWN {
        names.push_str(", …");
    }
    names
}
