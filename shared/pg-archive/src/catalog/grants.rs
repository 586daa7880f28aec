//! Privileges: of objects, of columns, and default ones.
//!
//! What goes into the archive is a difference: from what the creation of the object gives (`acldefault()`), or,
//! of what `initdb` or an extension made, from the privileges it was made with (`pg_init_privs`). The statements
//! are built in [`commands`].

use std::collections::{HashMap, HashSet};

use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::Session;
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

mod acl;
mod commands;

use commands::Target;

/// The privileges of an object (`DumpableAcl` in `pg_dump.h`): arrays of aclitem as text.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The object's own, `None` for the default ones.
    pub acl: Option<String>,
    /// What `acldefault()` says.
    pub default: String,
}

/// What `pg_init_privs` holds: privileges of objects and columns when they were made.
#[derive(Debug, Default)]
pub struct InitialGrants {
    /// By object and column (0 for the whole object): `privtype` and `initprivs`.
    pub by_object: HashMap<(Address, i32), (char, String)>,
    /// By OID of the table, in the order of the columns: the columns with privileges now or in the beginning.
    /// System columns can be among them.
    columns: HashMap<u32, Vec<ColumnGrants>>,
    /// Schemas with the roles that gave privileges on what is in there and may not use the schema any more.
    shut_out: HashSet<(String, String)>,
}

#[derive(Debug)]
struct ColumnGrants {
    number: i32,
    name: String,
    acl: Option<String>,
}

/// `ALTER DEFAULT PRIVILEGES` (`pg_default_acl`).
#[derive(Clone, Debug, Default)]
pub struct DefaultGrants {
    /// The role whose future objects it is for.
    pub role: String,
    /// `defaclobjtype`.
    pub object_type: char,
}

/// Reads default privileges (`getDefaultACLs`). Those of a schema only add to the global ones, so they differ from
/// nothing, not from `acldefault()`.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT oid, defaclrole, defaclnamespace, defaclobjtype, defaclacl, \
             CASE WHEN defaclnamespace = 0 THEN \
                 pg_catalog.acldefault(CASE WHEN defaclobjtype = 'S' THEN 's'::pg_catalog.\"char\" \
                                       ELSE defaclobjtype END, defaclrole) \
             ELSE '{}' END AS acldefault \
             FROM pg_catalog.pg_default_acl",
        )
        .await?;
    for row in rows {
        let object_type = row.letter("defaclobjtype")?;
        let role = catalog.role(row.number("defaclrole")?)?.to_owned();
        let address = Address::new(class::DEFAULT_ACL, row.number("oid")?);
        let kind = Kind::DefaultGrants(DefaultGrants { role: role.clone(), object_type });
        let mut object = Object::new(address, object_type, kind);
        object.owner = role;
        object.grants = Grants { acl: row.optional_string("defaclacl")?, default: row.string("acldefault")? };
        object.parts = object.parts.with(Parts::GRANTS);
        object.schema = match row.number("defaclnamespace")? {
            0 => None,
            schema => Some(catalog.schema(schema)?),
        };
        catalog.decide(&mut object);
        catalog.add(object);
    }
    Ok(())
}

/// Reads `pg_init_privs` and the privileges of columns (`getAdditionalACLs`), and marks the tables that have the
/// latter. Whole objects need no mark: whatever had privileges in the beginning has a list now.
pub async fn read_initial(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows("SELECT classoid, objoid, objsubid, privtype, initprivs FROM pg_catalog.pg_init_privs")
        .await?;
    for row in rows {
        let address = Address::new(row.number("classoid")?, row.number("objoid")?);
        let key = (address, row.number("objsubid")?);
        let initial = (row.letter("privtype")?, row.string("initprivs")?);
        // What is there already are the synthetic ones of `public`: they win.
        catalog.initial_grants.by_object.entry(key).or_insert(initial);
    }
    read_shut_out(catalog, session).await?;
    read_columns(catalog, session).await
}

async fn read_shut_out(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT n.nspname AS schema, r.rolname AS role FROM ( \
             SELECT DISTINCT o.schema, a.grantor FROM ( \
                 SELECT relnamespace AS schema, relowner AS owner, relacl AS acl FROM pg_catalog.pg_class \
                 UNION ALL SELECT pronamespace, proowner, proacl FROM pg_catalog.pg_proc \
                 UNION ALL SELECT typnamespace, typowner, typacl FROM pg_catalog.pg_type \
                 UNION ALL SELECT c.relnamespace, c.relowner, t.attacl FROM pg_catalog.pg_attribute t \
                     JOIN pg_catalog.pg_class c ON c.oid = t.attrelid WHERE t.attacl IS NOT NULL) o \
             CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a \
             WHERE o.acl IS NOT NULL AND a.grantor <> o.owner) g \
             JOIN pg_catalog.pg_namespace n ON n.oid = g.schema JOIN pg_catalog.pg_roles r ON r.oid = g.grantor \
             WHERE NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')",
        )
        .await?;
    for row in rows {
        catalog.initial_grants.shut_out.insert((row.string("schema")?, row.string("role")?));
    }
    Ok(())
}

async fn read_columns(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT a.attrelid, a.attnum, a.attname, a.attacl FROM pg_catalog.pg_attribute a \
             WHERE NOT a.attisdropped AND (a.attacl IS NOT NULL OR (a.attrelid, a.attnum) IN \
                 (SELECT objoid, objsubid FROM pg_catalog.pg_init_privs \
                  WHERE classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objsubid <> 0)) \
             ORDER BY a.attrelid, a.attnum",
        )
        .await?;
    for row in rows {
        let table: u32 = row.number("attrelid")?;
        let Some(id) = catalog.find(Address::new(class::CLASS, table)) else { continue };
        let object = catalog.get_mut(id);
        object.parts = object.parts.with(Parts::GRANTS);
        let column = ColumnGrants {
            number: row.number("attnum")?,
            name: row.string("attname")?,
            acl: row.optional_string("attacl")?,
        };
        catalog.initial_grants.columns.entry(table).or_default().push(column);
    }
    Ok(())
}

