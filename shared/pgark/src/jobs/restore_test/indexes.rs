//! Has PostgreSQL's amcheck look at every B-tree index: its order, and that it holds every row of its table.
//!
//! It comes last but for the assertions, because the extension becomes a part of the database.

use futures_util::future::try_join_all;
use pg_archive::session::{Row, Session};
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::report::{Check, CheckName};
use super::unless_stopped;
use crate::error::Result;
use crate::jobs::compare::{Difference, DifferenceKind};

/// Where the extension goes if the database does not have it: a name that nobody else has.
const SCHEMA: &str = "pgark_restore_test_amcheck";

/// Indexes of users' tables and of their TOAST tables, the largest first. A partitioned index holds nothing itself, and
/// what a failed CREATE INDEX CONCURRENTLY left is not valid.
const INDEXES: &str = "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, m.amname = 'btree' AS is_btree \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_am m ON m.oid = c.relam \
     WHERE c.relkind = 'i' AND c.oid >= 16384 AND i.indisvalid AND c.relpersistence <> 't' \
     ORDER BY c.relpages DESC, c.oid";

struct Index {
    oid: u32,
    name: String,
}

pub(super) async fn check(place: &Place, stop: &CancellationToken) -> Result<Check> {
    let session = Session::open(place.scratch()).await?;
    let schema = match extension(&session).await? {
        Ok(schema) => schema,
        Err(reason) => return Ok(Check::skipped(CheckName::Indexes, reason)),
    };
    let rows = session.rows(INDEXES).await?;
    let mut indexes = Vec::new();
    for row in rows.iter().filter(|row| is_btree(row)) {
        indexes.push(Index { oid: row.number("oid")?, name: row.string("name")? });
    }
    let others = rows.len() - indexes.len();
    let sessions = place.app.settings.jobs.get().min(indexes.len());
    let shares = (0..sessions).map(|share| {
        let of_share = indexes.iter().skip(share).step_by(sessions.max(1));
        check_share(place, &schema, of_share, stop)
    });
    let differences = try_join_all(shares).await?.concat();
    let mut what = "by amcheck: in order, and every row of the table is there".to_owned();
    if others > 0 {
        what = format!("{what}; not {others} of other kinds than B-tree");
    }
    Ok(Check::of(CheckName::Indexes, indexes.len() as u64, what, differences))
}

fn is_btree(row: &Row) -> bool {
    row.flag("is_btree").unwrap_or(false)
}

/// The schema of amcheck, quoted, which is installed if need be; or why it cannot be had.
async fn extension(session: &Session) -> Result<std::result::Result<String, String>> {
    const FIND: &str = "SELECT pg_catalog.quote_ident(n.nspname) AS schema FROM pg_catalog.pg_extension e \
                        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'";
    if let Some(row) = session.rows(FIND).await?.first() {
        return Ok(Ok(row.string("schema")?));
    }
    let install = format!("CREATE SCHEMA {SCHEMA}; CREATE EXTENSION amcheck SCHEMA {SCHEMA}");
    match session.execute(&install).await {
        Ok(()) => Ok(Ok(SCHEMA.to_owned())),
        Err(error) if error.kind == pg_archive::ErrorKind::ConnectionLost => Err(error.into()),
        Err(error) => Ok(Err(format!("the extension amcheck cannot be had: {}", error.message))),
    }
}

async fn check_share(
    place: &Place,
    schema: &str,
    indexes: impl Iterator<Item = &Index>,
    stop: &CancellationToken,
) -> Result<Vec<Difference>> {
    let session = Session::open(place.scratch()).await?;
    let checked = async {
        let mut differences = Vec::new();
        for index in indexes {
            let sql = format!(
                "SELECT {schema}.bt_index_check({}::pg_catalog.oid::pg_catalog.regclass, true)",
                index.oid
            );
            match session.execute(&sql).await {
                Ok(()) => {}
                Err(error) if error.kind == pg_archive::ErrorKind::Statement => {
                    let name = format!("index {}", index.name);
                    differences.push(Difference::new(DifferenceKind::IndexCorrupt, name, error.message));
                }
                Err(error) => return Err(error.on(format!("index {}", index.name)).into()),
            }
        }
        Ok(differences)
    };
    let checked = unless_stopped(stop, checked).await;
    if checked.is_err() {
        session.cancel().await;
    }
    checked
}
