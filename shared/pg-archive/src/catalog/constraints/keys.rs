//! Constraints that an index implements: primary keys, unique and exclusion constraints.
//!
//! The text of a key is built here rather than by `pg_get_constraintdef`, as `pg_dump` does, because that
//! function would add the tablespace, which the entry carries apart.

use crate::catalog::constraints::{Constraint, column_name};
use crate::catalog::indexes::{self, Index};
use crate::catalog::table_parts::Owner;
use crate::catalog::tables::Table;
use crate::catalog::{DumpId, Object, Parts, views};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

/// Writes the entry of a constraint with its index.
pub(super) fn emit(
    out: &mut Emitter<'_>,
    object: &Object,
    constraint: &Constraint,
    table: DumpId,
) -> Result<()> {
    if !object.dumps(Parts::DEFINITION) {
        return Ok(());
    }
    let catalog = out.catalog;
    let table = catalog.owner(table)?;
    let id = constraint.index.ok_or_else(|| {
        Error::new(ErrorKind::Catalog, "the index of the constraint was not read")
            .on(format!("constraint {} of {}", object.name, table.qualified))
    })?;
    let (index_object, index) = indexes::get(catalog, id)?;
    let create = create(out, object, constraint, &table, index_object, index)?;
    let relation = format!("{}TABLE ONLY {}", table.foreign, table.qualified);
    let entry = out.define(
        object,
        Definition {
            tag: format!("{} {}", table.object.name, object.name),
            desc: "CONSTRAINT",
            section: Section::PostData,
            create,
            drop: format!("ALTER {relation} DROP CONSTRAINT {};\n", quote::identifier(&object.name)),
        },
    );
    entry.tablespace = Some(index.tablespace.clone());
    Ok(())
}

fn create(
    out: &Emitter<'_>,
    object: &Object,
    constraint: &Constraint,
    table: &Owner<'_>,
    index_object: &Object,
    index: &Index,
) -> Result<String> {
    let definition = match &constraint.definition {
        Some(definition) => definition.clone(),
        None => key(constraint, table.table, index)
            .map_err(|error| error.on(format!("constraint {} of {}", object.name, table.qualified)))?,
    };
    let index_name = quote::identifier(&index_object.name);
    let mut create = format!(
        "ALTER {}TABLE ONLY {}\n    ADD CONSTRAINT {} {definition};\n",
        table.foreign,
        table.qualified,
        quote::identifier(&object.name)
    );
    create += &indexes::cluster(index, &index_name, table);
    create += &indexes::replica_identity(index, &index_name, table);
    create += &out.extension_dependencies(index_object, "INDEX", &out.catalog.qualified(index_object));
    Ok(create)
}

/// `PRIMARY KEY (…)` or `UNIQUE (…)` with all that follows it.
fn key(constraint: &Constraint, table: &Table, index: &Index) -> Result<String> {
    let (key, included) = index.columns.split_at(index.key_columns.min(index.columns.len()));
    let word = if constraint.kind == 'p' { "PRIMARY KEY" } else { "UNIQUE" };
    // Old servers let a primary key use such an index, but none lets a statement say so.
    let nulls = if index.nulls_not_distinct && constraint.kind != 'p' { " NULLS NOT DISTINCT" } else { "" };
    let period = if index.without_overlaps { " WITHOUT OVERLAPS" } else { "" };
    let key = names(table, key)?;
    let included = match included {
        [] => String::new(),
        columns => format!(") INCLUDE ({}", names(table, columns)?),
    };
    let options = views::options(index.options.as_deref().unwrap_or_default(), "");
    let options = if options.is_empty() { options } else { format!(" WITH ({options})") };
    let timing = match (constraint.deferrable, constraint.deferred) {
        (false, _) => "",
        (true, false) => " DEFERRABLE",
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
    };
    Ok(format!("{word}{nulls} ({key}{period}{included}){options}{timing}"))
}

fn names(table: &Table, columns: &[i32]) -> Result<String> {
    let names: Result<Vec<_>> = columns
        .iter()
        .map(|number| {
            column_name(table, *number).map(quote::identifier).ok_or_else(|| {
                Error::new(ErrorKind::Catalog, format!("column {number} of the table was not read"))
            })
        })
        .collect();
    Ok(names?.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tables::Column;

    fn table() -> Table {
        let names = ["id", "User", "during"];
        let columns = (1..).zip(names).map(|(number, name)| Column {
            number,
            name: name.to_owned(),
            ..Column::default()
        });
        Table { columns: columns.collect(), ..Table::default() }
    }

    fn index(columns: &[i32], key_columns: usize) -> Index {
        Index {
            table: DumpId(1),
            parent_oid: 0,
            constraint: None,
            definition: String::new(),
            columns: columns.to_vec(),
            key_columns,
            nulls_not_distinct: false,
            without_overlaps: false,
            clustered: false,
            replica_identity: false,
            tablespace: String::new(),
            options: None,
            statistics_targets: Vec::new(),
            attachments: Vec::new(),
        }
    }

    #[test]
    fn keys_are_written_with_all_that_they_can_have() {
        let constraint =
            |kind, deferrable, deferred| Constraint { kind, deferrable, deferred, ..Constraint::default() };
        let distinct = |columns: &[i32], keys| Index { nulls_not_distinct: true, ..index(columns, keys) };
        for (constraint, index, expected) in [
            (constraint('p', false, false), index(&[1, 2], 2), "PRIMARY KEY (id, \"User\")"),
            (constraint('p', false, false), distinct(&[1], 1), "PRIMARY KEY (id)"),
            (constraint('u', false, false), distinct(&[1], 1), "UNIQUE NULLS NOT DISTINCT (id)"),
            (constraint('u', true, true), index(&[1], 1), "UNIQUE (id) DEFERRABLE INITIALLY DEFERRED"),
            (
                constraint('u', true, false),
                Index { options: Some("{fillfactor=70}".into()), ..index(&[1, 2, 3], 1) },
                "UNIQUE (id) INCLUDE (\"User\", during) WITH (fillfactor='70') DEFERRABLE",
            ),
            (
                constraint('p', false, false),
                Index { without_overlaps: true, ..index(&[1, 3], 2) },
                "PRIMARY KEY (id, during WITHOUT OVERLAPS)",
            ),
            (constraint('u', false, false), index(&[-6, 1], 2), "UNIQUE (tableoid, id)"),
        ] {
            assert_eq!(key(&constraint, &table(), &index).unwrap(), expected);
        }
    }

    #[test]
    fn a_key_on_a_column_that_was_not_read_is_an_error() {
        let constraint = Constraint { kind: 'p', ..Constraint::default() };
        assert!(key(&constraint, &table(), &index(&[9], 1)).is_err());
    }
}
