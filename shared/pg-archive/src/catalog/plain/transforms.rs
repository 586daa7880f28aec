//! Transforms of types for procedural languages (`dumpTransform`).

use super::{Plain, object};
use crate::catalog::types::formatted_or_error;
use crate::catalog::{Catalog, FIRST_NORMAL_OID, class, functions};
use crate::session::Session;
use crate::{Result, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = format!(
        "SELECT f.oid, t.typname || ' ' || l.lanname AS name, NULL AS namespace, NULL AS owner, \
         f.trftype, l.lanname, f.trffromsql::pg_catalog.oid, f.trftosql::pg_catalog.oid \
         FROM pg_catalog.pg_transform f JOIN pg_catalog.pg_type t ON t.oid = f.trftype \
         JOIN pg_catalog.pg_language l ON l.oid = f.trflang \
         WHERE f.oid >= {FIRST_NORMAL_OID} ORDER BY f.trftype, f.trflang"
    );
    for row in session.rows(&sql).await? {
        let type_ = formatted_or_error(catalog, row.number("trftype")?)?;
        let subject = format!("FOR {type_} LANGUAGE {}", quote::identifier(row.text("lanname")?));
        let mut functions = Vec::new();
        for (direction, column) in [("FROM", "trffromsql"), ("TO", "trftosql")] {
            let oid = row.number(column)?;
            if oid != 0 {
                let function = functions::qualified_signature(catalog, oid)?;
                functions.push(format!("{direction} SQL WITH FUNCTION {function}"));
            }
        }
        let plain = Plain {
            desc: "TRANSFORM",
            priority: 40,
            tag: format!("TRANSFORM {subject}"),
            create: format!("CREATE TRANSFORM {subject} ({});\n", functions.join(", ")),
            drop: format!("DROP TRANSFORM {subject};\n"),
            described_as: ("TRANSFORM", subject),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::TRANSFORM, plain)?;
        catalog.add(object);
    }
    Ok(())
}
