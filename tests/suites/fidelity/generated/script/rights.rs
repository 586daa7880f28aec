//! Roles, owners, grants in chains, default privileges; and comments, which go on everything too.

use super::world::{ROLES, Shape, Source, Thing, World, literal};

/// Makes the roles that are not there yet. They stay: other databases of the server may use them.
pub(super) fn roles(world: &mut World) {
    let list: Vec<String> = ROLES.iter().map(|role| literal(&unquoted(role))).collect();
    world.run(&format!(
        "DO $do$\nDECLARE wanted text;\nBEGIN\n    FOREACH wanted IN ARRAY ARRAY[{}] LOOP\n        \
         IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN\n            \
         EXECUTE format('CREATE ROLE %I', wanted);\n        END IF;\n    END LOOP;\nEND\n$do$",
        list.join(", ")
    ));
}

fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\""))
}

/// The schemas.
pub(super) fn schemas(world: &mut World) {
    for _ in 0..world.random.between(1, 3) {
        let name = world.name();
        let owner = if world.one_owner { format!(" AUTHORIZATION {}", ROLES[0]) } else { String::new() };
        world.run(&format!("CREATE SCHEMA {name}{owner}"));
        world.made("SCHEMA", &name);
        world.schemas.push(name);
    }
    if world.one_owner {
        world.run(&format!("ALTER SCHEMA public OWNER TO {}", ROLES[0]));
    }
}

/// Privileges that are given to what is made from now on.
pub(super) fn defaults(world: &mut World) {
    let (role, schema) = (world.role(), world.random.pick(&world.schemas).clone());
    let kind = *world.random.pick(&["TABLES", "SEQUENCES", "FUNCTIONS", "TYPES"]);
    let to = match world.random.below(3) {
        0 if !world.one_owner => {
            world.run(&format!("ALTER DEFAULT PRIVILEGES REVOKE ALL ON {kind} FROM PUBLIC"));
            return;
        }
        1 => format!("TO {role} WITH GRANT OPTION"),
        _ => format!("TO {role}"),
    };
    let scope = match world.random.below(3) {
        0 => format!("IN SCHEMA {schema} "),
        1 => format!("FOR ROLE {} ", world.role()),
        _ => String::new(),
    };
    world.run(&format!("ALTER DEFAULT PRIVILEGES {scope}GRANT ALL ON {kind} {to}"));
}

/// Comments and labels here and there.
pub(super) fn comments(world: &mut World) {
    for thing in world.things.clone() {
        if world.random.chance(25) {
            let text = literal(&world.bare_name());
            world.run(&format!("COMMENT ON {} {} IS {text}", thing.kind, thing.name));
        }
    }
    for relation in world.relations.clone() {
        if world.random.chance(25) {
            let (column, text) =
                (world.random.pick(&relation.columns).name.clone(), literal(&world.bare_name()));
            world.run(&format!("COMMENT ON COLUMN {}.{column} IS {text}", relation.name));
        }
    }
    if world.random.chance(30) {
        world.run("COMMENT ON SCHEMA public IS NULL");
    }
}

/// The keyword before its name in `GRANT`, and its privileges.
fn privileges(kind: &str) -> Option<(&'static str, &'static [&'static str])> {
    Some(match kind {
        "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" => {
            ("TABLE", &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"])
        }
        "SEQUENCE" => ("SEQUENCE", &["USAGE", "SELECT", "UPDATE"]),
        "FUNCTION" | "AGGREGATE" => ("FUNCTION", &["EXECUTE"]),
        "PROCEDURE" => ("PROCEDURE", &["EXECUTE"]),
        "TYPE" | "DOMAIN" => ("TYPE", &["USAGE"]),
        "SCHEMA" => ("SCHEMA", &["USAGE", "CREATE"]),
        "FOREIGN DATA WRAPPER" => ("FOREIGN DATA WRAPPER", &["USAGE"]),
        "SERVER" => ("FOREIGN SERVER", &["USAGE"]),
        "LARGE OBJECT" => ("LARGE OBJECT", &["SELECT", "UPDATE"]),
        _ => return None,
    })
}

/// Owners and grants. Last of all, because they take rights away that making things needs.
pub(super) fn grants(world: &mut World) {
    for schema in world.schemas.clone() {
        world.run(&format!("GRANT USAGE ON SCHEMA {schema} TO PUBLIC"));
    }
    for thing in world.things.clone() {
        owner(world, &thing);
        let Some((keyword, all)) = privileges(thing.kind) else { continue };
        if world.random.chance(30) {
            chain(world, &format!("{keyword} {}", thing.name), all);
        }
    }
    for relation in world.relations.clone() {
        if relation.columns.is_empty() || !world.random.chance(20) || relation.shape == Shape::Foreign {
            continue;
        }
        let given: Vec<_> =
            relation.columns.iter().filter(|column| column.source != Source::Generated).collect();
        let columns: Vec<String> =
            world.random.some(&given, 2).iter().map(|column| column.name.clone()).collect();
        let (privilege, role) =
            (*world.random.pick(&["SELECT", "UPDATE", "INSERT", "REFERENCES"]), world.role());
        let option = *world.random.pick(&["", " WITH GRANT OPTION"]);
        world.run(&format!(
            "GRANT {privilege} ({}) ON {} TO {role}{option}",
            columns.join(", "),
            relation.name
        ));
    }
}

fn owner(world: &mut World, thing: &Thing) {
    let relation =
        matches!(thing.kind, "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" | "SEQUENCE");
    let role = match thing.kind {
        // A schema's owner is chosen when it is made.
        "SCHEMA"
        | "INDEX"
        | "CONSTRAINT"
        | "TRIGGER"
        | "RULE"
        | "POLICY"
        | "CAST"
        | "EVENT TRIGGER"
        | "FOREIGN DATA WRAPPER"
        | "PUBLICATION" => return,
        // Whoever owns some but not all of them could not restore what reads the others.
        _ if relation && world.one_owner => ROLES[0],
        _ if relation || world.random.chance(75) => return,
        _ => world.role(),
    };
    world.run(&format!("ALTER {} {} OWNER TO {role}", thing.kind, thing.name));
}

/// Somebody is granted something, grants it on, and may lose it again.
fn chain(world: &mut World, what: &str, all: &[&str]) {
    let privilege = if world.random.chance(25) { "ALL" } else { *world.random.pick(all) };
    let roles = world.random.some(&ROLES, 3);
    world.run(&format!("GRANT {privilege} ON {what} TO {} WITH GRANT OPTION", roles[0]));
    if world.chains && world.random.chance(60) {
        let option = *world.random.pick(&["", " WITH GRANT OPTION"]);
        world.run(&format!("SET ROLE {}", roles[0]));
        world.run(&format!("GRANT {privilege} ON {what} TO {}{option}", roles[1]));
        if !option.is_empty() && world.random.chance(50) {
            world.run(&format!("SET ROLE {}", roles[1]));
            world.run(&format!("GRANT {privilege} ON {what} TO {}", roles[2]));
        }
        world.run("RESET ROLE");
    }
    if world.random.chance(20) {
        world.run(&format!("GRANT {} ON {what} TO PUBLIC", all[0]));
    }
    // Who may not look into a schema cannot grant on what is in it.
    let may_lose = !world.one_owner && !what.starts_with("SCHEMA");
    if may_lose && world.random.chance(30) {
        world.run(&format!("REVOKE ALL ON {what} FROM PUBLIC"));
    }
    if may_lose && world.random.chance(15) {
        world.run(&format!("REVOKE {privilege} ON {what} FROM {}, CURRENT_USER CASCADE", roles[1]));
    }
}
