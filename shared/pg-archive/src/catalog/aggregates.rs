//! Aggregate functions.

use crate::catalog::functions::{add, candidates, parallel, signature};
use crate::catalog::types::oid_array;
use crate::catalog::{Address, Catalog, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::session::{Row, Session};
use crate::toc::Section;
use crate::{Error, ErrorKind, Result, quote};

/// An aggregate (`pg_aggregate` beside its `pg_proc` row).
#[derive(Clone, Debug, Default)]
pub struct Aggregate {
    /// OIDs of its input arguments' types.
    pub argument_types: Vec<u32>,
    /// `pg_get_function_arguments`.
    arguments: String,
    /// `pg_get_function_identity_arguments`.
    identity_arguments: String,
    /// What stands in parentheses in its CREATE statement.
    options: Vec<String>,
}

/// Reads all aggregates that could be dumped (`getAggregates`).
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let condition = "p.prokind = 'a' AND (p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace \
        OR p.proacl IS DISTINCT FROM pip.initprivs)";
    for row in session.rows(&candidates(condition)).await? {
        let aggregate = Aggregate { argument_types: row.numbers("proargtypes")?, ..Aggregate::default() };
        add(catalog, &row, Kind::Aggregate(Box::new(aggregate)))?;
    }
    for row in session.rows(&details(catalog)).await? {
        let Some(id) = catalog.find(Address::new(class::PROC, row.number("oid")?)) else { continue };
        let object = catalog.get_mut(id);
        if let Kind::Aggregate(aggregate) = &mut object.kind {
            aggregate.arguments = row.string("funcargs")?;
            aggregate.identity_arguments = row.string("funciargs")?;
            aggregate.options =
                options(&row).map_err(|error| error.on(format!("aggregate {}", object.name)))?;
        }
    }
    Ok(())
}

fn details(catalog: &Catalog) -> String {
    let dumped = |object: &&Object| matches!(object.kind, Kind::Aggregate(_)) && object.dump != Parts::NONE;
    let oids: Vec<u32> = catalog.objects().iter().filter(dumped).map(|object| object.address.oid).collect();
    format!(
        "SELECT p.oid, a.aggkind, a.aggtransfn, a.aggtranstype::pg_catalog.regtype, a.aggtransspace, \
         a.agginitval, a.aggfinalfn, a.aggfinalextra, a.aggfinalmodify, a.aggcombinefn, a.aggserialfn, \
         a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmtranstype::pg_catalog.regtype, \
         a.aggmtransspace, a.aggminitval, a.aggmfinalfn, a.aggmfinalextra, a.aggmfinalmodify, \
         o.oprname, n.nspname AS oprnamespace, p.proparallel, \
         pg_catalog.pg_get_function_arguments(p.oid) AS funcargs, \
         pg_catalog.pg_get_function_identity_arguments(p.oid) AS funciargs \
         FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid \
         LEFT JOIN pg_catalog.pg_operator o ON o.oid = a.aggsortop \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
         WHERE p.oid = ANY ({})",
        oid_array(&oids)
    )
}

/// The options that are not their defaults, in `dumpAgg`'s order. What regproc and regtype print is quoted and
/// qualified already.
fn options(row: &Row) -> Result<Vec<String>> {
    let mut options = vec![
        format!("SFUNC = {}", row.text("aggtransfn")?),
        format!("STYPE = {}", row.text("aggtranstype")?),
    ];
    let mut add = |option: &str, value: Option<&str>, absent: &str| {
        options.extend(value.filter(|value| *value != absent).map(|value| format!("{option} = {value}")));
    };
    add("SSPACE", row.optional("aggtransspace")?, "0");
    add("INITCOND", row.optional("agginitval")?.map(quote::literal).as_deref(), "");
    options.extend(final_function(row, "")?);
    let mut add = |option: &str, column: &str| -> Result<()> {
        let value = row.text(column)?;
        options.extend((value != "-").then(|| format!("{option} = {value}")));
        Ok(())
    };
    add("COMBINEFUNC", "aggcombinefn")?;
    add("SERIALFUNC", "aggserialfn")?;
    add("DESERIALFUNC", "aggdeserialfn")?;
    options.extend(moving(row)?);
    options.extend(final_function(row, "m")?);
    if let Some(operator) = row.optional("oprname")? {
        let schema = quote::identifier(row.text("oprnamespace")?);
        options.push(format!("SORTOP = OPERATOR({schema}.{operator})"));
    }
    if row.letter("aggkind")? == 'h' {
        options.push("HYPOTHETICAL".to_owned());
    }
    options.extend(parallel(row)?.map(|parallel| format!("PARALLEL = {parallel}")));
    Ok(options)
}

