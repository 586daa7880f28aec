//! Functions and procedures.
//!
//! Aggregates have rows in `pg_proc` too, but a file of their own, which shares the signatures here.

use std::fmt::Write as _;

use crate::catalog::grants::Grants;
use crate::catalog::types::{formatted_or_error, oid_array};
use crate::catalog::{Address, Catalog, FIRST_NORMAL_OID, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::session::{Row, Session};
use crate::toc::Section;
use crate::{Error, ErrorKind, Result, quote};

/// A function or procedure (`pg_proc`).
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// OIDs of its input arguments' types (`proargtypes`).
    pub argument_types: Vec<u32>,
    /// Whether the order of restore forced it behind the data (`postponed_def`).
    pub postponed: bool,
    /// `prokind`: `f` function, `p` procedure, `w` window function.
    pub kind: char,
    /// `pg_get_function_arguments`: names, modes, types and defaults.
    arguments: String,
    /// `pg_get_function_identity_arguments`: those without the defaults.
    identity_arguments: String,
    /// `pg_get_function_result`; a procedure has none.
    result: Option<String>,
    /// Name of its language, unquoted.
    language: String,
    /// OIDs of the types whose transforms it uses (`protrftypes`).
    transforms: Vec<u32>,
    /// What stands between the language and the body.
    attributes: String,
    /// `AS …`, or an SQL body as it was parsed.
    body: String,
}

/// All functions that are not aggregates and not made by making something else, as the constructors of ranges
/// are. Those of `pg_catalog` only if a user's cast or transform needs them, or their privileges were changed.
const FUNCTIONS: &str = "p.prokind <> 'a' \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend \
    WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND objid = p.oid AND deptype = 'i') \
    AND (p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace \
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_cast c WHERE c.oid >= {first_oid} AND p.oid = c.castfunc) \
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_transform t WHERE t.oid >= {first_oid} \
    AND p.oid IN (t.trffromsql, t.trftosql)) \
    OR p.proacl IS DISTINCT FROM pip.initprivs)";

/// Reads all functions and procedures that could be dumped (`getFuncs`).
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let condition = FUNCTIONS.replace("{first_oid}", &FIRST_NORMAL_OID.to_string());
    for row in session.rows(&candidates(&condition)).await? {
        let function = Function { argument_types: row.numbers("proargtypes")?, ..Function::default() };
        add(catalog, &row, Kind::Function(Box::new(function)))?;
    }
    for row in session.rows(&details(catalog)).await? {
        let Some(id) = catalog.find(Address::new(class::PROC, row.number("oid")?)) else { continue };
        let object = catalog.get_mut(id);
        if let Kind::Function(function) = &mut object.kind {
            read_details(function, &row).map_err(|error| error.on(format!("function {}", object.name)))?;
        }
    }
    Ok(())
}

/// The query for rows of `pg_proc` (as `p`, with their initial privileges as `pip`) that fulfil a condition.
pub(super) fn candidates(condition: &str) -> String {
    format!(
        "SELECT p.oid, p.proname, p.pronamespace, p.proowner, p.proargtypes, p.proacl, \
         pg_catalog.acldefault('f', p.proowner) AS acldefault \
         FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_init_privs pip ON p.oid = pip.objoid \
         AND pip.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND pip.objsubid = 0 \
         WHERE {condition}"
    )
}

/// Adds what a row of [`candidates`] describes.
pub(super) fn add(catalog: &mut Catalog, row: &Row, kind: Kind) -> Result<()> {
    let mut object = Object::new(Address::new(class::PROC, row.number("oid")?), row.text("proname")?, kind);
    object.schema = Some(catalog.schema(row.number("pronamespace")?)?);
    catalog.role(row.number("proowner")?)?.clone_into(&mut object.owner);
    object.grants = Grants { acl: row.optional_string("proacl")?, default: row.string("acldefault")? };
    if object.grants.acl.is_some() {
        object.parts = object.parts.with(Parts::GRANTS);
    }
    catalog.decide(&mut object);
    catalog.add(object);
    Ok(())
}

