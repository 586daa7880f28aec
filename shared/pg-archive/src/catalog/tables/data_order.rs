//! Which data must be restored before which: refreshes of materialized views, and the rows that foreign keys refer to
//! where these are there before the rows: in a data-only archive, and between tables of extensions.

use crate::Result;
use crate::catalog::{Address, Catalog, DumpId, Kind, class};
use crate::session::Session;

/// A materialized view is refreshed after those that it reads, through ordinary views too
/// (`buildMatViewRefreshDependencies`). One that reads an unpopulated one cannot be refreshed at all.
pub async fn order_refreshes(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = "
        WITH RECURSIVE w AS (
          SELECT d1.objid, d2.refobjid, c2.relkind AS refrelkind FROM pg_catalog.pg_depend d1
          JOIN pg_catalog.pg_class c1 ON c1.oid = d1.objid AND c1.relkind = 'm'
          JOIN pg_catalog.pg_rewrite r1 ON r1.ev_class = d1.objid
          JOIN pg_catalog.pg_depend d2 ON d2.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            AND d2.objid = r1.oid AND d2.refobjid <> d1.objid
          JOIN pg_catalog.pg_class c2 ON c2.oid = d2.refobjid AND c2.relkind IN ('m', 'v')
          WHERE d1.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
          UNION
          SELECT w.objid, d3.refobjid, c3.relkind FROM w
          JOIN pg_catalog.pg_rewrite r3 ON r3.ev_class = w.refobjid
          JOIN pg_catalog.pg_depend d3 ON d3.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            AND d3.objid = r3.oid AND d3.refobjid <> w.refobjid
          JOIN pg_catalog.pg_class c3 ON c3.oid = d3.refobjid AND c3.relkind IN ('m', 'v'))
        SELECT objid, refobjid FROM w WHERE refrelkind = 'm'";
    for row in session.rows(sql).await? {
        let view = catalog.find(Address::new(class::CLASS, row.number("objid")?));
        let read = catalog.find(Address::new(class::CLASS, row.number("refobjid")?));
        let (Some(view), Some(read)) = (view, read) else { continue };
        let (Some(refresh), Some(before)) = (data_of(catalog, view), data_of(catalog, read)) else {
            continue;
        };
        catalog.get_mut(refresh).depend_on(before);
        let populated = matches!(&catalog.get(read).kind, Kind::Table(read) if read.populated);
        if let Kind::Table(view) = &mut catalog.get_mut(view).kind {
            view.populated &= populated;
        }
    }
    Ok(())
}

/// Where the archive has no foreign keys, because they exist in the target already, the rows that they refer to come
/// first (`getTableDataFKConstraints`).
pub fn order_by_foreign_keys(catalog: &mut Catalog) {
    let references: Vec<(DumpId, DumpId)> = catalog
        .objects()
        .iter()
        .filter_map(|object| match &object.kind {
            Kind::ForeignKey(key) => Some((key.table?, key.referenced?)),
            _ => None,
        })
        .collect();
    for (table, referenced) in references {
        if let (Some(rows), Some(before)) = (data_of(catalog, table), data_of(catalog, referenced)) {
            catalog.get_mut(rows).depend_on(before);
        }
    }
}

/// The tables of an extension have their foreign keys when their rows come, because all of them are made with the
/// extension (`processExtensionTables`).
pub async fn order_configuration(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let configuration = catalog.tables().any(|(object, table)| {
        table.data.is_some() && catalog.extension_members.contains_key(&object.address)
    });
    if !configuration {
        return Ok(());
    }
    let sql = "SELECT c.conrelid, c.confrelid FROM pg_catalog.pg_constraint c \
               JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
               AND d.objid = c.confrelid AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
               WHERE c.contype = 'f' AND c.conrelid <> c.confrelid";
    for row in session.rows(sql).await? {
        let table = catalog.find(Address::new(class::CLASS, row.number("conrelid")?));
        let referenced = catalog.find(Address::new(class::CLASS, row.number("confrelid")?));
        let (Some(table), Some(referenced)) = (table, referenced) else { continue };
        if let (Some(rows), Some(before)) = (data_of(catalog, table), data_of(catalog, referenced)) {
            catalog.get_mut(rows).depend_on(before);
        }
    }
    Ok(())
}

fn data_of(catalog: &Catalog, table: DumpId) -> Option<DumpId> {
    match &catalog.get(table).kind {
        Kind::Table(table) => table.data,
        _ => None,
    }
}
