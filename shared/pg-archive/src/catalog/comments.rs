//! Comments and security labels.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::Result;
use crate::catalog::{Address, Catalog, Kind, Object, Parts, class};
use crate::emit::Emitter;
use crate::quote;
use crate::session::Session;

/// All comments and security labels, by object and column (0 for the whole object).
#[derive(Debug, Default)]
pub struct Comments {
    /// `pg_description`.
    pub comments: HashMap<Address, Vec<(i32, String)>>,
    /// `pg_seclabel` and `pg_shseclabel`: column, provider, label.
    pub labels: HashMap<Address, Vec<(i32, String, String)>>,
}

/// Reads all comments and labels, and marks the objects that have one (`collectComments`, `collectSecLabels`).
/// Those of objects which are not in the catalog are forgotten.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT description, classoid, objoid, objsubid FROM pg_catalog.pg_description \
             ORDER BY classoid, objoid, objsubid",
        )
        .await?;
    for row in rows {
        let address = Address::new(row.number("classoid")?, row.number("objoid")?);
        let column = row.number("objsubid")?;
        if mark(catalog, address, column, Parts::COMMENT) {
            let comments = catalog.comments.comments.entry(address).or_default();
            comments.push((column, row.string("description")?));
        }
    }
    let rows = session
        .rows(
            // Subscriptions are the server's, and so are their labels; their comments are not.
            "SELECT label, provider, classoid, objoid, objsubid FROM pg_catalog.pg_seclabel UNION ALL \
             SELECT label, provider, classoid, objoid, 0 FROM pg_catalog.pg_shseclabel \
             WHERE classoid = 'pg_catalog.pg_subscription'::pg_catalog.regclass \
             ORDER BY classoid, objoid, objsubid, provider",
        )
        .await?;
    for row in rows {
        let address = Address::new(row.number("classoid")?, row.number("objoid")?);
        let column = row.number("objsubid")?;
        if mark(catalog, address, column, Parts::LABEL) {
            let labels = catalog.comments.labels.entry(address).or_default();
            labels.push((column, row.string("provider")?, row.string("label")?));
        }
    }
    Ok(())
}

/// Marks the object at an address; what hangs on a column of a composite type's relation is the type's.
fn mark(catalog: &mut Catalog, address: Address, column: i32, part: Parts) -> bool {
    let Some(id) = catalog.find(address) else { return false };
    let owner = match &catalog.get(id).kind {
        Kind::Table(table) if column != 0 && table.relkind == 'c' => {
            catalog.find(Address::new(class::TYPE, table.row_type))
        }
        _ => Some(id),
    };
    if let Some(owner) = owner {
        let object = catalog.get_mut(owner);
        object.parts = object.parts.with(part);
    }
    true
}

/// See [`Emitter::describe`] (`dumpComment`, `dumpSecLabel`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, kind: &str, name: &str) {
    let comment = own_comment(out.catalog, object);
    emit_comment(out, object, kind, name, comment);
    emit_labels(out, object, kind, name);
}

/// Comment and labels of an object that `initdb` makes with a comment (`dumpCommentExtended`): nothing if it is
/// still the same, and an empty one if it was dropped.
pub fn emit_unlike_initdb(
    out: &mut Emitter<'_>,
    object: &Object,
    kind: &str,
    name: &str,
    initdb_comment: &str,
) {
    let comment = own_comment(out.catalog, object).unwrap_or("");
    emit_comment(out, object, kind, name, (comment != initdb_comment).then_some(comment));
    emit_labels(out, object, kind, name);
}

fn own_comment<'a>(catalog: &'a Catalog, object: &Object) -> Option<&'a str> {
    let comments = catalog.comments.comments.get(&object.address)?;
    comments.iter().find(|(column, _)| *column == 0).map(|(_, comment)| comment.as_str())
}

/// Comments and labels go with the definitions, but those of large objects with the data.
fn wanted(catalog: &Catalog, kind: &str) -> bool {
    if kind == "LARGE OBJECT" { catalog.selection.data } else { catalog.selection.schema }
}

fn emit_comment(out: &mut Emitter<'_>, object: &Object, kind: &str, name: &str, comment: Option<&str>) {
    let Some(comment) = comment else { return };
    if object.dumps(Parts::COMMENT) && wanted(out.catalog, kind) {
        let target = format!("{kind} {}", in_schema(out.catalog, object, name));
        attach_comment(out, object, format!("{kind} {name}"), &target, comment);
    }
}

