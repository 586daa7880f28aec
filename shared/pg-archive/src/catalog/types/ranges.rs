//! The options of range types (`dumpRangeType`).

use super::{Detail, collation, oid_array};
use crate::catalog::Catalog;
use crate::session::{Row, Session};
use crate::{Result, quote};

/// Reads the options of the given range types.
pub(super) async fn read(catalog: &Catalog, session: &Session, oids: &[u32]) -> Result<Vec<(u32, Detail)>> {
    let has_multiranges = catalog.server.version_num >= 140_000;
    let multirange =
        if has_multiranges { "pg_catalog.format_type(r.rngmultitypid, NULL)" } else { "NULL::text" };
    let sql = format!(
        "SELECT r.rngtypid, {multirange} AS rngmultitype, pg_catalog.format_type(r.rngsubtype, NULL) AS rngsubtype, \
         opc.opcname, opcnsp.nspname AS opcnamespace, opc.opcdefault, \
         coll.collname, collnsp.nspname AS collnamespace, r.rngcanonical, r.rngsubdiff \
         FROM pg_catalog.pg_range r \
         JOIN pg_catalog.pg_type st ON st.oid = r.rngsubtype \
         JOIN pg_catalog.pg_opclass opc ON opc.oid = r.rngsubopc \
         JOIN pg_catalog.pg_namespace opcnsp ON opcnsp.oid = opc.opcnamespace \
         LEFT JOIN pg_catalog.pg_collation coll \
         ON coll.oid = r.rngcollation AND r.rngcollation <> st.typcollation \
         LEFT JOIN pg_catalog.pg_namespace collnsp ON collnsp.oid = coll.collnamespace \
         WHERE r.rngtypid = ANY ({})",
        oid_array(oids)
    );
    let rows = session.rows(&sql).await?;
    rows.iter().map(|row| Ok((row.number("rngtypid")?, Detail::Text(body(row)?)))).collect()
}

fn body(row: &Row) -> Result<String> {
    let mut options = vec![format!("subtype = {}", row.text("rngsubtype")?)];
    if let Some(multirange) = row.optional("rngmultitype")? {
        options.push(format!("multirange_type_name = {multirange}"));
    }
    if !row.flag("opcdefault")? {
        let class = quote::qualified(row.text("opcnamespace")?, row.text("opcname")?);
        options.push(format!("subtype_opclass = {class}"));
    }
    if let Some(collation) = collation(row)? {
        options.push(format!("collation = {collation}"));
    }
    // What regproc prints is quoted and qualified already.
    for (option, column) in [("canonical", "rngcanonical"), ("subtype_diff", "rngsubdiff")] {
        let function = row.text(column)?;
        if function != "-" {
            options.push(format!("{option} = {function}"));
        }
    }
    Ok(format!(" AS RANGE (\n    {}\n)", options.join(",\n    ")))
}
