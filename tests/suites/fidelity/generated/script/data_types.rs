//! Types: PostgreSQL's own, and enums, domains, composites, ranges and arrays made of what is there.

use super::expressions::Scope;
use super::world::{DataType, TypeId, World, literal};

pub(super) const INTEGER: TypeId = 0;
pub(super) const TEXT: TypeId = 1;
pub(super) const BOOLEAN: TypeId = 2;
pub(super) const BIGINT: TypeId = 3;

/// Name, values, whether it has a B-tree operator class.
type Builtin = (&'static str, &'static [&'static str], bool);

#[rustfmt::skip]
const BUILTIN: [Builtin; 28] = [
    ("integer", &["0", "-2147483648", "2147483647", "42"], true),
    ("text", &["", "\\N", "\\.", "tab\there", "new\nline", "it's", "NULL", "😀 ünï", "cr\rlf\r\n", "back\\slash", "\"", "\u{1}"], true),
    ("boolean", &["t", "f"], true),
    ("bigint", &["-9223372036854775808", "9223372036854775807", "7"], true),
    ("smallint", &["-32768", "32767"], true),
    ("numeric", &["NaN", "0.00", "-123456789012345678901234567890.123456789", "1e-20"], true),
    ("numeric(10,2)", &["1.5", "-99999999.99"], true),
    ("real", &["NaN", "Infinity", "1.1", "-0"], true),
    ("double precision", &["-Infinity", "0.1", "1e-300", "123456789.123456789"], true),
    ("character varying(12)", &["", "it's", "\\t"], true),
    ("character(3)", &["a", "", "äöü"], true),
    ("\"char\"", &["x", ""], true),
    ("name", &["some name"], true),
    ("bytea", &["\\x", "\\x00ff5c"], true),
    ("date", &["2026-02-28", "infinity", "0044-03-15 BC", "294276-12-31"], true),
    ("timestamp without time zone", &["2026-11-21 01:02:03.456789", "-infinity"], true),
    ("timestamp(3) with time zone", &["2026-11-21 01:02:03.456789+05:30", "infinity"], true),
    ("time without time zone", &["24:00:00", "01:02:03.5"], true),
    ("interval", &["1 year -2 days 03:04:05.6", "-00:00:01"], true),
    ("interval day to second(2)", &["1 day 00:00:01.234"], true),
    ("uuid", &["00000000-0000-0000-0000-00000000000f"], true),
    ("json", &["{\"a\": [1, null, \"\\u00e4 \\n\"],  \"a\":2}", "null"], false),
    ("jsonb", &["{\"b\": {\"c\": \"it's\"}}", "[]"], true),
    ("inet", &["10.0.0.1/8", "::1"], true),
    ("bit varying(8)", &["0101", ""], true),
    ("int4range", &["[1,10)", "empty", "(,5)"], true),
    ("tsvector", &["'a':1A 'it''s':2"], true),
    ("point", &["(1,2.5)"], false),
];

/// PostgreSQL's own types.
pub(super) fn builtin(world: &mut World) {
    for (sql, values, ordered) in BUILTIN {
        let samples = values.iter().map(|value| format!("{}::{sql}", literal(value))).collect();
        let toastable = ["text", "bytea", "numeric", "jsonb", "tsvector"].contains(&sql);
        world.types.push(DataType {
            sql: sql.to_owned(),
            collation: String::new(),
            samples,
            ordered,
            collated: false,
            builtin: true,
            hashed: false,
            toastable,
        });
    }
    for of in [INTEGER, TEXT, 5, 17] {
        array(world, of);
    }
    for collation in ["pg_catalog.\"C\"", "pg_catalog.\"POSIX\""] {
        collated(world, collation);
    }
}

/// Text with a collation.
pub(super) fn collated(world: &mut World, collation: &str) {
    let mut of = world.types[TEXT].clone();
    of.collation = format!(" COLLATE {collation}");
    of.collated = true;
    for sample in &mut of.samples {
        *sample = format!("({sample} COLLATE {collation})");
    }
    world.types.push(of);
}

/// Makes a type.
pub(super) fn make(world: &mut World) {
    match world.random.below(6) {
        0 | 1 => domain(world),
        2 => enumeration(world),
        3 => range(world),
        _ => composite(world),
    }
    if world.random.chance(40) {
        array(world, world.types.len() - 1);
    }
}

fn push(world: &mut World, sql: String, samples: Vec<String>, like: &DataType) {
    world.types.push(DataType { sql, samples, collation: String::new(), builtin: false, ..like.clone() });
}

fn array(world: &mut World, of: TypeId) {
    let element = world.types[of].clone();
    let sql = format!("{}[]", element.sql);
    let (one, two) = (world.sample(of), world.sample(of));
    let samples = vec![
        format!("ARRAY[{one}, NULL, {two}]::{sql}"),
        format!("ARRAY[]::{sql}"),
        format!("ARRAY[ARRAY[{one}], ARRAY[{two}]]::{sql}"),
    ];
    world.types.push(DataType {
        sql,
        samples,
        collation: String::new(),
        toastable: true,
        hashed: false,
        ..element
    });
}

fn enumeration(world: &mut World) {
    let name = world.new_in_schema();
    let labels: Vec<String> = (0..world.random.between(1, 5)).map(|_| world.bare_name()).collect();
    let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    world.run(&format!("CREATE TYPE {name} AS ENUM ({})", list.join(", ")));
    if world.random.chance(40) {
        let label = world.bare_name();
        world.run(&format!("ALTER TYPE {name} ADD VALUE {} BEFORE {}", literal(&label), list[0]));
    }
    let samples = list.iter().map(|label| format!("{label}::{name}")).collect();
    world.made("TYPE", &name);
    let like = DataType {
        collated: false,
        toastable: false,
        ordered: true,
        hashed: true,
        ..world.types[INTEGER].clone()
    };
    push(world, name, samples, &like);
}

fn composite(world: &mut World) {
    let name = world.new_in_schema();
    let attributes: Vec<(String, TypeId)> =
        (0..world.random.between(1, 4)).map(|_| (world.name(), world.any_type())).collect();
    let list: Vec<String> = attributes
        .iter()
        .map(|(attribute, of)| format!("{attribute} {}{}", world.types[*of].sql, world.types[*of].collation))
        .collect();
    world.run(&format!("CREATE TYPE {name} AS ({})", list.join(", ")));
    if world.random.chance(25) {
        let gone = world.name();
        world.run(&format!("ALTER TYPE {name} ADD ATTRIBUTE {gone} text"));
        world.run(&format!("ALTER TYPE {name} DROP ATTRIBUTE {gone}"));
    }
    if world.random.chance(30) {
        let attribute = &attributes[0].0;
        world.run(&format!("COMMENT ON COLUMN {name}.{attribute} IS 'an attribute'"));
    }
    let samples = (0..2)
        .map(|_| {
            let values: Vec<String> = attributes.iter().map(|(_, of)| world.sample(*of)).collect();
            format!("ROW({})::{name}", values.join(", "))
        })
        .collect();
    let ordered = attributes.iter().all(|(_, of)| world.types[*of].ordered);
    world.made("TYPE", &name);
    let like = DataType { collated: false, toastable: true, ordered, ..world.types[TEXT].clone() };
    push(world, name, samples, &like);
}

fn range(world: &mut World) {
    let name = world.new_in_schema();
    let (subtype, values) = *world.random.pick(&[
        ("double precision", ["[-1.5,2)", "(,Infinity]"]),
        ("text", ["[a,\"b \\\" c\")", "empty"]),
        ("integer", ["[1,5]", "(,)"]),
        ("date", ["[2020-01-01,2021-01-01)", "[,2020-01-01]"]),
    ]);
    let mut options = format!("SUBTYPE = {subtype}");
    if subtype == "double precision" && world.random.chance(50) {
        options += ", SUBTYPE_DIFF = pg_catalog.float8mi";
    }
    if subtype == "text" && world.random.chance(50) {
        options += ", COLLATION = pg_catalog.\"C\"";
    }
    if world.major >= 14 && world.random.chance(50) {
        options += &format!(", MULTIRANGE_TYPE_NAME = {}", world.new_in_schema());
    }
    world.run(&format!("CREATE TYPE {name} AS RANGE ({options})"));
    world.made("TYPE", &name);
    let samples = values.iter().map(|value| format!("{}::{name}", literal(value))).collect();
    let like = DataType {
        collated: false,
        toastable: true,
        ordered: true,
        hashed: true,
        ..world.types[TEXT].clone()
    };
    push(world, name, samples, &like);
}

fn domain(world: &mut World) {
    let name = world.new_in_schema();
    let of = world.any_type();
    let base = world.types[of].clone();
    let mut sql = format!("CREATE DOMAIN {name} AS {}{}", base.sql, base.collation);
    if world.random.chance(30) {
        let default = world.expression(of, &Scope::default());
        sql += &format!(" DEFAULT {default}");
    }
    // Checks hold for every value, or the rows could not be there.
    for _ in 0..world.random.below(3) {
        if world.random.chance(50) {
            sql += &format!(" CONSTRAINT {}", world.name());
        }
        let scope = Scope::pure(&[("VALUE".to_owned(), of)]);
        let check = world.expression(BOOLEAN, &scope);
        sql += &format!(" CHECK ((({check}) IS NULL) IS NOT NULL)");
    }
    world.run(&sql);
    if world.random.chance(30) {
        let constraint = world.name();
        world.run(&format!(
            "ALTER DOMAIN {name} ADD CONSTRAINT {constraint} CHECK (VALUE IS NOT NULL OR true) NOT VALID"
        ));
        world.run(&format!("COMMENT ON CONSTRAINT {constraint} ON DOMAIN {name} IS 'a constraint'"));
    }
    world.made("DOMAIN", &name);
    let samples = base.samples.iter().map(|sample| format!("({sample})::{name}")).collect();
    push(world, name, samples, &DataType { hashed: false, ..base });
}
