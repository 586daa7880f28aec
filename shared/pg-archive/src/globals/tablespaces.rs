//! Tablespaces (`dumpTablespaces`). Their folders must exist where they are restored.

use std::fmt::Write as _;

use crate::Result;
use crate::catalog::{grants, views};
use crate::quote::{identifier, literal};
use crate::session::Session;

/// CREATE TABLESPACE, with options, grants, comments and labels.
pub(super) async fn read(session: &Session) -> Result<String> {
    let mut sql = String::new();
    let labels = super::labels(session, "pg_tablespace").await?;
    let rows = session
        .rows(
            "SELECT oid, spcname, pg_catalog.pg_get_userbyid(spcowner) AS owner, \
             pg_catalog.pg_tablespace_location(oid) AS location, \
             spcoptions AS options, \
             spcacl, pg_catalog.acldefault('t', spcowner) AS acldefault, \
             pg_catalog.shobj_description(oid, 'pg_tablespace') AS comment \
             FROM pg_catalog.pg_tablespace WHERE spcname !~ '^pg_' ORDER BY spcname",
        )
        .await?;
    for row in rows {
        let name = identifier(row.text("spcname")?);
        // A tablespace inside the data directory has a relative path, and is made with an empty one.
        let location = Some(row.text("location")?).filter(|path| path.starts_with('/')).unwrap_or_default();
        let owner = row.text("owner")?;
        let (by, at) = (identifier(owner), literal(location));
        let _ = writeln!(sql, "CREATE TABLESPACE {name} OWNER {by} LOCATION {at};");
        let options = views::options(row.optional("options")?.unwrap_or_default(), "");
        if !options.is_empty() {
            let _ = writeln!(sql, "ALTER TABLESPACE {name} SET ({options});");
        }
        if let Some(acl) = row.optional("spcacl")? {
            let lists = (acl, row.text("acldefault")?);
            sql.push_str(&grants::shared(("TABLESPACE", &name), owner, lists, session.version_num())?);
        }
        if let Some(comment) = row.optional("comment")? {
            let _ = writeln!(sql, "COMMENT ON TABLESPACE {name} IS {};", literal(comment));
        }
        sql.push_str(&super::label(&labels, row.number("oid")?, &format!("TABLESPACE {name}")));
    }
    Ok(sql)
}
