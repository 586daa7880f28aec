//! What a database is like beside its content: owner, privileges, settings, limit, labels; as statements for one that is
//! to be like it.

use crate::quote::{identifier, literal};
use crate::session::{Row, Session};
use crate::{Result, guc};

/// The statements that make the database which has this name when they run like the one that has it now.
pub(super) async fn properties(session: &Session, database: &str) -> Result<Vec<String>> {
    let (name, text) = (identifier(database), literal(database));
    let row = session
        .row(&format!(
            "SELECT pg_catalog.pg_get_userbyid(datdba) AS owner, datconnlimit, datacl IS NOT NULL AS granted \
             FROM pg_catalog.pg_database WHERE datname = {text}"
        ))
        .await?;
    let owner = identifier(row.text("owner")?);
    let mut statements = vec![
        format!("ALTER DATABASE {name} OWNER TO {owner};"),
        format!("ALTER DATABASE {name} CONNECTION LIMIT {};", row.text("datconnlimit")?),
    ];
    if row.flag("granted")? {
        statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC, {owner};"));
        statements.extend(grants(session, &name, &text).await?);
    }
    let settings = format!(
        "SELECT r.rolname AS role, c.setting FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
         CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c (setting, place) \
         WHERE d.datname = {text} ORDER BY 1, c.place"
    );
    for row in session.rows(&settings).await? {
        statements.extend(setting(&row, &name)?);
    }
    let labels = format!(
        "SELECT l.provider, l.label FROM pg_catalog.pg_shseclabel l JOIN pg_catalog.pg_database d ON d.oid = l.objoid \
         WHERE l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND d.datname = {text} ORDER BY 1"
    );
    for row in session.rows(&labels).await? {
        let (provider, label) = (identifier(row.text("provider")?), literal(row.text("label")?));
        statements.push(format!("SECURITY LABEL FOR {provider} ON DATABASE {name} IS {label};"));
    }
    Ok(statements)
}

/// Each privilege, as the owner's grant: who else granted it is not kept.
async fn grants(session: &Session, name: &str, text: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT a.privilege, a.is_grantable, r.rolname AS grantee FROM pg_catalog.pg_database d \
         CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) \
         WITH ORDINALITY AS a (grantor, grantee, privilege, is_grantable, place) \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE d.datname = {text} ORDER BY a.place"
    );
    let rows = session.rows(&sql).await?;
    let grants = rows.iter().map(|row| {
        let grantee = row.optional("grantee")?.map_or_else(|| "PUBLIC".to_owned(), identifier);
        let option = if row.flag("is_grantable")? { " WITH GRANT OPTION" } else { "" };
        Ok(format!("GRANT {} ON DATABASE {name} TO {grantee}{option};", row.text("privilege")?))
    });
    grants.collect()
}

fn setting(row: &Row, name: &str) -> Result<Option<String>> {
    let Some(assignment) = guc::assignment(row.text("setting")?)? else { return Ok(None) };
    Ok(Some(match row.optional("role")? {
        Some(role) => format!("ALTER ROLE {} IN DATABASE {name} SET {assignment};", identifier(role)),
        None => format!("ALTER DATABASE {name} SET {assignment};"),
    }))
}
