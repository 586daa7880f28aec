//! Constraints: of tables (check, unique, primary key, exclusion, foreign key, not null) and of domains.
//!
//! Those that can be are part of their table's or domain's entry. The others have entries of their own:
//! what an index implements, foreign keys, and what is not validated or part of a loop. Constraint triggers
//! are triggers here, though `pg_constraint` lists them.

use crate::catalog::table_parts::describe_within;
use crate::catalog::{Catalog, DumpId, Kind, Object, Parts};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::Session;
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

mod keys;
mod rows;

/// A constraint (`pg_constraint`).
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a column of the catalog")]
pub struct Constraint {
    /// The table, unless it is a domain's.
    pub table: Option<DumpId>,
    /// The domain, unless it is a table's.
    pub domain: Option<DumpId>,
    /// `contype`: `c`, `p`, `u`, `x`, `f`, `n`, `t`.
    pub kind: char,
    /// `pg_get_constraintdef`; unset for those that an index implements.
    pub definition: Option<String>,
    /// The index that implements it.
    pub index: Option<DumpId>,
    /// The table that a foreign key refers to.
    pub referenced: Option<DumpId>,
    /// `condeferrable`.
    pub deferrable: bool,
    /// `condeferred`.
    pub deferred: bool,
    /// Whether it is defined here rather than inherited (`conislocal`).
    pub local: bool,
    /// Whether it is made by a statement of its own rather than inside the table or domain.
    pub separate: bool,
}

/// Reads the foreign keys and the constraints of domains. Check constraints come with
/// their tables, those that an index implements with the indexes.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    rows::read_foreign_keys(catalog, session).await?;
    rows::read_of_domains(catalog, session).await
}

/// Writes a constraint's entries (`dumpConstraint` in `pg_dump.c`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, constraint: &Constraint) -> Result<()> {
    match (constraint.kind, constraint.table, constraint.domain) {
        ('p' | 'u' | 'x', Some(table), _) => keys::emit(out, object, constraint, table)?,
        ('f', Some(table), _) => {
            // A foreign key of a partitioned table is always inherited, any other never.
            let only = if out.catalog.owner(table)?.table.relkind == 'p' { "" } else { "ONLY " };
            emit_of_table(out, object, constraint, table, "FK CONSTRAINT", only)?;
        }
        ('c' | 'n', Some(table), _) => {
            if constraint.separate && constraint.local {
                emit_of_table(out, object, constraint, table, desc(constraint.kind), "")?;
            }
        }
        ('c' | 'n', None, Some(domain)) => {
            if constraint.separate {
                emit_of_domain(out, object, constraint, domain)?;
            }
        }
        (other, ..) => {
            let message = format!("contype is {other:?}, which is not known here");
            return Err(Error::new(ErrorKind::Catalog, message).on(format!("constraint {}", object.name)));
        }
    }
    if constraint.separate {
        emit_comment(out, object, constraint);
    }
    Ok(())
}

/// The entry's kind for a check or not-null constraint.
fn desc(kind: char) -> &'static str {
    if kind == 'c' { "CHECK CONSTRAINT" } else { "CONSTRAINT" }
}

/// The entry of a constraint which `pg_get_constraintdef` defines wholly.
fn emit_of_table(
    out: &mut Emitter<'_>,
    object: &Object,
    constraint: &Constraint,
    table: DumpId,
    desc: &str,
    only: &str,
) -> Result<()> {
    let table = out.catalog.owner(table)?;
    let relation = format!("{}TABLE {only}{}", table.foreign, table.qualified);
    emit_altering(out, object, constraint, &relation, &table.object.name, desc)
}

/// The entry of a domain's constraint that was not validated.
fn emit_of_domain(
    out: &mut Emitter<'_>,
    object: &Object,
    constraint: &Constraint,
    domain: DumpId,
) -> Result<()> {
    let domain = out.catalog.get(domain);
    let altered = format!("DOMAIN {}", out.catalog.qualified(domain));
    emit_altering(out, object, constraint, &altered, &domain.name, desc(constraint.kind))
}

fn emit_altering(
    out: &mut Emitter<'_>,
    object: &Object,
    constraint: &Constraint,
    altered: &str,
    of: &str,
    desc: &str,
) -> Result<()> {
    if !object.dumps(Parts::DEFINITION) {
        return Ok(());
    }
    let definition = constraint.definition.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::Catalog, "its definition was not read")
            .on(format!("constraint {} of {altered}", object.name))
    })?;
    let name = quote::identifier(&object.name);
    out.define(
        object,
        Definition {
            tag: format!("{of} {}", object.name),
            desc,
            section: Section::PostData,
            create: format!("ALTER {altered}\n    ADD CONSTRAINT {name} {definition};\n"),
            drop: format!("ALTER {altered} DROP CONSTRAINT {name};\n"),
        },
    );
    Ok(())
}

/// The comment on a constraint, of a table (`dumpTableConstraintComment` in `pg_dump.c`) or a domain. It hangs
/// on the constraint's own entry, or on that of the table or domain which defines it inline: those write it
/// themselves, by calling this.
pub fn emit_comment(out: &mut Emitter<'_>, object: &Object, constraint: &Constraint) {
    let (on, whole) = match (constraint.table, constraint.domain) {
        (Some(table), _) => ("ON", table),
        (None, Some(domain)) => ("ON DOMAIN", domain),
        (None, None) => return,
    };
    let name = quote::identifier(&out.catalog.get(whole).name);
    let kind = format!("CONSTRAINT {} {on}", quote::identifier(&object.name));
    let hangs_on = if constraint.separate { object.id } else { whole };
    describe_within(out, object, hangs_on, &kind, &name);
}

/// The name of a column by its number, for system columns too (`getAttrName` in `pg_dump.c`; the numbers are in
/// `src/include/access/sysattr.h`).
fn column_name(table: &super::tables::Table, number: i32) -> Option<&str> {
    match number {
        -1 => Some("ctid"),
        -2 => Some("xmin"),
        -3 => Some("cmin"),
        -4 => Some("xmax"),
        -5 => Some("cmax"),
        -6 => Some("tableoid"),
        _ => table.columns.iter().find(|column| column.number == number).map(|column| column.name.as_str()),
    }
}

/// The attachments of all indexes below a partitioned one, however deep (`addConstrChildIdxDeps` in `pg_dump.c`).
fn attachments_below(catalog: &Catalog, index: DumpId) -> Vec<DumpId> {
    let mut found = Vec::new();
    let mut pending = vec![index];
    while let Some(id) = pending.pop() {
        let Kind::Index(index) = &catalog.get(id).kind else { continue };
        for attach_id in &index.attachments {
            found.push(*attach_id);
            if let Kind::IndexAttach(attach) = &catalog.get(*attach_id).kind {
                pending.push(attach.index);
            }
        }
    }
    found
}
