//! From an error of the driver to a kind, a cause and, for TLS, a cure.
//!
//! The driver keeps its error kinds private, so that three of them are known by their text here
//! (`tokio_postgres::Error`'s `Display` and the texts in its `connect_tls.rs` and `connect_raw.rs`, 0.7.18).

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use tokio_postgres::error::{DbError, SqlState};

use super::error::{ErrorKind, Failure};
use crate::server_words::{Rows, said};

/// What the driver says when the server answers "no TLS here".
pub(super) const NO_TLS: &str = "server does not support TLS";

/// Says what went wrong at a place.
pub(super) fn failure(place: String, error: &tokio_postgres::Error) -> Failure {
    let (kind, cause, hint) = match error.as_db_error() {
        Some(refusal) => (server_kind(refusal), server_text(refusal), server_hint(refusal)),
        None => driver(error),
    };
    Failure { place, kind, cause, hint, sqlstate: error.code().cloned() }
}

/// The server's own words with the code to look up. No rows are read yet, but a login trigger may run.
pub(super) fn server_text(refusal: &DbError) -> String {
    said(refusal, Rows::Untouched).message
}

fn server_kind(refusal: &DbError) -> ErrorKind {
    match refusal.code() {
        &SqlState::INVALID_PASSWORD
        | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        | &SqlState::INSUFFICIENT_PRIVILEGE => ErrorKind::Authentication,
        &SqlState::INVALID_CATALOG_NAME => ErrorKind::NoDatabase,
        // PgBouncer's one code for all its own errors.
        &SqlState::PROTOCOL_VIOLATION if refusal.message().contains("no such database") => {
            ErrorKind::NoDatabase
        }
        &SqlState::TOO_MANY_CONNECTIONS => ErrorKind::TooManyConnections,
        &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN | &SqlState::CANNOT_CONNECT_NOW => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Other,
    }
}

/// A cure that fits the server's reason better than the usual one for its kind.
fn server_hint(refusal: &DbError) -> Option<String> {
    let hint = match *refusal.code() {
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "The message is the server's own: let the role log in, or add a line to pg_hba.conf that admits it to this \
             database from this machine; sslmode decides between hostssl and hostnossl lines, sslcert and sslkey name \
             a client certificate."
        }
        SqlState::INSUFFICIENT_PRIVILEGE => "GRANT CONNECT ON DATABASE … TO the role.",
        SqlState::PROTOCOL_VIOLATION if refusal.message().contains("unsupported startup parameter") => {
            "A connection pooler answered, which takes no such parameter: connect to the server itself, or leave the \
             parameter out."
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Says why no server was reached at a place.
pub(super) fn unreached(place: String, error: &io::Error) -> Failure {
    let kind = io_kind(error.kind()).unwrap_or(ErrorKind::Other);
    Failure { place, kind, cause: error.to_string(), hint: None, sqlstate: None }
}

fn io_kind(kind: io::ErrorKind) -> Option<ErrorKind> {
    match kind {
        // A socket file that is not there means the same as a port where nobody listens.
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotFound
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => Some(ErrorKind::Refused),
        io::ErrorKind::TimedOut => Some(ErrorKind::Timeout),
        _ => None,
    }
}

fn driver(error: &tokio_postgres::Error) -> (ErrorKind, String, Option<String>) {
    let (summary, source) = (error.to_string(), error.source());
    let cause = source.map(ToString::to_string);
    let io_error = source.and_then(|source| source.downcast_ref::<io::Error>());
    if summary.starts_with("error performing TLS handshake") {
        let cause = cause.unwrap_or(summary);
        let hint = tls_hint(&cause, source.and_then(rustls_error));
        return (ErrorKind::Tls, format!("TLS: {cause}"), Some(hint));
    }
    if summary.starts_with("authentication error") || cause.as_deref() == Some("password missing") {
        let cause = match cause.as_deref() {
            Some("password missing") => "the server asks for a password and none was given".to_owned(),
            Some(cause) => cause.to_owned(),
            None => summary,
        };
        let hint = cause.contains("channel binding").then(|| {
            "channel_binding=require needs sslmode=require or stronger and a password stored as scram-sha-256.".to_owned()
        });
        return (ErrorKind::Authentication, cause, hint);
    }
    let cause = cause.map_or(summary.clone(), |cause| match io_error {
        Some(_) => cause,
        None => format!("{summary}: {cause}"),
    });
    match io_error.map(io::Error::kind).and_then(io_kind) {
        Some(kind) => (kind, cause, None),
        None if error.is_closed() => {
            (ErrorKind::Other, "the server closed the connection before the session began".to_owned(), None)
        }
        None => (ErrorKind::Other, cause, None),
    }
}

/// tokio-rustls hands TLS errors on inside an `io::Error`.
fn rustls_error<'a>(source: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    source.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

const NAME_ROOTS: &str = "Name the file of the authority that signed the server's certificate with sslrootcert=FILE \
    (Supabase and other services offer it for download), or accept any certificate with sslmode=require and no sslrootcert.";

fn tls_hint(cause: &str, error: Option<&rustls::Error>) -> String {
    if cause == NO_TLS {
        return "Turn TLS on at the server (ssl = on), or set sslmode=prefer if the network is trusted."
            .to_owned();
    }
    let Some(rustls::Error::InvalidCertificate(reason)) = error else {
        return "The server must offer TLS 1.2 or 1.3, and be PostgreSQL 17 or newer for sslnegotiation=direct; its log \
                says what it objected to."
            .to_owned();
    };
    match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "Connect by a name that stands in the certificate's subjectAltName (the common name does not count), or \
             check only who signed it with sslmode=verify-ca."
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "Renew the server's certificate; check this machine's clock.".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "Check the clocks of this machine and of the one that issued the certificate.".to_owned()
        }
        CertificateError::Other(_) | CertificateError::BadEncoding => {
            "Issue the server's certificate anew as X.509 version 3 with a subjectAltName, or accept any certificate \
             with sslmode=require and no sslrootcert."
                .to_owned()
        }
        _ => NAME_ROOTS.to_owned(),
    }
}
