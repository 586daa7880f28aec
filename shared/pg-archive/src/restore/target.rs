//! What a target database already holds.

use crate::Result;
use crate::session::Session;

/// How many objects are named, at most.
const NAMED_MAX: usize = 5;

/// Objects of users in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserObjects {
    /// How many there are.
    pub count: u64,
    /// The first of them, as a person would name them: `table public.orders`.
    pub first: Vec<String>,
}

impl UserObjects {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The objects that users made in a database: none in a new one. Extensions and what belongs to them do not count,
/// since every archive asks for its extensions only if they do not exist; nor do the schemas that they were made in, nor
/// the schema `public`.
pub async fn user_objects(session: &Session) -> Result<UserObjects> {
    let rows = session.rows(&query()).await?;
    let mut objects = UserObjects::default();
    for row in rows {
        objects.count = row.number("total")?;
        objects.first.push(row.string("object")?);
    }
    Ok(objects)
}

/// Catalogs each of whose rows is an object that a user may have made.
const PLAIN_CATALOGS: &[&str] = &[
    "pg_am",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_event_trigger",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_language",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_proc",
    "pg_publication",
    "pg_transform",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
];

/// Objects that `initdb` made have OIDs below 16384 (`FirstNormalObjectId`). Indexes, constraints, array types and row
/// types hang on what is listed.
fn query() -> String {
    let plain: Vec<_> = PLAIN_CATALOGS.iter().map(|catalog| rows_of(catalog, "")).collect();
    let objects = [
        plain.join("UNION ALL "),
        rows_of("pg_class", "AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relpersistence <> 't'"),
        rows_of(
            "pg_namespace",
            "AND nspname <> 'public' AND nspname !~ '^pg_(temp|toast)' \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extnamespace = o.oid)",
        ),
        rows_of(
            "pg_type",
            "AND typtype <> 'm' AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = o.oid) \
             AND (typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = typrelid AND relkind = 'c'))",
        ),
        // Large objects are known to the rest of the catalogs by the OID of pg_largeobject.
        "SELECT 'pg_catalog.pg_largeobject'::pg_catalog.regclass, oid FROM pg_catalog.pg_largeobject_metadata\n"
            .to_owned(),
    ];
    format!(
        "WITH objects (class, oid) AS (\n{}), users_own AS (\n\
         SELECT class, oid FROM objects o WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
         WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e'))\n\
         SELECT pg_catalog.pg_describe_object(class, oid, 0) AS object, \
         (SELECT pg_catalog.count(*) FROM users_own) AS total \
         FROM users_own ORDER BY class, oid LIMIT {NAMED_MAX}",
        objects.join("UNION ALL ")
    )
}

fn rows_of(catalog: &str, condition: &str) -> String {
    format!(
        "SELECT 'pg_catalog.{catalog}'::pg_catalog.regclass, o.oid FROM pg_catalog.{catalog} o \
         WHERE o.oid >= 16384 {condition}\n"
    )
}
