//! The census: every object that a user can have made, in every catalog that the server has, is either in the archive
//! or named.
//!
//! The catalogs are not listed here but asked for: a kind of object that a later PostgreSQL adds is found in its new
//! catalog and named, instead of being lost because nobody knew it. What is listed are the rows, and the whole catalogs,
//! that belong to another object and are made with it.

use std::collections::{HashMap, HashSet};

use crate::catalog::{Address, Catalog, FIRST_NORMAL_OID, Kind, Parts, class};
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

mod left_out;

pub use left_out::LeftOut;

/// What a census comes to.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// What the archive would lose, sorted.
    pub missing: Vec<Missing>,
    /// What no archive holds, on purpose, sorted.
    pub left_out: Vec<LeftOut>,
}

/// A user object that the archive does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Its kind, in the server's words (`pg_identify_object`): `cast`, `text search dictionary` …
    pub kind: String,
    /// Its identity, in the server's words.
    pub identity: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.identity)
    }
}

/// Catalogs whose rows are parts of another object, with the condition under which they are. The rest of their rows
/// are counted like any other.
///
/// Sources: the catalogs' pages in the manual, and `src/bin/pg_dump/pg_dump.c` for what follows from what.
const PARTS_OF_OTHERS: &[(&str, &str)] = &[
    // Columns, labels of enums, members of operator families: part of their table, type, family.
    ("pg_attrdef", "true"),
    ("pg_enum", "true"),
    ("pg_amop", "true"),
    ("pg_amproc", "true"),
    // TOAST tables and their indexes.
    ("pg_class", "c.relkind = 't' OR c.relnamespace = 'pg_toast'::pg_catalog.regnamespace"),
    // Validated NOT NULL constraints are in their table's definition, constraint triggers are triggers, and what a
    // partition has from its parent comes with its attachment.
    ("pg_constraint", "c.contype IN ('n', 't') OR c.conparentid <> 0"),
    // Triggers that implement foreign keys, and clones of a partitioned table's.
    ("pg_trigger", "c.tgisinternal OR c.tgparentid <> 0"),
];

/// Catalogs of this database (not of the whole server) whose rows have an OID. User mappings and subscriptions stand in
/// catalogs that most roles may not read; their families note each one they cannot dump ([`Catalog::hidden`]).
///
/// Where a catalog's rows lie in a schema or have an owner, a column that ends in that word says so.
pub(crate) const CATALOGS: &str = "\
SELECT c.oid, c.relname, n.attname AS namespace, o.attname AS owner FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'oid' AND a.attnum > 0
LEFT JOIN pg_catalog.pg_attribute n ON n.attrelid = c.oid AND n.attnum > 0 AND n.attname LIKE '%namespace'
  AND n.atttypid = 'pg_catalog.oid'::pg_catalog.regtype AND c.relname <> 'pg_default_acl'
LEFT JOIN pg_catalog.pg_attribute o ON o.attrelid = c.oid AND o.attnum > 0 AND o.attname LIKE '%owner'
  AND o.atttypid = 'pg_catalog.oid'::pg_catalog.regtype
WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind = 'r'
  AND NOT c.relisshared AND c.relname <> 'pg_user_mapping'
ORDER BY c.relname";

/// Catalogs that are not counted by OID, because their rows are parts of objects that stand in other catalogs and are
/// dumped with them, are made anew by the server, or belong to the whole server (`globals.rs`).
const NOT_COUNTED: &[&str] = &[
    "pg_aggregate",
    "pg_attribute",
    "pg_depend",
    "pg_description",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_init_privs",
    "pg_largeobject",
    "pg_partitioned_table",
    "pg_range",
    "pg_seclabel",
    "pg_sequence",
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_subscription_rel",
    "pg_ts_config_map",
    "pg_user_mapping",
    // Of the whole server.
    "pg_auth_members",
    "pg_authid",
    "pg_database",
    "pg_db_role_setting",
    "pg_parameter_acl",
    "pg_replication_origin",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_subscription",
    "pg_tablespace",
];

