//! The statements that create tables, views and materialized views (`dumpTableSchema`).

use std::fmt::Write as _;

use crate::catalog::tables::{Column, ColumnDefault, NotNull, Table, TableAttach, columns, inheritance};
use crate::catalog::{Catalog, Kind, Object, Parts, comments, constraints, views};
use crate::emit::{Definition, Emitter};
use crate::quote::{identifier, qualified};
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

/// Writes the entry of a table or view, and what hangs on it but its grants.
pub(super) fn emit(out: &mut Emitter<'_>, object: &Object, table: &Table) -> Result<()> {
    let qualified = out.catalog.qualified(object);
    let mut create = if table.relkind == 'v' {
        create_view(out.catalog, object, table, &qualified)?
    } else {
        create_table(out, object, table, &qualified)?
    };
    create.push_str(&replica_identity(table, &qualified));
    if table.force_row_security {
        let _ = write!(create, "\nALTER TABLE ONLY {qualified} FORCE ROW LEVEL SECURITY;\n");
    }
    let words = table.kind_words();
    let section = if table.postponed { Section::PostData } else { Section::PreData };
    let drop = format!("DROP {words} {qualified};\n");
    let entry =
        out.define(object, Definition { tag: object.name.clone(), desc: words, section, create, drop });
    // An empty tablespace means the default one, and none that the kind has none (`_selectTablespace`).
    entry.tablespace = "rmp".contains(table.relkind).then(|| table.tablespace.clone());
    entry.table_access_method = if "rm".contains(table.relkind) { table.access_method.clone() } else { None };

    let columns: Vec<(i32, String)> =
        table.columns.iter().map(|column| (column.number, column.name.clone())).collect();
    comments::emit_table(out, object, words, &columns);
    comment_not_nulls(out, object, table, &qualified);
    for check in &table.checks {
        let check = out.catalog.get(*check);
        if let Kind::Constraint(constraint) = &check.kind
            && !constraint.separate
            && constraint.local
        {
            constraints::emit_comment(out, check, constraint);
        }
    }
    Ok(())
}

/// Comments on the NOT NULL constraints that are part of the definition (from 18).
fn comment_not_nulls(out: &mut Emitter<'_>, object: &Object, table: &Table, qualified: &str) {
    for column in &table.columns {
        if let (Some(not_null), Some(comment)) = (&column.not_null, &column.not_null_comment)
            && let Some(name) = &not_null.name
        {
            let name = identifier(name);
            let sql = format!(
                "COMMENT ON CONSTRAINT {name} ON {qualified} IS {};\n",
                crate::quote::literal(comment)
            );
            let tag = format!("CONSTRAINT {name} ON {}", identifier(&object.name));
            out.attach(object, tag, "COMMENT", sql, &[object.id]);
        }
    }
}

fn create_view(catalog: &Catalog, object: &Object, table: &Table, qualified: &str) -> Result<String> {
    let mut sql = format!("CREATE VIEW {qualified}");
    if table.dummy_view {
        let _ = write!(sql, " AS\n{};\n", views::dummy(catalog, object, table));
        return Ok(sql);
    }
    if let Some(options) = &table.options.as_deref().filter(|options| options.len() > 2) {
        let _ = write!(sql, " WITH ({})", views::options(options, ""));
    }
    let _ = write!(sql, " AS\n{}", view_definition(object, table)?);
    if let Some(option) = &table.check_option {
        let _ = write!(sql, "\n  WITH {option} CHECK OPTION");
    }
    sql.push_str(";\n");
    Ok(sql)
}

fn view_definition<'a>(object: &Object, table: &'a Table) -> Result<&'a str> {
    table.view_definition.as_deref().filter(|text| !text.is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::Catalog, "the server returned no definition for it")
            .on(format!("view {}", object.name))
            .hint("The view was dropped while the backup ran, or its rule is damaged. Run the backup again.")
    })
}

