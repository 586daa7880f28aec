//! Columns, their defaults, their NOT NULL constraints, and the CHECK constraints of tables (`getTableAttrs`).

use std::collections::{HashMap, HashSet};

use crate::catalog::constraints::Constraint;
use crate::catalog::tables::read::{oids, with_table};
use crate::catalog::tables::{Column, ColumnDefault, NotNull, inheritance};
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, class};
use crate::quote;
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result};

/// Reads the columns of all interesting relations. Sequences have some too, but nobody wants them.
pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let tables = oids(catalog, |_, table| table.interesting && table.relkind != 'S');
    let sql = columns_query(catalog.server.version_num, &tables);
    for row in session.rows(&sql).await? {
        let column = column(&row, catalog.server.version_num)?;
        with_table(catalog, &row, |table| table.columns.push(column))?;
    }
    if catalog.server.version_num >= 180_000 {
        name_not_nulls(catalog);
    }
    inheritance::find_orders(catalog);
    if !catalog.selection.schema {
        return Ok(());
    }
    defaults(catalog, session, &tables).await?;
    constraints(catalog, session, &tables).await
}

/// The query for columns. The option `pg_attver` is the server's own mark for a version of a column, which minor
/// releases since November 2026 keep; `pg_dump` of those releases leaves it out too.
fn columns_query(version: u32, tables: &str) -> String {
    let compression = if version >= 140_000 { "a.attcompression" } else { "''" };
    let (not_null, not_null_join) = if version >= 180_000 {
        (
            "co.conname AS not_null_name, co.convalidated IS FALSE AS not_null_invalid, \
             co.connoinherit IS TRUE AS not_null_no_inherit, co.conislocal IS TRUE AS not_null_local, \
             pt.description AS not_null_comment",
            "LEFT JOIN pg_catalog.pg_constraint co ON a.attrelid = co.conrelid AND a.attnum = co.conkey[1] \
               AND co.contype = 'n' AND co.conkey[2] IS NULL
             LEFT JOIN pg_catalog.pg_description pt ON pt.classoid = co.tableoid AND pt.objoid = co.oid \
               AND pt.objsubid = 0",
        )
    } else {
        (
            "CASE WHEN a.attnotnull THEN '' END AS not_null_name, false AS not_null_invalid, \
             false AS not_null_no_inherit, true AS not_null_local, NULL AS not_null_comment",
            "",
        )
    };
    format!(
        "SELECT a.attrelid AS oid, a.attnum, a.attname, a.atttypid, a.attisdropped, a.attislocal, a.attidentity,
           a.attgenerated, a.attstattarget, a.attstorage, t.typstorage, a.attacl, {compression} AS attcompression,
           pg_catalog.format_type(t.oid, a.atttypmod) AS type_name,
           pg_catalog.array_to_string(ARRAY(
             SELECT o FROM pg_catalog.unnest(a.attoptions) o
             WHERE pg_catalog.substr(o, 1, 10) <> 'pg_attver='), ', ') AS options,
           co_n.nspname AS collation_schema, co_c.collname AS collation_name,
           pg_catalog.array_to_string(ARRAY(
             SELECT pg_catalog.quote_ident(option_name) || ' ' || pg_catalog.quote_literal(option_value)
             FROM pg_catalog.pg_options_to_table(a.attfdwoptions) ORDER BY option_name), E',\\n    ') AS fdw_options,
           {not_null}
         FROM unnest({tables}) AS src(tbloid)
         JOIN pg_catalog.pg_attribute a ON src.tbloid = a.attrelid
         LEFT JOIN pg_catalog.pg_type t ON a.atttypid = t.oid
         LEFT JOIN pg_catalog.pg_collation co_c ON a.attcollation = co_c.oid AND a.attcollation <> t.typcollation
         LEFT JOIN pg_catalog.pg_namespace co_n ON co_n.oid = co_c.collnamespace
         {not_null_join}
         WHERE a.attnum > 0
         ORDER BY a.attrelid, a.attnum"
    )
}

