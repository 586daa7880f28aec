//! What belongs to the whole cluster and yet to a database's life: roles, their memberships and settings, privileges
//! on parameters, tablespaces (`pg_dumpall --globals-only`, `src/bin/pg_dump/pg_dumpall.c`).
//!
//! The text is for psql or for `pgark restore --globals` and is not part of the archive. Passwords are in it only if
//! they are asked for and may be read; else a role that is made from it cannot log in by password before somebody
//! gives it one. Predefined roles (`pg_…`) are never made, but who is a member of them is said.
//!
//! Each kind is read in a file of its own; [`apply()`] runs the text on another server.

use std::fmt::Write as _;

use crate::session::Session;
use crate::{Error, ErrorKind, Result, quote};

mod apply;
mod memberships;
mod older;
mod reserved;
mod restricted;
mod roles;
mod scratch;
mod statement;
mod tablespaces;

pub use apply::{Applied, Wanted, apply, check};
pub use scratch::{apply_roles, superuser};
pub(crate) use statement::naming_roles;
pub use statement::roles_made;

/// Reads everything as SQL, with the hashes of passwords if they are wanted.
///
/// # Errors
/// When the catalogs cannot be read, or hashes are wanted and the role may not see them.
pub(crate) async fn read(session: &Session, role_passwords: bool, random: fn() -> u64) -> Result<String> {
    if role_passwords {
        check_passwords(session).await?;
    }
    let heading = if role_passwords { "Roles" } else { "Roles, without passwords" };
    let mut sql = String::new();
    for (heading, part) in [
        (heading, roles::read(session, role_passwords).await?),
        ("Settings of roles", roles::read_settings(session).await?),
        ("Memberships", memberships::read(session).await?),
        ("Privileges on parameters", roles::read_parameters(session).await?),
        ("Tablespaces", tablespaces::read(session).await?),
    ] {
        // A heading belongs to the statement behind it: a comment alone is no statement.
        if !part.is_empty() {
            let _ = write!(sql, "-- {heading}\n\n{part}\n");
        }
    }
    Ok(restricted::wrap(&sql, &restricted::key(random)))
}

async fn check_passwords(session: &Session) -> Result<()> {
    let row = session
        .row(
            "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS may, \
             pg_catalog.quote_ident(current_user) AS role",
        )
        .await?;
    if row.flag("may")? {
        return Ok(());
    }
    let role = row.text("role")?;
    let message = format!("permission denied: role {role} may not read the passwords of roles");
    Err(Error::new(ErrorKind::Permission, message).on("table pg_catalog.pg_authid").hint(format!(
        "Let a superuser run: GRANT SELECT ON TABLE pg_catalog.pg_authid TO {role}; Managed servers keep passwords from \
         everybody: leave --role-passwords away there, and give the roles new ones after a restore."
    )))
}

/// The security labels of what all databases share: provider and label, by OID (`buildShSecLabels`).
type Labels = Vec<(u32, String, String)>;

async fn labels(session: &Session, catalog: &str) -> Result<Labels> {
    let sql = format!(
        "SELECT objoid, provider, label FROM pg_catalog.pg_shseclabel \
         WHERE classoid = 'pg_catalog.{catalog}'::pg_catalog.regclass ORDER BY objoid, provider"
    );
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|row| Ok((row.number("objoid")?, row.string("provider")?, row.string("label")?)))
        .collect()
}

/// The statements for one object's labels.
fn label(labels: &Labels, oid: u32, object: &str) -> String {
    let mut sql = String::new();
    for (_, provider, label) in labels.iter().filter(|(of, ..)| *of == oid) {
        let (provider, label) = (quote::identifier(provider), quote::literal(label));
        let _ = writeln!(sql, "SECURITY LABEL FOR {provider} ON {object} IS {label};");
    }
    sql
}
