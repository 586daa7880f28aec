//! PostgreSQL to archive and back.
//!
//! This crate reads a database over an ordinary SQL connection, without `pg_dump`, and describes it as
//! an archive in `pg_dump`'s directory format: a table of contents ([`toc`]) and one data file for each
//! table or part of a table. It restores such an archive too. Where the files live, and how they are
//! compressed and encrypted, is the caller's business ([`archive::ArchiveSink`], [`archive::ArchiveSource`]).
//!
//! It knows PostgreSQL and no cloud.

pub mod archive;
pub mod catalog;
pub mod census;
pub mod connect;
pub mod copy_text;
pub mod databases;
pub mod dump;
mod emit;
pub mod encodings;
pub mod error;
pub mod fingerprint;
pub mod globals;
mod guc;
pub mod inspect;
mod order;
pub mod quote;
pub mod raw_text;
pub mod restore;
mod server_words;
pub mod session;
pub mod text_settings;
pub mod toc;
mod tokens;
pub mod wording;

pub use error::{Error, ErrorKind};

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