fn create_table(out: &Emitter<'_>, object: &Object, table: &Table, qualified: &str) -> Result<String> {
    let catalog = out.catalog;
    let unlogged = if table.persistence == 'u' { "UNLOGGED " } else { "" };
    let ordered = table.inherits_later.then(|| order_of_columns(catalog, object, table));
    let mut sql = ordered.as_ref().map(|(_, create)| create.clone()).unwrap_or_default();
    let _ = write!(sql, "CREATE {unlogged}{} {qualified}", table.kind_words());
    if let Some(of_type) = &table.of_type {
        let _ = write!(sql, " OF {of_type}");
    }
    if table.relkind != 'm' {
        sql.push_str(&elements(catalog, table));
        if !table.parents.is_empty() && !table.is_partition {
            let parents = match &ordered {
                Some((name, _)) => vec![name.clone()],
                None => parents(catalog, table),
            };
            let _ = write!(sql, "\nINHERITS ({})", parents.join(", "));
        }
        if let Some(key) = &table.partition_key {
            let _ = write!(sql, "\nPARTITION BY {key}");
        }
        if let Some(foreign) = &table.foreign {
            let _ = write!(sql, "\nSERVER {}", identifier(&foreign.server));
        }
    }
    sql.push_str(&storage_options(table));
    if let Some(foreign) = table.foreign.as_ref().filter(|foreign| !foreign.options.is_empty()) {
        let _ = write!(sql, "\nOPTIONS (\n    {}\n)", foreign.options);
    }
    if table.relkind == 'm' {
        let _ = write!(sql, " AS\n{}\n  WITH NO DATA;\n", view_definition(object, table)?);
        sql.push_str(&out.extension_dependencies(object, "MATERIALIZED VIEW", qualified));
    } else {
        sql.push_str(";\n");
    }
    // Partitions that are made later take it over (from 17). pg_restore would say so for an archive of version 1.16,
    // which names the kind of a relation; older versions cannot.
    if let Some(method) = table.access_method.as_deref().filter(|_| table.relkind == 'p') {
        let _ = writeln!(sql, "ALTER TABLE {qualified} SET ACCESS METHOD {};", identifier(method));
    }
    if let Some((order, _)) = &ordered {
        let alter = format!("ALTER {}TABLE ONLY {qualified}", table.foreign_prefix());
        for parent in parents(catalog, table) {
            let _ = writeln!(sql, "{alter} INHERIT {parent};");
        }
        let _ = writeln!(sql, "{alter} NO INHERIT {order};\nDROP TABLE {order};");
    }
    for column in table.columns.iter().filter(|column| !column.dropped) {
        sql.push_str(&column_properties(catalog, table, column, qualified));
    }
    Ok(sql)
}

fn parents(catalog: &Catalog, table: &Table) -> Vec<String> {
    table.parents.iter().map(|parent| catalog.qualified(catalog.get(*parent))).collect()
}

/// The name of a table that is there only until its heir has the columns in their order, and what makes it. It has what
/// the heir has from its parents alone, so that this is not the heir's own.
fn order_of_columns(catalog: &Catalog, object: &Object, table: &Table) -> (String, String) {
    let name =
        qualified(catalog.schema_name(object), &columns::object_name("pgark_order_of", &object.name, "heir"));
    let columns = inheritance::columns_to_order(catalog, table).into_iter().map(|column| {
        let mut sql = format!("{} {}", identifier(&column.name), column.type_name);
        let above = inheritance::generated_above(catalog, table, column);
        if let Some(above) = above
            && let Some(expression) = inheritance::expression(catalog, above)
        {
            let stored = if above.generated == 's' { " STORED" } else { "" };
            let _ = write!(sql, " GENERATED ALWAYS AS ({expression}){stored}");
        }
        if let Some(not_null) = column.not_null.as_ref().filter(|not_null| !not_null.local) {
            let chosen = || columns::object_name(&object.name, &column.name, columns::NOT_NULL);
            let name = not_null.name.clone().unwrap_or_else(chosen);
            let _ = write!(sql, " CONSTRAINT {} NOT NULL", identifier(&name));
        }
        if let Some(collation) = &column.collation {
            let _ = write!(sql, " COLLATE {collation}");
        }
        sql
    });
    let checks =
        table.checks.iter().map(|check| catalog.get(*check)).filter_map(|object| match &object.kind {
            Kind::Constraint(check) if !check.separate && !check.local => {
                Some(format!("CONSTRAINT {} {}", identifier(&object.name), check.definition.as_deref()?))
            }
            _ => None,
        });
    let elements: Vec<String> = columns.chain(checks).collect();
    let create = format!("CREATE TABLE {name} (\n    {}\n);\n\n", elements.join(",\n    "));
    (name, create)
}

