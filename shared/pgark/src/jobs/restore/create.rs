//! Making the database that is restored into, and saying what it is like.

use pg_archive::ErrorKind;
use pg_archive::connect::Target;
use pg_archive::quote;
use pg_archive::session::Session;
use pg_archive::toc::Entry;

use super::left_out::LeftOut;
use crate::error::Result;
use crate::repository::Manifest;

/// A database that is to be made.
pub(super) struct CreateDatabase {
    /// Where to connect for it.
    pub(super) through: Target,
    /// The statement.
    pub(super) statement: String,
}

impl CreateDatabase {
    /// One like the original, as far as a server of this version has words for it.
    pub(super) fn like(
        manifest: &Manifest,
        entries: &[Entry],
        through: Target,
        name: &str,
        version_num: u32,
        tablespaces: bool,
    ) -> Self {
        let mut statement = create_statement(name, manifest, entries);
        if version_num < 150_000 {
            // There was no other provider, and no word for this one.
            statement = statement.replacen(" LOCALE_PROVIDER = libc", "", 1);
        }
        if !tablespaces && let Some(at) = statement.find(" TABLESPACE = ") {
            statement.truncate(at);
            statement.push(';');
        }
        Self { through, statement }
    }

    /// Makes it.
    pub(super) async fn run(&self, name: &str) -> Result<()> {
        let session = Session::open(&self.through).await?;
        session.execute(&self.statement).await.map_err(|error| {
            error.on(format!("database {name}")).hint(
                "The role needs CREATEDB, and the server the locale of the original. Or create the database by hand, and \
                 restore into it without --create.",
            )
        })?;
        Ok(())
    }
}

/// From `template0`, so that nothing is in it, and with the encoding and locale of the original, so that text sorts
/// and compares as it did (manual, CREATE DATABASE): as the archive says, under another name.
pub(crate) fn create_statement(name: &str, manifest: &Manifest, entries: &[Entry]) -> String {
    let original = format!("CREATE DATABASE {} ", quote::identifier(&manifest.server.database));
    let created = entries.iter().find(|entry| entry.desc == "DATABASE");
    let how = created.and_then(|entry| entry.definition.as_deref()?.strip_prefix(&original));
    // An archive of rows alone does not say, and goes into no new database anyway.
    let encoding = format!("TEMPLATE template0 ENCODING {};", quote::literal(&manifest.server.encoding));
    format!("CREATE DATABASE {} {}", quote::identifier(name), how.unwrap_or(&encoding))
}

/// Tries what the database itself is to be like, and takes it back, while it is still empty: what the target will refuse
/// is better known before hours of loading than after.
pub(super) async fn try_properties(
    through: &Target,
    properties: &[(String, String)],
    target: &str,
) -> Result<()> {
    if properties.is_empty() {
        return Ok(());
    }
    let hint = format!(
        "Make its roles first, or with --globals; or leave this out with --no-owner or --no-privileges. The new database \
         on {target} was dropped again."
    );
    let session = open(through).await?;
    in_one_transaction(&session, properties, "ROLLBACK").await.map_err(|error| error.hint(hint).into())
}

/// Runs what is said of the database itself, once all is in it: all of it, or, if it need not be all, what the server takes.
/// Returns what it did not take.
pub(super) async fn run_last(
    through: &Target,
    statements: &[(String, String)],
    all: bool,
) -> Result<Vec<LeftOut>> {
    let session = open(through).await?;
    if all {
        in_one_transaction(&session, statements, "COMMIT").await?;
        return Ok(Vec::new());
    }
    let mut refused = Vec::new();
    for (label, sql) in statements {
        match session.execute(sql).await {
            Ok(()) => {}
            Err(error) if matches!(error.kind, ErrorKind::Statement | ErrorKind::Permission) => {
                refused.push(LeftOut::of_database(label, sql, &error));
            }
            Err(error) => return Err(error.on(label.clone()).into()),
        }
    }
    Ok(refused)
}

async fn open(through: &Target) -> Result<Session> {
    let session = Session::open(through).await?;
    session.execute("SET standard_conforming_strings = on").await?;
    Ok(session)
}

async fn in_one_transaction(
    session: &Session,
    statements: &[(String, String)],
    end: &str,
) -> pg_archive::Result<()> {
    session.execute("BEGIN").await?;
    for (label, sql) in statements {
        session.execute(sql).await.map_err(|error| error.on(label.clone()))?;
    }
    session.execute(end).await
}
