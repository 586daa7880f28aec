//! What a table has from its parents (`flagInhTables`, `flagInhAttrs` in `src/bin/pg_dump/common.c`).

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::catalog::tables::{Column, ColumnDefault, Table, TableAttach};
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, class};
use crate::session::Session;

/// Reads who inherits from whom, marks parents of dumped tables as interesting, and adds an object for the
/// attachment of each partition.
pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = "SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits ORDER BY inhrelid, inhseqno";
    let mut parents: HashMap<DumpId, Vec<DumpId>> = HashMap::new();
    for row in session.rows(sql).await? {
        let child = catalog.find(Address::new(class::CLASS, row.number("inhrelid")?));
        let parent = catalog.find(Address::new(class::CLASS, row.number("inhparent")?));
        // Indexes inherit too, and are not relations with columns.
        if let (Some(child), Some(parent)) = (child, parent) {
            parents.entry(child).or_default().push(parent);
        }
    }
    let children: Vec<DumpId> = catalog.tables().map(|(object, _)| object.id).collect();
    for child in children {
        if let Some(parents) = parents.remove(&child) {
            link(catalog, child, &parents);
        }
    }
    Ok(())
}

fn link(catalog: &mut Catalog, child: DumpId, parents: &[DumpId]) {
    let dumped = catalog.get(child).dump != Parts::NONE;
    let Kind::Table(table) = &mut catalog.get_mut(child).kind else { return };
    // Parents of partitions that are not dumped matter still: a leaf is traced up to its root.
    if !(dumped || table.relkind == 'p' && table.is_partition) {
        return;
    }
    table.parents = parents.to_vec();
    let is_partition = table.is_partition;
    if !dumped {
        return;
    }
    for parent in parents {
        if let Kind::Table(parent) = &mut catalog.get_mut(*parent).kind {
            parent.interesting = true;
        }
    }
    if is_partition && let Some(parent) = parents.first() {
        let partition = catalog.get(child);
        let kind = Kind::TableAttach(TableAttach { parent: *parent, partition: child });
        let mut attach = Object::new(Address::default(), partition.name.clone(), kind);
        attach.schema = partition.schema;
        attach.owner.clone_from(&partition.owner);
        attach.dump = Parts::ALL;
        attach.dependencies = vec![child, *parent];
        catalog.add(attach);
    }
}

/// Marks the tables whose columns `INHERITS` would put in another order: it puts those of the parents first. Who adds a
/// column to a parent, or a parent to a table that exists (`ALTER TABLE … INHERIT`), has such a table. What names no
/// columns (`INSERT` without a list, `SELECT *`) then means others; `pg_dump` takes that into account for partitions alone.
pub(super) fn find_orders(catalog: &mut Catalog) {
    let differs = |table: &Table| {
        let own =
            table.columns.iter().filter(|column| table.prints(column)).map(|column| column.name.as_str());
        let mut made: Vec<&str> = Vec::new();
        for name in from_parents(catalog, table).map(|column| column.name.as_str()).chain(own) {
            if !made.contains(&name) {
                made.push(name);
            }
        }
        let there = table.columns.iter().filter(|column| !column.dropped);
        !made.into_iter().eq(there.map(|column| column.name.as_str()))
    };
    // A generated column cannot be inherited and be one's own, before 16 at least.
    let can_be_put_in_order = |table: &Table| {
        columns_to_order(catalog, table)
            .iter()
            .all(|column| column.generated == ' ' || generated_above(catalog, table, column).is_some())
    };
    let found: Vec<DumpId> = catalog
        .tables()
        .filter(|(_, table)| !table.parents.is_empty() && !table.is_partition)
        .filter(|(_, table)| differs(table) && can_be_put_in_order(table))
        .map(|(object, _)| object.id)
        .collect();
    for id in found {
        if let Kind::Table(table) = &mut catalog.get_mut(id).kind {
            table.inherits_later = true;
        }
    }
}

/// The columns of a table's parents, in the order in which `INHERITS` takes them.
fn from_parents<'a>(catalog: &'a Catalog, table: &'a Table) -> impl Iterator<Item = &'a Column> {
    let parents = table.parents.iter().filter_map(|parent| match &catalog.get(*parent).kind {
        Kind::Table(parent) => Some(parent),
        _ => None,
    });
    parents.flat_map(|parent| &parent.columns).filter(|column| !column.dropped)
}

