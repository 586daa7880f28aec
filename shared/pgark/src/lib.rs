//! What a pgark backup is, where it is kept, and the jobs that work on it.
//!
//! PostgreSQL itself is left to the crate `pg-archive`. Time, randomness and the environment are handed in by whoever
//! runs a job; only `store::s3`, `secrets`, `notify` and `telemetry` know the AWS SDK, only `lambda` the Lambda
//! runtime; nothing here prints.

pub mod app;
pub mod config;
pub mod cost;
#[cfg(test)]
mod documentation;
pub mod embedded;
pub mod error;
pub mod health;
pub mod jobs;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod notify;
mod panics;
pub mod repository;
pub mod retention;
pub mod runs;
pub mod seal;
pub mod secret;
pub mod secrets;
pub mod signature;
pub mod store;
pub mod telemetry;

pub use error::{Error, ErrorKind, Exit, Result};
