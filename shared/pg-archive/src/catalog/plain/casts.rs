//! Casts (`dumpCast`).

use super::{Plain, object};
use crate::catalog::types::formatted_or_error;
use crate::catalog::{Catalog, FIRST_NORMAL_OID, class, functions};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result};

/// Reads the casts that users made. Those from a range to its multirange come with the range, from 14.
pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let condition = if catalog.server.version_num >= 140_000 {
        "AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_range r \
         WHERE c.castsource = r.rngtypid AND c.casttarget = r.rngmultitypid)"
    } else {
        ""
    };
    let sql = format!(
        "SELECT c.oid, s.typname || ' ' || t.typname AS name, NULL AS namespace, NULL AS owner, \
         c.castsource, c.casttarget, c.castfunc, c.castcontext, c.castmethod \
         FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type s ON s.oid = c.castsource \
         JOIN pg_catalog.pg_type t ON t.oid = c.casttarget \
         WHERE c.oid >= {FIRST_NORMAL_OID} {condition} ORDER BY c.castsource, c.casttarget"
    );
    for row in session.rows(&sql).await? {
        let source = formatted_or_error(catalog, row.number("castsource")?)?;
        let target = formatted_or_error(catalog, row.number("casttarget")?)?;
        let pair = format!("({source} AS {target})");
        let plain = Plain {
            desc: "CAST",
            priority: 70,
            tag: format!("CAST {pair}"),
            create: format!("CREATE CAST {pair} {};\n", method(catalog, &row)?),
            drop: format!("DROP CAST {pair};\n"),
            described_as: ("CAST", pair),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::CAST, plain)?;
        catalog.add(object);
    }
    Ok(())
}

fn method(catalog: &Catalog, row: &Row) -> Result<String> {
    let mut method = match row.letter("castmethod")? {
        'b' => "WITHOUT FUNCTION".to_owned(),
        'i' => "WITH INOUT".to_owned(),
        'f' => {
            let function = functions::qualified_signature(catalog, row.number("castfunc")?)?;
            format!("WITH FUNCTION {function}")
        }
        other => {
            let message = format!("castmethod {other:?} is not known");
            return Err(Error::new(ErrorKind::Catalog, message).on(format!("cast {}", row.text("name")?)));
        }
    };
    method.push_str(match row.letter("castcontext")? {
        'a' => " AS ASSIGNMENT",
        'i' => " AS IMPLICIT",
        _ => "",
    });
    Ok(method)
}