/// The columns up to the last one that a parent has too: what stands behind that is in order anyway.
pub(super) fn columns_to_order<'a>(catalog: &Catalog, table: &'a Table) -> Vec<&'a Column> {
    let names: HashSet<&str> = from_parents(catalog, table).map(|column| column.name.as_str()).collect();
    let there: Vec<&Column> = table.columns.iter().filter(|column| !column.dropped).collect();
    let end =
        there.iter().rposition(|column| names.contains(column.name.as_str())).map_or(0, |last| last + 1);
    there[..end].to_vec()
}

/// The parents' column of that name, if it is generated.
pub(super) fn generated_above<'a>(
    catalog: &'a Catalog,
    table: &'a Table,
    column: &Column,
) -> Option<&'a Column> {
    from_parents(catalog, table).find(|above| above.name == column.name && above.generated != ' ')
}

/// What a column finds in its parents.
#[derive(Default)]
struct Inherited {
    not_null: bool,
    all_not_nulls_invalid: bool,
    default: bool,
    generated: bool,
    same_expression: bool,
}

/// Takes out of the columns what their parents give them anyway, and adds DEFAULT NULL where a parent's default must
/// not reach the child.
pub(super) fn flag_columns(catalog: &mut Catalog) {
    let children: Vec<DumpId> = catalog
        .tables()
        .filter(|(object, table)| {
            !"Svm".contains(table.relkind) && object.dump != Parts::NONE && !table.parents.is_empty()
        })
        .map(|(object, _)| object.id)
        .collect();
    // All is looked up before anything is changed, or grandchildren would see what was taken out of their parents.
    let mut found = Vec::new();
    for child in children {
        let Kind::Table(table) = &catalog.get(child).kind else { continue };
        for (at, column) in table.columns.iter().enumerate() {
            found.push((child, at, inherited(catalog, table, column)));
        }
    }
    for (child, at, found) in found {
        flag_column(catalog, child, at, &found);
    }
}

fn inherited(catalog: &Catalog, table: &Table, column: &Column) -> Inherited {
    let mut found = Inherited { all_not_nulls_invalid: true, same_expression: true, ..Inherited::default() };
    if column.dropped {
        return found;
    }
    for parent in &table.parents {
        let Kind::Table(parent) = &catalog.get(*parent).kind else { continue };
        let Some(above) = parent.columns.iter().find(|above| above.name == column.name) else { continue };
        found.not_null |= above.not_null.is_some();
        found.all_not_nulls_invalid &= above.not_null.is_none() || above.not_null_invalid;
        found.default |=
            above.generated == ' ' && expression(catalog, above).is_some_and(|text| text != "NULL");
        if above.generated != ' ' {
            found.generated = true;
            found.same_expression &= expression(catalog, above) == expression(catalog, column);
        }
    }
    found
}

pub(super) fn expression<'a>(catalog: &'a Catalog, column: &Column) -> Option<&'a str> {
    match &catalog.get(column.default?).kind {
        Kind::ColumnDefault(default) => Some(&default.expression),
        _ => None,
    }
}

fn flag_column(catalog: &mut Catalog, child: DumpId, at: usize, found: &Inherited) {
    let version = catalog.server.version_num;
    let (name, schema, owner, dump) = {
        let object = catalog.get(child);
        (object.name.clone(), object.schema, object.owner.clone(), object.dump)
    };
    let Kind::Table(table) = &mut catalog.get_mut(child).kind else { return };
    let is_partition = table.is_partition;
    let prints = table.prints(&table.columns[at]);
    let column = &mut table.columns[at];
    if column.dropped {
        return;
    }
    if let Some(not_null) = &mut column.not_null {
        if version < 180_000 && found.not_null {
            not_null.local = false;
        }
        // A validated constraint under parents whose constraints are all NOT VALID must be said again.
        if version >= 180_000 && found.all_not_nulls_invalid {
            not_null.local = true;
        }
    }
    // Generation expressions are inherited; a child may only repeat or, from 16, override them.
    let drop_expression = found.generated && !is_partition && (version < 160_000 || found.same_expression);
    if drop_expression {
        column.default = None;
        return;
    }
    if found.default && column.default.is_none() {
        let number = column.number;
        let kind = Kind::ColumnDefault(ColumnDefault {
            table: child,
            column: number,
            expression: "NULL".to_owned(),
            separate: !prints,
        });
        let mut object = Object::new(Address::default(), name, kind);
        (object.schema, object.owner, object.dump) = (schema, owner, dump);
        if !prints {
            object.depend_on(child);
        }
        let id = catalog.add(object);
        if let Kind::Table(table) = &mut catalog.get_mut(child).kind {
            table.columns[at].default = Some(id);
        }
    }
}
