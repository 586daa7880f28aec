//! Access methods (`dumpAccessMethod`).

use super::{Plain, object};
use crate::catalog::{Catalog, FIRST_NORMAL_OID, class};
use crate::session::Session;
use crate::{Error, ErrorKind, Result, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = format!(
        "SELECT oid, amname AS name, NULL AS namespace, NULL AS owner, amtype, amhandler \
         FROM pg_catalog.pg_am WHERE oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&sql).await? {
        let name = quote::identifier(row.text("name")?);
        let kind = match row.letter("amtype")? {
            'i' => "INDEX",
            't' => "TABLE",
            other => {
                let message = format!("access method {name} has an unknown type {other:?}");
                return Err(Error::new(ErrorKind::Catalog, message));
            }
        };
        let plain = Plain {
            desc: "ACCESS METHOD",
            priority: 100,
            tag: row.string("name")?,
            create: format!("CREATE ACCESS METHOD {name} TYPE {kind} HANDLER {};\n", row.text("amhandler")?),
            drop: format!("DROP ACCESS METHOD {name};\n"),
            described_as: ("ACCESS METHOD", name),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::ACCESS_METHOD, plain)?;
        catalog.add(object);
    }
    Ok(())
}
