//! The user's assertions: SQL that must return one value, and which.
//!
//! They run read-only, one after the other, on one session. One that fails does not keep the others from running.
//!
//! The value that an assertion returned is what its author asked for, and stands in the report. What the server says when
//! it refuses one is not: the report leaves out whatever of that may hold a value of a row.

use pg_archive::connect::Target;
use pg_archive::session::Session;
use tokio_util::sync::CancellationToken;

use super::report::{Check, CheckName};
use super::unless_stopped;
use crate::config::Assertion;
use crate::error::Result;
use crate::jobs::compare::{Difference, DifferenceKind};

/// A value in a report is no longer than this: reports are not encrypted.
const VALUE_CHARS_MAX: usize = 200;

/// The user's SQL is UTF-8, and so are its values, where the database's encoding can be converted to that.
const IN_UTF8: &str = "SELECT pg_catalog.set_config('client_encoding', CASE WHEN pg_catalog.getdatabaseencoding() IN \
    ('SQL_ASCII', 'MULE_INTERNAL') THEN pg_catalog.getdatabaseencoding() ELSE 'UTF8' END, false)";

pub(super) async fn check(scratch: &Target, wanted: &[Assertion], stop: &CancellationToken) -> Result<Check> {
    if wanted.is_empty() {
        return Ok(Check::skipped(CheckName::Assertions, "there are none"));
    }
    let session = Session::open(scratch).await?;
    session.execute("SET default_transaction_read_only = on").await?;
    session.execute(IN_UTF8).await?;
    let checked = async {
        let mut differences = Vec::new();
        for assertion in wanted {
            if let Some(message) = difference(&session, assertion).await? {
                let name = format!("assertion {}", assertion.name);
                differences.push(Difference::new(DifferenceKind::AssertionFailed, name, message));
            }
        }
        Ok(differences)
    };
    let differences = unless_stopped(stop, checked).await;
    if differences.is_err() {
        session.cancel().await;
    }
    let names: Vec<_> = wanted.iter().map(|assertion| assertion.name.as_str()).collect();
    Ok(Check::of(CheckName::Assertions, wanted.len() as u64, names.join(", "), differences?))
}

/// What is wrong, if anything is.
async fn difference(session: &Session, assertion: &Assertion) -> Result<Option<String>> {
    let expected = assertion.expect.to_string();
    match value(session, &assertion.sql).await {
        Ok(Ok(value)) if value.as_deref() == Some(expected.as_str()) => Ok(None),
        Ok(Ok(Some(value))) => {
            Ok(Some(format!("returned {:?}, and must return {expected:?}", shortened(&value))))
        }
        Ok(Ok(None)) => Ok(Some(format!("returned NULL, and must return {expected:?}"))),
        Ok(Err(message)) => Ok(Some(message)),
        Err(error) if error.kind == pg_archive::ErrorKind::ConnectionLost => {
            Err(error.on(format!("assertion {}", assertion.name)).into())
        }
        Err(error) => Ok(Some(format!("cannot be run: {}", error.message))),
    }
}

/// The one value of a query, which may be NULL; or why there is not one.
async fn value(
    session: &Session,
    sql: &str,
) -> pg_archive::Result<std::result::Result<Option<String>, String>> {
    let rows = session.users_rows(sql).await?;
    let [row] = rows.as_slice() else {
        return Ok(Err(format!("returned {} rows, and must return one", rows.len())));
    };
    let values = row.values()?;
    let [value] = values.as_slice() else {
        return Ok(Err(format!("returned {} columns, and must return one", values.len())));
    };
    Ok(Ok(value.map(str::to_owned)))
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= VALUE_CHARS_MAX {
        return value.to_owned();
    }
    let start: String = value.chars().take(VALUE_CHARS_MAX).collect();
    format!("{start}…")
}
