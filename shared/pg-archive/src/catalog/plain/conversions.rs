//! Conversions between encodings (`dumpConversion`).

use super::{Plain, object, qualified};
use crate::catalog::{Catalog, FIRST_NORMAL_OID, class};
use crate::session::Session;
use crate::{Result, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = format!(
        "SELECT oid, conname AS name, connamespace AS namespace, conowner AS owner, conproc, condefault, \
         pg_catalog.pg_encoding_to_char(conforencoding) AS conforencoding, \
         pg_catalog.pg_encoding_to_char(contoencoding) AS contoencoding \
         FROM pg_catalog.pg_conversion WHERE oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&sql).await? {
        let name = qualified(catalog, &row)?;
        let create = format!(
            "CREATE {}CONVERSION {name} FOR {} TO {} FROM {};\n",
            if row.flag("condefault")? { "DEFAULT " } else { "" },
            quote::literal(row.text("conforencoding")?),
            quote::literal(row.text("contoencoding")?),
            row.text("conproc")?
        );
        let plain = Plain {
            desc: "CONVERSION",
            priority: 130,
            tag: row.string("name")?,
            create,
            drop: format!("DROP CONVERSION {name};\n"),
            described_as: ("CONVERSION", quote::identifier(row.text("name")?)),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::CONVERSION, plain)?;
        catalog.add(object);
    }
    Ok(())
}
