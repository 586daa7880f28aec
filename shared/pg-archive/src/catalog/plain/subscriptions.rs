//! Subscriptions (`dumpSubscription`). They are restored disconnected: a restored copy of a database must not compete
//! for the slot of the original. `ALTER SUBSCRIPTION … ENABLE` and `REFRESH PUBLICATION` bring one to life.
//!
//! The connection string can hold a password, so only who may read `pg_subscription` whole can dump one. `pg_dump`
//! warns others and goes on without; here each is noted as hidden, and the dump fails by its name.

use std::collections::HashMap;

use super::{Plain, object};
use crate::catalog::{Catalog, Hidden, class};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result, quote};

/// Subscriptions of all databases stand in one catalog.
const OF_THIS_DATABASE: &str = "s.subdbid = \
    (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let may_read_all = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_subscription', 'SELECT') AS may";
    if !session.row(may_read_all).await?.flag("may")? {
        return note_hidden(catalog, session).await;
    }
    let publications = publications(session).await?;
    for row in session.rows(&query(catalog.server.version_num)).await? {
        let name = quote::identifier(row.text("name")?);
        let publications =
            publications.get(&row.number("oid")?).map(|names| names.join(", ")).unwrap_or_default();
        let plain = Plain {
            desc: "SUBSCRIPTION",
            priority: 173,
            tag: row.string("name")?,
            create: format!(
                "CREATE SUBSCRIPTION {name} CONNECTION {} PUBLICATION {publications} WITH ({});\n",
                quote::literal(row.text("subconninfo")?),
                options(catalog.server.version_num, &row)?.join(", ")
            ),
            drop: format!("DROP SUBSCRIPTION {name};\n"),
            described_as: ("SUBSCRIPTION", name),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::SUBSCRIPTION, plain)?;
        catalog.add(object);
    }
    Ok(())
}

/// Names are open to everybody, on every version.
async fn note_hidden(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql =
        format!("SELECT s.subname FROM pg_catalog.pg_subscription s WHERE {OF_THIS_DATABASE} ORDER BY 1");
    for row in session.rows(&sql).await? {
        catalog.hidden.push(Hidden {
            kind: "subscription".to_owned(),
            identity: quote::identifier(row.text("subname")?),
            catalog: "pg_subscription",
        });
    }
    Ok(())
}

/// Options that a server does not have yet are asked for with the value that leaves them out of the statement.
fn query(version_num: u32) -> String {
    let since = |version: u32, column: &str, before: &str| {
        if version_num >= version { format!("s.{column}") } else { format!("{before} AS {column}") }
    };
    let columns = [
        since(140_000, "subbinary", "false"),
        since(140_000, "substream", "'f'"),
        since(150_000, "subtwophasestate", "'d'"),
        since(150_000, "subdisableonerr", "false"),
        since(160_000, "subpasswordrequired", "true"),
        since(160_000, "subrunasowner", "false"),
        since(160_000, "suborigin", "'any'"),
        since(170_000, "subfailover", "false"),
    ];
    format!(
        "SELECT s.oid, s.subname AS name, NULL AS namespace, s.subowner AS owner, s.subconninfo, s.subslotname, \
         s.subsynccommit, {} FROM pg_catalog.pg_subscription s WHERE {OF_THIS_DATABASE}",
        columns.join(", ")
    )
}

/// The publications of each subscription, quoted, in its order.
async fn publications(session: &Session) -> Result<HashMap<u32, Vec<String>>> {
    let sql = format!(
        "SELECT s.oid, p.name FROM pg_catalog.pg_subscription s \
         CROSS JOIN LATERAL pg_catalog.unnest(s.subpublications) WITH ORDINALITY AS p(name, place) \
         WHERE {OF_THIS_DATABASE} ORDER BY s.oid, p.place"
    );
    let mut publications: HashMap<u32, Vec<String>> = HashMap::new();
    for row in session.rows(&sql).await? {
        publications.entry(row.number("oid")?).or_default().push(quote::identifier(row.text("name")?));
    }
    Ok(publications)
}

/// The options of WITH, in `pg_dump`'s order. Which of them stand there although they have their default depends on
/// the source: up to 15 as its own `pg_dump` writes them, or the statement would not run on its own version.
fn options(version_num: u32, row: &Row) -> Result<Vec<String>> {
    let slot = match row.optional("subslotname")? {
        Some(slot) => quote::literal(slot),
        None => "NONE".to_owned(),
    };
    let mut options = vec!["connect = false".to_owned(), format!("slot_name = {slot}")];
    let mut add = |wanted: bool, option: &str| options.extend(wanted.then(|| option.to_owned()));
    add(row.flag("subbinary")?, "binary = true");
    match row.letter("substream")? {
        'p' => add(true, "streaming = parallel"),
        't' => add(true, "streaming = on"),
        // Parallel is the default from 18 on.
        'f' => add(version_num >= 160_000, "streaming = off"),
        other => {
            let message = format!("substream {other:?} is not known");
            return Err(
                Error::new(ErrorKind::Catalog, message).on(format!("subscription {}", row.text("name")?))
            );
        }
    }
    add(row.letter("subtwophasestate")? != 'd', "two_phase = on");
    add(row.flag("subdisableonerr")?, "disable_on_error = true");
    add(!row.flag("subpasswordrequired")?, "password_required = false");
    add(row.flag("subrunasowner")?, "run_as_owner = true");
    add(row.flag("subfailover")?, "failover = true");
    let synchronous = row.text("subsynccommit")?;
    add(synchronous != "off", &format!("synchronous_commit = {}", quote::identifier(synchronous)));
    let origin = row.text("suborigin")?;
    add(!origin.eq_ignore_ascii_case("any"), &format!("origin = {origin}"));
    Ok(options)
}
