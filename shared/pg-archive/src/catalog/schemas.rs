//! Schemas.
//!
//! Every schema is read, the system's own too, because whatever lies in one is decided by it (`getNamespaces` and
//! `selectDumpableNamespace` in `pg_dump.c`).

use crate::Result;
use crate::catalog::grants::Grants;
use crate::catalog::{Address, Catalog, Kind, Object, Parts, class, comments};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::Session;
use crate::toc::Section;

/// OID of the role `pg_database_owner`, which owns `public` from 14 on (`src/include/catalog/pg_authid.dat`).
const DATABASE_OWNER_ROLE: u32 = 6171;

/// The comment that `initdb` gives to `public` (`src/include/catalog/pg_namespace.dat`).
const PUBLIC_COMMENT: &str = "standard public schema";

/// A schema (`pg_namespace`).
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Whether its CREATE statement goes into the archive; `public` has none where it is as initdb made it.
    pub create: bool,
    /// The parts of the objects in it that are dumped (`dump_contains`).
    pub contains: Parts,
}

/// Reads all schemas.
///
/// What `pg_init_privs` says of `public` counts for nothing: an empty database starts with the privileges of 15
/// whatever the source had, and they follow an owner's change. So those stand as its initial ones here. Until 14
/// everybody may CREATE in `public` of an empty database; where the source took that away, it must be taken away
/// again. `pg_dump` forgets that, and a restore on 14 or older then gives the right back to everybody.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT n.oid, n.nspname, n.nspowner, n.nspacl, \
             pg_catalog.acldefault('n', n.nspowner) AS acldefault, \
             pg_catalog.acldefault('n', n.nspowner) \
                 || pg_catalog.makeaclitem(0, n.nspowner, 'USAGE', false) \
                 || CASE WHEN pg_catalog.current_setting('server_version_num')::int < 150000 \
                              AND NOT pg_catalog.has_schema_privilege('public', n.oid, 'CREATE') \
                         THEN ARRAY[pg_catalog.makeaclitem(0, n.nspowner, 'CREATE', false)] \
                         ELSE '{}'::pg_catalog.aclitem[] END AS public_acl \
             FROM pg_catalog.pg_namespace n",
        )
        .await?;
    for row in rows {
        let address = Address::new(class::NAMESPACE, row.number("oid")?);
        let owner: u32 = row.number("nspowner")?;
        let is_public = row.text("nspname")? == "public";
        let schema = Schema { create: !is_public, contains: Parts::NONE };
        let mut object = Object::new(address, row.string("nspname")?, Kind::Schema(schema));
        catalog.role(owner)?.clone_into(&mut object.owner);
        object.grants = Grants { acl: row.optional_string("nspacl")?, default: row.string("acldefault")? };
        if object.grants.acl.is_some() {
            object.parts = object.parts.with(Parts::GRANTS);
        }
        if is_public {
            let initial = ('i', row.string("public_acl")?);
            catalog.initial_grants.by_object.insert((address, 0), initial);
            // As if it had a comment, because a comment that was dropped must be dropped again.
            object.parts = object.parts.with(Parts::GRANTS).with(Parts::COMMENT);
        }
        select(catalog, &mut object, owner);
        catalog.add(object);
    }
    Ok(())
}

/// Decides what is dumped of a schema and of what lies in it (`selectDumpableNamespace`).
fn select(catalog: &Catalog, object: &mut Object, owner: u32) {
    let name = object.name.as_str();
    let excluded = catalog.excludes_schema(name);
    let contains = match name {
        _ if excluded => Parts::NONE,
        "pg_catalog" => Parts::GRANTS,
        "information_schema" => Parts::NONE,
        _ if name.starts_with("pg_") => Parts::NONE,
        _ => Parts::ALL,
    };
    object.dump = contains;
    if name == "public" && owner == DATABASE_OWNER_ROLE {
        object.dump = object.dump.without(Parts::DEFINITION);
    }
    if let Kind::Schema(schema) = &mut object.kind {
        schema.contains = contains;
    }
    // A member of an extension is the extension's, but what a user put into it is not.
    if catalog.extension_members.contains_key(&object.address) {
        catalog.decide(object);
    }
}

/// Writes a schema's entries (`dumpNamespace`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, schema: &Schema) -> Result<()> {
    if !out.catalog.selection.schema {
        return Ok(());
    }
    let name = quote::identifier(&object.name);
    if object.dumps(Parts::DEFINITION) {
        // The entry of `public` carries its owner, which pg_restore sets.
        let (create, drop) = if schema.create {
            (format!("CREATE SCHEMA {name};\n"), format!("DROP SCHEMA {name};\n"))
        } else {
            (
                "-- *not* creating schema, since initdb creates it\n".to_owned(),
                "-- *not* dropping schema, since initdb creates it\n".to_owned(),
            )
        };
        let tag = object.name.clone();
        out.define(object, Definition { tag, desc: "SCHEMA", section: Section::PreData, create, drop });
    }
    if schema.create {
        out.describe(object, "SCHEMA", &name);
    } else {
        comments::emit_unlike_initdb(out, object, "SCHEMA", &name, PUBLIC_COMMENT);
    }
    if let Some(entry) = out.grants(object, "SCHEMA", &name) {
        out.schema_grants.insert(object.name.clone(), entry);
    }
    Ok(())
}
