//! Domains and their constraints (`dumpDomain`, `getDomainConstraints`).
//!
//! A constraint that was never validated, or that takes part in a loop, is made by a statement of its own:
//! `constraints.rs` writes that one. All others stand inside the CREATE DOMAIN.

use super::{Detail, Type, collation, default, oid_array};
use crate::catalog::constraints::Constraint;
use crate::catalog::{Address, Catalog, Kind, Object, Parts, class};
use crate::emit::Emitter;
use crate::session::{Row, Session};
use crate::{Result, quote};

/// What a domain has besides its constraints.
#[derive(Clone, Debug, Default)]
pub(super) struct Domain {
    /// The type underneath.
    base: String,
    /// Its collation, if it is not that of the type underneath.
    collation: Option<String>,
    /// `typnotnull`.
    not_null: bool,
    /// Its default, as SQL.
    default: Option<String>,
}

/// Reads the given domains.
pub(super) async fn read(session: &Session, oids: &[u32]) -> Result<Vec<(u32, Detail)>> {
    let sql = format!(
        "SELECT t.oid, t.typnotnull, pg_catalog.format_type(t.typbasetype, t.typtypmod) AS typdefn, \
         pg_catalog.pg_get_expr(t.typdefaultbin, 'pg_catalog.pg_type'::pg_catalog.regclass) AS typdefaultbin, \
         t.typdefault, coll.collname, collnsp.nspname AS collnamespace \
         FROM pg_catalog.pg_type t \
         LEFT JOIN pg_catalog.pg_type u ON u.oid = t.typbasetype \
         LEFT JOIN pg_catalog.pg_collation coll \
         ON coll.oid = t.typcollation AND t.typcollation <> u.typcollation \
         LEFT JOIN pg_catalog.pg_namespace collnsp ON collnsp.oid = coll.collnamespace \
         WHERE t.oid = ANY ({})",
        oid_array(oids)
    );
    let domain = |row: &Row| -> Result<(u32, Detail)> {
        let domain = Domain {
            base: row.string("typdefn")?,
            collation: collation(row)?,
            not_null: row.flag("typnotnull")?,
            default: default(row)?,
        };
        Ok((row.number("oid")?, Detail::Domain(domain)))
    };
    session.rows(&sql).await?.iter().map(domain).collect()
}

/// Reads the constraints of the given domains: CHECK, and from 17 also NOT NULL.
pub(super) async fn read_constraints(catalog: &mut Catalog, session: &Session, oids: &[u32]) -> Result<()> {
    let kinds = if catalog.server.version_num >= 170_000 { "'c', 'n'" } else { "'c'" };
    let sql = format!(
        "SELECT oid, contypid, conname, contype, convalidated, \
         pg_catalog.pg_get_constraintdef(oid) AS consrc \
         FROM pg_catalog.pg_constraint WHERE contypid = ANY ({}) AND contype IN ({kinds}) \
         ORDER BY contypid, conname",
        oid_array(oids)
    );
    for row in session.rows(&sql).await? {
        if let Some(domain) = catalog.find(Address::new(class::TYPE, row.number("contypid")?)) {
            let constraint = Constraint {
                table: None,
                domain: Some(domain),
                kind: row.letter("contype")?,
                definition: Some(row.string("consrc")?),
                index: None,
                deferrable: false,
                deferred: false,
                local: true,
                separate: !row.flag("convalidated")?,
            };
            let address = Address::new(class::CONSTRAINT, row.number("oid")?);
            add_constraint(catalog, address, row.text("conname")?, constraint);
        }
    }
    Ok(())
}

fn add_constraint(catalog: &mut Catalog, address: Address, name: &str, constraint: Constraint) {
    let Some(domain) = constraint.domain else { return };
    let separate = constraint.separate;
    let mut object = Object::new(address, name, Kind::Constraint(Box::new(constraint)));
    object.schema = catalog.get(domain).schema;
    object.dump = Parts::ALL;
    let id = catalog.add(object);
    let domain = catalog.get_mut(domain);
    // The domain has to wait for whatever its constraint depends on. A separate one comes behind it anyway.
    if !separate {
        domain.depend_on(id);
    }
    if let Kind::Type(type_) = &mut domain.kind {
        type_.constraints.push(id);
    }
}

/// The constraints that are made inside the domain.
fn inline<'a>(
    catalog: &'a Catalog,
    type_: &'a Type,
    kind: char,
) -> impl Iterator<Item = (&'a Object, &'a Constraint)> {
    type_.constraints.iter().filter_map(move |id| match &catalog.get(*id).kind {
        Kind::Constraint(constraint) if constraint.kind == kind && !constraint.separate => {
            Some((catalog.get(*id), &**constraint))
        }
        _ => None,
    })
}

impl Domain {
    /// What stands behind `CREATE DOMAIN name`.
    pub(super) fn body(&self, catalog: &Catalog, object: &Object, type_: &Type) -> String {
        let mut body = format!(" AS {}", self.base);
        if let Some(collation) = &self.collation {
            body.push_str(" COLLATE ");
            body.push_str(collation);
        }
        if self.not_null {
            body.push_str(&not_null(catalog, object, type_));
        }
        if let Some(default) = &self.default {
            body.push_str(" DEFAULT ");
            body.push_str(default);
        }
        for (object, check) in inline(catalog, type_, 'c') {
            body.push_str("\n\t");
            body.push_str(&named(object, check));
        }
        body
    }
}

fn named(object: &Object, constraint: &Constraint) -> String {
    let definition = constraint.definition.as_deref().unwrap_or_default();
    format!("CONSTRAINT {} {definition}", quote::identifier(&object.name))
}

/// NOT NULL of a domain. From 17 it has a name, which is left out if it is the one that the server would choose.
fn not_null(catalog: &Catalog, object: &Object, type_: &Type) -> String {
    let has_row = type_
        .constraints
        .iter()
        .any(|id| matches!(&catalog.get(*id).kind, Kind::Constraint(constraint) if constraint.kind == 'n'));
    match inline(catalog, type_, 'n').next() {
        Some((named_by, constraint)) if named_by.name != format!("{}_not_null", object.name) => {
            format!(" {}", named(named_by, constraint))
        }
        None if has_row => String::new(),
        _ => " NOT NULL".to_owned(),
    }
}

/// Writes the comments on the constraints that are made inside the domain. They hang on the domain's entry,
/// because the constraint has none.
pub(super) fn describe_constraints(out: &mut Emitter<'_>, object: &Object, type_: &Type) {
    let catalog = out.catalog;
    let domain = quote::identifier(&object.name);
    for (constraint, _) in inline(catalog, type_, 'c').chain(inline(catalog, type_, 'n')) {
        let mut inside = constraint.clone();
        inside.id = object.id;
        inside.owner.clone_from(&object.owner);
        let words = format!("CONSTRAINT {} ON DOMAIN", quote::identifier(&constraint.name));
        out.describe(&inside, &words, &domain);
    }
}
