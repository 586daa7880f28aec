//! The options of base types (`dumpBaseType`).

use super::{Detail, default, formatted_or_error, oid_array};
use crate::catalog::Catalog;
use crate::session::{Row, Session};
use crate::{Result, quote};

/// Reads the options of the given base types.
pub(super) async fn read(catalog: &Catalog, session: &Session, oids: &[u32]) -> Result<Vec<(u32, Detail)>> {
    let subscript = if catalog.server.version_num >= 140_000 { "typsubscript" } else { "'-'" };
    let sql = format!(
        "SELECT oid, typlen, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, \
         {subscript} AS typsubscript, typelem, typdelim, typbyval, typalign, typstorage, typcategory, \
         typispreferred, typcollation <> 0 AS typcollatable, \
         pg_catalog.pg_get_expr(typdefaultbin, 0) AS typdefaultbin, typdefault \
         FROM pg_catalog.pg_type WHERE oid = ANY ({})",
        oid_array(oids)
    );
    let rows = session.rows(&sql).await?;
    rows.iter().map(|row| Ok((row.number("oid")?, Detail::Text(body(catalog, row)?)))).collect()
}

fn body(catalog: &Catalog, row: &Row) -> Result<String> {
    let length = row.text("typlen")?;
    let mut options = vec![format!("INTERNALLENGTH = {}", if length == "-1" { "variable" } else { length })];
    // What regproc prints is quoted and qualified already.
    for (option, column) in [
        ("INPUT", "typinput"),
        ("OUTPUT", "typoutput"),
        ("RECEIVE", "typreceive"),
        ("SEND", "typsend"),
        ("TYPMOD_IN", "typmodin"),
        ("TYPMOD_OUT", "typmodout"),
        ("ANALYZE", "typanalyze"),
    ] {
        function(&mut options, option, row.text(column)?);
    }
    if row.flag("typcollatable")? {
        options.push("COLLATABLE = true".to_owned());
    }
    if let Some(default) = default(row)? {
        options.push(format!("DEFAULT = {default}"));
    }
    function(&mut options, "SUBSCRIPT", row.text("typsubscript")?);
    let element = row.number("typelem")?;
    if element != 0 {
        options.push(format!("ELEMENT = {}", formatted_or_error(catalog, element)?));
    }
    options.extend(classification(row)?);
    options.extend(storage(row)?);
    Ok(format!(" (\n    {}\n)", options.join(",\n    ")))
}

fn function(options: &mut Vec<String>, option: &str, name: &str) {
    if name != "-" {
        options.push(format!("{option} = {name}"));
    }
}

fn classification(row: &Row) -> Result<Vec<String>> {
    let mut options = Vec::new();
    let category = row.text("typcategory")?;
    if category != "U" {
        options.push(format!("CATEGORY = {}", quote::literal(category)));
    }
    if row.flag("typispreferred")? {
        options.push("PREFERRED = true".to_owned());
    }
    let delimiter = row.text("typdelim")?;
    if delimiter != "," {
        options.push(format!("DELIMITER = {}", quote::literal(delimiter)));
    }
    Ok(options)
}

fn storage(row: &Row) -> Result<Vec<String>> {
    let mut options = Vec::new();
    let alignment = match row.letter("typalign")? {
        'c' => Some("char"),
        's' => Some("int2"),
        'i' => Some("int4"),
        'd' => Some("double"),
        _ => None,
    };
    options.extend(alignment.map(|alignment| format!("ALIGNMENT = {alignment}")));
    let storage = match row.letter("typstorage")? {
        'p' => Some("plain"),
        'e' => Some("external"),
        'x' => Some("extended"),
        'm' => Some("main"),
        _ => None,
    };
    options.extend(storage.map(|storage| format!("STORAGE = {storage}")));
    if row.flag("typbyval")? {
        options.push("PASSEDBYVALUE".to_owned());
    }
    Ok(options)
}
