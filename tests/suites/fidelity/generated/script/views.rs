//! Views and materialized views over all that can be read, and over each other.

use super::data_types::{BIGINT, BOOLEAN, INTEGER};
use super::expressions::Scope;
use super::world::{Column, Relation, Shape, Source, World, literal};

/// A query: what it selects, and from what.
struct Query {
    /// Expression and what it is, for each column.
    columns: Vec<(String, usize)>,
    from: String,
    sources: Vec<Relation>,
    updatable: bool,
}

/// A view.
pub(super) fn view(world: &mut World) {
    match world.random.below(10) {
        0 => return recursive(world),
        1 => return in_a_loop(world),
        _ => {}
    }
    let Some(query) = query(world, false) else { return };
    let name = world.new_in_schema();
    let columns = columns(world, &query);
    let options = *world.random.pick(&["", "", " WITH (security_barrier=true)", " WITH (security_barrier)"]);
    let options = if world.major >= 15 && world.random.chance(15) {
        " WITH (security_invoker='true')"
    } else {
        options
    };
    let check = if query.updatable && query.from.contains("WHERE") {
        *world.random.pick(&["", " WITH LOCAL CHECK OPTION", " WITH CASCADED CHECK OPTION"])
    } else {
        ""
    };
    world.run(&format!("CREATE VIEW {name}{options} AS {}{check}", select(&query, &columns)));
    if world.random.chance(25) {
        let default = world.expression(columns[0].of, &Scope::default());
        world.run(&format!("ALTER VIEW {name} ALTER COLUMN {} SET DEFAULT {default}", columns[0].name));
    }
    remember(world, name, Shape::View, columns, &query);
}

/// A materialized view, perhaps without data.
pub(super) fn materialized(world: &mut World) {
    let Some(query) = query(world, true) else { return };
    let name = world.new_in_schema();
    let columns = columns(world, &query);
    let options = *world.random.pick(&["", " WITH (fillfactor=60, autovacuum_enabled=false)"]);
    let empty = world.random.chance(15);
    let data = if empty { " WITH NO DATA" } else { "" };
    world.run(&format!("CREATE MATERIALIZED VIEW {name}{options} AS {}{data}", select(&query, &columns)));
    remember(world, name, Shape::MaterializedView, columns, &query);
    let index = world.relations.len() - 1;
    world.relations[index].readable &= !empty;
    if world.random.chance(40) {
        super::constraints::index(world, index);
    }
}

fn columns(world: &mut World, query: &Query) -> Vec<Column> {
    let column = |(_, of): &(String, usize)| Column {
        name: world.name(),
        of: *of,
        source: Source::Given,
        not_null: false,
    };
    query.columns.iter().map(column).collect()
}

fn select(query: &Query, columns: &[Column]) -> String {
    let list: Vec<String> = query
        .columns
        .iter()
        .zip(columns)
        .map(|((sql, _), column)| format!("{sql} AS {}", column.name))
        .collect();
    format!("SELECT {} {}", list.join(", "), query.from)
}

fn remember(world: &mut World, name: String, shape: Shape, columns: Vec<Column>, query: &Query) {
    let materialized = shape == Shape::MaterializedView;
    world.made(if materialized { "MATERIALIZED VIEW" } else { "VIEW" }, &name);
    let readable = query.sources.iter().all(|source| source.readable);
    let over_materialized = materialized || query.sources.iter().any(|source| source.over_materialized);
    world.relations.push(Relation {
        name,
        shape,
        columns,
        key: Vec::new(),
        rows: 0,
        related: false,
        readable,
        over_materialized,
        updatable: query.updatable && !materialized,
        logged: true,
        keyed_by_number: false,
    });
}