/// The query for what the statements on functions are made of (`dumpFunc`). Those of which only the privileges
/// are dumped need their identity arguments too.
fn details(catalog: &Catalog) -> String {
    let dumped = |object: &&Object| matches!(object.kind, Kind::Function(_)) && object.dump != Parts::NONE;
    let oids: Vec<u32> = catalog.objects().iter().filter(dumped).map(|object| object.address.oid).collect();
    let has_sql_bodies = catalog.server.version_num >= 140_000;
    let sql_body = if has_sql_bodies { "pg_catalog.pg_get_function_sqlbody(p.oid)" } else { "NULL" };
    format!(
        "SELECT p.oid, p.prokind, p.proretset, p.prosrc, p.probin, p.provolatile, p.proisstrict, \
         p.prosecdef, p.proleakproof, p.proconfig, p.procost, p.prorows, p.prosupport, p.proparallel, \
         p.protrftypes, l.lanname, \
         pg_catalog.pg_get_function_arguments(p.oid) AS funcargs, \
         pg_catalog.pg_get_function_identity_arguments(p.oid) AS funciargs, \
         pg_catalog.pg_get_function_result(p.oid) AS funcresult, {sql_body} AS prosqlbody \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
         WHERE p.oid = ANY ({})",
        oid_array(&oids)
    )
}

fn read_details(function: &mut Function, row: &Row) -> Result<()> {
    function.kind = row.letter("prokind")?;
    function.arguments = row.string("funcargs")?;
    function.identity_arguments = row.string("funciargs")?;
    if function.kind != 'p' {
        function.result = Some(row.string("funcresult")?);
    }
    function.language = row.string("lanname")?;
    function.transforms = row.numbers("protrftypes")?;
    function.attributes = attributes(row)?;
    if let Some(settings) = row.optional("proconfig")? {
        function.attributes.push_str(&crate::guc::clauses(settings)?);
    }
    function.body = body(row)?;
    Ok(())
}

/// The attributes that are not their defaults, in `dumpFunc`'s order.
fn attributes(row: &Row) -> Result<String> {
    let mut text = String::new();
    if row.letter("prokind")? == 'w' {
        text.push_str(" WINDOW");
    }
    text.push_str(match row.letter("provolatile")? {
        'v' => "",
        'i' => " IMMUTABLE",
        's' => " STABLE",
        other => return Err(unknown("provolatile", other)),
    });
    for (column, clause) in
        [("proisstrict", " STRICT"), ("prosecdef", " SECURITY DEFINER"), ("proleakproof", " LEAKPROOF")]
    {
        if row.flag(column)? {
            text.push_str(clause);
        }
    }
    // The defaults are those of `src/backend/commands/functioncmds.c`.
    let default_cost = if matches!(row.text("lanname")?, "internal" | "c") { "1" } else { "100" };
    let cost = row.text("procost")?;
    if cost != "0" && cost != default_cost {
        text = format!("{text} COST {cost}");
    }
    let rows = row.text("prorows")?;
    if row.flag("proretset")? && rows != "0" && rows != "1000" {
        text = format!("{text} ROWS {rows}");
    }
    // What regproc prints is quoted and qualified already.
    let support = row.text("prosupport")?;
    if support != "-" {
        text = format!("{text} SUPPORT {support}");
    }
    text.push_str(match parallel(row)? {
        None => "",
        Some("safe") => " PARALLEL SAFE",
        Some(_) => " PARALLEL RESTRICTED",
    });
    Ok(text)
}

/// `proparallel`, unless it is the default.
pub(super) fn parallel(row: &Row) -> Result<Option<&'static str>> {
    match row.letter("proparallel")? {
        'u' => Ok(None),
        's' => Ok(Some("safe")),
        'r' => Ok(Some("restricted")),
        other => Err(unknown("proparallel", other)),
    }
}

