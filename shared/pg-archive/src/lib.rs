//! Under construction.

pub mod connect;