fn query(world: &mut World, readable: bool) -> Option<Query> {
    let wanted = |relation: &Relation| relation.readable || !readable;
    let index = world.relation_where(wanted)?;
    let relation = world.relations[index].clone();
    let scope = Scope { queries: true, ..Scope::of(&relation, "r.") };
    match world.random.below(6) {
        0 => grouped_by_key(world, readable),
        1 => {
            let other = world.relation_where(wanted)?;
            let other = world.relations[other].clone();
            let mut both = scope;
            both.columns.extend(Scope::of(&other, "\"o ther\".").columns);
            let join = *world.random.pick(&["LEFT JOIN", "FULL JOIN", "JOIN"]);
            // A full join needs a condition that can be merged or hashed.
            let condition =
                if join == "FULL JOIN" { "true".to_owned() } else { world.expression(BOOLEAN, &both) };
            let from = format!("FROM {} r {join} {} \"o ther\" ON {condition}", relation.name, other.name);
            Some(Query {
                columns: chosen(world, &both),
                from,
                sources: vec![relation, other],
                updatable: false,
            })
        }
        2 => {
            let condition = world.expression(BOOLEAN, &scope);
            let ordered: Vec<_> =
                scope.columns.iter().filter(|(_, of)| world.types[*of].ordered).cloned().collect();
            let first = world.random.some(&ordered, 1).pop()?;
            let from = format!(
                "FROM {} r WHERE {condition} GROUP BY {} HAVING count(*) > 0",
                relation.name, first.0
            );
            let count = (format!("count(*) FILTER (WHERE {} IS NOT NULL)", first.0), BIGINT);
            Some(Query { columns: vec![first, count], from, sources: vec![relation], updatable: false })
        }
        3 => {
            let mut columns = chosen(world, &scope);
            let over = scope.columns.iter().find(|(_, of)| world.types[*of].ordered)?.0.clone();
            columns.push((format!("row_number() OVER (PARTITION BY {over} ORDER BY {over} DESC)"), BIGINT));
            let from = format!("FROM (SELECT * FROM {} LIMIT 100) r", relation.name);
            Some(Query { columns, from, sources: vec![relation], updatable: false })
        }
        _ => {
            let condition = if world.random.chance(60) {
                format!(" WHERE {}", world.expression(BOOLEAN, &scope))
            } else {
                String::new()
            };
            let updatable = relation.updatable;
            let mut columns = chosen(world, &scope);
            if updatable {
                // There is a column that can be updated.
                columns.extend(world.random.some(&scope.columns, 1));
            }
            Some(Query {
                columns,
                from: format!("FROM {} r{condition}", relation.name),
                sources: vec![relation],
                updatable,
            })
        }
    }
}

/// Some columns, and expressions over all.
fn chosen(world: &mut World, scope: &Scope) -> Vec<(String, usize)> {
    let mut columns = world.random.some(&scope.columns, 3);
    for _ in 0..world.random.between(1, 2) {
        let of = world.type_where(|of| !of.collated);
        columns.push((world.expression(of, scope), of));
    }
    columns
}

/// Columns that depend on the key they are grouped by: it can be made only after the key.
fn grouped_by_key(world: &mut World, readable: bool) -> Option<Query> {
    let wanted = |relation: &Relation| {
        relation.shape == Shape::Table && !relation.key.is_empty() && (relation.readable || !readable)
    };
    let index = world.relation_where(wanted)?;
    let relation = world.relations[index].clone();
    let mut columns = world.random.some(&Scope::of(&relation, "k.").columns, 3);
    columns.push(("count(*)".to_owned(), BIGINT));
    let from = format!("FROM {} k GROUP BY k.id", relation.name);
    Some(Query { columns, from, sources: vec![relation], updatable: false })
}

fn recursive(world: &mut World) {
    let (schema, name, column) = (world.random.pick(&world.schemas).clone(), world.name(), world.name());
    world.run(&format!(
        "CREATE RECURSIVE VIEW {schema}.{name} ({column}) AS VALUES (1) UNION ALL SELECT {column} + 1 FROM {name} WHERE {column} < 9"
    ));
    let columns = vec![Column { name: column, of: INTEGER, source: Source::Given, not_null: false }];
    let query = Query { columns: Vec::new(), from: String::new(), sources: Vec::new(), updatable: false };
    remember(world, format!("{schema}.{name}"), Shape::View, columns, &query);
}

/// A view that calls a function of the view's own rows.
fn in_a_loop(world: &mut World) {
    let (view, function, column) = (world.new_in_schema(), world.new_in_schema(), world.name());
    let text = literal(&world.bare_name());
    world.run(&format!("CREATE VIEW {view} AS SELECT 1 AS {column}, {text}::text AS b"));
    world.run(&format!(
        "CREATE FUNCTION {function}({view}) RETURNS integer LANGUAGE sql IMMUTABLE AS $body$SELECT ($1).{column}$body$"
    ));
    world.made("FUNCTION", &format!("{function}({view})"));
    world.run(&format!(
        "CREATE OR REPLACE VIEW {view} AS SELECT 1 AS {column}, {text}::text AS b WHERE {function}(NULL) IS NULL"
    ));
    let columns = vec![Column { name: column, of: INTEGER, source: Source::Given, not_null: false }];
    let query = Query { columns: Vec::new(), from: String::new(), sources: Vec::new(), updatable: false };
    remember(world, view, Shape::View, columns, &query);
}
