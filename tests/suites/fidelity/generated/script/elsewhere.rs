//! What stands beside tables: sequences, large objects, text search, foreign servers, publications, collations.

use super::constraints::schema_of;
use super::data_types::TEXT;
use super::expressions::Scope;
use super::world::{Column, Relation, Shape, Source, World, literal};

/// A sequence, perhaps owned by a column, perhaps used by it.
pub(super) fn sequence(world: &mut World) {
    let name = world.new_in_schema();
    let options = *world.random.pick(&[
        "",
        " AS smallint INCREMENT BY -3 MINVALUE -1000 MAXVALUE 50 START 10 CYCLE CACHE 5",
        " MINVALUE 0 START 7",
        " AS integer NO CYCLE",
    ]);
    world.run(&format!("CREATE SEQUENCE {name}{options}"));
    if world.random.chance(50) {
        world.run(&format!("SELECT pg_catalog.nextval({})", literal(&name)));
    }
    let in_same_schema = |relation: &Relation| {
        relation.shape == Shape::Table
            && relation.columns[0].source == Source::Number
            && schema_of(&relation.name) == schema_of(&name)
    };
    match world.relation_where(in_same_schema) {
        Some(index) if world.random.chance(60) => {
            let table = world.relations[index].name.clone();
            world.run(&format!("ALTER SEQUENCE {name} OWNED BY {table}.id"));
            if world.random.chance(60) && !world.relations[index].related {
                world.run(&format!(
                    "ALTER TABLE {table} ALTER COLUMN id SET DEFAULT pg_catalog.nextval({}::pg_catalog.regclass)",
                    literal(&name)
                ));
            }
        }
        _ => world.made("SEQUENCE", &name),
    }
}

/// A large object. Its number is the seed's own business: each database counts for itself.
pub(super) fn large_object(world: &mut World) {
    let oid = 100_000 + world.random.below(1_000_000);
    let bytes = *world.random.pick(&[
        "''::bytea",
        "'it\\\\x'::bytea",
        "pg_catalog.decode(pg_catalog.repeat('00ff5c27', 3000), 'hex')",
    ]);
    if world.things.iter().all(|thing| thing.name != oid.to_string()) {
        world.run(&format!("SELECT pg_catalog.lo_from_bytea({oid}, {bytes})"));
        world.made("LARGE OBJECT", &oid.to_string());
    }
}

/// A configuration and a dictionary of it, and an index that searches by it.
pub(super) fn text_search(world: &mut World) {
    let (dictionary, configuration) = (world.new_in_schema(), world.new_in_schema());
    world.run(&format!(
        "CREATE TEXT SEARCH DICTIONARY {dictionary} (TEMPLATE = pg_catalog.simple, STOPWORDS = 'english')"
    ));
    world.made("TEXT SEARCH DICTIONARY", &dictionary);
    world.run(&format!("CREATE TEXT SEARCH CONFIGURATION {configuration} (COPY = pg_catalog.german)"));
    world.run(&format!("ALTER TEXT SEARCH CONFIGURATION {configuration} ALTER MAPPING FOR asciiword, word WITH {dictionary}, pg_catalog.german_stem"));
    world.run(&format!("ALTER TEXT SEARCH CONFIGURATION {configuration} DROP MAPPING FOR url"));
    world.made("TEXT SEARCH CONFIGURATION", &configuration);
    let is_text = |column: &&Column| column.of == TEXT && column.source == Source::Given;
    let Some(index) = world.relation_where(|relation| {
        matches!(relation.shape, Shape::Table | Shape::Partitioned)
            && relation.columns.iter().any(|column| is_text(&column))
    }) else {
        return;
    };
    let relation = &world.relations[index];
    let (table, column) =
        (relation.name.clone(), relation.columns.iter().find(is_text).map(|column| column.name.clone()));
    let column = column.unwrap_or_default();
    let name = world.name();
    world.run(&format!(
        "CREATE INDEX {name} ON {table} USING gin (pg_catalog.to_tsvector({}::pg_catalog.regconfig, {column}))",
        literal(&configuration)
    ));
    world.made("INDEX", &format!("{}.{name}", schema_of(&table)));
}

