//! The SQL of a restore: what sets a session up, makes an entry, gives it to its owner, or drops it. Pure.
//!
//! Source: `_doSetFixedOutputState`, `_printTocEntry`, `_getObjectDescription` and `RestoreArchive` in
//! `pg_backup_archiver.c`.

use std::fmt::Write as _;

use super::older;
use super::options::RestoreOptions;
use super::present::Present;
use super::select::Wanted;
use crate::quote::{identifier, literal, qualified};
use crate::toc::Entry;
use crate::toc::settings::Settings;
use crate::{Error, ErrorKind, Result, text_settings};

/// The kinds whose owner is set by their name alone.
const OWNED_BY_NAME: &[&str] = &[
    "COLLATION",
    "CONVERSION",
    "DOMAIN",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "MATERIALIZED VIEW",
    "PROCEDURAL LANGUAGE",
    "PUBLICATION",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "TABLE",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TYPE",
    "VIEW",
];

/// The kinds whose owner is set by what their DROP statement names: arguments, access methods.
const OWNED_BY_SIGNATURE: &[&str] =
    &["AGGREGATE", "FUNCTION", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURE"];

/// The kinds that have a DROP statement and no owner of their own. The last three are not in `pg_restore`'s list:
/// it warns of them, or they have no owner in the archive.
const WITHOUT_OWNER: &[&str] = &[
    "CAST",
    "CHECK CONSTRAINT",
    "CONSTRAINT",
    "DEFAULT",
    "FK CONSTRAINT",
    "INDEX",
    "POLICY",
    "ROW SECURITY",
    "RULE",
    "TRIGGER",
    "USER MAPPING",
    "ACCESS METHOD",
    "EXTENSION",
    "TRANSFORM",
];

/// Sets a new session up: what input depends on, then what was asked for, then what the archive says itself.
pub(super) fn session_setup(settings: &Settings, extra: &[(String, String)]) -> String {
    let strings = if settings.standard_conforming_strings { "on" } else { "off" };
    let mut sql = format!(
        "SELECT pg_catalog.set_config('search_path', '', false);\n{}SET client_encoding = {};\n\
         SET standard_conforming_strings = {strings};\n",
        text_settings::writing(),
        literal(&settings.encoding)
    );
    for (name, value) in extra {
        let (name, value) = (literal(name), literal(value));
        let _ = writeln!(sql, "SELECT pg_catalog.set_config({name}, {value}, false);");
    }
    sql.push_str(settings.search_path.as_deref().unwrap_or_default());
    sql
}

/// What of a session's settings the entries change.
#[derive(Debug, Default)]
pub(super) struct SessionState {
    schema: Option<String>,
    tablespace: Option<String>,
    access_method: Option<String>,
}

impl SessionState {
    /// The settings that an entry needs and the session does not have.
    pub(super) fn switch_to(
        &mut self,
        entry: &Entry,
        settings: &Settings,
        options: &RestoreOptions,
    ) -> String {
        let mut sql = String::new();
        if settings.search_path.is_none()
            && let Some(schema) =
                changed(&mut self.schema, entry.schema.as_deref().filter(|name| !name.is_empty()))
        {
            let _ = writeln!(sql, "SET search_path = {}, pg_catalog;", identifier(schema));
        }
        if !options.leave_out.tablespaces
            && let Some(tablespace) = changed(&mut self.tablespace, entry.tablespace.as_deref())
        {
            let name = if tablespace.is_empty() { "''".to_owned() } else { identifier(tablespace) };
            let _ = writeln!(sql, "SET default_tablespace = {name};");
        }
        if let Some(method) = changed(&mut self.access_method, entry.table_access_method.as_deref()) {
            let _ = writeln!(sql, "SET default_table_access_method = {};", identifier(method));
        }
        sql
    }
}

/// The wanted value, if it is another than the session has.
fn changed<'a>(have: &mut Option<String>, want: Option<&'a str>) -> Option<&'a str> {
    let want = want?;
    if have.as_deref() == Some(want) {
        return None;
    }
    *have = Some(want.to_owned());
    Some(want)
}

/// What makes an entry, takes back what the target gave on it of itself, and gives it to its owner.
pub(super) fn create(entry: &Entry, options: &RestoreOptions) -> Result<String> {
    let version_num = options.present.as_ref().map_or(0, Present::version_num);
    let in_its_words = older::in_its_words(version_num, entry).map(|(text, _)| text);
    let definition = in_its_words.as_deref().or(entry.definition.as_deref()).unwrap_or_default();
    if entry.desc == "MATERIALIZED VIEW DATA" {
        // It runs as the view's owner, and shows what this role may see. Under `row_security = off` it would fail.
        return Ok(format!("SET LOCAL row_security = on;\n{definition}"));
    }
    // A comment stands for the schema that every database has.
    let is_made = !definition.starts_with("--");
    let privileges = match &options.present {
        Some(present) if is_made && !options.leave_out.privileges => present.take_back(entry)?,
        _ => String::new(),
    };
    if options.leave_out.owners {
        // Old archives name the owner in CREATE SCHEMA.
        if entry.desc == "SCHEMA" && is_made {
            return Ok(format!("CREATE SCHEMA {};\n{privileges}", identifier(&entry.tag)));
        }
        return Ok(format!("{definition}{privileges}"));
    }
    let owner = alter_owner(entry)?;
    Ok(format!("{definition}\n{privileges}{}", owner.unwrap_or_default()))
}

