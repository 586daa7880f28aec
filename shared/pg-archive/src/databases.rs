//! Whole databases of a server: who they are, what is written on them, and how two of them change names.
//!
//! [`swap`] is safe because PostgreSQL renames in a transaction. `ALTER DATABASE … RENAME` locks the database's name
//! (`RenameDatabase` in `dbcommands.c`), and whoever connects waits for that lock (`InitPostgres` in `postinit.c`) and
//! is turned away if the name has become another's. So a connection leads to the former database or to the new one, and
//! a swap that is broken off leaves everything as it was.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::connect::Target;
use crate::quote::{identifier, literal};
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

mod properties;

use properties::properties;

/// How often the swap is tried. The server itself waits 5 seconds for sessions to end (`CountOtherDBBackends`).
const TRIES_MAX: u32 = 3;
/// How long the sessions in the way are left alone between two requests to end.
const PAUSE: Duration = Duration::from_millis(50);

/// A database of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// `COMMENT ON DATABASE`.
    pub comment: Option<String>,
    /// Sessions in it, our own included.
    pub sessions: u64,
}

/// All databases of the server.
///
/// # Errors
/// When the catalogs cannot be read.
pub async fn all(session: &Session) -> Result<Vec<Database>> {
    let sql = "SELECT d.datname AS name, pg_catalog.shobj_description(d.oid, 'pg_database') AS comment, \
               (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid) AS sessions \
               FROM pg_catalog.pg_database d ORDER BY d.datname";
    let rows = session.rows(sql).await?;
    let databases = rows.iter().map(|row| {
        Ok(Database {
            name: row.string("name")?,
            comment: row.optional_string("comment")?,
            sessions: row.number("sessions")?,
        })
    });
    databases.collect()
}

/// A database of a server, and why nobody should back it up, if there is a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Lowercase, without a full stop.
    pub obstacle: Option<&'static str>,
}

/// All databases of the server in the order of their names, templates and those that cannot be connected to included.
///
/// A template may be copied by everybody and changes seldom; `datconnlimit` -2 marks a database whose removal was
/// interrupted (manual, catalog pg_database; `DATCONNLIMIT_INVALID_DB`).
///
/// # Errors
/// When the catalogs cannot be read.
pub async fn candidates(session: &Session) -> Result<Vec<Candidate>> {
    let sql = "SELECT datname AS name, datistemplate AS template, datallowconn AS connectable, \
               datconnlimit = -2 AS broken FROM pg_catalog.pg_database ORDER BY datname COLLATE \"C\"";
    let rows = session.rows(sql).await?;
    let candidates = rows.iter().map(|row| {
        let obstacle = if row.flag("broken")? {
            Some("its removal was interrupted")
        } else if row.flag("template")? {
            Some("a template")
        } else if !row.flag("connectable")? {
            Some("it allows no connections")
        } else {
            None
        };
        Ok(Candidate { name: row.string("name")?, obstacle })
    });
    candidates.collect()
}

/// The statement that writes a comment on a database, or takes it off.
pub fn comment(database: &str, text: Option<&str>) -> String {
    let text = text.map_or_else(|| "NULL".to_owned(), literal);
    format!("COMMENT ON DATABASE {} IS {text};", identifier(database))
}

/// A session in a database that stays: not the one that is to be renamed or dropped.
///
/// # Errors
/// When neither `postgres` nor `template1` can be connected to.
pub async fn beside(target: &Target, not: &str) -> Result<(Target, Session)> {
    let mut failure = None;
    for name in ["postgres", "template1"].into_iter().filter(|name| *name != not) {
        let beside = target.with_database(name);
        match Session::open(&beside).await {
            Ok(session) => return Ok((beside, session)),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Target, "no other database can be connected to")))
}

/// What stands in the way of renaming a database, each with its cure; and what stays with it.
///
/// # Errors
/// When the catalogs cannot be read.
pub async fn bound(session: &Session, database: &str) -> Result<(Vec<(String, String)>, Vec<String>)> {
    let name = literal(database);
    let row = session
        .row(&format!(
            "SELECT r.rolsuper OR (r.rolcreatedb AND pg_catalog.pg_has_role(d.datdba, 'USAGE')) AS may, \
             d.datistemplate, current_user AS role, pg_catalog.pg_get_userbyid(d.datdba) AS owner, \
             (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts x WHERE x.database = d.datname) AS prepared, \
             (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots s WHERE s.database = d.datname) AS slots, \
             (SELECT pg_catalog.count(*) FROM pg_catalog.pg_subscription s WHERE s.subdbid = d.oid) AS subscriptions \
             FROM pg_catalog.pg_database d, pg_catalog.pg_roles r WHERE d.datname = {name} AND r.rolname = current_user"
        ))
        .await?;
    let mut problems = Vec::new();
    if !row.flag("may")? {
        let (role, owner) = (identifier(row.text("role")?), identifier(row.text("owner")?));
        problems.push((
            format!(
                "role {role} may not rename it: that takes its owner {owner} with CREATEDB, or a superuser"
            ),
            format!(
                "Connect as a superuser, or let one run: ALTER ROLE {role} CREATEDB; GRANT {owner} TO {role};"
            ),
        ));
    }
    if row.flag("datistemplate")? || matches!(database, "postgres" | "template1" | "template0") {
        problems.push((
            "it is a template, or the database that tools connect to".to_owned(),
            "Restore into a database of your own.".to_owned(),
        ));
    }
    if row.text("prepared")? != "0" {
        problems.push((
            format!("it has {} prepared transactions, which keep its name", row.text("prepared")?),
            "Look at pg_prepared_xacts, and end each with COMMIT PREPARED or ROLLBACK PREPARED.".to_owned(),
        ));
    }
    let mut stays = Vec::new();
    for (column, what) in [("slots", "logical replication slots"), ("subscriptions", "subscriptions")] {
        if row.text(column)? != "0" {
            stays.push(format!(
                "{} {what} stay with the former database: make them anew in the new one",
                row.text(column)?
            ));
        }
    }
    Ok((problems, stays))
}