/// Catalogs that are neither counted by OID nor known, with their columns that hold OIDs.
const UNKNOWN_CATALOGS: &str = "\
SELECT c.relname, pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable, \
  (SELECT pg_catalog.string_agg('c.' || pg_catalog.quote_ident(a.attname) || ' >= {FIRST}', ' OR ') \
   FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
     AND a.atttypid = 'pg_catalog.oid'::pg_catalog.regtype) AS users_own \
FROM pg_catalog.pg_class c \
WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind = 'r' \
  AND (c.relisshared OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a \
    WHERE a.attrelid = c.oid AND a.attname = 'oid' AND a.attnum > 0)) \
ORDER BY c.relname";

/// A catalog that is counted.
struct Counted {
    class: u32,
    name: String,
    /// Its column with a row's schema.
    namespace: Option<String>,
    /// Its column with a row's owner.
    owner: Option<String>,
}

/// Counts.
///
/// # Errors
/// When the catalogs cannot be read.
pub async fn take(catalog: &Catalog, session: &Session) -> Result<Census> {
    let hidden = catalog.hidden.iter();
    let mut missing: Vec<Missing> = hidden
        .map(|hidden| Missing { kind: hidden.kind.clone(), identity: hidden.identity.clone() })
        .chain(catalog.dangling.iter().cloned())
        .collect();
    let mut left_out = Vec::new();
    for row in session.rows(CATALOGS).await? {
        let counted = Counted {
            class: row.number("oid")?,
            name: row.string("relname")?,
            namespace: row.optional_string("namespace")?,
            owner: row.optional_string("owner")?,
        };
        // Large objects are data, and left out with it (`pg_dump --schema-only`).
        if counted.class == class::LARGEOBJECT_METADATA && !catalog.selection.data {
            continue;
        }
        let unknown = unknown_rows(catalog, session, &counted).await?;
        if unknown.is_empty() {
            continue;
        }
        let reasons = left_out::reasons(catalog, session, &counted, &unknown).await?;
        for (oid, object) in identify(catalog, session, &counted, &unknown, &reasons).await? {
            match reasons.get(&oid) {
                Some(reason) => left_out.push(LeftOut::new(object, reason)),
                None => missing.push(object),
            }
        }
    }
    missing.extend(unknown_catalogs(session).await?);
    missing.sort();
    left_out.sort();
    Ok(Census { missing, left_out })
}

/// Catalogs that nobody here knows and that hold rows which say something of a user's objects. Rows without any OID in
/// them cannot be told from `initdb`'s, and count as a user's.
async fn unknown_catalogs(session: &Session) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    for row in session.rows(&UNKNOWN_CATALOGS.replace("{FIRST}", &FIRST_NORMAL_OID.to_string())).await? {
        let name = row.text("relname")?;
        if NOT_COUNTED.contains(&name) {
            continue;
        }
        let rows = if row.flag("readable")? {
            let users_own = row.optional("users_own")?.unwrap_or("true");
            let name = crate::quote::identifier(name);
            let sql =
                format!("SELECT pg_catalog.count(*) AS rows FROM pg_catalog.{name} c WHERE {users_own}");
            match session.row(&sql).await?.number::<u64>("rows")? {
                0 => continue,
                rows => format!("{rows} rows"),
            }
        } else {
            "its rows may not be read".to_owned()
        };
        missing.push(Missing { kind: "catalog".to_owned(), identity: format!("{name} ({rows})") });
    }
    Ok(missing)
}

/// OIDs of user-made rows of one catalog that no object of ours stands for.
async fn unknown_rows(catalog: &Catalog, session: &Session, counted: &Counted) -> Result<Vec<u32>> {
    let (class_oid, name) = (counted.class, &counted.name);
    let part =
        PARTS_OF_OTHERS.iter().find(|(table, _)| table == name).map_or("false", |(_, condition)| condition);
    let namespace = counted.namespace.as_ref().map_or("0".to_owned(), |column| format!("c.{column}"));
    let sql = format!(
        "SELECT c.oid, {namespace} AS namespace FROM pg_catalog.{name} c \
         WHERE c.oid >= {FIRST_NORMAL_OID} AND NOT ({part})"
    );
    let rows = session.rows(&sql).await.map_err(|error| error.on(format!("catalog {name}")))?;
    let mut unknown = Vec::new();
    for row in rows {
        let oid = row.number("oid")?;
        let address = Address::new(class_oid, oid);
        // Large objects are filed under another catalog than the one that lists them.
        let filed = if class_oid == class::LARGEOBJECT_METADATA {
            Address::new(class::LARGEOBJECT, oid)
        } else {
            address
        };
        let known = match place(catalog, row.number("namespace")?) {
            Place::Ordinary => [address, filed].iter().any(|address| is_known(catalog, *address, |_| true)),
            Place::System => is_known(catalog, address, |parts| parts.has(Parts::DEFINITION)),
            Place::ExcludedSystem => true,
        };
        if !known {
            unknown.push(oid);
        }
    }
    Ok(unknown)
}

