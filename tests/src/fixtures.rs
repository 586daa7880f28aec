//! Databases that tests load. Plain SQL, for PostgreSQL 13 to 18, in one simple-query batch or through psql.

/// A small shop as an application would have it: the demo's database.
pub const SHOP: &str = include_str!("../../cli/src/demo/shop.sql");

/// Values and identifiers that broke other backup tools.
pub const CONTENT: &str = include_str!("../fixtures/content.sql");
