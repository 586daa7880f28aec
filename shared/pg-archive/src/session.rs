//! One SQL session: statements through the simple query protocol, rows as text.
//!
//! Text rows are what catalogs are read with: the values go into SQL text again, and the simple query
//! protocol leaves no prepared statement behind for a pooler to trip over.
//!
//! Text goes in the encoding of the database, unless the session was opened with another one, so that nothing is converted. Here
//! it is a string of [`raw_text`](crate::raw_text) in both directions.

use std::sync::Arc;

use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use crate::connect::{self, Canceller, Connection, ServerIdentity, Target};
pub use crate::server_words::Refusal;
use crate::server_words::{Rows, said};
use crate::{Error, ErrorKind, Result};

/// An open session on a server. Dropping it closes the connection; a statement that still runs then ends when the
/// server next writes to it, so [`Session::cancel`] comes first where one may be running.
pub struct Session {
    connection: Connection,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// As [`crate::connect::connect`].
    pub async fn open(target: &Target) -> Result<Self> {
        Ok(Self { connection: Box::pin(connect::connect(target)).await? })
    }

    /// The client underneath, for COPY.
    pub fn client(&self) -> &tokio_postgres::Client {
        &self.connection.client
    }

    /// Says what the next statements are about: warnings of the server are logged with it.
    pub fn about(&self, object: String) {
        self.connection.closed.about(object);
    }

    /// The command tag of the last COPY to the client, such as `COPY 1500`, once its stream has ended.
    pub fn copy_tag(&self) -> Option<String> {
        self.connection.copy_tag.take()
    }

    /// What stops the statements of this session, also from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.connection.canceller.clone()
    }

    /// The server's version as a number, such as 150018.
    pub fn version_num(&self) -> u32 {
        self.connection.server_version_num
    }

    /// Which server this is, to be compared with another session's.
    pub async fn identity(&self) -> Result<ServerIdentity> {
        ServerIdentity::read(self.client())
            .await
            .map_err(|error| statement_error(error, "which server this is"))
    }

    /// Adds the reason why the connection ended, where a statement's error only says that it did.
    pub async fn explain(&self, error: Error) -> Error {
        let Some(driver) = error.driver() else {
            return error;
        };
        match self.connection.closed.explain(driver).await {
            Some(lost) => {
                let lost = Error::from(lost);
                Error { object: error.object, ..lost }
            }
            None => error,
        }
    }

    /// Waits until the connection ends, and says why it did.
    pub async fn lost(&self) -> Error {
        self.connection.closed.lost().await.into()
    }

    /// Stops whatever the session runs on the server. Failures do not matter: the connection is closed anyway.
    pub async fn cancel(self) {
        if let Err(error) = self.connection.canceller.cancel().await {
            tracing::debug!(%error, "a running statement could not be cancelled");
        }
    }

    /// Runs statements whose rows nobody wants.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        self.client().batch_execute(sql).await.map_err(|error| statement_error(error, sql))
    }

    /// Runs statements that may hold a password: nothing of them is logged, whatever becomes of them.
    pub async fn execute_unlogged(&self, sql: &str) -> Result<()> {
        self.client().batch_execute(sql).await.map_err(|error| refused(error, "(not shown)", Rows::of(sql)))
    }

    /// Runs one statement that reads catalogs, and returns all its rows.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Row>> {
        self.query(sql, Rows::Untouched).await
    }

    /// Runs one statement that may read rows of users' tables, and returns all its rows.
    pub async fn users_rows(&self, sql: &str) -> Result<Vec<Row>> {
        self.query(sql, Rows::Read).await
    }

    async fn query(&self, sql: &str, about: Rows) -> Result<Vec<Row>> {
        let messages = self.client().simple_query(sql).await.map_err(|error| refused(error, sql, about))?;
        let mut columns = Arc::default();
        let mut rows = Vec::new();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(description) => {
                    columns = description.iter().map(|column| column.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => rows.push(Row { columns: Arc::clone(&columns), row }),
                _ => {}
            }
        }
        Ok(rows)
    }

    /// Runs a statement that must return exactly one row.
    pub async fn row(&self, sql: &str) -> Result<Row> {
        let mut rows = self.rows(sql).await?;
        match (rows.pop(), rows.len()) {
            (Some(row), 0) => Ok(row),
            (_, rest) => {
                Err(Error::new(ErrorKind::Catalog, format!("expected one row, got {rest} others: {sql}")))
            }
        }
    }
}

/// One row, its values as text.
pub struct Row {
    /// Their names. So few that looking through them takes less time than a hash.
    columns: Arc<[String]>,
    row: tokio_postgres::SimpleQueryRow,
}