/// Whether somebody read an object, and means to dump such parts of it.
fn is_known(catalog: &Catalog, address: Address, dumped: impl Fn(Parts) -> bool) -> bool {
    catalog.extension_members.contains_key(&address)
        || catalog.find(address).is_some_and(|id| dumped(catalog.get(id).dump))
}

/// Where a user's object lies.
enum Place {
    /// In a schema of which all objects are read and dumped, or in none.
    Ordinary,
    /// In a schema of the server's own, of which objects are read, but no definition is dumped.
    System,
    /// In one of these that the user excluded.
    ExcludedSystem,
}

fn place(catalog: &Catalog, schema_oid: u32) -> Place {
    let Some(id) = catalog.find(Address::new(class::NAMESPACE, schema_oid)) else { return Place::Ordinary };
    let schema = catalog.get(id);
    let name = schema.name.as_str();
    let passing = name.starts_with("pg_temp") || name.starts_with("pg_toast");
    let system = matches!(schema.kind, Kind::Schema(_))
        && (name == "information_schema" || name.starts_with("pg_") && !passing);
    if !system {
        Place::Ordinary
    } else if catalog.selection.exclude_schemas.iter().any(|pattern| pattern.matches_schema(name)) {
        Place::ExcludedSystem
    } else {
        Place::System
    }
}

/// Names rows of a catalog, leaving out temporary objects and those of [`belonging`] that have no reason of their own. Rows
/// that the server itself cannot name go by their numbers: they are not lost for that.
async fn identify(
    catalog: &Catalog,
    session: &Session,
    counted: &Counted,
    oids: &[u32],
    reasons: &HashMap<u32, String>,
) -> Result<Vec<(u32, Missing)>> {
    let (class_oid, name) = (counted.class, &counted.name);
    let belonging = belonging(catalog, session, class_oid, oids).await?;
    let named: Vec<u32> =
        oids.iter().filter(|oid| reasons.contains_key(oid) || !belonging.contains(oid)).copied().collect();
    let list = named.iter().map(u32::to_string).collect::<Vec<_>>();
    let sql = format!(
        "SELECT o.oid, i.type, i.identity, i.schema FROM unnest('{{{}}}'::pg_catalog.oid[]) AS o(oid), \
         LATERAL pg_catalog.pg_identify_object({class_oid}, o.oid, 0) AS i",
        list.join(",")
    );
    session.execute("SAVEPOINT pgark_census").await?;
    let rows = match session.rows(&sql).await {
        Err(error) if error.kind == ErrorKind::Statement => {
            session.execute("ROLLBACK TO SAVEPOINT pgark_census").await?;
            let unnamed = named.iter().map(|oid| {
                (*oid, Missing { kind: format!("row of {name}"), identity: format!("OID {oid}") })
            });
            return Ok(unnamed.collect());
        }
        rows => rows?,
    };
    session.execute("RELEASE SAVEPOINT pgark_census").await?;
    let mut objects = Vec::new();
    for row in rows {
        let temporary = row.optional("schema")?.is_some_and(|schema| schema.starts_with("pg_temp"));
        // An object without identity was dropped since the snapshot was taken.
        if let Some(identity) = row.optional_string("identity")?.filter(|_| !temporary) {
            objects.push((row.number("oid")?, Missing { kind: row.string("type")?, identity }));
        }
    }
    Ok(objects)
}

