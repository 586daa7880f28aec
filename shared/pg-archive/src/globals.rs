//! What belongs to the whole cluster and yet to a database's life: roles, their memberships and settings, tablespaces
//! (`pg_dumpall --globals-only`, `src/bin/pg_dump/pg_dumpall.c`).
//!
//! The text is for psql or for `pgark restore --globals` and is not part of the archive. Passwords are never in it: a
//! role that is made from it cannot log in by password before somebody gives it one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tokio_postgres::error::SqlState;

use crate::quote::{identifier, literal};
use crate::restore::sql_text::SqlText;
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result, guc};

mod roles;

pub use roles::{apply_roles, superuser};

/// The OID of the role that initdb makes, which may always be named as a grantor (`BOOTSTRAP_SUPERUSERID`).
const BOOTSTRAP_SUPERUSER: u32 = 10;

/// Reads everything as SQL.
///
/// # Errors
/// When the catalogs cannot be read.
pub(crate) async fn read(session: &Session) -> Result<String> {
    let mut sql = String::new();
    for (heading, part) in [
        ("Roles, without passwords", roles(session).await?),
        ("Memberships", memberships(session).await?),
        ("Settings of roles", settings(session).await?),
        ("Tablespaces", tablespaces(session).await?),
    ] {
        // A heading belongs to the statement behind it: a comment alone is no statement.
        if !part.is_empty() {
            let _ = write!(sql, "-- {heading}\n\n{part}\n");
        }
    }
    Ok(sql)
}

/// What became of globals that were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Statements that were run.
    pub statements: usize,
    /// Statements for what existed already, which changed nothing.
    pub existed: usize,
}

/// Runs the text of a backup's globals. What exists already is left: its properties are set anew by the ALTER behind
/// each CREATE.
///
/// # Errors
/// When any other statement fails. All are tried, and each that failed is named.
pub async fn apply(session: &Session, text: &str) -> Result<Applied> {
    session.execute("SET standard_conforming_strings = on; SET client_encoding = 'UTF8'").await?;
    let mut applied = Applied::default();
    let mut failures = Vec::new();
    for statement in SqlText::statements(text)? {
        match session.execute(&statement).await {
            Ok(()) => applied.statements += 1,
            Err(error) if exists_already(&error) => applied.existed += 1,
            Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
            Err(error) => failures.push(format!("{}: {}", statement.trim(), error.message)),
        }
    }
    if failures.is_empty() {
        return Ok(applied);
    }
    let message = format!("{} of its statements failed: {}", failures.len(), failures.join(" | "));
    Err(Error::new(ErrorKind::Target, message).on("globals").hint(
        "Restore globals as a superuser, or as the managed server's administrator without --globals and with the roles \
         made by hand. Folders of tablespaces must exist.",
    ))
}

fn exists_already(error: &Error) -> bool {
    let driver = error.source.as_ref().and_then(|source| source.downcast_ref::<tokio_postgres::Error>());
    driver.and_then(tokio_postgres::Error::code) == Some(&SqlState::DUPLICATE_OBJECT)
}

/// CREATE ROLE and then ALTER ROLE, so that a role which exists already gets its properties too (`dumpRoles`).
async fn roles(session: &Session) -> Result<String> {
    let mut sql = String::new();
    let rows = session
        .rows(
            "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, \
             rolbypassrls, rolconnlimit, rolvaliduntil, \
             pg_catalog.shobj_description(oid, 'pg_authid') AS comment \
             FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname",
        )
        .await?;
    for row in rows {
        let name = identifier(row.text("rolname")?);
        let _ = write!(sql, "CREATE ROLE {name};\nALTER ROLE {name} WITH");
        for (column, word) in [
            ("rolsuper", "SUPERUSER"),
            ("rolinherit", "INHERIT"),
            ("rolcreaterole", "CREATEROLE"),
            ("rolcreatedb", "CREATEDB"),
            ("rolcanlogin", "LOGIN"),
            ("rolreplication", "REPLICATION"),
            ("rolbypassrls", "BYPASSRLS"),
        ] {
            let no = if row.flag(column)? { "" } else { "NO" };
            let _ = write!(sql, " {no}{word}");
        }
        if row.text("rolconnlimit")? != "-1" {
            let _ = write!(sql, " CONNECTION LIMIT {}", row.text("rolconnlimit")?);
        }
        if let Some(until) = row.optional("rolvaliduntil")? {
            let _ = write!(sql, " VALID UNTIL {}", literal(until));
        }
        sql.push_str(";\n");
        if let Some(comment) = row.optional("comment")? {
            let _ = writeln!(sql, "COMMENT ON ROLE {name} IS {};", literal(comment));
        }
    }
    Ok(sql)
}

/// One membership.
struct Membership {
    role: String,
    member: String,
    grantor: Option<String>,
    grantor_oid: u32,
    admin: bool,
    /// `INHERIT` and `SET` (from 16).
    options: Option<(bool, bool)>,
}