fn unknown(column: &str, value: char) -> Error {
    Error::new(ErrorKind::Catalog, format!("{column} {value:?} is not known"))
}

/// The AS clause, or the SQL body.
fn body(row: &Row) -> Result<String> {
    if let Some(body) = row.optional("prosqlbody")? {
        return Ok(body.to_owned());
    }
    let source = row.text("prosrc")?;
    let library = row.optional("probin")?.unwrap_or_default();
    if library.is_empty() {
        return Ok(format!("AS {}", quote::dollar(source, "")));
    }
    let mut text = format!("AS {}", quote::literal(library));
    if !source.is_empty() {
        let needs_dollars = source.contains(['\'', '\\']);
        let symbol = if needs_dollars { quote::dollar(source, "") } else { quote::literal(source) };
        text = format!("{text}, {symbol}");
    }
    Ok(text)
}

/// A name and the types of its input arguments (`format_function_signature`).
pub(super) fn signature(catalog: &Catalog, name: &str, argument_types: &[u32]) -> Result<String> {
    let types = argument_types.iter().map(|oid| formatted_or_error(catalog, *oid));
    Ok(format!("{name}({})", types.collect::<Result<Vec<_>>>()?.join(", ")))
}

/// The signature of a function that something else is made of, qualified.
pub(super) fn qualified_signature(catalog: &Catalog, oid: u32) -> Result<String> {
    let object = catalog.find(Address::new(class::PROC, oid)).map(|id| catalog.get(id));
    match object.map(|object| (object, &object.kind)) {
        Some((object, Kind::Function(function))) => {
            signature(catalog, &catalog.qualified(object), &function.argument_types)
        }
        _ => Err(Error::new(ErrorKind::Catalog, format!("function with OID {oid} is not in the catalogs"))
            .hint("A function was dropped while the catalogs were read. Run the backup again.")),
    }
}

/// Writes a function's entries (`dumpFunc`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, function: &Function) -> Result<()> {
    let keyword = if function.kind == 'p' { "PROCEDURE" } else { "FUNCTION" };
    let identity = format!("{}({})", quote::identifier(&object.name), function.identity_arguments);
    if object.dumps(Parts::DEFINITION) {
        let schema = quote::identifier(out.catalog.schema_name(object));
        let qualified = format!("{schema}.{identity}");
        let mut create = create(out.catalog, object, function, keyword, &schema)?;
        create.push_str(&out.extension_dependencies(object, keyword, &qualified));
        let definition = Definition {
            tag: signature(out.catalog, &object.name, &function.argument_types)?,
            desc: keyword,
            section: if function.postponed { Section::PostData } else { Section::PreData },
            create,
            drop: format!("DROP {keyword} {qualified};\n"),
        };
        out.define(object, definition);
    }
    out.describe(object, keyword, &identity);
    out.grants(object, keyword, &identity);
    Ok(())
}

fn create(
    catalog: &Catalog,
    object: &Object,
    function: &Function,
    keyword: &str,
    schema: &str,
) -> Result<String> {
    let name = quote::identifier(&object.name);
    let mut sql = format!("CREATE {keyword} {schema}.{name}({})", function.arguments);
    if let Some(result) = &function.result {
        sql = format!("{sql} RETURNS {result}");
    }
    sql = format!("{sql}\n    LANGUAGE {}", quote::identifier(&function.language));
    for (at, oid) in function.transforms.iter().enumerate() {
        sql.push_str(if at == 0 { " TRANSFORM " } else { ", " });
        sql.push_str("FOR TYPE ");
        sql.push_str(formatted_or_error(catalog, *oid)?);
    }
    sql.push_str(&function.attributes);
    // Writing to a String cannot fail.
    let _ = writeln!(sql, "\n    {};", function.body);
    Ok(sql)
}
