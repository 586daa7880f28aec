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
/// since every archive asks for its extensions only if they do not exist; nor does the schema `public`.
pub async fn user_objects(session: &Session) -> Result<UserObjects> {
    let rows = session.rows(&query()).await?;
    let mut objects = UserObjects::default();
    for row in rows {
        objects.count = row.number("total")?;
        objects.first.push(row.string("object")?);
    }
    Ok(objects)
}

/// Objects that `initdb` made have OIDs below 16384 (`FirstNormalObjectId`). Indexes, constraints, array types and row
/// types hang on what is listed.
fn query() -> String {
    let plain = [
        "pg_proc",
        "pg_operator",
        "pg_collation",
        "pg_conversion",
        "pg_opclass",
        "pg_opfamily",
        "pg_ts_config",
    ];
    let more =
        ["pg_ts_dict", "pg_ts_parser", "pg_ts_template", "pg_foreign_data_wrapper", "pg_foreign_server"];
    let rest = ["pg_event_trigger", "pg_publication", "pg_cast", "pg_am", "pg_transform", "pg_language"];
    let simple: String = plain
        .iter()
        .chain(&more)
        .chain(&rest)
        .map(|table| {
            format!("UNION ALL SELECT '{table}'::pg_catalog.regclass, oid FROM pg_catalog.{table} WHERE oid >= 16384\n")
        })
        .collect();
    format!(
        "WITH objects (class, oid) AS (\n\
         SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, oid FROM pg_catalog.pg_class \
         WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relpersistence <> 't'\n\
         UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid FROM pg_catalog.pg_namespace \
         WHERE oid >= 16384 AND nspname <> 'public' AND nspname !~ '^pg_(temp|toast)'\n\
         UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid FROM pg_catalog.pg_type t \
         LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid \
         WHERE t.oid >= 16384 AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype <> 'm' \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)\n\
         UNION ALL SELECT 'pg_catalog.pg_largeobject'::pg_catalog.regclass, oid \
         FROM pg_catalog.pg_largeobject_metadata\n\
         {simple}), users_own AS (\n\
         SELECT class, oid FROM objects o WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
         WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e'))\n\
         SELECT pg_catalog.pg_describe_object(class, oid, 0) AS object, \
         (SELECT pg_catalog.count(*) FROM users_own) AS total \
         FROM users_own ORDER BY class, oid LIMIT {NAMED_MAX}"
    )
}
