//! Reads `pg_index`, and with it the constraints that indexes implement.

use crate::catalog::constraints::Constraint;
use crate::catalog::indexes::Index;
use crate::catalog::table_parts::part;
use crate::catalog::{Address, Catalog, DumpId, Kind, Parts};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result, quote};

/// Reads the indexes of all interesting tables (`getIndexes` in `pg_dump.c`).
pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let Some(tables) = catalog.table_oids(|_, table| table.has_indexes && table.interesting) else {
        return Ok(());
    };
    for row in session.rows(&query(catalog.server.version_num, &tables)).await? {
        add(catalog, &row)?;
    }
    Ok(())
}

/// What implements a constraint is not asked for its definition, which is most of the work: its constraint makes it.
///
/// An index that is not valid was left behind by a failed CREATE INDEX CONCURRENTLY, except on a partitioned
/// table, where it waits for indexes of partitions.
fn query(version_num: u32, tables: &str) -> String {
    let nulls_not_distinct = if version_num >= 150_000 { "i.indnullsnotdistinct" } else { "false" };
    let period = if version_num >= 180_000 { "coalesce(c.conperiod, false)" } else { "false" };
    format!(
        "SELECT t.tableoid, t.oid, i.indrelid, t.relname, \
         CASE WHEN c.oid IS NULL THEN pg_catalog.pg_get_indexdef(i.indexrelid) END AS definition, \
         i.indkey, i.indnkeyatts, i.indisclustered, i.indisreplident, \
         {nulls_not_distinct} AS nulls_not_distinct, {period} AS period, \
         coalesce(inh.inhparent, 0) AS parent, t.reloptions, \
         targets.columns AS target_columns, targets.values AS target_values, \
         (SELECT spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = t.reltablespace) AS tablespace, \
         c.contype, c.conname, c.condeferrable, c.condeferred, c.tableoid AS contableoid, c.oid AS conoid, \
         CASE WHEN c.contype = 'x' THEN pg_catalog.pg_get_constraintdef(c.oid, false) END AS condef \
         FROM pg_catalog.unnest({tables}) AS src(tbloid) \
         JOIN pg_catalog.pg_index i ON (src.tbloid = i.indrelid) \
         JOIN pg_catalog.pg_class t ON (t.oid = i.indexrelid) \
         JOIN pg_catalog.pg_class t2 ON (t2.oid = i.indrelid) \
         LEFT JOIN pg_catalog.pg_constraint c ON (i.indrelid = c.conrelid \
         AND i.indexrelid = c.conindid AND c.contype IN ('p','u','x')) \
         LEFT JOIN pg_catalog.pg_inherits inh ON (inh.inhrelid = i.indexrelid) \
         LEFT JOIN (SELECT attrelid, pg_catalog.array_agg(attnum ORDER BY attnum) AS columns, \
         pg_catalog.array_agg(attstattarget ORDER BY attnum) AS values FROM pg_catalog.pg_attribute \
         WHERE attstattarget >= 0 AND attnum > 0 GROUP BY attrelid) targets ON (targets.attrelid = i.indexrelid) \
         WHERE (i.indisvalid OR t2.relkind = 'p') AND i.indisready \
         ORDER BY i.indrelid, t.relname"
    )
}

/// Adds an index, and the constraint that it implements.
fn add(catalog: &mut Catalog, row: &Row) -> Result<()> {
    let table = catalog.table_with_oid(row.number("indrelid")?)?;
    let (table_id, dump) = (table.id, table.dump);
    let index = index(table_id, row)?;
    let address = Address::new(row.number("tableoid")?, row.number("oid")?);
    let object = part(table, address, row.text("relname")?, dump, Kind::Index(Box::new(index)));
    let index_id = catalog.add(object);
    if let Kind::Table(table) = &mut catalog.get_mut(table_id).kind {
        table.indexes.push(index_id);
    }
    if row.optional("contype")?.is_some() {
        let constraint_id = add_constraint(catalog, table_id, index_id, dump, row)?;
        if let Kind::Index(index) = &mut catalog.get_mut(index_id).kind {
            index.constraint = Some(constraint_id);
        }
    }
    Ok(())
}

fn index(table: DumpId, row: &Row) -> Result<Index> {
    let columns = row.numbers("target_columns")?;
    let values = row.numbers("target_values")?;
    Ok(Index {
        table,
        parent_oid: row.number("parent")?,
        constraint: None,
        definition: match row.optional("contype")? {
            Some(_) => String::new(),
            None => definition(row)?,
        },
        columns: row.numbers("indkey")?,
        key_columns: row.number("indnkeyatts")?,
        nulls_not_distinct: row.flag("nulls_not_distinct")?,
        without_overlaps: row.flag("period")?,
        clustered: row.flag("indisclustered")?,
        replica_identity: row.flag("indisreplident")?,
        tablespace: row.optional_string("tablespace")?.unwrap_or_default(),
        options: row.optional_string("reloptions")?,
        statistics_targets: columns.into_iter().zip(values).collect(),
        attachments: Vec::new(),
    })
}

/// `pg_get_indexdef`, if it is still of the index that the snapshot has: REINDEX CONCURRENTLY gives its name to another,
/// and this one gets a new name.
fn definition(row: &Row) -> Result<String> {
    let (definition, name) = (row.string("definition")?, row.text("relname")?);
    if definition.contains(&format!(" INDEX {} ON ", quote::identifier(name))) {
        return Ok(definition);
    }
    Err(Error::new(ErrorKind::Changed, "was renamed or replaced while it was read")
        .on(format!("index {name}")))
}

fn add_constraint(
    catalog: &mut Catalog,
    table: DumpId,
    index: DumpId,
    dump: Parts,
    row: &Row,
) -> Result<DumpId> {
    let constraint = Constraint {
        table: Some(table),
        kind: row.letter("contype")?,
        definition: row.optional_string("condef")?,
        index: Some(index),
        deferrable: row.flag("condeferrable")?,
        deferred: row.flag("condeferred")?,
        local: true,
        separate: true,
        ..Constraint::default()
    };
    let address = Address::new(row.number("contableoid")?, row.number("conoid")?);
    let kind = Kind::Constraint(Box::new(constraint));
    let object = part(catalog.get(table), address, row.text("conname")?, dump, kind);
    Ok(catalog.add(object))
}
