//! `pgark restore --role-map`: roles get other names, and nothing that is only called like one does.

use pgark_tests::Postgres;
use pgark_tests::postgres::{Database, MAJORS};

use super::Result;
use super::text::Text;
use super::vault::Vault;

/// Everything that a role's name can stand in. `{ann}` and `{bob}` are roles. The schema, the tables, the columns and
/// the literals are called like the first `{ann}` was: `{word}`.
const SCRIPT: &str = r#"
create schema {word} authorization {ann};
set role {ann};
create table {word}.{word} ({word} text default '{word}', "TO" int, who text);
insert into {word}.{word} values ('{word}', 1, '{word} is not a role here');
comment on table {word}.{word} is '{word} TO {word}';
alter table {word}.{word} enable row level security;
create policy {word} on {word}.{word} for select to {bob}, {ann} using ({word} = '{word}');
create policy "TO {word}" on {word}.{word} using ("TO" > 0) with check (who = '{word}');
create view {word}.v as select {word} from {word}.{word} where {word} <> '{word}';
create function {word}.f({word} int) returns text language sql as 'select ''{word}''';
grant usage on schema {word} to {bob};
grant select on {word}.{word} to {bob} with grant option;
grant update ({word}, "TO") on {word}.{word} to {bob};
grant execute on function {word}.f(int) to {bob};
revoke execute on function {word}.f(int) from public;
set role {bob};
grant select on {word}.{word} to public;
set role {ann};
alter default privileges in schema {word} grant select on tables to {bob};
alter default privileges grant usage on sequences to {bob} with grant option;
reset role;
select lo_create(4711);
alter large object 4711 owner to {ann};
grant select on large object 4711 to {bob};
comment on large object 4711 is '{word}';
create foreign data wrapper {word};
create server {word} foreign data wrapper {word} options ({word} '{word}');
create user mapping for {bob} server {word} options ({word} '{word}', password 'hunter2');
create user mapping for public server {word};
grant usage on foreign server {word} to {bob};
"#;

/// A database with all this, for two roles of these names.
fn database<'a>(server: &'a Postgres, word: &str, [ann, bob]: [&str; 2]) -> anyhow::Result<Database<'a>> {
    let database = server.create_database("role_map")?;
    // An empty database can be restored into as it is.
    for role in [ann, bob] {
        server.psql(&format!("create role {role}"))?;
    }
    let script = SCRIPT.replace("{word}", word).replace("{ann}", ann).replace("{bob}", bob);
    database.query(&script)?;
    Ok(database)
}

#[test]
fn roles_are_renamed_and_what_is_called_like_them_is_not() -> Result {
    for major in MAJORS {
        let server = Postgres::shared(major)?;
        let word = "role_map_ann";
        let source = database(server, word, [word, "\"Role Map's; Bob\""])?;
        let expected = database(server, word, ["\"role_map=\"\"Zoë\"\"\"", "role_map_to"])?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        let restored = server.create_database("role_map")?;
        let maps =
            ["--role-map", "role_map_ann=role_map=\"Zoë\"", "--role-map", "Role Map's; Bob=role_map_to"];
        let quoted = ["--role-map", "role_map_ann=\"role_map=\"\"Zoë\"\"\"", maps[2], maps[3]];
        // A double quote in a name has to be quoted.
        let restore = ["restore", "latest", "--to", &restored.url()].map(str::to_owned);
        let restore: Vec<&str> = restore.iter().map(String::as_str).collect();
        assert_eq!(vault.refused(&[&restore[..], &maps].concat())?.0, 2);
        vault.run(&[&restore[..], &quoted].concat(), &[])?;
        Text::of(&expected.url())?.must_equal(&Text::of(&restored.url())?)?;
        // Once more over what is there: the statements that drop name roles too.
        vault.run(&[&restore[..], &quoted, &["--clean", "--yes"]].concat(), &[])?;
        Text::of(&expected.url())?.must_equal(&Text::of(&restored.url())?)?;
        for database in [&source, &expected, &restored] {
            assert_eq!(database.query("select count(*) from role_map_ann.role_map_ann")?, "1");
        }
    }
    Ok(())
}

#[test]
fn a_role_that_nobody_knows_is_refused_before_anything_is_done() -> Result {
    let server = Postgres::shared(17)?;
    let source = server.create_database("role_map")?;
    source
        .query("create role role_map_carl; create table t (i int); alter table t owner to role_map_carl")?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let target = server.create_database("role_map")?;
    for (map, exit, code, parts) in [
        ("Role_map_carl=postgres", 2, "usage.invalid", ["no role Role_map_carl", "role_map_carl"]),
        ("role_map_carl", 2, "usage.invalid", ["OLD=NEW", "\"role_map_carl\""]),
        ("role_map_carl=No One", 1, "restore.target", ["no role \"No One\"", "CREATE ROLE \"No One\";"]),
    ] {
        let (status, error) =
            vault.refused(&["restore", "latest", "--to", &target.url(), "--role-map", map])?;
        assert_eq!((status, error["code"].as_str()), (exit, Some(code)), "{error}");
        let said =
            format!("{} {}", error["message"].as_str().unwrap_or(""), error["hint"].as_str().unwrap_or(""));
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    assert_eq!(target.query("select count(*) from pg_class where relname = 't'")?, "0");
    Ok(())
}
