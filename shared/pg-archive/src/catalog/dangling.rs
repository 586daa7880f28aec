//! Objects whose schema or owner is missing from the catalogs: somebody deleted rows of catalogs by hand, or a disk did.
//!
//! Looked for only after the catalogs were found to contradict themselves. Each is noted, so that the census names it; what
//! lies in no schema cannot be dumped, what has no owner is dumped without one.

use crate::Result;
use crate::catalog::schemas::Schema;
use crate::catalog::{Address, Catalog, Kind, Object, class};
use crate::census::{CATALOGS, Missing};
use crate::session::Session;

/// Notes them, and puts something in the place of what they lack, so that the catalogs can be read. Roles are known, and
/// schemas are read after this.
pub(super) async fn note(catalog: &mut Catalog, session: &Session) -> Result<()> {
    for row in session.rows(CATALOGS).await? {
        let (name, class_oid) = (row.text("relname")?, row.number::<u32>("oid")?);
        let (namespace, owner) = (row.optional("namespace")?, row.optional("owner")?);
        let lacks = [(namespace, "pg_namespace"), (owner, "pg_roles")].map(|(column, of)| match column {
            Some(column) => format!(
                "CASE WHEN c.{column} <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.{of} x WHERE x.oid = c.{column}) \
                 THEN c.{column} END"
            ),
            None => "NULL::pg_catalog.oid".to_owned(),
        });
        if namespace.is_none() && owner.is_none() {
            continue;
        }
        let [no_schema, no_owner] = lacks;
        let sql = format!(
            "SELECT * FROM (SELECT c.oid, pg_catalog.to_json(c) ->> (SELECT a.attname FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = {class_oid} AND a.attnum = 2) AS name, {no_schema} AS no_schema, {no_owner} AS no_owner \
             FROM pg_catalog.{name} c) o WHERE no_schema IS NOT NULL OR no_owner IS NOT NULL ORDER BY oid"
        );
        for row in session.rows(&sql).await? {
            let (oid, object) = (row.text("oid")?, row.optional("name")?.unwrap_or_default());
            let mut lacking = Vec::new();
            if let Some(schema) = row.optional("no_schema")? {
                lacking.push(format!("its schema, OID {schema}, does not exist"));
                stand_in(catalog, row.number("no_schema")?);
            }
            if let Some(role) = row.optional("no_owner")? {
                lacking.push(format!("its owner, OID {role}, does not exist"));
                catalog.roles.insert(row.number("no_owner")?, String::new());
            }
            catalog.dangling.push(Missing {
                kind: format!("row of {name}"),
                identity: format!("OID {oid} ({object}: {})", lacking.join(", ")),
            });
        }
    }
    Ok(())
}

/// A schema that is not dumped, nor what is in it.
fn stand_in(catalog: &mut Catalog, oid: u32) {
    let address = Address::new(class::NAMESPACE, oid);
    if catalog.find(address).is_none() {
        catalog.add(Object::new(address, format!("missing schema {oid}"), Kind::Schema(Schema::default())));
    }
}