/// The parenthesized list of columns and constraints.
fn elements(catalog: &Catalog, table: &Table) -> String {
    let mut elements: Vec<String> =
        table.columns.iter().filter_map(|column| element(catalog, table, column)).collect();
    for check in &table.checks {
        let object = catalog.get(*check);
        // A partition must have its parent's constraints before it can be attached.
        if let Kind::Constraint(check) = &object.kind
            && !check.separate
            && (check.local || table.is_partition)
            && let Some(definition) = &check.definition
        {
            elements.push(format!("CONSTRAINT {} {definition}", identifier(&object.name)));
        }
    }
    match (elements.is_empty(), table.of_type.is_some()) {
        (true, true) => String::new(),
        (true, false) => " (\n)".to_owned(),
        _ => format!(" (\n    {}\n)", elements.join(",\n    ")),
    }
}

fn element(catalog: &Catalog, table: &Table, column: &Column) -> Option<String> {
    let not_null = column.not_null.as_ref().filter(|not_null| not_null.local || table.is_partition);
    if !table.prints(column) {
        // The column comes from a parent, its constraint does not. Only 18 has a syntax for it in CREATE TABLE.
        let not_null = not_null.filter(|not_null| not_null.local && !column.dropped)?;
        return (catalog.server.version_num >= 180_000).then(|| {
            format!("{} {}{}", not_null_words(not_null), identifier(&column.name), no_inherit(not_null))
        });
    }
    let default = inline_default(catalog, column);
    if table.of_type.is_some() && default.is_none() && not_null.is_none() {
        return None;
    }
    let mut sql = identifier(&column.name);
    if table.of_type.is_none() {
        let _ = write!(sql, " {}", column.type_name);
    }
    if let Some(expression) = default {
        let _ = match column.generated {
            's' => write!(sql, " GENERATED ALWAYS AS ({expression}) STORED"),
            'v' => write!(sql, " GENERATED ALWAYS AS ({expression})"),
            _ => write!(sql, " DEFAULT {expression}"),
        };
    }
    if let Some(not_null) = not_null {
        let _ = write!(sql, " {}{}", not_null_words(not_null), no_inherit(not_null));
    }
    if let Some(collation) = &column.collation {
        let _ = write!(sql, " COLLATE {collation}");
    }
    Some(sql)
}

fn not_null_words(not_null: &NotNull) -> String {
    match &not_null.name {
        Some(name) => format!("CONSTRAINT {} NOT NULL", identifier(name)),
        None => "NOT NULL".to_owned(),
    }
}

fn no_inherit(not_null: &NotNull) -> &'static str {
    if not_null.no_inherit { " NO INHERIT" } else { "" }
}

fn inline_default<'a>(catalog: &'a Catalog, column: &Column) -> Option<&'a str> {
    let object = catalog.get(column.default?);
    match &object.kind {
        Kind::ColumnDefault(default) if !default.separate && object.dump != Parts::NONE => {
            Some(&default.expression)
        }
        _ => None,
    }
}

fn storage_options(table: &Table) -> String {
    let lists = [(&table.options, ""), (&table.toast_options, "toast.")];
    let options: Vec<String> = lists
        .into_iter()
        .filter_map(|(options, prefix)| Some((options.as_deref().filter(|text| text.len() > 2)?, prefix)))
        .map(|(options, prefix)| views::options(options, prefix))
        .collect();
    if options.is_empty() { String::new() } else { format!("\nWITH ({})", options.join(", ")) }
}

