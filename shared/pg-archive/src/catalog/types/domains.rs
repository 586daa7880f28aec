//! Domains (`dumpDomain`).
//!
//! Their constraints are read in `constraints.rs`. One that was never validated, or that takes part in a loop, is
//! made by a statement of its own, which is written there too. All others stand inside the CREATE DOMAIN, here.

use super::{Detail, Type, collation, default, oid_array};
use crate::catalog::constraints::Constraint;
use crate::catalog::{Catalog, Kind, Object};
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
        // From 17 on it would get this name, which is another's. Older servers forget the other one.
        None if type_
            .constraints
            .iter()
            .any(|id| catalog.get(*id).name == format!("{}_not_null", object.name)) =>
        {
            format!(" CONSTRAINT {} NOT NULL", quote::identifier(&format!("{}_not_null1", object.name)))
        }
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
