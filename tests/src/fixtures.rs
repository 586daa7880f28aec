//! Databases that tests load. Plain SQL, for PostgreSQL 13 to 18, in one simple-query batch or through psql.

/// A small shop as an application would have it: the demo's database.
pub const SHOP: &str = include_str!("../../cli/src/demo/shop.sql");

/// Values and identifiers that broke other backup tools.
pub const CONTENT: &str = include_str!("../fixtures/content.sql");

/// The kinds of objects that few databases have: text search, foreign servers, event triggers, publications,
/// subscriptions. Its event triggers and subscriptions want a database of its own.
pub const KINDS: &str = include_str!("../fixtures/kinds.sql");

/// Every kind of object that a backup holds, for a server of this major version. To be run statement by statement.
pub fn objects(major: u32) -> String {
    const SINCE: [(u32, &str); 6] = [
        (13, include_str!("../fixtures/objects.sql")),
        (14, include_str!("../fixtures/objects-14.sql")),
        (15, include_str!("../fixtures/objects-15.sql")),
        (16, include_str!("../fixtures/objects-16.sql")),
        (17, include_str!("../fixtures/objects-17.sql")),
        (18, include_str!("../fixtures/objects-18.sql")),
    ];
    SINCE.iter().filter(|(since, _)| *since <= major).map(|(_, script)| *script).collect()
}