/// What a moving window needs instead of the state functions.
fn moving(row: &Row) -> Result<Vec<String>> {
    let mut options = Vec::new();
    let transition = row.text("aggmtransfn")?;
    if transition != "-" {
        options.push(format!("MSFUNC = {transition}"));
        options.push(format!("MINVFUNC = {}", row.text("aggminvtransfn")?));
        options.push(format!("MSTYPE = {}", row.text("aggmtranstype")?));
    }
    let space = row.text("aggmtransspace")?;
    if space != "0" {
        options.push(format!("MSSPACE = {space}"));
    }
    if let Some(initial) = row.optional("aggminitval")? {
        options.push(format!("MINITCOND = {}", quote::literal(initial)));
    }
    Ok(options)
}

/// The final function, that of a moving window if the prefix is `m`. Whether it may change its input has a
/// default that depends on the kind of aggregate (`DefineAggregate`).
fn final_function(row: &Row, prefix: &str) -> Result<Vec<String>> {
    let function = row.text(&format!("agg{prefix}finalfn"))?;
    if function == "-" {
        return Ok(Vec::new());
    }
    let option = format!("{}FINALFUNC", prefix.to_ascii_uppercase());
    let mut options = vec![format!("{option} = {function}")];
    if row.flag(&format!("agg{prefix}finalextra"))? {
        options.push(format!("{option}_EXTRA"));
    }
    let default = if row.letter("aggkind")? == 'n' { 'r' } else { 'w' };
    let modify = row.letter(&format!("agg{prefix}finalmodify"))?;
    if modify != default {
        let word = match modify {
            'r' => "READ_ONLY",
            's' => "SHAREABLE",
            'w' => "READ_WRITE",
            other => {
                let message = format!("agg{prefix}finalmodify {other:?} is not known");
                return Err(Error::new(ErrorKind::Catalog, message));
            }
        };
        options.push(format!("{option}_MODIFY = {word}"));
    }
    Ok(options)
}

/// Writes an aggregate's entries (`dumpAgg`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, aggregate: &Aggregate) -> Result<()> {
    let name = quote::identifier(&object.name);
    let has_arguments = !aggregate.argument_types.is_empty();
    let with = |arguments: &str| format!("{name}({})", if has_arguments { arguments } else { "*" });
    let identity = with(&aggregate.identity_arguments);
    if object.dumps(Parts::DEFINITION) {
        let schema = quote::identifier(out.catalog.schema_name(object));
        let tag = if has_arguments {
            signature(out.catalog, &object.name, &aggregate.argument_types)?
        } else {
            format!("{}(*)", object.name)
        };
        let definition = Definition {
            tag,
            desc: "AGGREGATE",
            section: Section::PreData,
            create: format!(
                "CREATE AGGREGATE {schema}.{} (\n    {}\n);\n",
                with(&aggregate.arguments),
                aggregate.options.join(",\n    ")
            ),
            drop: format!("DROP AGGREGATE {schema}.{identity};\n"),
        };
        out.define(object, definition);
    }
    out.describe(object, "AGGREGATE", &identity);
    // There is no GRANT ON AGGREGATE: it takes the form of a function's.
    let function = signature(out.catalog, &name, &aggregate.argument_types)?;
    out.grants(object, "FUNCTION", &function);
    Ok(())
}
