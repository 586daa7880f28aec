//! Keys, foreign keys in circles, exclusions, checks that do not hold yet; indexes and statistics objects.

use super::data_types::{BOOLEAN, TEXT};
use super::expressions::Scope;
use super::world::{Column, Relation, Shape, Source, World};

/// Gives the newest table keys, constraints and indexes. What is there may come to refer to it.
pub(super) fn constrain(world: &mut World, index: usize) {
    if world.relations[index].keyed_by_number && world.random.chance(75) {
        primary_key(world, index);
    }
    if world.random.chance(40) {
        referring_column(world, index);
    }
    if world.random.chance(30) {
        referred_by_older(world, index);
    }
    if world.relations[index].shape == Shape::Table {
        if world.random.chance(25) {
            unique(world, index);
        }
        if world.random.chance(12) {
            exclusion(world, index);
        }
    }
    if world.random.chance(20) {
        unproven_check(world, index);
    }
    for _ in 0..world.random.below(3) {
        self::index(world, index);
    }
    if world.random.chance(25) {
        statistics(world, index);
    }
    if world.major >= 18 && world.relations[index].shape == Shape::Table && world.random.chance(20) {
        unproven_not_null(world, index);
    }
    if world.relations[index].shape == Shape::Table && world.random.chance(15) {
        let nothing_or_all = *world.random.pick(&["NOTHING", "FULL"]);
        let name = world.relations[index].name.clone();
        world.run(&format!("ALTER TABLE {name} REPLICA IDENTITY {nothing_or_all}"));
    }
}

fn primary_key(world: &mut World, index: usize) {
    let name = world.relations[index].name.clone();
    let constraint = world.random.chance(50).then(|| world.name());
    let named = constraint.as_ref().map_or(String::new(), |name| format!("CONSTRAINT {name} "));
    world.run(&format!("ALTER TABLE {name} ADD {named}PRIMARY KEY (id)"));
    world.relations[index].key = vec!["id".to_owned()];
    if let Some(constraint) = constraint {
        world.made("CONSTRAINT", &format!("{constraint} ON {name}"));
        if world.relations[index].shape == Shape::Table && world.random.chance(15) {
            world.run(&format!("ALTER TABLE {name} CLUSTER ON {constraint}"));
        }
    }
}