fn column(row: &Row, version: u32) -> Result<Column> {
    let storage = row.letter("attstorage")?;
    let type_storage = row.optional("typstorage")?.and_then(|text| text.chars().next());
    let target =
        row.optional("attstattarget")?.and_then(|text| text.parse().ok()).filter(|target| *target >= 0);
    let collation = match (row.optional("collation_schema")?, row.optional("collation_name")?) {
        (Some(schema), Some(name)) => Some(quote::qualified(schema, name)),
        _ => None,
    };
    let invalid = row.flag("not_null_invalid")?;
    let not_null = match row.optional("not_null_name")? {
        Some(name) if !invalid => Some(NotNull {
            // Before 18 the name is empty, because there is none. Names that the server would choose itself are
            // taken out when the table's name is known; one with a comment stays, because COMMENT needs it.
            name: (version >= 180_000).then(|| name.to_owned()),
            no_inherit: row.flag("not_null_no_inherit")?,
            local: row.flag("not_null_local")?,
        }),
        _ => None,
    };
    Ok(Column {
        number: row.number("attnum")?,
        name: row.string("attname")?,
        type_name: row.optional_string("type_name")?.unwrap_or_default(),
        type_oid: row.number("atttypid")?,
        dropped: row.flag("attisdropped")?,
        not_null,
        not_null_invalid: invalid,
        not_null_comment: row.optional_string("not_null_comment")?,
        collation,
        statistics_target: target,
        storage: (type_storage.is_some_and(|own| own != storage)).then_some(storage),
        compression: row.letter("attcompression")?,
        options: row.optional_string("options")?.unwrap_or_default(),
        foreign_options: row.optional_string("fdw_options")?.unwrap_or_default(),
        identity: row.letter("attidentity")?,
        generated: row.letter("attgenerated")?,
        local: row.flag("attislocal")?,
        default: None,
        acl: row.optional_string("attacl")?,
    })
}

/// Forgets the names of NOT NULL constraints that the server would choose again (`determineNotNullFlags`).
fn name_not_nulls(catalog: &mut Catalog) {
    for object in catalog.objects_mut() {
        let Kind::Table(table) = &mut object.kind else { continue };
        for column in &mut table.columns {
            let chosen = format!("{}_{}_not_null", object.name, column.name);
            if let Some(not_null) = &mut column.not_null
                && not_null.name.as_ref() == Some(&chosen)
                && column.not_null_comment.is_none()
            {
                not_null.name = None;
            }
        }
    }
}

/// Names NOT NULL constraints where a server from 18 on would choose the name of another constraint of the table, which
/// could then not be made. Older servers read such a name and forget it. To be called once all constraints are read.
pub(in crate::catalog) fn keep_names_apart(catalog: &mut Catalog) {
    if catalog.server.version_num >= 180_000 {
        return;
    }
    let mut taken: HashMap<DumpId, HashSet<String>> = HashMap::new();
    for object in catalog.objects() {
        if let Kind::Constraint(constraint) | Kind::ForeignKey(constraint) = &object.kind
            && let Some(table) = constraint.table
            && object.name.ends_with(NOT_NULL)
        {
            taken.entry(table).or_default().insert(object.name.clone());
        }
    }
    for (table, mut taken) in taken {
        let object = catalog.get_mut(table);
        let table_name = object.name.clone();
        let Kind::Table(table) = &mut object.kind else { continue };
        for column in &mut table.columns {
            let Some(not_null) = &mut column.not_null else { continue };
            let chosen =
                |number: &str| object_name(&table_name, &column.name, &format!("{NOT_NULL}{number}"));
            if taken.contains(&chosen("")) {
                let free = (1..=u32::MAX)
                    .map(|number| chosen(&number.to_string()))
                    .find(|name| !taken.contains(name));
                not_null.name.clone_from(&free);
                taken.extend(free);
            }
        }
    }
}

/// What stands behind table and column in the name that the server chooses for a NOT NULL constraint.
pub(super) const NOT_NULL: &str = "not_null";
/// The longest name in bytes (`NAMEDATALEN`).
const NAME_BYTES_MAX: usize = 63;

/// The name that the server makes of these parts, the longer of the first two cut where they are too long
/// (`makeObjectName` in `src/backend/commands/indexcmds.c`).
pub(super) fn object_name(table: &str, column: &str, label: &str) -> String {
    let (mut first, mut second) = (table.len(), column.len());
    while first + second + label.len() + 2 > NAME_BYTES_MAX {
        if first > second { first -= 1 } else { second -= 1 }
    }
    let cut = |text: &str, bytes: usize| text[..text.floor_char_boundary(bytes)].to_owned();
    format!("{}_{}_{label}", cut(table, first), cut(column, second))
}

