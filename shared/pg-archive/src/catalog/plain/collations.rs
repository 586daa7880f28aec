//! Collations (`dumpCollation`). The version is left out: the server that restores them computes its own.

use super::{Plain, object, qualified};
use crate::catalog::{Catalog, FIRST_NORMAL_OID, class};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let version = catalog.server.version_num;
    // Before 15 ICU's locale stood in collcollate; in 15 and 16 the column had another name.
    let locale = match version {
        170_000.. => "colllocale",
        150_000.. => "colliculocale",
        _ => "CASE WHEN collprovider = 'i' THEN collcollate END",
    };
    let rules = if version >= 160_000 { "collicurules" } else { "NULL" };
    let sql = format!(
        "SELECT oid, collname AS name, collnamespace AS namespace, collowner AS owner, collencoding, \
         collprovider, collisdeterministic, collcollate, collctype, {locale} AS colllocale, \
         {rules} AS collicurules FROM pg_catalog.pg_collation WHERE oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&sql).await? {
        let name = qualified(catalog, &row)?;
        let plain = Plain {
            desc: "COLLATION",
            priority: 30,
            // Encodings are numbers from -1.
            sort_key: vec![format!("{:04}", row.number::<i32>("collencoding")? + 1)],
            tag: row.string("name")?,
            create: format!("CREATE COLLATION {name} ({});\n", options(&row)?.join(", ")),
            drop: format!("DROP COLLATION {name};\n"),
            described_as: ("COLLATION", quote::identifier(row.text("name")?)),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::COLLATION, plain)?;
        catalog.add(object);
    }
    Ok(())
}

fn options(row: &Row) -> Result<Vec<String>> {
    let provider = row.letter("collprovider")?;
    let word = match provider {
        'b' => "builtin",
        'c' => "libc",
        'd' => "default",
        'i' => "icu",
        other => {
            let message = format!("collation provider {other:?} is not known");
            return Err(
                Error::new(ErrorKind::Catalog, message).on(format!("collation {}", row.text("name")?))
            );
        }
    };
    let mut options = vec![format!("provider = {word}")];
    if !row.flag("collisdeterministic")? {
        options.push("deterministic = false".to_owned());
    }
    let value =
        |column: &str| -> Result<String> { Ok(quote::literal(row.optional(column)?.unwrap_or_default())) };
    match provider {
        'b' | 'i' => options.push(format!("locale = {}", value("colllocale")?)),
        'c' if row.optional("collcollate")? == row.optional("collctype")? => {
            options.push(format!("locale = {}", value("collcollate")?));
        }
        'c' => {
            options.push(format!("lc_collate = {}", value("collcollate")?));
            options.push(format!("lc_ctype = {}", value("collctype")?));
        }
        _ => {}
    }
    if row.optional("collicurules")?.is_some() {
        options.push(format!("rules = {}", value("collicurules")?));
    }
    Ok(options)
}
