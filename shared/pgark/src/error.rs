//! The one error type of the jobs: a kind that is `Copy`, the object it happened to, and the cure.
//!
//! The table in [`ErrorKind::policy`] gives each kind its stable code and its exit code, so both are decided
//! in one place. Codes are public (docs/errors.md): they are never renamed and never reused.
//! Sources stay typed and chained; nothing here flattens them into text. Whoever prints walks the chain.

use std::error::Error as StdError;
use std::fmt;

/// What the jobs and the stores return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, as far as a caller has to tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Settings are missing or wrong.
    Settings,
    /// An argument of a command is wrong.
    Usage,
    /// The store denied the access.
    StoreRefused,
    /// No usable credentials for the store were found.
    StoreCredentials,
    /// The bucket or the folder of the store does not exist.
    StoreMissing,
    /// The store did not answer.
    StoreUnreachable,
    /// The store asks to slow down and kept asking until the tries ran out.
    StoreBusy,
    /// The store has no room left, or a quota is used up.
    StoreFull,
    /// The object to be created exists already.
    ObjectExists,
    /// The object to be read does not exist.
    ObjectMissing,
    /// The object became another one while it was being read.
    ObjectChanged,
    /// The store says that the bytes which arrived are not those which were sent.
    ObjectChecksum,
    /// An object is larger than the operation on it allows.
    ObjectTooLarge,
    /// An object name is not one that every store can hold.
    ObjectName,
    /// The store's listing names something that lies elsewhere than was asked for.
    StoreListing,
    /// Another failure of the store; its outcome may be unknown.
    StoreFailed,
    /// Compressing or encrypting failed.
    SealFailed,
    /// None of the identities at hand can decrypt the object.
    IdentityMismatch,
    /// The identity file cannot be read, or holds no usable key.
    Identity,
    /// A key file exists already and is not replaced.
    KeyFileExists,
    /// Stored bytes are not what the manifest says.
    ObjectDamaged,
    /// An object lies in a backup's folder, and its manifest does not list it.
    ObjectUnreferenced,
    /// No backup of that name.
    BackupMissing,
    /// More than one backup matches.
    BackupAmbiguous,
    /// A manifest cannot be read, or contradicts its own place.
    ManifestDamaged,
    /// The manifest was written by a newer pgark.
    ManifestTooNew,
    /// A backup's signature is there, and its manifest is not.
    ManifestMissing,
    /// A key to sign with, or to check signatures with, cannot be read or is none.
    SignatureKey,
    /// The manifest is not signed, and signatures are to be checked.
    SignatureMissing,
    /// The manifest's signature is not that of one of the keys, or not of these bytes.
    SignatureInvalid,
    /// A verification found damage.
    VerifyFindings,
    /// A verification could not check everything.
    VerifyIncomplete,
    /// A plan of prune looks like an accident, and was not carried out.
    PruneRefused,
    /// Not all that was to be deleted was.
    PruneIncomplete,
    /// The backup is not held.
    HoldMissing,
    /// A file on this machine could not be read or written.
    LocalFile,
    /// The secret does not exist.
    SecretMissing,
    /// Reading the secret is not allowed.
    SecretRefused,
    /// The secret holds something else than it should.
    SecretInvalid,
    /// Secrets Manager could not be asked.
    SecretUnreachable,
    /// Somebody ended the job.
    Stopped,
    /// There are no server programs of PostgreSQL on this machine, or none that are new enough.
    EmbeddedMissing,
    /// A server of our own could not be started.
    EmbeddedFailed,
    /// A restored database is not what was backed up, or an assertion about it does not hold.
    RestoreTestFailed,
    /// A source is unhealthy.
    Unhealthy,
    /// A record of a run, or of a lease, cannot be read.
    RecordDamaged,
    /// The lease of a run is another's by now.
    LeaseLost,
    /// This machine's clock would file a backup in the wrong place.
    Clock,
    /// PostgreSQL, or the archive itself.
    Archive(pg_archive::ErrorKind),
    /// A fault in pgark itself.
    Internal,
}

/// How the process ends, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage or settings.
    Usage = 2,
    /// A backup is damaged, or a restore did not match.
    Damaged = 3,
    /// Unhealthy.
    Unhealthy = 4,
    /// A restore brought what it could, and left out some objects.
    LeftOut = 5,
    /// A run was asked for and was not done: another one is in progress, or it was stopped from starting.
    NotDone = 6,
}

