//! Reads `pg_constraint`: foreign keys, and the constraints of domains.

use crate::Result;
use crate::catalog::constraints::{Constraint, attachments_below};
use crate::catalog::table_parts::part;
use crate::catalog::{Address, Catalog, Kind, Parts, class};
use crate::session::{Row, Session};

/// Reads the foreign keys of all dumped tables (`getConstraints` in `pg_dump.c`). Those of partitions which come
/// from the partitioned table's have a parent, and come with it.
pub(super) async fn read_foreign_keys(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let Some(tables) = catalog.table_oids(|object, _| object.dump.has(Parts::DEFINITION)) else {
        return Ok(());
    };
    let sql = format!(
        "SELECT c.tableoid, c.oid, c.conrelid, c.conname, c.confrelid, c.conindid, \
         c.condeferrable, c.condeferred, pg_catalog.pg_get_constraintdef(c.oid) AS definition \
         FROM pg_catalog.unnest({tables}) AS src(tbloid) \
         JOIN pg_catalog.pg_constraint c ON (src.tbloid = c.conrelid) \
         WHERE c.contype = 'f' AND c.conparentid = 0 \
         ORDER BY c.conrelid, c.conname"
    );
    for row in session.rows(&sql).await? {
        add_foreign_key(catalog, &row)?;
    }
    Ok(())
}

fn add_foreign_key(catalog: &mut Catalog, row: &Row) -> Result<()> {
    let table = catalog.table_with_oid(row.number("conrelid")?)?;
    let referenced = catalog.find(Address::new(class::CLASS, row.number("confrelid")?));
    let constraint = Constraint {
        table: Some(table.id),
        kind: 'f',
        definition: Some(row.string("definition")?),
        referenced,
        deferrable: row.flag("condeferrable")?,
        deferred: row.flag("condeferred")?,
        local: true,
        separate: true,
        ..Constraint::default()
    };
    let address = Address::new(row.number("tableoid")?, row.number("oid")?);
    let kind = Kind::ForeignKey(Box::new(constraint));
    let mut object = part(table, address, row.text("conname")?, Parts::ALL, kind);
    // The index of a partitioned table is valid, and so fit for a foreign key, once all partitions' indexes
    // are attached to it.
    if let Some(index) = catalog.find(Address::new(class::CLASS, row.number("conindid")?)) {
        for attachment in attachments_below(catalog, index) {
            object.depend_on(attachment);
        }
    }
    catalog.add(object);
    Ok(())
}

/// Reads the constraints of all dumped domains (`getDomainConstraints` in `pg_dump.c`). NOT NULL is one of them
/// from 17 on.
pub(super) async fn read_of_domains(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let domains: Vec<String> = catalog
        .objects()
        .iter()
        .filter(|object| matches!(&object.kind, Kind::Type(domain) if domain.kind == 'd'))
        .filter(|object| object.dump.has(Parts::DEFINITION))
        .map(|object| object.address.oid.to_string())
        .collect();
    if domains.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT c.tableoid, c.oid, c.conname, c.contypid, c.contype, c.convalidated, \
         pg_catalog.pg_get_constraintdef(c.oid) AS definition \
         FROM pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) AS src(typoid) \
         JOIN pg_catalog.pg_constraint c ON (src.typoid = c.contypid) \
         WHERE c.contype IN ('c', 'n') \
         ORDER BY c.contypid, c.conname",
        domains.join(",")
    );
    for row in session.rows(&sql).await? {
        add_of_domain(catalog, &row)?;
    }
    Ok(())
}

fn add_of_domain(catalog: &mut Catalog, row: &Row) -> Result<()> {
    let Some(domain_id) = catalog.find(Address::new(class::TYPE, row.number("contypid")?)) else {
        return Ok(()); // the query asked for known types only
    };
    let validated = row.flag("convalidated")?;
    let constraint = Constraint {
        domain: Some(domain_id),
        kind: row.letter("contype")?,
        definition: Some(row.string("definition")?),
        local: true,
        separate: !validated,
        ..Constraint::default()
    };
    let address = Address::new(row.number("tableoid")?, row.number("oid")?);
    let kind = Kind::Constraint(Box::new(constraint));
    let object = part(catalog.get(domain_id), address, row.text("conname")?, Parts::ALL, kind);
    let id = catalog.add(object);
    let domain = catalog.get_mut(domain_id);
    if let Kind::Type(kind) = &mut domain.kind {
        kind.constraints.push(id);
    }
    // What a constraint needs, a domain that holds it needs. One that is not validated comes after the domain.
    if validated {
        domain.depend_on(id);
    }
    Ok(())
}
