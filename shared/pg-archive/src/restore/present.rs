//! What a target database has, by the names that entries of an archive go by; and what of it belongs to somebody else.

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::catalog::grants;
use crate::quote::{identifier, qualified};
use crate::session::Session;
use crate::toc::Entry;

/// What a target has that entries of an archive may need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    keys: HashSet<Key>,
    schemas: HashMap<String, PresentSchema>,
    extensions: HashMap<String, PresentExtension>,
    /// Tables of extensions that the restoring role may not insert into: schema, name.
    closed: HashSet<(String, String)>,
    /// What the target gives of itself on what the restoring role makes.
    defaults: DefaultPrivileges,
    /// `server_version_num` of the target; 0 if it is not known.
    version_num: u32,
}

/// `ALTER DEFAULT PRIVILEGES` of a target for the restoring role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DefaultPrivileges {
    role: String,
    /// By object type and schema (empty for all): the list, and what there would be without it.
    lists: HashMap<(char, String), (String, String)>,
}

/// A schema of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PresentSchema {
    pub(super) owner: String,
    /// Whether the restoring role may change it: it has the owner's rights.
    pub(super) ours: bool,
    /// Whether an extension was made in it.
    pub(super) holds_extension: bool,
}

/// An extension of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PresentExtension {
    /// Where it was made.
    pub(super) schema: String,
    /// Whether the restoring role may change it.
    pub(super) ours: bool,
}

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
        let mut present = Self { keys, ..Self::default() };
        for row in session.rows(OWNED).await? {
            let (name, ours) = (row.string("name")?, row.flag("ours")?);
            match row.text("family")? {
                "SCHEMA" => {
                    let (owner, holds_extension) = (row.string("of")?, row.flag("holds_extension")?);
                    present.schemas.insert(name, PresentSchema { owner, ours, holds_extension });
                }
                "EXTENSION" => {
                    present.extensions.insert(name, PresentExtension { schema: row.string("of")?, ours });
                }
                _ => drop(present.closed.insert((row.string("of")?, name))),
            }
        }
        present.version_num = session.version_num();
        for row in session.rows(DEFAULTS).await? {
            present.defaults.role = row.string("role")?;
            let key = (row.letter("objtype")?, row.string("schema")?);
            present.defaults.lists.insert(key, (row.string("list")?, row.string("without")?));
        }
        Ok(present)
    }

    /// Whether the target gives privileges of itself, or takes some away, on what the restoring role makes.
    pub(super) fn has_default_privileges(&self) -> bool {
        !self.defaults.lists.is_empty()
    }

    /// The statements that take back what the target gave of itself on a new object, so that it has the backup's
    /// privileges and no others.
    pub(super) fn take_back(&self, entry: &Entry) -> Result<String> {
        let DefaultPrivileges { role, lists } = &self.defaults;
        let schema = entry.schema.as_deref().unwrap_or_default();
        let named = || qualified(schema, &entry.tag);
        let dropped = || {
            let drop = entry.drop_statement.as_deref().unwrap_or_default();
            drop.trim_end_matches([';', '\n']).splitn(3, ' ').nth(2).unwrap_or_default().to_owned()
        };
        let (objtype, kind, name) = match entry.desc.as_str() {
            "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" => ('r', "TABLE", named()),
            "SEQUENCE" => ('S', "SEQUENCE", named()),
            "FUNCTION" => ('f', "FUNCTION", dropped()),
            "PROCEDURE" => ('f', "PROCEDURE", dropped()),
            // GRANT names its arguments as those of a function.
            "AGGREGATE" => ('f', "FUNCTION", dropped().replace("(*)", "()").replacen(" ORDER BY ", ", ", 1)),
            "TYPE" | "DOMAIN" => ('T', "TYPE", named()),
            "SCHEMA" => ('n', "SCHEMA", identifier(&entry.tag)),
            "BLOB" => ('L', "LARGE OBJECT", entry.tag.clone()),
            _ => return Ok(String::new()),
        };
        let list = |schema: &str| lists.get(&(objtype, schema.to_owned()));
        let (of_all, of_schema) = (list(""), list(schema).filter(|_| !schema.is_empty()));
        let Some((_, without)) = of_all.or(of_schema) else { return Ok(String::new()) };
        let from = |acl: &str, base: &str| grants::shared((kind, &name), role, (acl, base), self.version_num);
        let mut sql = String::new();
        for (given, _) in [of_schema, of_all].into_iter().flatten() {
            sql.push_str(&from("{}", given)?);
        }
        Ok(sql + &from(without, "{}")?)
    }

    /// What a database has that was just made of `template0`.
    pub fn in_new_database() -> Self {
        Self::of(&[
            ("SCHEMA", "", "public"),
            ("EXTENSION", "", "plpgsql"),
            ("PROCEDURAL LANGUAGE", "", "plpgsql"),
        ])
    }

    /// The same, where `public` belongs to another role than the one that restores.
    pub(super) fn with_public_of(mut self, owner: String) -> Self {
        let public = PresentSchema { owner, ours: false, holds_extension: false };
        self.schemas.insert("public".to_owned(), public);
        self
    }

    /// The same, on a server of this version.
    pub(super) fn on_version(self, version_num: u32) -> Self {
        Self { version_num, ..self }
    }

    /// `server_version_num` of the target; 0 if it is not known.
    pub(super) fn version_num(&self) -> u32 {
        self.version_num
    }

    pub(super) fn of(keys: &[(&str, &str, &str)]) -> Self {
        let keys = keys.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned()));
        Self { keys: keys.collect(), ..Self::default() }
    }

    /// Whether it has a schema.
    pub(super) fn has_schema(&self, name: &str) -> bool {
        self.keys.contains(&("SCHEMA".to_owned(), String::new(), name.to_owned()))
    }

    pub(super) fn schema(&self, name: &str) -> Option<&PresentSchema> {
        self.schemas.get(name)
    }

    pub(super) fn extension(&self, name: &str) -> Option<&PresentExtension> {
        self.extensions.get(name)
    }

    /// The tags of what hangs on schemas and extensions that the restoring role may not change.
    pub(super) fn tags_of_others(&self) -> HashSet<String> {
        let schemas = self.schemas.iter().filter(|(_, schema)| !schema.ours);
        let extensions = self.extensions.iter().filter(|(_, extension)| !extension.ours);
        schemas
            .map(|(name, _)| format!("SCHEMA {}", identifier(name)))
            .chain(extensions.map(|(name, _)| format!("EXTENSION {}", identifier(name))))
            .collect()
    }

    /// Whether it has a table of an extension that the restoring role may not fill.
    pub(super) fn is_closed(&self, schema: &str, table: &str) -> bool {
        self.closed.contains(&(schema.to_owned(), table.to_owned()))
    }

    /// Whether the target has what an entry makes. What has no name of its own, such as a cast, is taken to be missing.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        key(entry).is_some_and(|key| self.keys.contains(&key))
    }

    /// Whether it has a relation.
    pub(super) fn has_relation(&self, schema: &str, name: &str) -> bool {
        self.keys.contains(&("relation".to_owned(), schema.to_owned(), name.to_owned()))
    }
}

