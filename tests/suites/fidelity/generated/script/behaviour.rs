//! What happens on its own: triggers, rules, policies, event triggers.

use super::data_types::BOOLEAN;
use super::expressions::Scope;
use super::world::{ROLES, Relation, Shape, Source, World, literal};

const ENABLED: [&str; 6] = ["", "", "", "DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"];

fn is_table(relation: &Relation) -> bool {
    matches!(relation.shape, Shape::Table | Shape::Partitioned | Shape::Partition)
}

/// Triggers, rules and policies here and there.
pub(super) fn add(world: &mut World) {
    match world.random.below(5) {
        0 | 1 => trigger(world),
        2 => instead_of_trigger(world),
        3 => rule(world),
        _ => policy(world),
    }
}

fn trigger(world: &mut World) {
    let Some(index) = world.relation_where(is_table) else { return };
    let relation = world.relations[index].clone();
    if world.trigger_functions.is_empty() {
        super::routines::trigger_function(world);
    }
    let (name, function) = (world.name(), world.random.pick(&world.trigger_functions).clone());
    let arguments = if world.random.chance(40) { literal(&world.bare_name()) } else { String::new() };
    let given: Vec<_> = relation.columns.iter().filter(|column| column.source != Source::Generated).collect();
    let column = world.random.pick(&given).name.clone();
    let scope = given.iter().map(|column| (format!("NEW.{}", column.name), column.of));
    let scope = Scope { columns: scope.collect(), ..Scope::default() };
    let condition = world.expression(BOOLEAN, &scope);
    let execute = format!("EXECUTE FUNCTION {function}({arguments})");
    let on = &relation.name;
    let row = match world.random.below(6) {
        0 => format!(
            "TRIGGER {name} AFTER INSERT OR UPDATE OF {column} ON {on} FOR EACH ROW WHEN ({condition})"
        ),
        1 => format!(
            "CONSTRAINT TRIGGER {name} AFTER DELETE ON {on} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        ),
        2 => format!("TRIGGER {name} AFTER TRUNCATE OR DELETE ON {on} FOR EACH STATEMENT"),
        3 if !relation.related && relation.shape == Shape::Table => format!(
            "TRIGGER {name} AFTER UPDATE ON {on} REFERENCING OLD TABLE AS \"o ld\" NEW TABLE AS n FOR EACH STATEMENT"
        ),
        4 => format!("TRIGGER {name} BEFORE UPDATE ON {on} FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)"),
        _ => format!("TRIGGER {name} BEFORE INSERT ON {on} FOR EACH ROW"),
    };
    let row = if relation.columns.iter().any(|column| column.source == Source::Generated)
        && row.contains("OLD.*")
    {
        format!("TRIGGER {name} BEFORE UPDATE ON {on} FOR EACH ROW")
    } else {
        row
    };
    world.run(&format!("CREATE {row} {execute}"));
    let enabled = *world.random.pick(&ENABLED);
    if !enabled.is_empty() {
        world.run(&format!("ALTER TABLE {on} {enabled} TRIGGER {name}"));
    }
    world.made("TRIGGER", &format!("{name} ON {on}"));
}

fn instead_of_trigger(world: &mut World) {
    let Some(index) = world.relation_where(|relation| relation.shape == Shape::View) else { return };
    super::routines::trigger_function(world);
    let (on, name) = (world.relations[index].name.clone(), world.name());
    let Some(function) = world.trigger_functions.last().cloned() else { return };
    world.run(&format!("CREATE TRIGGER {name} INSTEAD OF INSERT OR DELETE ON {on} FOR EACH ROW EXECUTE FUNCTION {function}('a', E'\\\\ \"b')"));
    world.made("TRIGGER", &format!("{name} ON {on}"));
}

fn rule(world: &mut World) {
    let wanted = |relation: &Relation| is_table(relation) || relation.shape == Shape::View;
    let Some(index) = world.relation_where(wanted) else { return };
    let relation = world.relations[index].clone();
    let (name, on) = (world.name(), relation.name.clone());
    let scope = Scope { queries: true, ..Scope::of(&relation, "old.") };
    let condition = world.expression(BOOLEAN, &scope);
    let action = match world.random.below(4) {
        0 => format!("ON UPDATE TO {on} WHERE {condition} DO INSTEAD NOTHING"),
        1 => format!("ON DELETE TO {on} DO ALSO NOTIFY \"a channel\""),
        2 => match world.relation_where(|target| is_table(target) && target.name != on) {
            Some(target) => {
                let target = &world.relations[target].name;
                format!("ON DELETE TO {on} DO ALSO (DELETE FROM {target} WHERE id = 1; SELECT 'it''s'::text)")
            }
            None => format!("ON INSERT TO {on} DO INSTEAD NOTHING"),
        },
        _ => format!("ON INSERT TO {on} DO INSTEAD NOTHING"),
    };
    world.run(&format!("CREATE RULE {name} AS {action}"));
    let enabled = *world.random.pick(&ENABLED);
    if !enabled.is_empty() && is_table(&relation) {
        world.run(&format!("ALTER TABLE {on} {enabled} RULE {name}"));
    }
    world.made("RULE", &format!("{name} ON {on}"));
}

fn policy(world: &mut World) {
    let Some(index) = world.relation_where(is_table) else { return };
    let relation = world.relations[index].clone();
    let (name, on) = (world.name(), relation.name.clone());
    let scope = Scope { queries: true, ..Scope::of(&relation, "") };
    let to =
        if world.random.chance(50) { "PUBLIC".to_owned() } else { world.random.some(&ROLES, 2).join(", ") };
    let (using, check) = (world.expression(BOOLEAN, &scope), world.expression(BOOLEAN, &scope));
    let how = *world.random.pick(&["", " AS RESTRICTIVE"]);
    let what = match world.random.below(4) {
        0 => format!("FOR SELECT TO {to} USING ({using})"),
        1 => format!("FOR INSERT TO {to} WITH CHECK ({check})"),
        2 => format!("TO {to} USING ({using})"),
        _ => format!("FOR UPDATE TO {to} USING ({using}) WITH CHECK ({check})"),
    };
    world.run(&format!("CREATE POLICY {name} ON {on}{how} {what}"));
    world.made("POLICY", &format!("{name} ON {on}"));
    // Superusers alone can back such a table up whole, and restore what reads it.
    if !world.one_owner && world.random.chance(60) {
        world.run(&format!("ALTER TABLE {on} ENABLE ROW LEVEL SECURITY"));
        if world.random.chance(50) {
            world.run(&format!("ALTER TABLE {on} FORCE ROW LEVEL SECURITY"));
        }
    }
}

/// An event trigger that does nothing.
pub(super) fn event_trigger(world: &mut World) {
    let (name, function) = (world.name(), world.new_in_schema());
    world.run(&format!("CREATE FUNCTION {function}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"));
    world.made("FUNCTION", &format!("{function}()"));
    let event = *world.random.pick(&[
        "ddl_command_start",
        "ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP VIEW')",
        "sql_drop",
    ]);
    world.run(&format!("CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION {function}()"));
    let enabled = *world.random.pick(&["", "DISABLE", "ENABLE ALWAYS"]);
    if !enabled.is_empty() {
        world.run(&format!("ALTER EVENT TRIGGER {name} {enabled}"));
    }
    world.made("EVENT TRIGGER", &name);
}
