//! Which data must be restored before which: refreshes of materialized views, and the rows that foreign keys refer to
//! where these are there before the rows: in a data-only archive, and between tables of extensions.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::catalog::{Address, Catalog, DumpId, Kind, class};
use crate::session::Session;

/// A materialized view is refreshed after those that it reads, through ordinary views too
/// (`buildMatViewRefreshDependencies`). One that reads an unpopulated one cannot be refreshed at all.
///
/// Needs the dependencies of rules. `pg_dump` asks the server for this; its query takes longer than all others where
/// the planner knows nothing of `pg_depend` yet.
pub fn order_refreshes(catalog: &mut Catalog) {
    let mut rules: BTreeMap<DumpId, Vec<DumpId>> = BTreeMap::new();
    for object in catalog.objects() {
        if let Kind::Rule(rule) = &object.kind {
            rules.entry(rule.table).or_default().push(object.id);
        }
    }
    let views: Vec<DumpId> =
        catalog.tables().filter(|(_, table)| table.relkind == 'm').map(|(view, _)| view.id).collect();
    let populated = |catalog: &Catalog, view: DumpId| match &catalog.get(view).kind {
        Kind::Table(view) => view.populated,
        _ => false,
    };
    let unpopulated: BTreeSet<DumpId> =
        views.iter().copied().filter(|view| !populated(catalog, *view)).collect();
    for view in views {
        let Some(refresh) = data_of(catalog, view) else { continue };
        for read in views_read_by(catalog, &rules, view) {
            let Some(before) = data_of(catalog, read) else { continue };
            catalog.get_mut(refresh).depend_on(before);
            if unpopulated.contains(&read)
                && let Kind::Table(view) = &mut catalog.get_mut(view).kind
            {
                view.populated = false;
            }
        }
    }
}

/// The materialized views that the rules of a view reach.
fn views_read_by(catalog: &Catalog, rules: &BTreeMap<DumpId, Vec<DumpId>>, view: DumpId) -> BTreeSet<DumpId> {
    let mut seen = BTreeSet::from([view]);
    let mut next = vec![view];
    let mut found = BTreeSet::new();
    while let Some(above) = next.pop() {
        for rule in rules.get(&above).into_iter().flatten() {
            for read in &catalog.get(*rule).dependencies {
                let Kind::Table(relation) = &catalog.get(*read).kind else { continue };
                if !matches!(relation.relkind, 'm' | 'v') || !seen.insert(*read) {
                    continue;
                }
                if relation.relkind == 'm' {
                    found.insert(*read);
                }
                next.push(*read);
            }
        }
    }
    found
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
