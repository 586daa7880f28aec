//! The scratch database of a test on somebody's server: how it is made, known again, and dropped.
//!
//! **Why a living one is never taken for a leftover.** A test opens a session whose `application_name` is the name of its
//! database, before it makes the database, keeps it open, and closes it after the drop; if that session is lost, the test
//! gives up. `pg_stat_activity` shows name and database of every session to everybody. So a scratch database for which
//! there is no such session, *looked for after the database was*, belongs to nobody who lives. Dropping it asks for more:
//! without FORCE, PostgreSQL refuses to drop a database that anybody is connected to.
//!
//! A leftover is known by its name, and by its comment, which tells people when it was made, and where. One without a
//! comment (its test was killed right after making it) is dropped only if nothing is in it.

use std::collections::HashSet;

use pg_archive::connect::Target;
use pg_archive::quote;
use pg_archive::restore::user_objects;
use pg_archive::session::Session;

use super::Content;
use super::report::RestoreTestReport;
use crate::error::{Error, Result};
use crate::jobs::restore::create::create_statement;
use crate::repository::{BackupId, BackupRef};

const PREFIX: &str = "pgark_test_";
/// As [`name`] makes them.
const PATTERN: &str = "^pgark_test_[0-9]{8}t[0-9]{6}z_[a-z2-7]{4}(_again)?$";
const COMMENT: &str = "pgark restore-test";
const SECOND: &str = "_again";
/// On the second database of a test.
pub(super) const SECOND_COMMENT: &str = "pgark restore-test: the definitions of a backup, read once more. If no session \
    has this database's name without _again as its application_name, nobody uses it, and the next restore-test drops it.";

/// `pgark_test_20261121t142805z_7b4r`
pub(super) fn name(report: BackupId) -> String {
    format!("{PREFIX}{}", report.to_string().to_lowercase().replace('-', "_"))
}

/// The name of a test's second database, in which its definitions are read once more.
pub(super) fn second(name: &str) -> String {
    format!("{name}{SECOND}")
}

/// What a person who finds the database should know.
pub(super) fn comment(report: &RestoreTestReport, backup: &BackupRef) -> String {
    let host = report.host.as_deref().unwrap_or("an unknown host");
    format!(
        "{COMMENT} of {backup}, begun {} on {host}. If no session has this database's name as its application_name, \
         nobody uses it, and the next restore-test drops it.",
        report.started_at
    )
}

/// Makes the database with encoding and locale of the original. A server that lacks the locale gets a plain one
/// instead, and the user a warning: what text sorts like is then not tested.
pub(super) async fn create(
    session: &Session,
    name: &str,
    content: &Content,
    comment: &str,
) -> Result<Option<String>> {
    let original = without_tablespace(create_statement(name, &content.manifest, &content.entries));
    let plain = |locale: &str| {
        format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE {}",
            quote::identifier(name),
            quote::literal(&content.manifest.server.encoding),
            quote::literal(locale)
        )
    };
    let first = session.execute(&original).await;
    let warning = match first {
        Ok(()) => None,
        Err(error) if error.kind == pg_archive::ErrorKind::Statement => {
            let warning = format!(
                "The server cannot make a database with the locale of the original ({}): text sorted and compared by \
                 code in this test.",
                error.message
            );
            if session.execute(&plain("C.UTF-8")).await.is_err() {
                session.execute(&plain("C")).await.map_err(|_| refused(error, name))?;
            }
            Some(warning)
        }
        Err(error) => return Err(refused(error, name)),
    };
    let comment = format!("COMMENT ON DATABASE {} IS {}", quote::identifier(name), quote::literal(comment));
    session.execute(&comment).await.map_err(|error| refused(error, name))?;
    Ok(warning)
}

fn refused(error: pg_archive::Error, name: &str) -> Error {
    let error = error.on(format!("database {name}")).hint(
        "The role needs CREATEDB on the server. Or leave --on away, for a server of pgark's own, where PostgreSQL's \
         programs are installed.",
    );
    error.into()
}

/// The last option of the statement (`dumpDatabase`), which names a place that another server does not have.
fn without_tablespace(mut statement: String) -> String {
    if let Some(at) = statement.rfind(" TABLESPACE = ") {
        statement.truncate(at);
    }
    statement
}

