//! From a connection string to an open connection, or to an error that says what to do.
//!
//! Strings, `PG*` variables, the password file, several hosts and `sslmode` mean what they mean to libpq
//! (PostgreSQL manual, chapter 34); where we differ, the file that differs says so: `settings`, `tls`, `attempt`.
//! Encryption is rustls's. What a session must be set to before it may read data is left to its user.
//!
//! No password appears in any output: it lives in a type that prints as `(hidden)`, and no problem repeats text in
//! which one could stand.

mod attempt;
mod classify;
mod conninfo;
mod dial;
mod direct;
mod error;
mod lifetime;
mod parameters;
mod passfile;
mod password;
mod problems;
mod query;
mod quiet;
mod secret;
mod settings;
mod target;
mod tls;
mod url;
mod wire;

use tokio_postgres::Client;

pub use self::direct::{ServerIdentity, check_direct, check_same_server};
pub use self::error::{Error, ErrorKind};
pub use self::lifetime::{Canceller, Closed};
pub use self::password::PasswordSource;
pub use self::problems::Problems;
pub use self::quiet::without_event_triggers;
pub use self::target::Target;
pub use self::wire::CopyTag;

/// An open connection. Dropping the client ends it.
#[derive(Debug)]
pub struct Connection {
    /// Runs queries.
    pub client: Client,
    /// How the last COPY to the client ended, once its stream has.
    pub copy_tag: CopyTag,
    /// Stops what the client runs.
    pub canceller: Canceller,
    /// Knows when and why the connection ended.
    pub closed: Closed,
    /// The server's version as a number, 150018 for 15.18.
    pub server_version_num: u32,
    /// Whether the server is a standby.
    pub in_recovery: bool,
    /// Whether TLS protects the connection.
    pub encrypted: bool,
    /// `host:port (address)` of the server that answered, safe to print.
    pub place: String,
}

/// Opens a connection to the first place of the target that admits it.
pub async fn connect(target: &Target) -> Result<Connection, Error> {
    attempt::open(target).await
}

#[cfg(test)]
mod tests;