/// GRANT role TO member, in an order in which each grantor may already grant (`dumpRoleMembership`).
async fn memberships(session: &Session) -> Result<String> {
    let mut sql = String::new();
    let with_options = session.version_num() >= 160_000;
    let options = if with_options {
        "a.inherit_option, a.set_option"
    } else {
        "true AS inherit_option, true AS set_option"
    };
    let rows = session
        .rows(&format!(
            "SELECT r.rolname AS role, m.rolname AS member, g.rolname AS grantor, a.grantor AS grantor_oid, \
             a.admin_option, {options} FROM pg_catalog.pg_auth_members a \
             JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member \
             LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantor \
             WHERE NOT (r.rolname ~ '^pg_' AND m.rolname ~ '^pg_') ORDER BY 1, 2, 3"
        ))
        .await?;
    let mut left = Vec::new();
    for row in &rows {
        left.push(membership(row, with_options)?);
    }
    let mut may_grant: BTreeSet<(String, String)> = BTreeSet::new();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|grant| {
            let allowed = grant.grantor_oid == BOOTSTRAP_SUPERUSER
                || grant
                    .grantor
                    .as_ref()
                    .is_none_or(|by| may_grant.contains(&(grant.role.clone(), by.clone())));
            if allowed {
                if grant.admin {
                    may_grant.insert((grant.role.clone(), grant.member.clone()));
                }
                sql.push_str(&grant.sql());
            }
            !allowed
        });
        if left.len() == before {
            // The grantors' own grants are gone: the memberships are kept, as if granted by whoever restores.
            for mut grant in left.drain(..) {
                grant.grantor = None;
                sql.push_str(&grant.sql());
            }
        }
    }
    Ok(sql)
}

fn membership(row: &Row, with_options: bool) -> Result<Membership> {
    Ok(Membership {
        role: row.string("role")?,
        member: row.string("member")?,
        // Before 16 the grantor was not kept with care, and may not be allowed to grant at all.
        grantor: if with_options { row.optional_string("grantor")? } else { None },
        grantor_oid: row.number("grantor_oid")?,
        admin: row.flag("admin_option")?,
        options: if with_options {
            Some((row.flag("inherit_option")?, row.flag("set_option")?))
        } else {
            None
        },
    })
}

impl Membership {
    fn sql(&self) -> String {
        let mut options = Vec::new();
        if self.admin {
            options.push("ADMIN OPTION");
        }
        if let Some((inherit, set)) = self.options {
            options.push(if inherit { "INHERIT TRUE" } else { "INHERIT FALSE" });
            if !set {
                options.push("SET FALSE");
            }
        }
        let with = if options.is_empty() { String::new() } else { format!(" WITH {}", options.join(", ")) };
        let by =
            self.grantor.as_ref().map(|by| format!(" GRANTED BY {}", identifier(by))).unwrap_or_default();
        format!("GRANT {} TO {}{with}{by};\n", identifier(&self.role), identifier(&self.member))
    }
}

/// ALTER ROLE … SET, for every database (`dumpUserConfig`). The settings of this one are in the archive.
async fn settings(session: &Session) -> Result<String> {
    let mut sql = String::new();
    let rows = session
        .rows(
            "SELECT r.rolname AS role, c.setting FROM pg_catalog.pg_db_role_setting s \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, \
             LATERAL pg_catalog.unnest(s.setconfig) AS c(setting) \
             WHERE s.setdatabase = 0 AND (s.setrole = 0 OR r.rolname !~ '^pg_') ORDER BY 1, 2",
        )
        .await?;
    for row in rows {
        let Some(assignment) = guc::assignment(row.text("setting")?)? else { continue };
        let role = row.optional("role")?.map_or_else(|| "ALL".to_owned(), identifier);
        let _ = writeln!(sql, "ALTER ROLE {role} SET {assignment};");
    }
    Ok(sql)
}

/// CREATE TABLESPACE (`dumpTablespaces`). Their folders must exist where they are restored.
async fn tablespaces(session: &Session) -> Result<String> {
    let mut sql = String::new();
    let rows = session
        .rows(
            "SELECT spcname, pg_catalog.pg_get_userbyid(spcowner) AS owner, \
             pg_catalog.pg_tablespace_location(oid) AS location, \
             pg_catalog.array_to_string(spcoptions, ', ') AS options, \
             pg_catalog.shobj_description(oid, 'pg_tablespace') AS comment \
             FROM pg_catalog.pg_tablespace WHERE spcname !~ '^pg_' ORDER BY spcname",
        )
        .await?;
    for row in rows {
        let name = identifier(row.text("spcname")?);
        // A tablespace inside the data directory has a relative path, and is made with an empty one.
        let location = Some(row.text("location")?).filter(|path| path.starts_with('/')).unwrap_or_default();
        let owner = identifier(row.text("owner")?);
        let _ = writeln!(sql, "CREATE TABLESPACE {name} OWNER {owner} LOCATION {};", literal(location));
        if let Some(options) = row.optional("options")?.filter(|options| !options.is_empty()) {
            let _ = writeln!(sql, "ALTER TABLESPACE {name} SET ({options});");
        }
        if let Some(comment) = row.optional("comment")? {
            let _ = writeln!(sql, "COMMENT ON TABLESPACE {name} IS {};", literal(comment));
        }
    }
    Ok(sql)
}
