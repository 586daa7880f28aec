//! Why there is no connection: one kind with a stable code, one sentence, one cure.

use std::fmt;

use tokio_postgres::error::SqlState;

use super::target::Target;

/// What went wrong, in the terms in which a person acts on it. Ordered: of several hosts that failed, the one that
/// got furthest names the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// No host name could be resolved.
    UnknownHost,
    /// Nothing listens there, or no route leads there.
    Refused,
    /// No answer within `connect_timeout`.
    Timeout,
    /// Anything else, with the cause in the text.
    Other,
    /// TLS is missing, or the certificate is not good.
    Tls,
    /// The session is not what `target_session_attrs` asks for.
    SessionAttributes,
    /// The server starts, stops or recovers (57P01, 57P02, 57P03).
    Unavailable,
    /// All connection slots are taken (53300).
    TooManyConnections,
    /// The role may not log in like this (28P01, 28000, 42501).
    Authentication,
    /// There is no such database (3D000).
    NoDatabase,
    /// An open connection ended.
    Lost,
    /// A transaction or statement pooler sits in between.
    Pooler,
    /// Connections end up on different servers.
    ReaderEndpoint,
}

impl ErrorKind {
    /// Every kind, for documentation and its tests.
    pub const ALL: [Self; 13] = [
        Self::UnknownHost,
        Self::Refused,
        Self::Timeout,
        Self::Other,
        Self::Tls,
        Self::SessionAttributes,
        Self::Unavailable,
        Self::TooManyConnections,
        Self::Authentication,
        Self::NoDatabase,
        Self::Lost,
        Self::Pooler,
        Self::ReaderEndpoint,
    ];

    /// Stable code, listed in the manual.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownHost => "connect.unknown_host",
            Self::Refused => "connect.refused",
            Self::Timeout => "connect.timeout",
            Self::Other => "connect.failed",
            Self::Tls => "connect.tls",
            Self::SessionAttributes => "connect.session_attributes",
            Self::Unavailable => "connect.unavailable",
            Self::TooManyConnections => "connect.too_many_connections",
            Self::Authentication => "connect.authentication",
            Self::NoDatabase => "connect.no_database",
            Self::Lost => "connect.lost",
            Self::Pooler => "connect.pooler",
            Self::ReaderEndpoint => "connect.reader_endpoint",
        }
    }

    /// Whether the same attempt may work a little later without anyone doing anything.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Timeout | Self::Unavailable | Self::TooManyConnections | Self::Lost
        )
    }

    /// Whether libpq would stop here instead of trying the next host: the server was reached and said no
    /// (libpq manual, chapter 34.1.1.3).
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Authentication | Self::NoDatabase | Self::TooManyConnections)
    }
}

/// No connection, or no longer one.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: String,
    sqlstate: Option<SqlState>,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: hint.into(), sqlstate: None }
    }

    /// Sums up the failures of all hosts tried; there is at least one.
    pub(super) fn from_failures(target: &Target, failures: Vec<Failure>) -> Self {
        let text: Vec<String> = failures.iter().map(|f| format!("{}: {}", f.place, f.cause)).collect();
        let message = format!(
            "cannot connect to database {:?} as {:?}: {}",
            target.database(),
            target.user(),
            text.join("; ")
        );
        match failures.into_iter().max_by_key(|failure| failure.kind) {
            Some(worst) => {
                let hint = worst.hint.unwrap_or_else(|| usual_hint(worst.kind, target));
                Self { kind: worst.kind, message, hint, sqlstate: worst.sqlstate }
            }
            None => Self::new(ErrorKind::Other, message, usual_hint(ErrorKind::Other, target)),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Stable code, listed in the manual.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// What to do about it, in full sentences.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The server's SQLSTATE, if it was the server that refused.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.sqlstate.as_ref()
    }

    pub(super) fn with_sqlstate(self, sqlstate: Option<SqlState>) -> Self {
        Self { sqlstate, ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// The cause stands in the text already, so that there is no source to print twice.
impl std::error::Error for Error {}

/// One place that was tried in vain.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// `host:port (address)`.
    pub(super) place: String,
    pub(super) kind: ErrorKind,
    pub(super) cause: String,
    /// Better advice than the usual one for this kind.
    pub(super) hint: Option<String>,
    pub(super) sqlstate: Option<SqlState>,
}

fn usual_hint(kind: ErrorKind, target: &Target) -> String {
    let (user, database) = (target.user(), target.database());
    match kind {
        ErrorKind::UnknownHost => {
            "Check the host name in the connection string, and that this machine's DNS knows \
            it; a private name resolves only inside its own network."
                .into()
        }
        ErrorKind::Refused => {
            "Check host and port, that the server runs and listens there (listen_addresses), and \
            that a firewall or security group lets this machine in."
                .into()
        }
        ErrorKind::Timeout => {
            "Check that a route and the firewall or security group let this machine reach the \
            server; connect_timeout sets how long to wait."
                .into()
        }
        ErrorKind::Tls => "Set sslmode and sslrootcert to what the server offers.".into(),
        ErrorKind::SessionAttributes => "Name a host that fits target_session_attrs, or relax it.".into(),
        ErrorKind::Unavailable => "Try again when the server has finished starting or stopping.".into(),
        ErrorKind::TooManyConnections => {
            "Use fewer parallel connections, close idle ones, or raise max_connections \
            or the connection limit of the role or database."
                .into()
        }
        ErrorKind::Authentication if !target.is_password_set() => format!(
            "No password was given for user {user:?}: put one in the connection string, PGPASSWORD or the password \
             file, and check that pg_hba.conf admits the user to database {database:?} from this machine."
        ),
        ErrorKind::Authentication => format!(
            "Check the password of user {user:?}, that the user may log in and connect to database {database:?}, and \
             that pg_hba.conf admits it from this machine."
        ),
        ErrorKind::NoDatabase => {
            format!("Check the name {database:?}; without a name the user name {user:?} is taken.")
        }
        ErrorKind::Lost => "Try again; the server's log says why it ended the connection.".into(),
        ErrorKind::Other | ErrorKind::Pooler | ErrorKind::ReaderEndpoint => {
            "The cause is in the message; the server's log may say more.".into()
        }
    }
}