/// What only ALTER TABLE can say of a column.
fn column_properties(catalog: &Catalog, table: &Table, column: &Column, qualified: &str) -> String {
    let foreign = table.foreign_prefix();
    let name = identifier(&column.name);
    let mut sql = String::new();
    let mut alter = |what: String| {
        let _ = writeln!(sql, "ALTER {foreign}TABLE ONLY {qualified} ALTER COLUMN {name} {what};");
    };
    let inherited = !table.prints(column);
    let local_not_null = column.not_null.as_ref().is_some_and(|not_null| not_null.local);
    if inherited && local_not_null && catalog.server.version_num < 180_000 {
        alter("SET NOT NULL".to_owned());
    }
    if let Some(target) = column.statistics_target {
        alter(format!("SET STATISTICS {target}"));
    }
    let storage = match column.storage {
        Some('p') => Some("PLAIN"),
        Some('e') => Some("EXTERNAL"),
        Some('x') => Some("EXTENDED"),
        Some('m') => Some("MAIN"),
        _ => None,
    };
    if let Some(storage) = storage {
        alter(format!("SET STORAGE {storage}"));
    }
    match column.compression {
        'p' => alter("SET COMPRESSION pglz".to_owned()),
        'l' => alter("SET COMPRESSION lz4".to_owned()),
        _ => {}
    }
    if !column.options.is_empty() {
        alter(format!("SET ({})", column.options));
    }
    if table.relkind == 'f' && !column.foreign_options.is_empty() {
        // pg_dump 18 says ONLY; options of columns are not inherited either way.
        let only = if catalog.server.version_num >= 160_000 { "ONLY " } else { "" };
        let _ = writeln!(
            sql,
            "ALTER FOREIGN TABLE {only}{qualified} ALTER COLUMN {name} OPTIONS (\n    {}\n);",
            column.foreign_options
        );
    }
    sql
}

/// REPLICA IDENTITY, but for that by an index, which comes with the index.
fn replica_identity(table: &Table, qualified: &str) -> String {
    match table.replica_identity {
        'n' if "rpm".contains(table.relkind) => {
            format!("\nALTER TABLE ONLY {qualified} REPLICA IDENTITY NOTHING;\n")
        }
        'f' if "rpm".contains(table.relkind) => {
            format!("\nALTER TABLE ONLY {qualified} REPLICA IDENTITY FULL;\n")
        }
        _ => String::new(),
    }
}

/// Writes the attachment of a partition (`dumpTableAttach`). Partitions are made alone and then attached, which keeps
/// their column order and tablespace.
pub fn emit_attach(out: &mut Emitter<'_>, object: &Object, attach: &TableAttach) -> Result<()> {
    let partition = out.catalog.get(attach.partition);
    let Kind::Table(table) = &partition.kind else { return Ok(()) };
    if !partition.dump.has(Parts::DEFINITION) {
        return Ok(());
    }
    let bound = table.partition_bound.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::Catalog, "the server returned no partition bound for it")
            .on(format!("partition {}", partition.name))
    })?;
    let parent = out.catalog.qualified(out.catalog.get(attach.parent));
    let create =
        format!("ALTER TABLE ONLY {parent} ATTACH PARTITION {} {bound};\n", out.catalog.qualified(partition));
    out.define(
        object,
        Definition {
            tag: object.name.clone(),
            desc: "TABLE ATTACH",
            section: Section::PreData,
            create,
            drop: String::new(),
        },
    );
    Ok(())
}

/// Writes a default that is set by a statement of its own (`dumpAttrDef`).
pub fn emit_default(out: &mut Emitter<'_>, object: &Object, default: &ColumnDefault) -> Result<()> {
    let owner = out.catalog.get(default.table);
    let Kind::Table(table) = &owner.kind else { return Ok(()) };
    if !default.separate || !object.dump.has(Parts::DEFINITION) {
        return Ok(());
    }
    let column = table.columns.iter().find(|column| column.number == default.column).ok_or_else(|| {
        Error::new(
            ErrorKind::Catalog,
            format!("a default is for its column {}, which it has not", default.column),
        )
        .on(format!("table {}", owner.name))
    })?;
    let (foreign, qualified, name) =
        (table.foreign_prefix(), out.catalog.qualified(owner), identifier(&column.name));
    out.define(
        object,
        Definition {
            tag: format!("{} {}", owner.name, column.name),
            desc: "DEFAULT",
            section: Section::PreData,
            create: format!(
                "ALTER {foreign}TABLE ONLY {qualified} ALTER COLUMN {name} SET DEFAULT {};\n",
                default.expression
            ),
            drop: format!("ALTER {foreign}TABLE {qualified} ALTER COLUMN {name} DROP DEFAULT;\n"),
        },
    );
    Ok(())
}
