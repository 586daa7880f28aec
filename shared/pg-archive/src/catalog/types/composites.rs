//! The columns of stand-alone composite types (`dumpCompositeType`).

use std::collections::HashMap;

use super::{Detail, collation, oid_array};
use crate::catalog::{Address, Object, Parts, class};
use crate::emit::Emitter;
use crate::session::{Row, Session};
use crate::{Result, quote};

/// The columns of a composite type that were not dropped, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Composite {
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    number: i32,
    /// Name, unquoted.
    name: String,
    /// Type, and collation if it is not the type's own.
    type_: String,
}

/// Reads the columns of the given composite types. A type may have none.
pub(super) async fn read(session: &Session, oids: &[u32]) -> Result<Vec<(u32, Detail)>> {
    let mut types: HashMap<u32, Composite> = oids.iter().map(|oid| (*oid, Composite::default())).collect();
    let sql = format!(
        "SELECT ct.oid, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) AS atttypdefn, \
         coll.collname, collnsp.nspname AS collnamespace \
         FROM pg_catalog.pg_type ct \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = ct.typrelid \
         JOIN pg_catalog.pg_type at ON at.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_collation coll \
         ON coll.oid = a.attcollation AND a.attcollation <> at.typcollation \
         LEFT JOIN pg_catalog.pg_namespace collnsp ON collnsp.oid = coll.collnamespace \
         WHERE ct.oid = ANY ({}) AND NOT a.attisdropped ORDER BY ct.oid, a.attnum",
        oid_array(oids)
    );
    for row in session.rows(&sql).await? {
        types.entry(row.number("oid")?).or_default().columns.push(column(&row)?);
    }
    Ok(types.into_iter().map(|(oid, composite)| (oid, Detail::Composite(composite))).collect())
}

fn column(row: &Row) -> Result<Column> {
    let mut type_ = row.string("atttypdefn")?;
    if let Some(collation) = collation(row)? {
        type_.push_str(" COLLATE ");
        type_.push_str(&collation);
    }
    Ok(Column { number: row.number("attnum")?, name: row.string("attname")?, type_ })
}

impl Composite {
    /// What stands behind `CREATE TYPE name`.
    pub(super) fn body(&self) -> String {
        let columns = self.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| format!("\n\t{} {}", quote::identifier(&column.name), column.type_))
            .collect();
        format!(" AS ({}\n)", columns.join(","))
    }

    /// Writes the comments on the columns, which are filed under the type's relation
    /// (`dumpCompositeTypeColComments`).
    pub(super) fn describe_columns(&self, out: &mut Emitter<'_>, object: &Object, relation: u32) {
        if !object.dump.has(Parts::COMMENT) {
            return;
        }
        let catalog = out.catalog;
        let comments = catalog.comments.comments.get(&Address::new(class::CLASS, relation));
        for (number, comment) in comments.into_iter().flatten() {
            // The comment of a dropped column stays behind, and the relation itself may have one.
            let Some(column) = self.columns.iter().find(|column| column.number == *number) else { continue };
            let column = quote::identifier(&column.name);
            let tag = format!("COLUMN {}.{column}", quote::identifier(&object.name));
            let sql = format!(
                "COMMENT ON COLUMN {}.{column} IS {};\n",
                catalog.qualified(object),
                quote::literal(comment)
            );
            out.attach(object, tag, "COMMENT", sql, &[object.id]);
        }
    }
}