/// A foreign server with a table.
pub(super) fn foreign(world: &mut World) {
    let (wrapper, server, table) = (world.name(), world.name(), world.new_in_schema());
    world.run(&format!("CREATE FOREIGN DATA WRAPPER {wrapper} OPTIONS (debug 'it''s')"));
    world.made("FOREIGN DATA WRAPPER", &wrapper);
    world.run(&format!(
        "CREATE SERVER {server} TYPE 'a''b' FOREIGN DATA WRAPPER {wrapper} OPTIONS (\"Ho st\" 'x\\y')"
    ));
    world.made("SERVER", &server);
    let role = world.role();
    world.run(&format!(
        "CREATE USER MAPPING FOR {role} SERVER {server} OPTIONS (user 'me', password 'not secret')"
    ));
    let columns: Vec<Column> = (0..world.random.between(1, 4))
        .map(|_| Column { name: world.name(), of: world.any_type(), source: Source::Given, not_null: false })
        .collect();
    let mut list = Vec::new();
    for column in &columns {
        let mut sql = format!("{} {}", column.name, world.types[column.of].sql);
        if world.random.chance(40) {
            sql += " OPTIONS (column_name 'it''s')";
        }
        sql += &world.types[column.of].collation;
        if world.random.chance(40) {
            let default = world.expression(column.of, &Scope::default());
            sql += &format!(" DEFAULT {default}");
        }
        list.push(sql);
    }
    world.run(&format!("CREATE FOREIGN TABLE {table} ({}) SERVER {server} OPTIONS (a 'b')", list.join(", ")));
    world.made("FOREIGN TABLE", &table);
    world.relations.push(Relation {
        name: table,
        shape: Shape::Foreign,
        columns,
        key: Vec::new(),
        rows: 0,
        related: false,
        readable: false,
        over_materialized: false,
        updatable: false,
        logged: true,
        keyed_by_number: false,
    });
}

/// A publication of everything, of schemas, or of a few tables.
pub(super) fn publication(world: &mut World) {
    let name = world.name();
    let tables: Vec<Relation> = world
        .relations
        .iter()
        .filter(|relation| relation.logged && matches!(relation.shape, Shape::Table | Shape::Partitioned))
        .cloned()
        .collect();
    let what = match world.random.below(5) {
        0 => " FOR ALL TABLES".to_owned(),
        1 if world.major >= 15 => {
            format!(" FOR TABLES IN SCHEMA {}", world.random.some(&world.schemas.clone(), 2).join(", "))
        }
        2 => String::new(),
        _ if tables.is_empty() => String::new(),
        _ => {
            let list: Vec<String> =
                world.random.some(&tables, 3).iter().map(|table| published(world, table)).collect();
            format!(" FOR TABLE {}", list.join(", "))
        }
    };
    let publish = *world.random.pick(&[
        "",
        " WITH (publish = 'insert, truncate')",
        " WITH (publish_via_partition_root)",
    ]);
    world.run(&format!("CREATE PUBLICATION {name}{what}{publish}"));
    world.made("PUBLICATION", &name);
}

/// A table of a publication, since 15 perhaps with a list of columns and a condition.
fn published(world: &mut World, table: &Relation) -> String {
    let mut sql = format!("ONLY {}", table.name);
    let given: Vec<&Column> =
        table.columns.iter().filter(|column| column.source != Source::Generated).collect();
    if world.major < 15 || table.shape != Shape::Table {
        return sql;
    }
    if world.random.chance(40) {
        let columns: Vec<&str> = given.iter().map(|column| column.name.as_str()).collect();
        sql += &format!(" ({})", columns.join(", "));
    }
    if world.random.chance(40) {
        let column = format!("{}", given[0].name);
        sql += &format!(" WHERE ({column} IS NOT NULL)");
    }
    sql
}

/// A collation, and the type of text that has it.
pub(super) fn collation(world: &mut World) {
    let name = world.new_in_schema();
    let options = if world.major >= 17 && world.random.chance(50) {
        "PROVIDER = builtin, LOCALE = 'C.UTF-8'"
    } else {
        "PROVIDER = libc, LOCALE = 'C'"
    };
    world.run(&format!("CREATE COLLATION {name} ({options})"));
    world.made("COLLATION", &name);
    super::data_types::collated(world, &name);
}