/// Drops what tests that are no more have left. What cannot be dropped is told, and does not stop this test.
pub(super) async fn remove_leftovers(
    session: &Session,
    maintenance: &Target,
    report: &mut RestoreTestReport,
) -> Result<()> {
    let sql = format!(
        "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database \
         WHERE datname ~ '{PATTERN}' ORDER BY datname"
    );
    let found = session.rows(&sql).await?;
    // After the databases, never before: see above.
    let alive = session
        .rows("SELECT application_name FROM pg_catalog.pg_stat_activity WHERE application_name LIKE 'pgark\\_test\\_%'")
        .await?;
    let mut names = HashSet::new();
    for row in &alive {
        names.insert(row.text("application_name")?);
    }
    for row in &found {
        let name = row.text("datname")?;
        // The second one lives as long as the first may.
        if names.contains(name.strip_suffix(SECOND).unwrap_or(name)) {
            continue;
        }
        let ours = row.optional("comment")?.map(|comment| comment.starts_with(COMMENT));
        match remove_leftover(session, maintenance, name, ours).await {
            Ok(true) => {
                tracing::info!(database = name, "dropped what a killed test had left");
                report
                    .warnings
                    .push(format!("The database {name}, which a killed test had left, was dropped."));
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, database = name, "what a killed test left cannot be dropped");
                report.warnings.push(format!(
                    "The database {name}, which a killed test had left, cannot be dropped: {error}."
                ));
            }
        }
    }
    Ok(())
}

/// Whether it was dropped. `ours` is what its comment says, if it has one.
async fn remove_leftover(
    session: &Session,
    maintenance: &Target,
    name: &str,
    ours: Option<bool>,
) -> Result<bool> {
    let drop = if let Some(ours) = ours {
        ours
    } else {
        let inside = Session::open(&maintenance.with_database(name)).await?;
        user_objects(&inside).await?.is_empty()
    };
    if drop {
        drop_database(session, maintenance, name, false).await?;
    }
    Ok(drop)
}

/// Drops a scratch database. With `force`, sessions that are still in it are ended first.
pub(super) async fn drop_database(
    session: &Session,
    maintenance: &Target,
    name: &str,
    force: bool,
) -> Result<()> {
    let database = quote::identifier(name);
    let with = if force { " WITH (FORCE)" } else { "" };
    drop_subscriptions(session, maintenance, name).await?;
    session.execute(&format!("DROP DATABASE IF EXISTS {database}{with}")).await?;
    Ok(())
}

/// PostgreSQL drops no database that has subscriptions, and a subscription takes its slot on the publisher along, which
/// is the original's: so each is parted from its slot first. (A restored one is disabled, and has never used it.)
async fn drop_subscriptions(session: &Session, maintenance: &Target, name: &str) -> Result<()> {
    let sql = format!(
        "SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid \
         WHERE d.datname = {}",
        quote::literal(name)
    );
    let subscriptions = session.rows(&sql).await?;
    if subscriptions.is_empty() {
        return Ok(());
    }
    let inside = Session::open(&maintenance.with_database(name)).await?;
    for row in subscriptions {
        let subscription = quote::identifier(row.text("subname")?);
        for statement in ["DISABLE", "SET (slot_name = NONE)"] {
            inside.execute(&format!("ALTER SUBSCRIPTION {subscription} {statement}")).await?;
        }
        inside.execute(&format!("DROP SUBSCRIPTION {subscription}")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_leftovers_are_known_by() {
        let id: BackupId = "20261121T142805Z-7b4r".parse().unwrap();
        assert_eq!(name(id), "pgark_test_20261121t142805z_7b4r");
        // The pattern in words: PostgreSQL reads it, and the suite `restore_test` has it do so.
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        assert!(name(id).starts_with(PREFIX) && digits(&name(id)[..28]) == 14, "{}", name(id));
    }

    #[test]
    fn a_database_is_not_made_in_the_tablespace_of_the_original() {
        let statement =
            "CREATE DATABASE x WITH TEMPLATE = template0 ENCODING = 'UTF8' TABLESPACE = \"f;ast\";\n";
        assert_eq!(
            without_tablespace(statement.to_owned()),
            "CREATE DATABASE x WITH TEMPLATE = template0 ENCODING = 'UTF8'"
        );
    }
}