/// `TRUNCATE` of a table that this restore has made itself, before its only data file. There is nothing in it, but a
/// table that is truncated in the transaction of its COPY is filled page by page, without a look at its free space map:
/// its rows come to lie in the order of the archive, and with `wal_level = minimal` no WAL is written
/// (`restore_toc_entry` in `pg_backup_archiver.c`). A table with several data files is left alone.
pub(super) fn empty_new_table(entry: &Entry, entries: &[Entry], wanted: &[Wanted]) -> Option<String> {
    // One of several files depends on nothing (docs/decisions/0003-chunks-without-dependencies.md).
    let table = *entry.dependencies.first()?;
    let through_root =
        entry.definition.as_deref().is_some_and(|text| text.starts_with("-- load via partition root"));
    let at = entries.iter().position(|other| other.id == table && other.desc == "TABLE")?;
    let made = wanted[at].definition && entry.desc == "TABLE DATA" && !through_root;
    let schema = entry.schema.as_deref()?;
    made.then(|| format!("TRUNCATE TABLE ONLY {}", qualified(schema, &entry.tag)))
}

/// The role that an entry is given to, if it is.
pub(super) fn new_owner(entry: &Entry) -> Option<&str> {
    alter_owner(entry).ok().flatten().and(non_empty(entry.owner.as_ref()))
}

/// The statement that gives an entry to its owner, if it has one.
pub(super) fn owner_statement(entry: &Entry) -> Option<String> {
    alter_owner(entry).ok().flatten()
}

/// `ALTER … OWNER TO`, for what has an owner of its own: all that can be dropped, but some kinds.
fn alter_owner(entry: &Entry) -> Result<Option<String>> {
    let (Some(owner), Some(drop)) =
        (non_empty(entry.owner.as_ref()), non_empty(entry.drop_statement.as_ref()))
    else {
        return Ok(None);
    };
    let desc = entry.desc.as_str();
    let object = if OWNED_BY_NAME.contains(&desc) {
        // ALTER TABLE serves views and sequences of all versions.
        let kind = if matches!(desc, "VIEW" | "SEQUENCE" | "MATERIALIZED VIEW") { "TABLE" } else { desc };
        format!("{kind} {}", qualified(entry.schema.as_deref().unwrap_or_default(), &entry.tag))
    } else if desc == "BLOB" {
        format!("LARGE OBJECT {}", entry.tag)
    } else if OWNED_BY_SIGNATURE.contains(&desc) {
        let dropped = drop.strip_prefix("DROP ").unwrap_or(drop);
        dropped.trim_end_matches(['\n', ';']).to_owned()
    } else if WITHOUT_OWNER.contains(&desc) {
        return Ok(None);
    } else {
        return Err(Error::new(
            ErrorKind::Archive,
            format!("is of a kind whose owner cannot be set: {desc}"),
        )
        .on(entry.label())
        .hint("Restore the archive with pg_restore, or leave the owners out."));
    };
    Ok(Some(format!("ALTER {object} OWNER TO {};\n", identifier(owner))))
}

/// What drops an entry if it is there, or nothing if it has no drop statement (`RestoreArchive`).
pub(super) fn drop_if_exists(entry: &Entry) -> Option<String> {
    let drop = non_empty(entry.drop_statement.as_ref())?;
    if drop.starts_with("--") {
        return Some(drop.to_owned());
    }
    if entry.desc == "SUBSCRIPTION" {
        return Some(drop_subscription(entry, drop));
    }
    if entry.desc.starts_with("BLOB") {
        return Some(format!(
            "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = '{}';\n",
            entry.address.oid
        ));
    }
    let (start, rest) = match drop.strip_prefix("ALTER TABLE") {
        Some(rest) => ("ALTER TABLE IF EXISTS", rest),
        None => ("", drop),
    };
    // These two have no form with IF EXISTS.
    if entry.desc == "DEFAULT" || rest.starts_with("CREATE OR REPLACE VIEW") {
        return Some(format!("{start}{rest}"));
    }
    let verb = match entry.desc.as_str() {
        "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" => "DROP CONSTRAINT".to_owned(),
        desc => format!("DROP {desc}"),
    };
    Some(match rest.split_once(&verb) {
        Some((before, after)) => format!("{start}{before}{verb} IF EXISTS{after}"),
        None => format!("{start}{rest}"),
    })
}

/// A subscription is parted from its slot first. Else dropping it would contact the publisher to drop the slot there
/// too (manual, DROP SUBSCRIPTION): the publisher may be out of reach, and the slot is what brings it up to date again.
fn drop_subscription(entry: &Entry, drop: &str) -> String {
    let (name, text) = (identifier(&entry.tag), literal(&entry.tag));
    let part = format!(
        "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid \
         WHERE s.subname = {text} AND d.datname = pg_catalog.current_database()) THEN \
         ALTER SUBSCRIPTION {name} DISABLE; ALTER SUBSCRIPTION {name} SET (slot_name = NONE); END IF; END"
    );
    let drop = drop.replacen("DROP SUBSCRIPTION", "DROP SUBSCRIPTION IF EXISTS", 1);
    format!("DO {};\n{drop}", literal(&part))
}

fn non_empty(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
