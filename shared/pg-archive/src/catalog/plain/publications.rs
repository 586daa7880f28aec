//! Publications, and the tables and schemas in them (`dumpPublication`, `dumpPublicationTable`,
//! `dumpPublicationNamespace`).
//!
//! What is published is an entry of its own, so that a restore which leaves a table out still has its publication.

use std::collections::HashMap;

use super::{Plain, object};
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, class};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result, quote};

/// Reads them. Tables and schemas must have been read.
pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    publications(catalog, session).await?;
    tables(catalog, session).await?;
    // Whole schemas can be published from 15 on.
    if catalog.server.version_num >= 150_000 { schemas(catalog, session).await } else { Ok(()) }
}

async fn publications(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let generated = if catalog.server.version_num >= 180_000 { "pubgencols" } else { "'n' AS pubgencols" };
    let sql = format!(
        "SELECT oid, pubname AS name, NULL AS namespace, pubowner AS owner, puballtables, pubinsert, pubupdate, \
         pubdelete, pubtruncate, pubviaroot, {generated} FROM pg_catalog.pg_publication"
    );
    for row in session.rows(&sql).await? {
        let name = quote::identifier(row.text("name")?);
        let all = if row.flag("puballtables")? { " FOR ALL TABLES" } else { "" };
        let plain = Plain {
            desc: "PUBLICATION",
            priority: 170,
            tag: row.string("name")?,
            create: format!("CREATE PUBLICATION {name}{all} WITH ({});\n", options(&row)?),
            drop: format!("DROP PUBLICATION {name};\n"),
            described_as: ("PUBLICATION", name),
            ..Plain::default()
        };
        let object = object(catalog, &row, class::PUBLICATION, plain)?;
        catalog.add(object);
    }
    Ok(())
}

fn options(row: &Row) -> Result<String> {
    let mut published = Vec::new();
    for (operation, column) in [
        ("insert", "pubinsert"),
        ("update", "pubupdate"),
        ("delete", "pubdelete"),
        ("truncate", "pubtruncate"),
    ] {
        if row.flag(column)? {
            published.push(operation);
        }
    }
    let mut options = format!("publish = '{}'", published.join(", "));
    if row.flag("pubviaroot")? {
        options.push_str(", publish_via_partition_root = true");
    }
    match row.letter("pubgencols")? {
        'n' => {}
        's' => options.push_str(", publish_generated_columns = stored"),
        other => {
            let message = format!("pubgencols {other:?} is not known");
            return Err(
                Error::new(ErrorKind::Catalog, message).on(format!("publication {}", row.text("name")?))
            );
        }
    }
    Ok(options)
}

async fn tables(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let columns = columns(catalog, session).await?;
    // Row filters came with 15.
    let filter = if catalog.server.version_num >= 150_000 {
        "pg_catalog.pg_get_expr(prqual, prrelid)"
    } else {
        "NULL"
    };
    let sql = format!(
        "SELECT oid, '' AS name, NULL AS namespace, NULL AS owner, prpubid, prrelid, {filter} AS filter \
         FROM pg_catalog.pg_publication_rel ORDER BY oid"
    );
    for row in session.rows(&sql).await? {
        let address = Address::new(class::CLASS, row.number("prrelid")?);
        let (Some(publication), Some(table)) =
            (publication(catalog, &row, "prpubid")?, catalog.find(address))
        else {
            continue;
        };
        let table = catalog.get(table);
        let columns = match columns.get(&row.number("oid")?) {
            Some(columns) => format!(" ({})", columns.join(", ")),
            None => String::new(),
        };
        // pg_get_expr leaves out the parentheses of an expression such as TRUE.
        let filter = match row.optional("filter")? {
            Some(filter) => format!(" WHERE ({filter})"),
            None => String::new(),
        };
        let what = format!("TABLE ONLY {}{columns}{filter}", catalog.qualified(table));
        let is_restored = table.extension_member || table.dump.has(Parts::DEFINITION);
        let member = Member {
            class: class::PUBLICATION_REL,
            desc: "PUBLICATION TABLE",
            priority: 171,
            publication,
            name: table.name.clone(),
            schema: table.schema,
            what,
            is_restored,
        };
        add_member(catalog, &row, member)?;
    }
    Ok(())
}

/// The published columns of tables that do not publish all of them, quoted, by the OID of the publication's row. They
/// came with 15.
async fn columns(catalog: &Catalog, session: &Session) -> Result<HashMap<u32, Vec<String>>> {
    let mut columns: HashMap<u32, Vec<String>> = HashMap::new();
    if catalog.server.version_num < 150_000 {
        return Ok(columns);
    }
    let sql = "SELECT p.oid, a.attname FROM pg_catalog.pg_publication_rel p \
        CROSS JOIN LATERAL pg_catalog.unnest(p.prattrs::pg_catalog.int2[]) WITH ORDINALITY AS c(number, place) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = p.prrelid AND a.attnum = c.number \
        ORDER BY p.oid, c.place";
    for row in session.rows(sql).await? {
        let names = columns.entry(row.number("oid")?).or_default();
        names.push(quote::identifier(row.text("attname")?));
    }
    Ok(columns)
}

async fn schemas(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = "SELECT oid, '' AS name, NULL AS namespace, NULL AS owner, pnpubid, pnnspid \
        FROM pg_catalog.pg_publication_namespace ORDER BY oid";
    for row in session.rows(sql).await? {
        let schema = catalog.schema(row.number("pnnspid")?)?;
        let Some(publication) = publication(catalog, &row, "pnpubid")? else { continue };
        let object = catalog.get(schema);
        let is_restored = object.extension_member
            || matches!(&object.kind, Kind::Schema(schema) if schema.contains != Parts::NONE);
        let member = Member {
            class: class::PUBLICATION_NAMESPACE,
            desc: "PUBLICATION TABLES IN SCHEMA",
            priority: 172,
            publication,
            name: object.name.clone(),
            schema: Some(schema),
            what: format!("TABLES IN SCHEMA {}", quote::identifier(&object.name)),
            is_restored,
        };
        add_member(catalog, &row, member)?;
    }
    Ok(())
}

fn publication(catalog: &Catalog, row: &Row, column: &str) -> Result<Option<DumpId>> {
    Ok(catalog.find(Address::new(class::PUBLICATION, row.number(column)?)))
}

/// Something that is published.
struct Member {
    class: u32,
    desc: &'static str,
    priority: u8,
    publication: DumpId,
    name: String,
    schema: Option<DumpId>,
    /// What `ALTER PUBLICATION … ADD` adds.
    what: String,
    /// Whether the restored database will have it.
    is_restored: bool,
}

/// Adds what is published. It has the publication's owner, so that the owner's rights decide about the statement, and
/// no drop statement: it goes with its table or schema.
fn add_member(catalog: &mut Catalog, row: &Row, member: Member) -> Result<()> {
    let publication = catalog.get(member.publication);
    let plain = Plain {
        desc: member.desc,
        priority: member.priority,
        sort_key: vec![publication.name.clone()],
        tag: format!("{} {}", publication.name, member.name),
        create: format!("ALTER PUBLICATION {} ADD {};\n", quote::identifier(&publication.name), member.what),
        ..Plain::default()
    };
    let owner = publication.owner.clone();
    let mut object: Object = object(catalog, row, member.class, plain)?;
    object.name = member.name;
    object.schema = member.schema;
    object.owner = owner;
    if !object.extension_member {
        object.dump = if member.is_restored { Parts::ALL } else { Parts::NONE };
    }
    catalog.add(object);
    Ok(())
}
