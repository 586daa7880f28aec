//! Functions, procedures and aggregates; operators and casts that stand on functions.

use super::data_types::{INTEGER, TEXT};
use super::expressions::Scope;
use super::world::{Function, TypeId, World};

/// A function of its arguments alone.
pub(super) fn pure(world: &mut World) {
    let returns = world.type_where(|of| !of.collated);
    let arguments = arguments(world);
    function(world, returns, &arguments, true);
}

/// A function that reads relations.
pub(super) fn reading(world: &mut World) {
    let returns = world.type_where(|of| !of.collated);
    let arguments = arguments(world);
    function(world, returns, &arguments, false);
}

fn arguments(world: &mut World) -> Vec<TypeId> {
    (0..world.random.below(4)).map(|_| world.type_where(|of| !of.collated)).collect()
}

fn function(world: &mut World, returns: TypeId, arguments: &[TypeId], pure: bool) {
    let name = world.new_in_schema();
    let places: Vec<_> = (1..).map(|number| format!("${number}")).zip(arguments.iter().copied()).collect();
    let scope = Scope { columns: places, pure, builtin: false, queries: !pure };
    let value = world.expression(returns, &scope);
    let defaults = if world.random.chance(40) { world.random.between(0, arguments.len()) } else { 0 };
    // PostgreSQL prints an argument without name as "" in a body, if others have names.
    let named = world.random.chance(60);
    let mut list = Vec::new();
    for (at, argument) in arguments.iter().enumerate() {
        let mut text = if named { format!("{} ", world.name()) } else { String::new() };
        text += &world.types[*argument].sql;
        if at + defaults >= arguments.len() {
            let default = world.expression(*argument, &Scope { pure, ..Scope::default() });
            text += &format!(" DEFAULT {default}");
        }
        list.push(text);
    }
    let returned = world.types[returns].sql.clone();
    let body = body(world, &value, &returned);
    let options = options(world, pure);
    world.run(&format!("CREATE FUNCTION {name}({}) RETURNS {returned} {options} {body}", list.join(", ")));
    let signature: Vec<&str> = arguments.iter().map(|argument| world.types[*argument].sql.as_str()).collect();
    let signature = format!("{name}({})", signature.join(", "));
    world.made("FUNCTION", &signature);
    world.functions.push(Function { name, arguments: arguments.to_vec(), defaults, returns, pure });
}

fn body(world: &mut World, value: &str, returned: &str) -> String {
    match world.random.below(4) {
        0 => format!("LANGUAGE plpgsql AS $body$BEGIN\n    RETURN {value}; -- it's \\ here\nEND$body$"),
        1 | 2 if world.major >= 14 => {
            if world.random.chance(50) {
                format!("LANGUAGE sql RETURN CAST({value} AS {returned})")
            } else {
                format!(
                    "LANGUAGE sql BEGIN ATOMIC SELECT 1 AS \"o'ne\"; SELECT CAST({value} AS {returned}); END"
                )
            }
        }
        _ => format!("LANGUAGE sql AS $body$SELECT CAST({value} AS {returned})$body$"),
    }
}

fn options(world: &mut World, pure: bool) -> String {
    let mut options = vec![if pure { "IMMUTABLE" } else { "STABLE" }];
    let chances = [(15, "PARALLEL SAFE"), (10, "COST 7"), (10, "LEAKPROOF"), (10, "SECURITY DEFINER")];
    options.extend(chances.iter().filter(|(percent, _)| world.random.chance(*percent)).map(|(_, text)| text));
    if world.random.chance(10) {
        options.push("SET search_path TO 'pg_catalog', 'it''s', ''");
    }
    if world.random.chance(10) {
        options.push("SET extra_float_digits TO 1 SET work_mem TO '8MB'");
    }
    options.join(" ")
}

/// What is no function that expressions call.
pub(super) fn other(world: &mut World) {
    match world.random.below(8) {
        0 => procedure(world),
        1 => table_function(world),
        2 => variadic(world),
        3 | 4 => aggregate(world),
        5 => operator(world),
        6 => cast(world),
        _ => trigger_function(world),
    }
}

fn procedure(world: &mut World) {
    let (name, of) = (world.new_in_schema(), world.type_where(|of| !of.collated));
    let (argument, sql) = (world.name(), world.types[of].sql.clone());
    let default = world.expression(of, &Scope::default());
    world.run(&format!(
        "CREATE PROCEDURE {name}(INOUT {argument} {sql} DEFAULT {default}) LANGUAGE plpgsql AS 'BEGIN END'"
    ));
    world.made("PROCEDURE", &format!("{name}({sql})"));
}