async fn defaults(catalog: &mut Catalog, session: &Session, tables: &str) -> Result<()> {
    let sql = format!(
        "SELECT d.oid AS default_oid, d.adrelid AS oid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression
         FROM unnest({tables}) AS src(tbloid) JOIN pg_catalog.pg_attrdef d ON src.tbloid = d.adrelid
         ORDER BY d.adrelid, d.adnum"
    );
    for row in session.rows(&sql).await? {
        let (table_id, column_at) = table_and_column(catalog, row.number("oid")?, row.number("adnum")?)?;
        let object = catalog.get(table_id);
        let Kind::Table(table) = &object.kind else { continue };
        let column = &table.columns[column_at];
        if column.dropped {
            continue;
        }
        // A generation expression has no statement of its own; a view's default has nothing else.
        let separate = column.generated == ' ' && (table.relkind == 'v' || !table.prints(column));
        let kind = Kind::ColumnDefault(ColumnDefault {
            table: table_id,
            column: column.number,
            expression: row.string("expression")?,
            separate,
        });
        let mut default =
            Object::new(Address::new(class::ATTRDEF, row.number("default_oid")?), &*object.name, kind);
        (default.schema, default.dump, default.owner) = (object.schema, object.dump, object.owner.clone());
        let id = catalog.add(default);
        let object = catalog.get_mut(table_id);
        if !separate {
            // What the default needs must come before the table; the sort makes it separate where that cannot be.
            object.depend_on(id);
        }
        if let Kind::Table(table) = &mut object.kind {
            table.columns[column_at].default = Some(id);
        }
    }
    Ok(())
}

fn table_and_column(catalog: &Catalog, table_oid: u32, column: i32) -> Result<(DumpId, usize)> {
    let found = catalog.find(Address::new(class::CLASS, table_oid)).and_then(|id| {
        let Kind::Table(table) = &catalog.get(id).kind else { return None };
        table.columns.iter().position(|each| each.number == column).map(|at| (id, at))
    });
    found.ok_or_else(|| {
        let what = format!("column {column} of the relation with OID {table_oid} is not in the catalogs");
        Error::new(ErrorKind::Catalog, what)
    })
}

/// CHECK constraints, and from 18 the NOT NULL constraints that are not validated.
async fn constraints(catalog: &mut Catalog, session: &Session, tables: &str) -> Result<()> {
    let not_null = if catalog.server.version_num >= 180_000 {
        "OR (c.contype = 'n' AND NOT c.convalidated)"
    } else {
        ""
    };
    let sql = format!(
        "SELECT c.oid AS constraint_oid, c.conrelid AS oid, c.conname, c.contype,
           pg_catalog.pg_get_constraintdef(c.oid) AS definition, c.conislocal, c.convalidated
         FROM unnest({tables}) AS src(tbloid) JOIN pg_catalog.pg_constraint c ON src.tbloid = c.conrelid
         WHERE c.contype = 'c' {not_null}
         ORDER BY c.conrelid, c.conname"
    );
    for row in session.rows(&sql).await? {
        let oid = row.number("oid")?;
        let Some(table_id) = catalog.find(Address::new(class::CLASS, oid)) else { continue };
        let kind = row.letter("contype")?;
        // Rows that violate an unvalidated constraint must be loaded before it.
        let separate = !row.flag("convalidated")?;
        let constraint = Constraint {
            table: Some(table_id),
            kind,
            definition: row.optional_string("definition")?,
            local: row.flag("conislocal")?,
            separate,
            ..Constraint::default()
        };
        let address = Address::new(class::CONSTRAINT, row.number("constraint_oid")?);
        let mut object = Object::new(address, row.string("conname")?, Kind::Constraint(Box::new(constraint)));
        let table = catalog.get(table_id);
        (object.schema, object.dump, object.owner) = (table.schema, table.dump, table.owner.clone());
        let id = catalog.add(object);
        let table = catalog.get_mut(table_id);
        if !separate {
            table.depend_on(id);
        }
        if let Kind::Table(table) = &mut table.kind {
            table.checks.push(id);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_as_the_server_cuts_them() {
        let long = "x".repeat(60);
        for (table, column, expected) in [
            ("t", "i", "t_i_not_null".to_owned()),
            (long.as_str(), "i", format!("{}_i_not_null", "x".repeat(52))),
            (long.as_str(), long.as_str(), format!("{}_{}_not_null", "x".repeat(27), "x".repeat(26))),
            ("é", &"é".repeat(30), format!("é_{}_not_null", "é".repeat(25))),
        ] {
            assert_eq!(object_name(table, column, NOT_NULL), expected);
        }
    }
}