/// Whose schemas and extensions are, and tables of extensions that this role may not fill. Superusers have every role's
/// rights.
const OWNED: &str = "\
    SELECT 'SCHEMA' AS family, pg_catalog.pg_get_userbyid(n.nspowner) AS of, n.nspname AS name, \
        pg_catalog.pg_has_role(n.nspowner, 'USAGE') AS ours, \
        EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extnamespace = n.oid) AS holds_extension \
    FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    UNION ALL SELECT 'EXTENSION', n.nspname, x.extname, pg_catalog.pg_has_role(x.extowner, 'USAGE'), false \
    FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace \
    UNION ALL SELECT 'TABLE', n.nspname, c.relname, false, false \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
        AND d.objsubid = 0 AND d.deptype = 'e' \
    WHERE c.relkind IN ('r', 'p') AND NOT (pg_catalog.has_table_privilege(c.oid, 'INSERT') \
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))";

/// The default privileges of the restoring role, as for `pg_default_acl` of a dump.
const DEFAULTS: &str = "\
    SELECT pg_catalog.pg_get_userbyid(d.defaclrole) AS role, d.defaclobjtype AS objtype, COALESCE(n.nspname, '') AS schema, \
        d.defaclacl AS list, pg_catalog.acldefault(CASE WHEN d.defaclobjtype = 'S' THEN 's'::pg_catalog.\"char\" \
            ELSE d.defaclobjtype END, d.defaclrole) AS without \
    FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace \
    JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole WHERE r.rolname = current_user";

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
