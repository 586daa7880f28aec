//! The database itself (`dumpDatabase`): how it was created, its comment, privileges and settings.
//!
//! Only `pg_restore --create` runs these entries; a restore into a database that is there leaves them alone.

use std::fmt::Write as _;

use super::{Entry, Plain, object};
use crate::catalog::grants::Grants;
use crate::catalog::{Address, Catalog, Parts, class};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result, guc, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let version = catalog.server.version_num;
    let locale = match version {
        170_000.. => "d.datlocprovider, d.datlocale",
        150_000.. => "d.datlocprovider, d.daticulocale AS datlocale",
        _ => "'c' AS datlocprovider, NULL AS datlocale",
    };
    let rules = if version >= 160_000 { "d.daticurules" } else { "NULL AS daticurules" };
    let sql = format!(
        "SELECT d.oid, d.datname AS name, NULL AS namespace, d.datdba AS owner, d.datcollate, d.datctype, \
         pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, d.datacl, \
         pg_catalog.acldefault('d', d.datdba) AS acldefault, d.datistemplate, d.datconnlimit, {locale}, {rules}, \
         t.spcname, pg_catalog.shobj_description(d.oid, 'pg_database') AS comment \
         FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace \
         WHERE d.datname = pg_catalog.current_database()"
    );
    let row = session.row(&sql).await?;
    let name = quote::identifier(row.text("name")?);
    let plain = Plain {
        desc: "DATABASE",
        priority: 1,
        tag: row.string("name")?,
        create: create(version, &row)?,
        drop: format!("DROP DATABASE {name};\n"),
        described_as: ("DATABASE", name),
        granted_as: Some("DATABASE"),
        further: properties(session, &row).await?.into_iter().collect(),
        ..Plain::default()
    };
    let mut object = object(catalog, &row, class::DATABASE, plain)?;
    // `postgres` and the templates are initdb's, but what they are like is the user's.
    object.dump = Parts::ALL;
    object.parts = object.parts.with(Parts::FURTHER);
    object.grants = Grants { acl: row.optional_string("datacl")?, default: row.string("acldefault")? };
    if object.grants.acl.is_some() {
        object.parts = object.parts.with(Parts::GRANTS);
    }
    if let Some(comment) = row.optional_string("comment")?.filter(|comment| !comment.is_empty()) {
        object.parts = object.parts.with(Parts::COMMENT);
        catalog.comments.comments.insert(object.address, vec![(0, comment)]);
    }
    let labels = labels(session, object.address).await?;
    if !labels.is_empty() {
        object.parts = object.parts.with(Parts::LABEL);
        catalog.comments.labels.insert(object.address, labels);
    }
    catalog.add(object);
    Ok(())
}

/// Comments and labels of what all databases share stand in catalogs of their own.
async fn labels(session: &Session, address: Address) -> Result<Vec<(i32, String, String)>> {
    let sql = format!(
        "SELECT provider, label FROM pg_catalog.pg_shseclabel WHERE classoid = {} AND objoid = {} ORDER BY provider",
        address.class, address.oid
    );
    let rows = session.rows(&sql).await?;
    rows.iter().map(|row| Ok((0, row.string("provider")?, row.string("label")?))).collect()
}

/// What cannot be changed later. The provider of locales is named from 15 on, where there is a choice.
fn create(version_num: u32, row: &Row) -> Result<String> {
    let mut sql =
        format!("CREATE DATABASE {} WITH TEMPLATE = template0", quote::identifier(row.text("name")?));
    let mut option = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = write!(sql, " {name} = {value}");
    };
    option("ENCODING", &quote::literal(row.text("encoding")?));
    let (provider, locale_option) = match row.letter("datlocprovider")? {
        'b' => ("builtin", "BUILTIN_LOCALE"),
        'c' => ("libc", "ICU_LOCALE"),
        'i' => ("icu", "ICU_LOCALE"),
        other => {
            let message = format!("datlocprovider {other:?} is not known");
            return Err(Error::new(ErrorKind::Catalog, message).on(format!("database {}", row.text("name")?)));
        }
    };
    if version_num >= 150_000 {
        option("LOCALE_PROVIDER", provider);
    }
    let (collate, ctype) = (row.text("datcollate")?, row.text("datctype")?);
    if !collate.is_empty() && collate == ctype {
        option("LOCALE", &quote::literal(collate));
    } else {
        for (name, value) in [("LC_COLLATE", collate), ("LC_CTYPE", ctype)] {
            if !value.is_empty() {
                option(name, &quote::literal(value));
            }
        }
    }
    if let Some(locale) = row.optional("datlocale")? {
        option(locale_option, &quote::literal(locale));
    }
    if let Some(rules) = row.optional("daticurules")? {
        option("ICU_RULES", &quote::literal(rules));
    }
    if let Some(tablespace) = row.optional("spcname")?.filter(|name| *name != "pg_default") {
        option("TABLESPACE", &quote::identifier(tablespace));
    }
    sql.push_str(";\n");
    Ok(sql)
}

/// What is set once the database is there, if anything is: limits, and settings for it and for roles in it
/// (`dumpDatabaseConfig`).
async fn properties(session: &Session, row: &Row) -> Result<Option<Entry>> {
    let name = quote::identifier(row.text("name")?);
    let (mut create, mut drop) = (String::new(), String::new());
    let limit = row.text("datconnlimit")?;
    if limit != "-1" {
        let _ = writeln!(create, "ALTER DATABASE {name} CONNECTION LIMIT = {limit};");
    }
    if row.flag("datistemplate")? {
        let _ = writeln!(create, "ALTER DATABASE {name} IS_TEMPLATE = true;");
        // A template cannot be dropped.
        let literal = quote::literal(row.text("name")?);
        let _ = writeln!(
            drop,
            "UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = {literal};"
        );
    }
    let sql = format!(
        "SELECT r.rolname, c.setting FROM pg_catalog.pg_db_role_setting s \
         CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c(setting, place) \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
         WHERE s.setdatabase = {} AND (s.setrole = 0 OR r.oid IS NOT NULL) \
         ORDER BY s.setrole <> 0, r.rolname, c.place",
        row.text("oid")?
    );
    for row in session.rows(&sql).await? {
        let target = match row.optional("rolname")? {
            Some(role) => format!("ROLE {} IN DATABASE {name}", quote::identifier(role)),
            None => format!("DATABASE {name}"),
        };
        if let Some(assignment) = guc::assignment(row.text("setting")?)? {
            let _ = writeln!(create, "ALTER {target} SET {assignment};");
        }
    }
    let tag = row.string("name")?;
    Ok((!create.is_empty()).then_some(Entry { tag, desc: "DATABASE PROPERTIES", create, drop }))
}
