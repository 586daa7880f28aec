//! Databases that tests load. Plain SQL, for PostgreSQL 13 to 18, in one simple-query batch or through psql.

/// A small shop as an application would have it: the demo's database.
pub const SHOP: &str = include_str!("../../cli/src/demo/shop.sql");

/// Values and identifiers that broke other backup tools.
pub const CONTENT: &str = include_str!("../fixtures/content.sql");

/// The roles that own and are granted things in the two below. A server may have them already.
pub const ROLES: &str = include_str!("../fixtures/roles.sql");

/// The kinds of objects that few databases have: text search, foreign servers, event triggers, publications,
/// subscriptions, and what is set for the database itself. Goes after [`ROLES`], and after [`objects`] if at all.
pub const KINDS: &str = include_str!("../fixtures/kinds.sql");

/// Security labels, which pg_dump writes and no server at hand could restore. Goes after [`KINDS`].
pub const LABELS: &str = include_str!("../fixtures/labels.sql");

/// A wall of ordinary definitions, as ORMs and people write them: fifty and more of each kind, in the server's words of
/// before any dump. Statement by statement.
pub fn wall() -> String {
    [
        include_str!("../fixtures/wall/0_tables.sql"),
        include_str!("../fixtures/wall/1_checks.sql"),
        include_str!("../fixtures/wall/2_views.sql"),
        include_str!("../fixtures/wall/3_defaults.sql"),
        include_str!("../fixtures/wall/4_policies.sql"),
        include_str!("../fixtures/wall/5_indexes.sql"),
        include_str!("../fixtures/wall/6_triggers.sql"),
        include_str!("../fixtures/wall/7_domains.sql"),
    ]
    .concat()
}

/// The extensions that come with PostgreSQL, each with something that stands on it. Goes after [`ROLES`], into a
/// database of its own.
pub const EXTENSIONS: &str = include_str!("../fixtures/extensions.sql");

/// `PostGIS` and `pg_partman`, for [`crate::Postgres::debian`]. Goes after [`ROLES`], into a database of its own.
pub const DEBIAN_EXTENSIONS: &str = include_str!("../fixtures/debian-extensions.sql");

/// Every other kind of object that a backup holds, for a server of this major version. Goes after [`ROLES`]. To be run
/// statement by statement.
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
