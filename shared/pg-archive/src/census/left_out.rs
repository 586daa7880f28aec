//! Why some objects are in no archive: `pg_dump` leaves them out too, and nothing of a user is lost with them.
//!
//! Whatever is not told by one of these reasons is missing, and fails the backup.

use std::collections::HashMap;

use super::{Counted, Missing};
use crate::Result;
use crate::catalog::{Address, Catalog, class};
use crate::session::Session;

/// A user object that is left out on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Its kind, in the server's words (`pg_identify_object`).
    pub kind: String,
    /// Its identity, in the server's words.
    pub identity: String,
    /// Why, in words that follow "is left out:".
    pub reason: String,
}

impl LeftOut {
    pub(super) fn new(object: Missing, reason: &str) -> Self {
        Self { kind: object.kind, identity: object.identity, reason: reason.to_owned() }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} is left out: {}", self.kind, self.identity, self.reason)
    }
}

/// The rows of one catalog that have a reason, by OID.
pub(super) async fn reasons(
    catalog: &Catalog,
    session: &Session,
    counted: &Counted,
    unknown: &[u32],
) -> Result<HashMap<u32, String>> {
    let mut reasons = HashMap::new();
    let oids = unknown.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    if counted.class == class::CLASS {
        invalid_indexes(session, &oids, &mut reasons).await?;
    }
    if let Some(column) = table_column(counted.class) {
        on_extension_tables(catalog, session, counted, (column, &oids), &mut reasons).await?;
    }
    of_the_server(session, counted, &oids, &mut reasons).await?;
    Ok(reasons)
}

/// What `getIndexes` in `pg_dump.c` passes over: indexes that are not valid, but for those of partitioned tables, which
/// wait for the indexes of their partitions.
async fn invalid_indexes(session: &Session, oids: &str, reasons: &mut HashMap<u32, String>) -> Result<()> {
    let sql = format!(
        "SELECT i.indexrelid AS oid FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
         WHERE i.indexrelid = ANY ('{{{oids}}}'::pg_catalog.oid[]) \
         AND NOT ((i.indisvalid OR t.relkind = 'p') AND i.indisready)"
    );
    for row in session.rows(&sql).await? {
        let reason = "it is not valid, because CREATE INDEX or REINDEX CONCURRENTLY failed, or has not ended yet; \
                      REINDEX makes it valid, DROP INDEX removes it";
        reasons.insert(row.number("oid")?, reason.to_owned());
    }
    Ok(())
}

/// The column that says which table a policy or a trigger belongs to.
fn table_column(class_oid: u32) -> Option<&'static str> {
    match class_oid {
        class::POLICY => Some("polrelid"),
        class::TRIGGER => Some("tgrelid"),
        _ => None,
    }
}

/// Policies and triggers that somebody added to a table of an extension. Those that the extension's own script makes are
/// told by their transaction, which is that of the table's membership.
async fn on_extension_tables(
    catalog: &Catalog,
    session: &Session,
    counted: &Counted,
    (column, oids): (&str, &str),
    reasons: &mut HashMap<u32, String>,
) -> Result<()> {
    let sql = format!(
        "SELECT c.oid, c.{column} AS of_table FROM pg_catalog.{} c JOIN pg_catalog.pg_depend d \
         ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.{column} AND d.objsubid = 0 \
         AND d.deptype = 'e' AND d.xmin <> c.xmin \
         WHERE c.oid = ANY ('{{{oids}}}'::pg_catalog.oid[])",
        counted.name
    );
    for row in session.rows(&sql).await? {
        let table = Address::new(class::CLASS, row.number("of_table")?);
        let Some(extension) = catalog.extension_members.get(&table) else { continue };
        let extension = &catalog.get(*extension).name;
        let reason = format!(
            "its table belongs to the extension {extension}, and CREATE EXTENSION makes that; if you added it, add it \
             again after a restore"
        );
        reasons.insert(row.number("oid")?, reason);
    }
    Ok(())
}

/// What a superuser put into `pg_catalog`, seen by a role that is none: services add functions of their own there, and
/// no database of a customer can take them. Nothing that holds rows is among it.
async fn of_the_server(
    session: &Session,
    counted: &Counted,
    oids: &str,
    reasons: &mut HashMap<u32, String>,
) -> Result<()> {
    let (Some(namespace), Some(owner)) = (&counted.namespace, &counted.owner) else { return Ok(()) };
    let without_rows = if counted.class == class::CLASS { "c.relkind IN ('v', 'c')" } else { "true" };
    let sql = format!(
        "SELECT c.oid, r.rolname FROM pg_catalog.{} c JOIN pg_catalog.pg_roles r ON r.oid = c.{owner} \
         WHERE c.oid = ANY ('{{{oids}}}'::pg_catalog.oid[]) AND {without_rows} AND r.rolsuper \
         AND c.{namespace} = 'pg_catalog'::pg_catalog.regnamespace \
         AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)",
        counted.name
    );
    for row in session.rows(&sql).await? {
        let owner = row.text("rolname")?;
        let reason = format!("the superuser {owner:?} put it into pg_catalog, where it is the server's own");
        reasons.insert(row.number("oid")?, reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_says_why() {
        let object = Missing { kind: "index".to_owned(), identity: "public.i".to_owned() };
        assert_eq!(
            LeftOut::new(object, "it is not valid").to_string(),
            "index public.i is left out: it is not valid"
        );
    }
}
