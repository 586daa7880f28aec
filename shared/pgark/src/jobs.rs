//! The jobs: what the commands and the functions call. Each takes a repository and arguments, and returns a report.

pub mod backup;
pub mod list;
pub mod show;
