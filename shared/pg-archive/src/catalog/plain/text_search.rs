//! Text search parsers, templates, dictionaries and configurations (`dumpTSParser`, `dumpTSTemplate`,
//! `dumpTSDictionary`, `dumpTSConfig`).
//!
//! Parsers and templates have no owner. What a user changed in a configuration of `pg_catalog` is not dumped: the
//! configuration is the system's, and its rows of `pg_ts_config_map` have no OID by which anybody could tell.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{Plain, object, qualified};
use crate::catalog::{Catalog, FIRST_NORMAL_OID, class};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result, quote};

/// Reads all four kinds. Names of functions are as `regproc` prints them: qualified where they must be.
pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let parsers = format!(
        "SELECT oid, prsname AS name, prsnamespace AS namespace, NULL AS owner, prsstart::pg_catalog.regproc, \
         prstoken::pg_catalog.regproc, prsend::pg_catalog.regproc, prsheadline::pg_catalog.regproc, \
         prslextype::pg_catalog.regproc FROM pg_catalog.pg_ts_parser WHERE oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&parsers).await? {
        let options = functions(
            &row,
            &[
                ("START", "prsstart"),
                ("GETTOKEN", "prstoken"),
                ("END", "prsend"),
                ("HEADLINE", "prsheadline"),
                ("LEXTYPES", "prslextype"),
            ],
        )?;
        add(catalog, &row, class::TEXT_SEARCH_PARSER, ("TEXT SEARCH PARSER", 131), &options, "")?;
    }
    let templates = format!(
        "SELECT oid, tmplname AS name, tmplnamespace AS namespace, NULL AS owner, tmplinit::pg_catalog.regproc, \
         tmpllexize::pg_catalog.regproc FROM pg_catalog.pg_ts_template WHERE oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&templates).await? {
        let options = functions(&row, &[("INIT", "tmplinit"), ("LEXIZE", "tmpllexize")])?;
        add(catalog, &row, class::TEXT_SEARCH_TEMPLATE, ("TEXT SEARCH TEMPLATE", 132), &options, "")?;
    }
    dictionaries(catalog, session).await?;
    configurations(catalog, session).await
}

/// The functions that a row has, of the given options and columns.
fn functions(row: &Row, columns: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut options = Vec::new();
    for (option, column) in columns {
        let function = row.text(column)?;
        if function != "-" {
            options.push(format!("{option} = {function}"));
        }
    }
    Ok(options)
}

async fn dictionaries(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = format!(
        "SELECT d.oid, d.dictname AS name, d.dictnamespace AS namespace, d.dictowner AS owner, d.dictinitoption, \
         t.tmplname, n.nspname AS tmplnamespace FROM pg_catalog.pg_ts_dict d \
         JOIN pg_catalog.pg_ts_template t ON t.oid = d.dicttemplate \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.tmplnamespace WHERE d.oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&sql).await? {
        let template = quote::qualified(row.text("tmplnamespace")?, row.text("tmplname")?);
        let mut options = vec![format!("TEMPLATE = {template}")];
        // Stored as the text that CREATE takes.
        options.extend(row.optional_string("dictinitoption")?);
        add(catalog, &row, class::TEXT_SEARCH_DICTIONARY, ("TEXT SEARCH DICTIONARY", 133), &options, "")?;
    }
    Ok(())
}

async fn configurations(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let mappings = read_mappings(session).await?;
    let sql = format!(
        "SELECT c.oid, c.cfgname AS name, c.cfgnamespace AS namespace, c.cfgowner AS owner, p.prsname, \
         n.nspname AS prsnamespace FROM pg_catalog.pg_ts_config c \
         JOIN pg_catalog.pg_ts_parser p ON p.oid = c.cfgparser \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.prsnamespace WHERE c.oid >= {FIRST_NORMAL_OID}"
    );
    for row in session.rows(&sql).await? {
        let name = qualified(catalog, &row)?;
        let mut more = String::new();
        for (token, dictionaries) in mappings.get(&row.number("oid")?).into_iter().flatten() {
            let dictionaries = dictionaries.join(", ");
            let token = quote::identifier(token);
            let _ = write!(
                more,
                "\nALTER TEXT SEARCH CONFIGURATION {name}\n    ADD MAPPING FOR {token} WITH {dictionaries};\n"
            );
        }
        let parser = quote::qualified(row.text("prsnamespace")?, row.text("prsname")?);
        let options = [format!("PARSER = {parser}")];
        let kind = ("TEXT SEARCH CONFIGURATION", 134);
        add(catalog, &row, class::TEXT_SEARCH_CONFIGURATION, kind, &options, &more)?;
    }
    Ok(())
}

/// Token types with their dictionaries, in order, by configuration.
type Mappings = HashMap<u32, Vec<(String, Vec<String>)>>;

async fn read_mappings(session: &Session) -> Result<Mappings> {
    let sql = format!(
        "SELECT m.mapcfg, m.maptokentype, m.mapdict::pg_catalog.regdictionary AS dictionary, \
         (SELECT t.alias FROM pg_catalog.ts_token_type(c.cfgparser) AS t WHERE t.tokid = m.maptokentype) AS token \
         FROM pg_catalog.pg_ts_config_map m JOIN pg_catalog.pg_ts_config c ON c.oid = m.mapcfg \
         WHERE c.oid >= {FIRST_NORMAL_OID} ORDER BY m.mapcfg, m.maptokentype, m.mapseqno"
    );
    let mut mappings = Mappings::new();
    for row in session.rows(&sql).await? {
        let token = row.optional_string("token")?.ok_or_else(|| {
            let number = row.text("maptokentype").unwrap_or_default();
            Error::new(ErrorKind::Catalog, format!("its parser knows no token type {number}"))
                .on(format!("text search configuration with OID {}", row.text("mapcfg").unwrap_or_default()))
                .hint("Drop the mapping with ALTER TEXT SEARCH CONFIGURATION … DROP MAPPING.")
        })?;
        let of_configuration = mappings.entry(row.number("mapcfg")?).or_default();
        let dictionary = row.string("dictionary")?;
        match of_configuration.last_mut() {
            Some((last, dictionaries)) if *last == token => dictionaries.push(dictionary),
            _ => of_configuration.push((token, vec![dictionary])),
        }
    }
    Ok(mappings)
}

/// Adds an object of the kind `(desc, priority)`; `more` follows its CREATE statement.
fn add(
    catalog: &mut Catalog,
    row: &Row,
    class: u32,
    (desc, priority): (&'static str, u8),
    options: &[String],
    more: &str,
) -> Result<()> {
    let name = qualified(catalog, row)?;
    let plain = Plain {
        desc,
        priority,
        tag: row.string("name")?,
        create: format!("CREATE {desc} {name} (\n    {} );\n{more}", options.join(",\n    ")),
        drop: format!("DROP {desc} {name};\n"),
        described_as: (desc, quote::identifier(row.text("name")?)),
        ..Plain::default()
    };
    let object = object(catalog, row, class, plain)?;
    catalog.add(object);
    Ok(())
}