fn attach_comment(out: &mut Emitter<'_>, object: &Object, tag: String, target: &str, comment: &str) {
    let sql = format!("COMMENT ON {target} IS {};\n", quote::literal(comment));
    out.attach(object, tag, "COMMENT", sql, &[object.id]);
}

/// All labels of the whole object, in one entry.
fn emit_labels(out: &mut Emitter<'_>, object: &Object, kind: &str, name: &str) {
    let catalog = out.catalog;
    let Some(labels) = catalog.comments.labels.get(&object.address) else { return };
    if !object.dumps(Parts::LABEL) || !wanted(catalog, kind) {
        return;
    }
    let target = format!("{kind} {}", in_schema(catalog, object, name));
    let mut sql = String::new();
    for (_, provider, label) in labels.iter().filter(|(column, ..)| *column == 0) {
        push_label(&mut sql, provider, &target, label);
    }
    if !sql.is_empty() {
        out.attach(object, format!("{kind} {name}"), "SECURITY LABEL", sql, &[object.id]);
    }
}

fn push_label(sql: &mut String, provider: &str, target: &str, label: &str) {
    let (provider, label) = (quote::identifier(provider), quote::literal(label));
    let _ = writeln!(sql, "SECURITY LABEL FOR {provider} ON {target} IS {label};");
}

/// A quoted name with its object's schema before it.
fn in_schema(catalog: &Catalog, object: &Object, name: &str) -> String {
    match catalog.schema_name(object) {
        "" => name.to_owned(),
        schema => format!("{}.{name}", quote::identifier(schema)),
    }
}

/// Comments and labels of a table and its columns (`dumpTableComment`, `dumpTableSecLabel`): an entry for each
/// comment, one entry for all labels. `columns` are (attribute number, name).
pub fn emit_table(out: &mut Emitter<'_>, object: &Object, kind: &str, columns: &[(i32, String)]) {
    let name = quote::identifier(&object.name);
    emit_comment(out, object, kind, &name, own_comment(out.catalog, object));
    emit_column_comments(out, object, object.address, columns);
    let catalog = out.catalog;
    let Some(labels) = catalog.comments.labels.get(&object.address) else { return };
    if !object.dumps(Parts::LABEL) || !catalog.selection.schema {
        return;
    }
    let qualified = catalog.qualified(object);
    let mut sql = String::new();
    for (number, provider, label) in labels {
        let target = match columns.iter().find(|(column, _)| column == number) {
            _ if *number == 0 => format!("{kind} {qualified}"),
            Some((_, column)) => format!("COLUMN {qualified}.{}", quote::identifier(column)),
            None => continue,
        };
        push_label(&mut sql, provider, &target, label);
    }
    if !sql.is_empty() {
        out.attach(object, format!("{kind} {name}"), "SECURITY LABEL", sql, &[object.id]);
    }
}

/// Comments on the columns of a composite type (`dumpCompositeTypeColComments`). They are filed under its relation
/// (`typrelid`), but their entries are the type's.
pub fn emit_composite_columns(
    out: &mut Emitter<'_>,
    object: &Object,
    relation_oid: u32,
    columns: &[(i32, String)],
) {
    emit_column_comments(out, object, Address::new(class::CLASS, relation_oid), columns);
}

fn emit_column_comments(
    out: &mut Emitter<'_>,
    object: &Object,
    relation: Address,
    columns: &[(i32, String)],
) {
    let catalog = out.catalog;
    let Some(comments) = catalog.comments.comments.get(&relation) else { return };
    if !object.dumps(Parts::COMMENT) || !catalog.selection.schema {
        return;
    }
    let (name, qualified) = (quote::identifier(&object.name), catalog.qualified(object));
    for (number, comment) in comments.iter().filter(|(number, _)| *number != 0) {
        let Some((_, column)) = columns.iter().find(|(column, _)| column == number) else { continue };
        let column = quote::identifier(column);
        let target = format!("COLUMN {qualified}.{column}");
        attach_comment(out, object, format!("COLUMN {name}.{column}"), &target, comment);
    }
}
