//! What a pgark backup is, where it is kept, and the jobs that work on it.
//!
//! PostgreSQL itself is left to the crate `pg-archive`. Time, randomness and the environment are handed in by whoever
//! runs a job; only `store::s3` knows the AWS SDK; nothing here prints.

pub mod app;
pub mod config;
#[cfg(test)]
mod documentation;
pub mod error;
pub mod jobs;
pub mod repository;
pub mod seal;
pub mod secret;
pub mod store;

pub use error::{Error, ErrorKind, Exit, Result};