/// The rows of one catalog that the server makes together with an object that is known (internal dependencies: the
/// constructors and casts of a range type), and those that hang on an object which is not dumped on purpose: members
/// of extensions, what the user excluded. Between the two may stand objects that are not known either: a primary
/// key's index hangs on the constraint, and that on the table.
async fn belonging(
    catalog: &Catalog,
    session: &Session,
    class_oid: u32,
    oids: &[u32],
) -> Result<HashSet<u32>> {
    let mut belonging = HashSet::new();
    let mut seen = HashSet::new();
    let mut paths: Vec<Path> = oids
        .iter()
        .map(|oid| Path { row: *oid, reached: Address::new(class_oid, *oid), internal: true })
        .collect();
    while !paths.is_empty() {
        let owners = owners(session, &paths).await?;
        let mut further = Vec::new();
        for path in &paths {
            for owner in owners.get(&path.reached).into_iter().flatten() {
                let internal = path.internal && owner.internal;
                let settled = match catalog.find(owner.address) {
                    Some(id) => Some(internal || !catalog.get(id).dump.has(Parts::DEFINITION)),
                    None => catalog.extension_members.contains_key(&owner.address).then_some(true),
                };
                match settled {
                    Some(true) => {
                        belonging.insert(path.row);
                    }
                    None if seen.insert((path.row, owner.address)) => {
                        further.push(Path { row: path.row, reached: owner.address, internal });
                    }
                    // Known and dumped, so that what hangs on it must be dumped too; or on its way already.
                    Some(false) | None => {}
                }
            }
        }
        paths = further;
    }
    Ok(belonging)
}

/// A chain of dependencies from an unknown row.
struct Path {
    row: u32,
    /// The object at its end.
    reached: Address,
    /// Whether all of them are internal.
    internal: bool,
}

/// An object that another belongs to.
struct Owner {
    address: Address,
    /// Whether the server makes the one with the other.
    internal: bool,
}

/// What the objects at the ends of the paths belong to.
async fn owners(session: &Session, paths: &[Path]) -> Result<HashMap<Address, Vec<Owner>>> {
    let reached: HashSet<Address> = paths.iter().map(|path| path.reached).collect();
    let values: Vec<String> = reached.iter().map(|at| format!("({}, {})", at.class, at.oid)).collect();
    let sql = format!(
        "SELECT d.classid, d.objid, d.deptype, d.refclassid, d.refobjid FROM (VALUES {}) AS o(class, oid) \
         JOIN pg_catalog.pg_depend d ON d.classid = o.class::pg_catalog.oid AND d.objid = o.oid::pg_catalog.oid \
         WHERE d.objsubid = 0 AND d.deptype IN ('i', 'a', 'P', 'S')",
        values.join(", ")
    );
    let mut owners: HashMap<Address, Vec<Owner>> = HashMap::new();
    for row in session.rows(&sql).await? {
        let address = Address::new(row.number("refclassid")?, row.number("refobjid")?);
        let owner = Owner { address, internal: row.letter("deptype")? == 'i' };
        owners.entry(Address::new(row.number("classid")?, row.number("objid")?)).or_default().push(owner);
    }
    Ok(owners)
}

/// The error of a dump that would lose objects.
pub fn refusal(missing: &[Missing]) -> Error {
    const SHOWN: usize = 20;
    let mut names = missing.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if missing.len() > SHOWN {
        names.push_str("; …");
    }
    let message = format!("{} user objects cannot be dumped yet and would be lost: {names}", missing.len());
    Error::new(ErrorKind::Census, message).hint(
        "Drop them if nobody needs them, or accept the loss with --allow-missing: the manifest then lists them, and \
         they must be made by hand after a restore. What lies in information_schema or pg_catalog is dumped once it \
         lies in a schema of its own: ALTER … SET SCHEMA.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_is_named_and_a_long_list_is_cut() {
        let missing: Vec<Missing> = (1..=21)
            .map(|number| Missing { kind: "cast".to_owned(), identity: format!("c{number}") })
            .collect();
        assert_eq!(
            refusal(&missing[..2]).message,
            "2 user objects cannot be dumped yet and would be lost: cast c1; cast c2"
        );
        let message = refusal(&missing).message;
        assert!(message.starts_with("21 user objects") && message.ends_with("; cast c20; …"), "{message}");
    }
}
