//! Roles, their settings, and what they may do about parameters (`dumpRoles`, `dumpUserConfig`, `dumpRoleGUCPrivs`).

use std::fmt::Write as _;

use crate::catalog::grants;
use crate::quote::{identifier, literal};
use crate::session::{Row, Session};
use crate::{Result, guc};

/// What a role without superuser may give, if it has CREATEROLE …
const ORDINARY: [(&str, &str); 4] = [
    ("rolinherit", "INHERIT"),
    ("rolcreaterole", "CREATEROLE"),
    ("rolcreatedb", "CREATEDB"),
    ("rolcanlogin", "LOGIN"),
];
/// … and what it may not even name. These have a statement of their own, so that the others do not fail with it.
const OF_SUPERUSERS: [(&str, &str); 3] =
    [("rolsuper", "SUPERUSER"), ("rolreplication", "REPLICATION"), ("rolbypassrls", "BYPASSRLS")];

/// CREATE ROLE and then ALTER ROLE, so that a role which exists already gets its properties too.
pub(super) async fn read(session: &Session, passwords: bool) -> Result<String> {
    let from = if passwords { "pg_authid" } else { "pg_roles" };
    let mut sql = String::new();
    let labels = super::labels(session, "pg_authid").await?;
    // Of pg_roles, rolpassword is but stars.
    let rows = session
        .rows(&format!(
            "SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, \
             rolbypassrls, rolconnlimit, rolvaliduntil, rolpassword, \
             pg_catalog.shobj_description(oid, 'pg_authid') AS comment \
             FROM pg_catalog.{from} WHERE rolname !~ '^pg_' ORDER BY rolname"
        ))
        .await?;
    for row in rows {
        let name = identifier(row.text("rolname")?);
        let ordinary = attributes(&row, &ORDINARY)?;
        let _ = write!(sql, "CREATE ROLE {name};\nALTER ROLE {name} WITH {ordinary}");
        let limit: i32 = row.number("rolconnlimit")?;
        if limit != -1 {
            let _ = write!(sql, " CONNECTION LIMIT {limit}");
        }
        if let Some(until) = row.optional("rolvaliduntil")? {
            let _ = write!(sql, " VALID UNTIL {}", literal(until));
        }
        let _ = writeln!(sql, ";\nALTER ROLE {name} WITH {};", attributes(&row, &OF_SUPERUSERS)?);
        if let Some(hash) = row.optional("rolpassword")?.filter(|_| passwords) {
            let _ = writeln!(sql, "ALTER ROLE {name} PASSWORD {};", literal(hash));
        }
        if let Some(comment) = row.optional("comment")? {
            let _ = writeln!(sql, "COMMENT ON ROLE {name} IS {};", literal(comment));
        }
        sql.push_str(&super::label(&labels, row.number("oid")?, &format!("ROLE {name}")));
    }
    Ok(sql)
}

fn attributes(row: &Row, attributes: &[(&str, &str)]) -> Result<String> {
    let words: Vec<String> = attributes
        .iter()
        .map(|(column, word)| Ok(format!("{}{word}", if row.flag(column)? { "" } else { "NO" })))
        .collect::<Result<_>>()?;
    Ok(words.join(" "))
}

/// ALTER ROLE … SET, for every database. The settings of this one are in the archive. Those of ALL roles are not in
/// what `pg_dumpall` writes.
pub(super) async fn read_settings(session: &Session) -> Result<String> {
    let mut sql = String::new();
    let rows = session
        .rows(
            "SELECT r.rolname AS role, c.setting FROM pg_catalog.pg_db_role_setting s \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, \
             LATERAL pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c(setting, place) \
             WHERE s.setdatabase = 0 AND (s.setrole = 0 OR r.rolname !~ '^pg_') ORDER BY r.rolname, c.place",
        )
        .await?;
    for row in rows {
        let Some(assignment) = guc::assignment(row.text("setting")?)? else { continue };
        let role = row.optional("role")?.map_or_else(|| "ALL".to_owned(), identifier);
        let _ = writeln!(sql, "ALTER ROLE {role} SET {assignment};");
    }
    Ok(sql)
}

/// GRANT … ON PARAMETER (from 15). Parameters have no owner; the role that initdb made stands for one.
pub(super) async fn read_parameters(session: &Session) -> Result<String> {
    let mut sql = String::new();
    if session.version_num() < 150_000 {
        return Ok(sql);
    }
    let rows = session
        .rows(
            "SELECT parname, pg_catalog.pg_get_userbyid(10) AS owner, paracl, \
             pg_catalog.acldefault('p', 10) AS acldefault FROM pg_catalog.pg_parameter_acl ORDER BY parname",
        )
        .await?;
    for row in rows {
        let name = identifier(row.text("parname")?);
        let lists = (row.text("paracl")?, row.text("acldefault")?);
        sql.push_str(&grants::shared(
            ("PARAMETER", &name),
            row.text("owner")?,
            lists,
            session.version_num(),
        )?);
    }
    Ok(sql)
}
