//! What a target database has, by the names that entries of an archive go by.

use std::collections::HashSet;

use crate::Result;
use crate::session::Session;
use crate::toc::Entry;

/// What a target has that entries of an archive may need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present(HashSet<Key>);

/// Family, schema, name.
type Key = (String, String, String);

impl Present {
    /// Looks.
    ///
    /// # Errors
    /// When the catalogs cannot be read.
    pub async fn read(session: &Session) -> Result<Self> {
        // Types are named with their schemas then, as in an archive.
        session.execute("SELECT pg_catalog.set_config('search_path', '', false)").await?;
        let mut keys = HashSet::new();
        for row in session.rows(&query()).await? {
            keys.insert((row.string("family")?, row.string("schema")?, row.string("name")?));
        }
        Ok(Self(keys))
    }

    /// What a database has that was just made of `template0`.
    pub fn in_new_database() -> Self {
        Self::of(&[
            ("SCHEMA", "", "public"),
            ("EXTENSION", "", "plpgsql"),
            ("PROCEDURAL LANGUAGE", "", "plpgsql"),
        ])
    }

    pub(super) fn of(keys: &[(&str, &str, &str)]) -> Self {
        Self(keys.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect())
    }

    /// Whether the target has what an entry makes. What has no name of its own, such as a cast, is taken to be missing.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        key(entry).is_some_and(|key| self.0.contains(&key))
    }

    /// Whether it has a relation.
    pub(super) fn has_relation(&self, schema: &str, name: &str) -> bool {
        self.0.contains(&("relation".to_owned(), schema.to_owned(), name.to_owned()))
    }
}

/// Kinds that have a schema and a name, with their catalog and the columns of these two.
const IN_SCHEMAS: &[(&str, &str, &str, &str)] = &[
    ("COLLATION", "pg_collation", "collnamespace", "collname"),
    ("CONVERSION", "pg_conversion", "connamespace", "conname"),
    ("OPERATOR", "pg_operator", "oprnamespace", "oprname"),
    ("OPERATOR CLASS", "pg_opclass", "opcnamespace", "opcname"),
    ("OPERATOR FAMILY", "pg_opfamily", "opfnamespace", "opfname"),
    ("TEXT SEARCH CONFIGURATION", "pg_ts_config", "cfgnamespace", "cfgname"),
    ("TEXT SEARCH DICTIONARY", "pg_ts_dict", "dictnamespace", "dictname"),
    ("TEXT SEARCH PARSER", "pg_ts_parser", "prsnamespace", "prsname"),
    ("TEXT SEARCH TEMPLATE", "pg_ts_template", "tmplnamespace", "tmplname"),
];

/// Kinds that have a name alone.
const WITHOUT_SCHEMA: &[(&str, &str, &str)] = &[
    ("ACCESS METHOD", "pg_am", "amname"),
    ("EVENT TRIGGER", "pg_event_trigger", "evtname"),
    ("EXTENSION", "pg_extension", "extname"),
    ("FOREIGN DATA WRAPPER", "pg_foreign_data_wrapper", "fdwname"),
    ("PROCEDURAL LANGUAGE", "pg_language", "lanname"),
    ("PUBLICATION", "pg_publication", "pubname"),
    ("SCHEMA", "pg_namespace", "nspname"),
    ("SERVER", "pg_foreign_server", "srvname"),
];

fn key(entry: &Entry) -> Option<Key> {
    let desc = entry.desc.as_str();
    let schema = entry.schema.clone().unwrap_or_default();
    let key = |family: &str, name: &str| Some((family.to_owned(), schema.clone(), name.to_owned()));
    match desc {
        "TABLE" | "VIEW" | "FOREIGN TABLE" | "MATERIALIZED VIEW" | "SEQUENCE" => key("relation", &entry.tag),
        "TYPE" | "DOMAIN" | "SHELL TYPE" => key("type", &entry.tag),
        "FUNCTION" | "PROCEDURE" => key("routine", &entry.tag),
        // Without arguments it is written with a star.
        "AGGREGATE" => key("routine", &entry.tag.replace("(*)", "()")),
        _ if IN_SCHEMAS.iter().any(|(kind, ..)| *kind == desc) => key(desc, &entry.tag),
        _ if WITHOUT_SCHEMA.iter().any(|(kind, ..)| *kind == desc) => {
            Some((desc.to_owned(), String::new(), entry.tag.clone()))
        }
        _ => None,
    }
}

fn query() -> String {
    let in_schema = |family: &str, catalog: &str, namespace: &str, name: &str, condition: &str| {
        format!(
            "SELECT '{family}' AS family, n.nspname AS schema, {name} AS name FROM pg_catalog.{catalog} o \
             JOIN pg_catalog.pg_namespace n ON n.oid = o.{namespace} \
             WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') {condition}\n"
        )
    };
    let routine = "o.proname || '(' || COALESCE((SELECT pg_catalog.string_agg(pg_catalog.format_type(a.type, NULL), ', ' \
                   ORDER BY a.place) FROM pg_catalog.unnest(o.proargtypes) WITH ORDINALITY AS a (type, place)), '') || ')'";
    let mut parts = vec![
        in_schema(
            "relation",
            "pg_class",
            "relnamespace",
            "o.relname",
            "AND o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')",
        ),
        in_schema("type", "pg_type", "typnamespace", "o.typname", ""),
        in_schema("routine", "pg_proc", "pronamespace", routine, ""),
    ];
    parts.extend(IN_SCHEMAS.iter().map(|(kind, catalog, namespace, name)| {
        in_schema(kind, catalog, namespace, &format!("o.{name}"), "")
    }));
    parts.extend(
        WITHOUT_SCHEMA
            .iter()
            .map(|(kind, catalog, name)| format!("SELECT '{kind}', '', {name} FROM pg_catalog.{catalog}\n")),
    );
    parts.join("UNION ALL ")
}