impl ErrorKind {
    /// Every kind but those of pg-archive, for documentation and its tests.
    pub const ALL: [Self; 49] = [
        Self::Settings,
        Self::Usage,
        Self::StoreRefused,
        Self::StoreCredentials,
        Self::StoreMissing,
        Self::StoreUnreachable,
        Self::StoreBusy,
        Self::StoreFull,
        Self::ObjectExists,
        Self::ObjectMissing,
        Self::ObjectChanged,
        Self::ObjectChecksum,
        Self::ObjectTooLarge,
        Self::ObjectName,
        Self::StoreListing,
        Self::StoreFailed,
        Self::SealFailed,
        Self::IdentityMismatch,
        Self::Identity,
        Self::KeyFileExists,
        Self::ObjectDamaged,
        Self::BackupMissing,
        Self::BackupAmbiguous,
        Self::ManifestDamaged,
        Self::ManifestTooNew,
        Self::ManifestMissing,
        Self::ObjectUnreferenced,
        Self::VerifyFindings,
        Self::VerifyIncomplete,
        Self::SignatureKey,
        Self::SignatureMissing,
        Self::SignatureInvalid,
        Self::PruneRefused,
        Self::PruneIncomplete,
        Self::HoldMissing,
        Self::LocalFile,
        Self::SecretMissing,
        Self::SecretRefused,
        Self::SecretInvalid,
        Self::SecretUnreachable,
        Self::Stopped,
        Self::EmbeddedMissing,
        Self::EmbeddedFailed,
        Self::RestoreTestFailed,
        Self::Unhealthy,
        Self::RecordDamaged,
        Self::LeaseLost,
        Self::Clock,
        Self::Internal,
    ];

    fn policy(self) -> (&'static str, Exit) {
        match self {
            Self::Settings => ("settings.invalid", Exit::Usage),
            Self::Usage => ("usage.invalid", Exit::Usage),
            Self::StoreRefused => ("store.refused", Exit::Failed),
            Self::StoreCredentials => ("store.credentials", Exit::Usage),
            Self::StoreMissing => ("store.missing", Exit::Usage),
            Self::StoreUnreachable => ("store.unreachable", Exit::Failed),
            Self::StoreBusy => ("store.busy", Exit::Failed),
            Self::StoreFull => ("store.full", Exit::Failed),
            Self::ObjectExists => ("object.exists", Exit::Failed),
            Self::ObjectMissing => ("object.missing", Exit::Damaged),
            Self::ObjectChanged => ("object.changed", Exit::Failed),
            Self::ObjectChecksum => ("object.checksum", Exit::Failed),
            Self::ObjectTooLarge => ("object.too-large", Exit::Failed),
            Self::ObjectName => ("object.name", Exit::Failed),
            Self::StoreListing => ("store.listing", Exit::Failed),
            Self::StoreFailed => ("store.failed", Exit::Failed),
            Self::SealFailed => ("seal.failed", Exit::Failed),
            Self::IdentityMismatch => ("identity.mismatch", Exit::Usage),
            Self::Identity => ("identity.invalid", Exit::Usage),
            Self::KeyFileExists => ("keys.file-exists", Exit::Failed),
            Self::ObjectDamaged => ("object.damaged", Exit::Damaged),
            Self::BackupMissing => ("backup.missing", Exit::Failed),
            Self::BackupAmbiguous => ("backup.ambiguous", Exit::Usage),
            Self::ManifestDamaged => ("manifest.damaged", Exit::Damaged),
            Self::ManifestTooNew => ("manifest.too-new", Exit::Failed),
            Self::ManifestMissing => ("manifest.missing", Exit::Damaged),
            Self::ObjectUnreferenced => ("object.unreferenced", Exit::Damaged),
            Self::VerifyFindings => ("verify.findings", Exit::Damaged),
            Self::VerifyIncomplete => ("verify.incomplete", Exit::Failed),
            Self::SignatureKey => ("signature.key", Exit::Usage),
            Self::SignatureMissing => ("signature.missing", Exit::Damaged),
            Self::SignatureInvalid => ("signature.invalid", Exit::Damaged),
            Self::PruneRefused => ("prune.refused", Exit::Failed),
            Self::PruneIncomplete => ("prune.incomplete", Exit::Failed),
            Self::HoldMissing => ("hold.missing", Exit::Failed),
            Self::LocalFile => ("file.failed", Exit::Failed),
            Self::SecretMissing => ("secret.missing", Exit::Usage),
            Self::SecretRefused => ("secret.refused", Exit::Failed),
            Self::SecretInvalid => ("secret.invalid", Exit::Usage),
            Self::SecretUnreachable => ("secret.unreachable", Exit::Failed),
            Self::Stopped => ("stopped", Exit::Failed),
            Self::EmbeddedMissing => ("embedded.missing", Exit::Usage),
            Self::EmbeddedFailed => ("embedded.failed", Exit::Failed),
            Self::RestoreTestFailed => ("restore-test.failed", Exit::Damaged),
            Self::Unhealthy => ("health.unhealthy", Exit::Unhealthy),
            Self::RecordDamaged => ("record.damaged", Exit::Failed),
            Self::LeaseLost => ("lease.lost", Exit::Failed),
            Self::Clock => ("clock.wrong", Exit::Failed),
            Self::Archive(kind) => (kind.code(), exit_of(kind)),
            Self::Internal => ("internal", Exit::Failed),
        }
    }

