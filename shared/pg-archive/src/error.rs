//! What can go wrong between a PostgreSQL server and an archive.
//!
//! Every error has a kind with a stable code, names its object and its cause, and, where one is known,
//! says what to do. Sources are kept, never flattened into text.

use std::fmt;

use tokio_postgres::error::SqlState;

use crate::server_words::Refusal;

/// The kind of an [`Error`]: decides its code and what a caller may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No connection could be opened, or not one that can be used.
    Connect(crate::connect::ErrorKind),
    /// An open connection ended before its work was done.
    ConnectionLost,
    /// What came from the server is not what a server sends.
    Protocol,
    /// The server refused a statement.
    Statement,
    /// The role lacks a right that the work needs.
    Permission,
    /// A lock could not be had in time.
    LockTimeout,
    /// A statement was cancelled.
    Cancelled,
    /// Somebody ended the work.
    Stopped,
    /// The catalogs hold something that this version does not understand.
    Catalog,
    /// Objects were dropped or changed by others while they were read.
    Changed,
    /// User objects exist that the archive would not hold.
    Census,
    /// A table of contents or a data file is not what it should be.
    Archive,
    /// The place where the archive's files go or come from failed.
    Storage,
    /// The target of a restore is not fit for it.
    Target,
    /// What was restored is not what was dumped.
    Mismatch,
    /// The request itself makes no sense.
    Usage,
}

impl ErrorKind {
    /// Every kind but those of [`connect`](crate::connect), for documentation and its tests.
    pub const ALL: [Self; 15] = [
        Self::ConnectionLost,
        Self::Protocol,
        Self::Statement,
        Self::Permission,
        Self::LockTimeout,
        Self::Cancelled,
        Self::Stopped,
        Self::Catalog,
        Self::Changed,
        Self::Census,
        Self::Archive,
        Self::Storage,
        Self::Target,
        Self::Mismatch,
        Self::Usage,
    ];

    /// The stable code of this kind, listed in docs/errors.md and never reused.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect(kind) => kind.code(),
            Self::ConnectionLost => "postgres.connection-lost",
            Self::Protocol => "postgres.protocol",
            Self::Statement => "postgres.statement",
            Self::Permission => "postgres.permission",
            Self::LockTimeout => "postgres.lock-timeout",
            Self::Cancelled => "postgres.cancelled",
            Self::Stopped => "stopped",
            Self::Catalog => "postgres.catalog",
            Self::Changed => "postgres.changed",
            Self::Census => "dump.census",
            Self::Archive => "archive.damaged",
            Self::Storage => "archive.storage",
            Self::Target => "restore.target",
            Self::Mismatch => "restore.mismatch",
            Self::Usage => "usage.invalid",
        }
    }
}

/// An error of this crate.
pub struct Error {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// The object it happened on, as a person would name it: `table public.orders`.
    pub object: Option<String>,
    /// What failed and why; lowercase, no full stop.
    pub message: String,
    /// What to do about it, in full sentences.
    pub hint: Option<String>,
    /// Words of the server that may hold values of rows. For a person who asks for them, at a terminal; never for a
    /// report, a record, an alert or a log.
    pub detail: Option<String>,
    /// The error underneath.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of the given kind with its message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, object: None, message: message.into(), hint: None, detail: None, source: None }
    }

    /// Names the object on which it happened, unless a more exact place has named it already.
    #[must_use]
    pub fn on(mut self, object: impl Into<String>) -> Self {
        self.object.get_or_insert_with(|| object.into());
        self
    }

    /// Says what to do about it, unless something more exact was said already.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Keeps the error underneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The server's code for what it refused (PostgreSQL manual, appendix A).
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.driver().and_then(tokio_postgres::Error::code)
    }

    /// The driver's error underneath. Its texts may hold values of rows.
    pub(crate) fn driver(&self) -> Option<&tokio_postgres::Error> {
        let source = self.source.as_ref()?;
        let refusal = source.downcast_ref::<Refusal>().and_then(Refusal::driver);
        refusal.or_else(|| source.downcast_ref())
    }
}

/// Without [`Error::detail`].
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("object", &self.object)
            .field("message", &self.message)
            .field("hint", &self.hint)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
