//! The jobs: what the commands and the functions call. Each takes a repository and arguments, and returns a report.

pub mod backup;
pub mod compare;
pub mod doctor;
pub mod fetch;
pub mod list;
pub mod restore;
pub mod show;