    /// The stable code, as docs/errors.md lists it.
    pub fn code(self) -> &'static str {
        self.policy().0
    }

    /// How a process ends that this made fail.
    pub fn exit(self) -> Exit {
        self.policy().1
    }
}

/// How a process ends on an error of pg-archive.
fn exit_of(kind: pg_archive::ErrorKind) -> Exit {
    match kind {
        pg_archive::ErrorKind::Usage => Exit::Usage,
        pg_archive::ErrorKind::Archive | pg_archive::ErrorKind::Mismatch => Exit::Damaged,
        _ => Exit::Failed,
    }
}

/// Errors of the store that passed through pg-archive come out as they went in, with the object that pg-archive
/// was working on.
impl From<pg_archive::Error> for Error {
    fn from(error: pg_archive::Error) -> Self {
        let pg_archive::Error { kind, object, message, hint, detail, source } = error;
        let ours = match source {
            Some(source) if kind == pg_archive::ErrorKind::Storage => match source.downcast::<Error>() {
                Ok(ours) => return *ours,
                Err(other) => Self::new(ErrorKind::Archive(kind), message).because(other),
            },
            Some(source) => Self::new(ErrorKind::Archive(kind), message).because(source),
            None => Self::new(ErrorKind::Archive(kind), message),
        };
        let ours = match object {
            Some(object) => ours.on(object),
            None => ours,
        };
        let ours = match detail {
            Some(detail) => ours.detail(detail),
            None => ours,
        };
        match hint {
            Some(hint) => ours.hint(hint),
            None => ours,
        }
    }
}

/// An error: what failed (`message`), on which object, why (`source`), and what to do (`hint`).
///
/// `Display` shows object and message only, lowercase and without a full stop.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    object: Option<String>,
    message: String,
    hint: Option<String>,
    detail: Option<String>,
    source: Option<Source>,
}

impl Error {
    /// An error of a kind, with a lowercase message that does not repeat the object.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            object: None,
            message: message.into(),
            hint: None,
            detail: None,
            source: None,
        }))
    }

    /// Names the object it happened to; the innermost name is kept.
    #[must_use]
    pub fn on(mut self, object: impl Into<String>) -> Self {
        self.0.object.get_or_insert_with(|| object.into());
        self
    }

    /// Says what to do, as full sentences.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps words of a server that may hold values of rows, for [`Error::detail_text`].
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// How the process should end.
    pub fn exit(&self) -> Exit {
        self.kind().exit()
    }

    /// What it happened to, if known.
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }

    /// What failed, without the object.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Object, message and all causes, for places that keep one text. Some errors repeat what is underneath them: that
    /// is said once.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        for cause in std::iter::successors(self.source(), |&cause| cause.source()) {
            let cause = cause.to_string();
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        text
    }

    /// What to do, if known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The code of what a server refused (PostgreSQL manual, appendix A), if that is what this is.
    pub fn sqlstate(&self) -> Option<&str> {
        let refusal = self.0.source.as_ref()?.downcast_ref::<pg_archive::session::Refusal>()?;
        Some(refusal.code())
    }

    /// Words of a server that may hold values of rows. They are for a person who asks for them at a terminal, and never
    /// go into a report, a record, an alert or a log.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }
}

/// Without [`Error::detail_text`].
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("object", &self.0.object)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.0.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_distinct_and_none_ends_a_failed_run_as_done() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert!(ErrorKind::ALL.iter().all(|kind| kind.exit() != Exit::Done));
    }

    #[test]
    fn display_names_the_object_and_leaves_the_source_in_the_chain() {
        let error = Error::new(ErrorKind::StoreFull, "no space left")
            .on("file:///b")
            .on("outer")
            .hint("Make room.")
            .because(std::io::Error::other("enospc"));
        assert_eq!(error.to_string(), "file:///b: no space left");
        assert_eq!(error.hint_text(), Some("Make room."));
        assert_eq!(error.source().unwrap().to_string(), "enospc");
    }
}
