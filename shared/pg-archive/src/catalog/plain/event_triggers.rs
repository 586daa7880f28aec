//! Event triggers (`dumpEventTrigger`). They are restored last of all, so that none fires on the restore itself.

use super::{Plain, object};
use crate::catalog::{Catalog, class};
use crate::session::Session;
use crate::{Error, ErrorKind, Result, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = "SELECT oid, evtname AS name, NULL AS namespace, evtowner AS owner, evtevent, evtenabled, \
        evtfoid::pg_catalog.regproc AS function, pg_catalog.array_to_string(ARRAY( \
        SELECT pg_catalog.quote_literal(x) FROM pg_catalog.unnest(evttags) AS t(x)), ', ') AS tags \
        FROM pg_catalog.pg_event_trigger ORDER BY oid";
    for row in session.rows(sql).await? {
        let name = quote::identifier(row.text("name")?);
        let event = quote::identifier(row.text("evtevent")?);
        let tags = match row.text("tags")? {
            "" => String::new(),
            tags => format!("\n         WHEN TAG IN ({tags})"),
        };
        let state = match row.letter("evtenabled")? {
            'O' => None,
            'D' => Some("DISABLE"),
            'A' => Some("ENABLE ALWAYS"),
            'R' => Some("ENABLE REPLICA"),
            other => {
                let message = format!("evtenabled {other:?} is not known");
                return Err(Error::new(ErrorKind::Catalog, message).on(format!("event trigger {name}")));
            }
        };
        let state = state.map(|state| format!("\nALTER EVENT TRIGGER {name} {state};\n")).unwrap_or_default();
        let plain = Plain {
            desc: "EVENT TRIGGER",
            priority: 185,
            tag: row.string("name")?,
            create: format!(
                "CREATE EVENT TRIGGER {name} ON {event}{tags}\n   EXECUTE FUNCTION {}();\n{state}",
                row.text("function")?
            ),
            drop: format!("DROP EVENT TRIGGER {name};\n"),
            described_as: ("EVENT TRIGGER", name),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::EVENT_TRIGGER, plain)?;
        catalog.add(object);
    }
    Ok(())
}
