//! Extensions, their members and their configuration tables.
//!
//! An extension is dumped as CREATE EXTENSION alone. Its members are left out, but for privileges that a user
//! changed ([`Catalog::decide`]) and the rows of its configuration tables ([`config_tables`]).

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::catalog::{Address, Catalog, DumpId, FIRST_NORMAL_OID, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::session::Session;
use crate::toc::Section;
use crate::{Error, ErrorKind, Result, quote};

/// An extension (`pg_extension`).
#[derive(Clone, Debug, Default)]
pub struct Extension {
    /// Name of the schema it was created in.
    pub schema: String,
    /// Whether it can be moved to another schema.
    pub relocatable: bool,
    /// Version.
    pub version: String,
    /// OIDs of its configuration tables (`extconfig`).
    pub config_tables: Vec<u32>,
    /// The WHERE clause for each of them (`extcondition`), empty for none.
    pub config_conditions: Vec<String>,
    /// OIDs of the schemas of these tables; of one that is gone, 0.
    pub config_schemas: Vec<u32>,
    /// Objects that say DEPENDS ON EXTENSION of it.
    pub dependents: HashSet<Address>,
}

/// Reads all extensions, and which objects are their members.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT x.oid, x.extname, n.nspname, x.extrelocatable, x.extversion \
             FROM pg_catalog.pg_extension x \
             JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace",
        )
        .await?;
    for row in rows {
        let extension = Extension {
            schema: row.string("nspname")?,
            relocatable: row.flag("extrelocatable")?,
            version: row.string("extversion")?,
            ..Extension::default()
        };
        let address = Address::new(class::EXTENSION, row.number("oid")?);
        let mut object = Object::new(address, row.string("extname")?, Kind::Extension(extension));
        // One that initdb made is in every database; only privileges on its members can be a user's
        // (`selectDumpableExtension`).
        object.dump = if address.oid < FIRST_NORMAL_OID { Parts::GRANTS } else { Parts::ALL };
        catalog.add(object);
    }
    if catalog.objects().is_empty() {
        return Ok(());
    }
    read_members(catalog, session).await?;
    read_config_tables(catalog, session).await
}

/// Members (`getExtensionMembership`), and the objects that depend on an extension without being its members.
async fn read_members(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT classid, objid, refobjid, deptype FROM pg_catalog.pg_depend \
             WHERE refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype IN ('e', 'x')",
        )
        .await?;
    for row in rows {
        let member = Address::new(row.number("classid")?, row.number("objid")?);
        let id = find(catalog, row.number("refobjid")?)?;
        if row.letter("deptype")? == 'e' {
            catalog.extension_members.insert(member, id);
        } else if let Kind::Extension(extension) = &mut catalog.get_mut(id).kind {
            extension.dependents.insert(member);
        }
    }
    Ok(())
}

async fn read_config_tables(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT x.oid, c.relation, c.condition, COALESCE(r.relnamespace, 0) AS schema \
             FROM pg_catalog.pg_extension x \
             CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(x.extconfig), pg_catalog.unnest(x.extcondition)) \
                 WITH ORDINALITY AS c(relation, condition, position) \
             LEFT JOIN pg_catalog.pg_class r ON r.oid = c.relation \
             ORDER BY x.oid, c.position",
        )
        .await?;
    for row in rows {
        let id = find(catalog, row.number("oid")?)?;
        let object = catalog.get_mut(id);
        if let Kind::Extension(extension) = &mut object.kind {
            // The two arrays have the same length, or one of these is NULL and refused.
            extension.config_tables.push(row.number("relation")?);
            extension.config_conditions.push(row.string("condition")?);
            extension.config_schemas.push(row.number("schema")?);
        }
    }
    Ok(())
}

fn find(catalog: &Catalog, oid: u32) -> Result<DumpId> {
    catalog.find(Address::new(class::EXTENSION, oid)).ok_or_else(|| {
        Error::new(ErrorKind::Catalog, format!("extension with OID {oid} is not in pg_extension"))
            .hint("An extension was dropped or created while the catalogs were read. Run the backup again.")
    })
}

/// All extensions: they are read before everything else, so they are the first objects of the catalog.
fn all(catalog: &Catalog) -> impl Iterator<Item = (&Object, &Extension)> {
    catalog.objects().iter().map_while(|object| match &object.kind {
        Kind::Extension(extension) => Some((object, extension)),
        _ => None,
    })
}

/// The configuration tables whose rows are dumped: the extension, the table's OID, and the WHERE clause with its
/// keyword or nothing (`processExtensionTables`). To be called once the schemas are read. Tables which the user
/// left out by name are the caller's to leave out.
///
/// Of an extension that is not dumped itself, a table counts if its schema is dumped with its rows.
pub fn config_tables(catalog: &Catalog) -> Vec<(DumpId, u32, String)> {
    let schema_parts: HashMap<u32, (Parts, bool)> = catalog
        .objects()
        .iter()
        .filter(|object| matches!(object.kind, Kind::Schema(_)))
        .map(|object| (object.address.oid, (object.dump, catalog.excludes_schema(&object.name))))
        .collect();
    let mut tables = Vec::new();
    for (object, extension) in all(catalog) {
        let entries =
            extension.config_tables.iter().zip(&extension.config_conditions).zip(&extension.config_schemas);
        for ((table, condition), schema) in entries {
            let Some((parts, excluded)) = schema_parts.get(schema) else { continue };
            if !excluded && (object.dump.has(Parts::DEFINITION) || parts.has(Parts::DATA)) {
                tables.push((object.id, *table, condition.clone()));
            }
        }
    }
    tables
}

/// Writes an extension's entries (`dumpExtension`). No version is named, so that the target's default one is made.
pub fn emit(out: &mut Emitter<'_>, object: &Object, extension: &Extension) -> Result<()> {
    if !out.catalog.selection.schema {
        return Ok(());
    }
    let name = quote::identifier(&object.name);
    if object.dumps(Parts::DEFINITION) {
        let definition = Definition {
            tag: object.name.clone(),
            desc: "EXTENSION",
            section: Section::PreData,
            create: format!(
                "CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA {};\n",
                quote::identifier(&extension.schema)
            ),
            drop: format!("DROP EXTENSION {name};\n"),
        };
        out.define(object, definition);
    }
    out.describe(object, "EXTENSION", &name);
    Ok(())
}

/// See [`Emitter::extension_dependencies`] (`append_depends_on_extension`).
pub fn depends_on(catalog: &Catalog, object: &Object, kind: &str, name: &str) -> String {
    let mut sql = String::new();
    for (extension, _) in all(catalog).filter(|(_, one)| one.dependents.contains(&object.address)) {
        let extension = quote::identifier(&extension.name);
        let _ = writeln!(sql, "ALTER {kind} {name} DEPENDS ON EXTENSION {extension};");
    }
    sql
}