/// See [`Emitter::grants`] (`dumpACL`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, kind: &str, name: &str) -> Option<DumpId> {
    let acl = object.grants.acl.as_deref();
    let tag = format!("{kind} {name}");
    emit_list(out, object, (kind, name, None), (acl, &object.grants.default, 0), (tag, None))
}

/// The privileges of a table's columns (`dumpTable`), each an entry that depends on the table's ACL entry, because
/// that must be restored first.
pub fn emit_columns(out: &mut Emitter<'_>, object: &Object, table_entry: Option<DumpId>) {
    if !object.dumps(Parts::GRANTS) {
        return;
    }
    let columns = out.catalog.initial_grants.columns.get(&object.address.oid);
    let name = quote::identifier(&object.name);
    for column in columns.into_iter().flatten() {
        let column_name = quote::identifier(&column.name);
        let tag = format!("COLUMN {name}.{column_name}");
        // acldefault('c', …) is empty. The kind is TABLE even for a column of a sequence.
        let lists = (column.acl.as_deref(), "{}", column.number);
        emit_list(out, object, ("TABLE", &name, Some(&column_name)), lists, (tag, table_entry));
    }
}

/// Writes an ACL entry unless there is nothing to say. `target` is kind, name and column; `lists` the actual and
/// the default privileges with the column's number; `entry` the tag, and an entry to depend on beside the object.
fn emit_list(
    out: &mut Emitter<'_>,
    object: &Object,
    (kind, name, column): (&str, &str, Option<&str>),
    (acl, default, number): (Option<&str>, &str, i32),
    (tag, alternative): (String, Option<DumpId>),
) -> Option<DumpId> {
    let catalog = out.catalog;
    // Large objects with all that belongs to them are data.
    if !catalog.selection.schema && kind != "LARGE OBJECT" {
        return None;
    }
    let initial = catalog.initial_grants.by_object.get(&(object.address, number));
    let (acl, base) = match initial {
        Some((_, initial)) => (acl.unwrap_or(default), initial.as_str()),
        None => (acl?, default),
    };
    let target = Target {
        prefix: "",
        kind,
        schema: catalog.schema_name(object),
        name,
        column,
        owner: &object.owner,
        version_num: catalog.server.version_num,
        shut_out: Some(&catalog.initial_grants.shut_out),
    };
    let roles: HashSet<&str> = catalog.roles.values().map(String::as_str).collect();
    let (acl, base) = (acl::without_dropped(acl, &roles), acl::without_dropped(base, &roles));
    let sql = match target.commands(&acl, &base) {
        Ok(sql) => sql,
        Err(error) => {
            out.fail(error);
            return None;
        }
    };
    // Who grants on what others own must have been let into the schema before: pg_dump leaves that to the order of
    // entries, which parallel restores do not keep.
    let schema = out.schema_grants.get(target.schema).copied();
    let on: Vec<_> = [Some(object.id), alternative, schema].into_iter().flatten().collect();
    (!sql.is_empty()).then(|| out.attach(object, tag, "ACL", sql, &on))
}

/// The statements for the privileges of what all databases share: kind and quoted name, owner, actual and default list.
pub(crate) fn shared(
    (kind, name): (&str, &str),
    owner: &str,
    (acl, default): (&str, &str),
    version_num: u32,
) -> Result<String> {
    Target { prefix: "", kind, schema: "", name, column: None, owner, version_num, shut_out: None }
        .commands(acl, default)
}

/// Writes the entry of default privileges (`dumpDefaultACL`, `buildDefaultACLCommands`). They name the role
/// instead of becoming it, so that a missing right changes nothing rather than another role's defaults.
pub fn emit_default(out: &mut Emitter<'_>, object: &Object, grants: &DefaultGrants) -> Result<()> {
    if !out.catalog.selection.schema || !object.dumps(Parts::GRANTS) {
        return Ok(());
    }
    let kind = match grants.object_type {
        'r' => "TABLES",
        'S' => "SEQUENCES",
        'f' => "FUNCTIONS",
        'T' => "TYPES",
        'n' => "SCHEMAS",
        'L' => "LARGE OBJECTS",
        other => {
            let message = format!("default privileges for object type {other:?} are not known");
            return Err(Error::new(ErrorKind::Catalog, message));
        }
    };
    let schema = match out.catalog.schema_name(object) {
        "" => String::new(),
        schema => format!("IN SCHEMA {} ", quote::identifier(schema)),
    };
    let target = Target {
        prefix: &format!("ALTER DEFAULT PRIVILEGES FOR ROLE {} {schema}", quote::identifier(&grants.role)),
        kind,
        schema: "",
        name: "",
        column: None,
        owner: &grants.role,
        version_num: out.catalog.server.version_num,
        shut_out: None,
    };
    let create = match &object.grants.acl {
        Some(acl) => target.commands(acl, &object.grants.default)?,
        None => String::new(),
    };
    let tag = format!("DEFAULT PRIVILEGES FOR {kind}");
    let section = Section::PostData;
    out.define(object, Definition { tag, desc: "DEFAULT ACL", section, create, drop: String::new() });
    Ok(())
}