/// Two databases that are to change names.
#[derive(Clone, Debug)]
pub struct Swap {
    /// The name that users know. The database that has it loses it.
    pub live: String,
    /// The database that is to get this name, with the owner, privileges, settings and comment of the live one.
    pub new: String,
    /// What the live one is called from then on. It takes no connections then.
    pub former: String,
    /// The comment that the former one gets.
    pub former_comment: String,
    /// The comment that the new one gets.
    pub live_comment: Option<String>,
}

/// Changes the names, in one transaction, while the sessions in both databases are ended.
///
/// # Errors
/// When sessions do not end, or a statement is refused. Nothing has changed then.
pub async fn swap(beside: &Target, swap: &Swap) -> Result<()> {
    let session = Session::open(beside).await?;
    let helper = Session::open(beside).await?;
    let mut statements = vec![
        format!("ALTER DATABASE {} RENAME TO {};", identifier(&swap.live), identifier(&swap.former)),
        format!("ALTER DATABASE {} RENAME TO {};", identifier(&swap.new), identifier(&swap.live)),
    ];
    statements.extend(properties(&session, &swap.live).await?);
    statements.push(comment(&swap.live, swap.live_comment.as_deref()));
    statements.push(comment(&swap.former, Some(&swap.former_comment)));
    statements.push(format!("ALTER DATABASE {} ALLOW_CONNECTIONS false;", identifier(&swap.former)));
    let mut tried = 1;
    loop {
        session.execute("BEGIN").await?;
        let renamed = async {
            for statement in &statements {
                session.execute(statement).await?;
            }
            session.execute("COMMIT").await
        };
        let result = tokio::select! {
            result = renamed => result,
            never = end_sessions(&helper, [&swap.live, &swap.new]) => never,
        };
        let Err(error) = result else { return Ok(()) };
        if error.kind == ErrorKind::ConnectionLost {
            return Err(error);
        }
        session.execute("ROLLBACK").await?;
        if !is_in_use(&error) {
            return Err(error.on(format!("database {}", swap.live)));
        }
        if tried == TRIES_MAX {
            return Err(in_use(&helper, swap, error).await?);
        }
        tried += 1;
    }
}

/// Ends sessions in these databases until somebody stops it. Returns only to say that its own session is gone.
async fn end_sessions(session: &Session, databases: [&str; 2]) -> Result<()> {
    let names = databases.map(literal).join(", ");
    let sql = format!(
        "SELECT pid FROM pg_catalog.pg_stat_activity WHERE datname IN ({names}) AND pid <> pg_catalog.pg_backend_pid()"
    );
    loop {
        for row in session.rows(&sql).await? {
            let pid = row.text("pid")?;
            // Sessions of a superuser are not everybody's to end; if one stays, the swap fails and names it.
            match session.execute(&format!("SELECT pg_catalog.pg_terminate_backend({pid})")).await {
                Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
                Err(error) => tracing::debug!(pid, %error, "a session was not ended"),
                Ok(()) => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_in_use(error: &Error) -> bool {
    error.sqlstate() == Some(&SqlState::OBJECT_IN_USE)
}

async fn in_use(session: &Session, swap: &Swap, error: Error) -> Result<Error> {
    let sql = format!(
        "SELECT pid, usename, application_name FROM pg_catalog.pg_stat_activity WHERE datname = {} ORDER BY pid LIMIT 5",
        literal(&swap.live)
    );
    let mut sessions = Vec::new();
    for row in session.rows(&sql).await? {
        let [role, program] = ["usename", "application_name"].map(|column| row.optional(column));
        sessions.push(format!(
            "{} (role {}, {})",
            row.text("pid")?,
            role?.unwrap_or("?"),
            program?.unwrap_or("?")
        ));
    }
    let message = format!("sessions in it did not end: {}", sessions.join(", "));
    Ok(Error::new(ErrorKind::Target, message).on(format!("database {}", swap.live)).because(error).hint(
        "Nothing was changed, and the restored database is ready. End these sessions, or let a role restore that may end \
         them (pg_signal_backend, or a superuser), and run the same command again.",
    ))
}