const DEFERRED: [&str; 4] = ["", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"];

/// What a foreign key can refer to.
fn target(world: &mut World) -> Option<Relation> {
    let has_key = |relation: &Relation| !relation.key.is_empty() && relation.logged;
    world.relation_where(has_key).map(|index| world.relations[index].clone())
}

/// A new column that refers to another table, or to the table itself.
fn referring_column(world: &mut World, index: usize) {
    let Some(target) = target(world) else { return };
    let (name, column) = (world.relations[index].name.clone(), world.name());
    let mut actions =
        vec!["", " ON DELETE CASCADE", " ON UPDATE SET NULL ON DELETE SET DEFAULT", " MATCH FULL"];
    if world.major >= 15 {
        actions.push(" ON DELETE SET NULL (COLUMN)");
    }
    let action = world.random.pick(&actions).replace("COLUMN", &column);
    let deferred = *world.random.pick(&DEFERRED);
    world.run(&format!("ALTER TABLE {name} ADD COLUMN {column} integer"));
    if target.rows > 0 {
        world.run(&format!("UPDATE {name} SET {column} = id % {} + 1 WHERE id % 3 <> 0", target.rows));
    }
    let column_list = format!("({column}) REFERENCES {} (id)", target.name);
    world.run(&format!("ALTER TABLE {name} ADD FOREIGN KEY {column_list}{action}{deferred}"));
}

/// An older table whose rows' numbers are in this one; or so it is said.
fn referred_by_older(world: &mut World, index: usize) {
    let newest = world.relations[index].clone();
    let wanted = |relation: &Relation| {
        relation.shape == Shape::Table && relation.logged && relation.columns[0].source != Source::Generated
    };
    let Some(older) = world.relation_where(wanted) else { return };
    if newest.key.is_empty() || !newest.logged {
        return;
    }
    let older = world.relations[older].clone();
    let constraint = world.name();
    let holds = older.rows <= newest.rows && !older.related;
    // Before 18 a foreign key to a partitioned table had to hold.
    let proven = holds || (newest.shape == Shape::Partitioned && world.major < 18);
    if proven && !holds {
        return;
    }
    let unproven = if proven { "" } else { " NOT VALID" };
    let deferred = *world.random.pick(&DEFERRED);
    world.run(&format!(
        "ALTER TABLE {} ADD CONSTRAINT {constraint} FOREIGN KEY (id) REFERENCES {} (id){deferred}{unproven}",
        older.name, newest.name
    ));
    world.made("CONSTRAINT", &format!("{constraint} ON {}", older.name));
}

fn given(world: &World, index: usize) -> Vec<Column> {
    let columns = world.relations[index].columns.iter();
    columns
        .filter(|column| column.source != Source::Generated && world.types[column.of].ordered)
        .cloned()
        .collect()
}

fn unique(world: &mut World, index: usize) {
    let (name, column) =
        (world.relations[index].name.clone(), world.random.pick(&given(world, index)).clone());
    let include = if column.name == "id" { String::new() } else { format!("{}, ", column.name) };
    let nulls = if world.major >= 15 && world.random.chance(40) { " NULLS NOT DISTINCT" } else { "" };
    let (constraint, deferred) = (world.name(), *world.random.pick(&DEFERRED));
    let options = if world.random.chance(30) { " WITH (fillfactor=60)" } else { "" };
    world.run(&format!(
        "ALTER TABLE {name} ADD CONSTRAINT {constraint} UNIQUE{nulls} ({include}id){options}{deferred}"
    ));
    world.made("CONSTRAINT", &format!("{constraint} ON {name}"));
}

fn exclusion(world: &mut World, index: usize) {
    let name = world.relations[index].name.clone();
    let elements = *world.random.pick(&[
        "USING gist (int4range(id, id, '[]'::text) WITH &&)",
        "USING btree (id WITH =) WHERE (id > 2)",
        "USING hash (id WITH =)",
    ]);
    let (constraint, deferred) = (world.name(), *world.random.pick(&DEFERRED));
    world.run(&format!(
        "ALTER TABLE {name} ADD CONSTRAINT {constraint} EXCLUDE {elements}{}",
        if elements.contains("WHERE") { "" } else { deferred }
    ));
    world.made("CONSTRAINT", &format!("{constraint} ON {name}"));
}

/// A check that is not proven. Rows may not be there that break it, for they could not be restored before 18.
fn unproven_check(world: &mut World, index: usize) {
    let name = world.relations[index].name.clone();
    let constraint = world.name();
    let scope = Scope::of(&world.relations[index], "");
    let check = world.expression(BOOLEAN, &Scope { pure: true, ..scope });
    world.run(&format!(
        "ALTER TABLE {name} ADD CONSTRAINT {constraint} CHECK ((({check}) IS NULL) IS NOT NULL) NOT VALID"
    ));
    world.made("CONSTRAINT", &format!("{constraint} ON {name}"));
}

/// A column that may be null in the rows that are there, and in no others.
fn unproven_not_null(world: &mut World, index: usize) {
    let relation = world.relations[index].clone();
    let nullable = |column: &&Column| !column.not_null && column.source == Source::Given;
    let Some(column) = relation.columns.iter().find(nullable) else { return };
    let constraint = world.plain_name();
    world.run(&format!(
        "ALTER TABLE {} ADD CONSTRAINT {constraint} NOT NULL {} NOT VALID",
        relation.name, column.name
    ));
    for known in &mut world.relations[index].columns {
        known.not_null |= known.name == column.name;
    }
}

/// A column or an expression of an index, which can be null.
fn element(world: &mut World, relation: &Relation, virtual_too: &[Column]) -> String {
    let scope = Scope {
        columns: virtual_too.iter().map(|column| (column.name.clone(), column.of)).collect(),
        ..Scope::of(relation, "")
    };
    let scope = Scope { pure: true, ..scope };
    let order = *world.random.pick(&["", "", " DESC", " DESC NULLS LAST", " NULLS FIRST"]);
    if world.random.chance(60) {
        return format!("{}{order}", world.random.pick(virtual_too).name);
    }
    let of = world.type_where(|of| of.ordered && !of.collated);
    let collation =
        if of == TEXT && world.random.chance(40) { " COLLATE \"C\" text_pattern_ops" } else { "" };
    format!("(COALESCE({}, {})){collation}{order}", world.expression(of, &scope), world.sample(of))
}

/// An index on a table or materialized view.
pub(super) fn index(world: &mut World, index: usize) {
    let relation = world.relations[index].clone();
    let columns = given(world, index);
    if columns.is_empty() {
        return;
    }
    let elements: Vec<String> =
        (0..world.random.between(1, 3)).map(|_| element(world, &relation, &columns)).collect();
    let name = world.name();
    let mut sql = format!("{} USING btree ({})", relation.name, elements.join(", "));
    if world.random.chance(20) {
        sql += &format!(" INCLUDE ({})", world.random.pick(&columns).name);
    }
    if world.random.chance(20) {
        sql += " WITH (fillfactor=50)";
    }
    if world.random.chance(25) {
        let scope =
            Scope::pure(&columns.iter().map(|column| (column.name.clone(), column.of)).collect::<Vec<_>>());
        let condition = world.expression(BOOLEAN, &scope);
        sql += &format!(" WHERE {condition}");
    }
    let only = if relation.shape == Shape::Partitioned && world.random.chance(30) { "ONLY " } else { "" };
    world.run(&format!("CREATE INDEX {name} ON {only}{sql}"));
    let expression = elements.iter().position(|element| element.starts_with('('));
    let schema = schema_of(&relation.name);
    world.made("INDEX", &format!("{schema}.{name}"));
    if let Some(at) = expression.filter(|_| world.random.chance(30)) {
        world.run(&format!("ALTER INDEX {schema}.{name} ALTER COLUMN {} SET STATISTICS 99", at + 1));
    }
}

/// The schema in a qualified name. Names of schemas have no dot behind a quote.
pub(super) fn schema_of(qualified: &str) -> &str {
    match qualified.strip_prefix("public.") {
        Some(_) => "public",
        None => &qualified[..qualified.find("\".\"").map_or(0, |at| at + 1)],
    }
}

fn statistics(world: &mut World, index: usize) {
    let relation = world.relations[index].clone();
    let columns = given(world, index);
    if columns.len() < 2 {
        return;
    }
    let chosen = world.random.some(&columns, 3);
    let mut list: Vec<String> = chosen.iter().map(|column| column.name.clone()).collect();
    if world.major >= 14 && world.random.chance(40) {
        let of = world.type_where(|of| of.ordered && !of.collated);
        let scope = columns.iter().map(|column| (column.name.clone(), column.of)).collect::<Vec<_>>();
        let value = world.expression(of, &Scope::pure(&scope));
        list.push(format!("(COALESCE({value}, {}))", world.sample(of)));
    }
    let name = world.new_in_schema();
    let kinds = *world.random.pick(&["", " (ndistinct)", " (dependencies, mcv)"]);
    world.run(&format!("CREATE STATISTICS {name}{kinds} ON {} FROM {}", list.join(", "), relation.name));
    if world.random.chance(40) {
        world.run(&format!("ALTER STATISTICS {name} SET STATISTICS 50"));
    }
    world.made("STATISTICS", &name);
}