impl Row {
    /// A value that may be NULL.
    pub fn optional(&self, column: &str) -> Result<Option<&str>> {
        let at = self.columns.iter().position(|name| name == column).ok_or_else(|| {
            Error::new(ErrorKind::Catalog, format!("a catalog query returned no column {column}"))
        })?;
        self.value(at)
    }

    fn value(&self, at: usize) -> Result<Option<&str>> {
        self.row.try_get(at).map_err(|error| {
            Error::new(ErrorKind::Catalog, format!("column {at} cannot be read")).because(error)
        })
    }

    /// All values in order, for a query whose columns the caller did not name.
    pub fn values(&self) -> Result<Vec<Option<&str>>> {
        (0..self.row.len()).map(|at| self.value(at)).collect()
    }

    /// A value that is never NULL.
    pub fn text(&self, column: &str) -> Result<&str> {
        self.optional(column)?.ok_or_else(|| {
            let error = Error::new(ErrorKind::Catalog, format!("a catalog query returned NULL for {column}"));
            match self.optional("oid") {
                Ok(Some(oid)) => error.on(format!("object with OID {oid}")),
                _ => error,
            }
        })
    }

    /// A value that is never NULL, owned.
    pub fn string(&self, column: &str) -> Result<String> {
        self.text(column).map(str::to_owned)
    }

    /// A value that may be NULL, owned.
    pub fn optional_string(&self, column: &str) -> Result<Option<String>> {
        Ok(self.optional(column)?.map(str::to_owned))
    }

    /// A number, such as an OID, that is never NULL.
    pub fn number<T: std::str::FromStr>(&self, column: &str) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| {
            Error::new(
                ErrorKind::Catalog,
                format!("a catalog query returned {text:?} for {column}, not a number"),
            )
        })
    }

    /// A boolean that is never NULL.
    pub fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.text(column)? == "t")
    }

    /// A `"char"` that is never NULL; an empty one (byte 0) is a space.
    pub fn letter(&self, column: &str) -> Result<char> {
        Ok(self.text(column)?.chars().next().unwrap_or(' '))
    }

    /// The elements of a one-dimensional array of OIDs or numbers, or of an `oidvector`.
    pub fn numbers<T: std::str::FromStr>(&self, column: &str) -> Result<Vec<T>> {
        let text = self.optional(column)?.unwrap_or_default();
        let inner = text.trim_start_matches('{').trim_end_matches('}');
        let parts = inner.split([',', ' ']).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                part.parse().map_err(|_| {
                    Error::new(ErrorKind::Catalog, format!("a catalog query returned {text:?} for {column}"))
                })
            })
            .collect()
    }
}

/// Turns the driver's error for a statement into ours, with the server's own words and its hint, as far as they hold no
/// value of a row.
pub fn statement_error(error: tokio_postgres::Error, sql: &str) -> Error {
    refused(error, sql, Rows::of(sql))
}

fn refused(error: tokio_postgres::Error, sql: &str, rows: Rows) -> Error {
    if error.is_closed() {
        return Error::new(ErrorKind::ConnectionLost, "the connection to the server was lost")
            .hint("Look in the server's log for the reason: a restart, a terminated backend, or the network.")
            .because(error);
    }
    let Some(server) = error.as_db_error() else {
        return Error::new(ErrorKind::ConnectionLost, "the connection to the server broke").because(error);
    };
    let kind = match server.code() {
        &SqlState::INSUFFICIENT_PRIVILEGE => ErrorKind::Permission,
        &SqlState::LOCK_NOT_AVAILABLE => ErrorKind::LockTimeout,
        &SqlState::QUERY_CANCELED => ErrorKind::Cancelled,
        &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN => ErrorKind::ConnectionLost,
        _ => ErrorKind::Statement,
    };
    let statement: String = sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(160).collect();
    tracing::debug!(statement, "the server refused a statement");
    let said = said(server, rows);
    let ours = Error { detail: said.detail, ..Error::new(kind, said.message) };
    match said.hint {
        Some(hint) => ours.hint(hint),
        None if kind == ErrorKind::Cancelled => {
            ours.hint("Somebody, or a timeout of the server, cancelled it. Run it again.")
        }
        None => ours,
    }
    .because(Refusal::new(error))
}

impl From<connect::Error> for Error {
    fn from(error: connect::Error) -> Self {
        let kind = match error.kind() {
            connect::ErrorKind::Lost => ErrorKind::ConnectionLost,
            kind => ErrorKind::Connect(kind),
        };
        Self::new(kind, error.to_string()).hint(error.hint().to_owned()).because(error)
    }
}