fn table_function(world: &mut World) {
    let name = world.new_in_schema();
    let relation = world.relation_where(|relation| relation.readable && relation.columns.len() > 1);
    let (returns, body) = match relation {
        Some(index) if world.random.chance(70) => {
            let relation = world.relations[index].name.clone();
            (format!("SETOF {relation}"), format!("SELECT * FROM {relation}"))
        }
        _ => {
            let (one, two) = (world.type_where(|of| !of.collated), world.any_type());
            let columns = [(world.name(), one), (world.name(), two)];
            let list: Vec<String> =
                columns.iter().map(|(name, of)| format!("{name} {}", world.types[*of].sql)).collect();
            let values = [world.sample(one), world.sample(two)];
            (format!("TABLE ({})", list.join(", ")), format!("SELECT {}", values.join(", ")))
        }
    };
    let body = if world.major >= 14 && world.random.chance(50) {
        format!("BEGIN ATOMIC {body}; END")
    } else {
        format!("AS $body${body}$body$")
    };
    world.run(&format!("CREATE FUNCTION {name}() RETURNS {returns} LANGUAGE sql STABLE ROWS 5 {body}"));
    world.made("FUNCTION", &format!("{name}()"));
}

fn variadic(world: &mut World) {
    let (name, out, of) = (world.new_in_schema(), world.name(), world.type_where(|of| !of.collated));
    let value = world.sample(of);
    let sql = world.types[of].sql.clone();
    world.run(&format!(
        "CREATE FUNCTION {name}(OUT {out} {sql}, VARIADIC \"rest of\" text[] DEFAULT '{{}}') \
         LANGUAGE sql AS $body$SELECT {value}$body$"
    ));
    world.made("FUNCTION", &format!("{name}(text[])"));
}

fn aggregate(world: &mut World) {
    let (step, name) = (world.new_in_schema(), world.new_in_schema());
    let state = *world.random.pick(&[INTEGER, TEXT]);
    let of = world.type_where(|of| !of.collated);
    let (state, of) = (world.types[state].sql.clone(), world.types[of].sql.clone());
    world.run(&format!("CREATE FUNCTION {step}({state}, {of}) RETURNS {state} LANGUAGE sql AS 'SELECT $1'"));
    world.made("FUNCTION", &format!("{step}({state}, {of})"));
    let mut options = format!("SFUNC = {step}, STYPE = {state}");
    if world.random.chance(60) {
        options += ", INITCOND = '0'";
    }
    if world.random.chance(40) {
        let last = world.new_in_schema();
        world.run(&format!(
            "CREATE FUNCTION {last}({state}) RETURNS {of} LANGUAGE sql AS $body$SELECT NULL::{of}$body$"
        ));
        world.made("FUNCTION", &format!("{last}({state})"));
        options += &format!(", FINALFUNC = {last}, FINALFUNC_MODIFY = READ_WRITE");
    }
    if world.random.chance(30) {
        options += ", PARALLEL = SAFE";
    }
    world.run(&format!("CREATE AGGREGATE {name}({of}) ({options})"));
    world.made("AGGREGATE", &format!("{name}({of})"));
}

fn operator(world: &mut World) {
    let (function, schema) = (world.new_in_schema(), world.random.pick(&world.schemas).clone());
    let of = world.type_where(|of| !of.collated && !of.builtin);
    let sql = world.types[of].sql.clone();
    let symbol = "#".repeat(1 + world.things.iter().filter(|thing| thing.kind == "OPERATOR").count()) + "&";
    world.run(&format!(
        "CREATE FUNCTION {function}({sql}, {sql}) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'"
    ));
    world.made("FUNCTION", &format!("{function}({sql}, {sql})"));
    let commutator = if world.random.chance(50) {
        format!(", COMMUTATOR = OPERATOR({schema}.{symbol}), RESTRICT = eqsel, HASHES")
    } else {
        String::new()
    };
    world.run(&format!(
        "CREATE OPERATOR {schema}.{symbol} (LEFTARG = {sql}, RIGHTARG = {sql}, FUNCTION = {function}{commutator})"
    ));
    world.made("OPERATOR", &format!("{schema}.{symbol} ({sql}, {sql})"));
}

fn cast(world: &mut World) {
    let name = world.new_in_schema();
    super::data_types::make(world);
    let Some(thing) = world.things.iter().rev().find(|thing| thing.kind == "TYPE") else { return };
    let of = thing.name.clone();
    if world.things.iter().any(|thing| thing.kind == "CAST" && thing.name.contains(&of)) {
        return;
    }
    world.run(&format!("CREATE FUNCTION {name}({of}) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'"));
    world.made("FUNCTION", &format!("{name}({of})"));
    let context = *world.random.pick(&["", " AS ASSIGNMENT"]);
    world.run(&format!("CREATE CAST ({of} AS integer) WITH FUNCTION {name}({of}){context}"));
    world.made("CAST", &format!("({of} AS integer)"));
}

/// A function that triggers call. It changes nothing.
pub(super) fn trigger_function(world: &mut World) {
    let name = world.new_in_schema();
    world.run(&format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN COALESCE(NEW, OLD); END'"
    ));
    world.made("FUNCTION", &format!("{name}()"));
    world.trigger_functions.push(name);
}
