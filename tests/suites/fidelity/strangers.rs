//! Restores onto targets that somebody else prepared: `public` with an owner, extensions and schemas of an administrator,
//! a role without superuser. What is there already is used as it is, what the role may not do is named with its cure,
//! and the rest comes.

use anyhow::Context as _;
use pgark_tests::Postgres;
use pgark_tests::postgres::{Database, MAJORS, PASSWORD};
use serde_json::Value;

use crate::Result;
use crate::text::Text;
use crate::vault::Vault;

/// Roles are the server's, and tests share servers.
fn role(server: &Postgres, name: &str, attributes: &str) -> Result {
    server.psql(&format!(
        "do $$ begin create role {name}; exception when duplicate_object or unique_violation then null; end $$;
         alter role {name} login password '{PASSWORD}' {attributes}"
    ))?;
    Ok(())
}

fn warnings(report: &Value) -> String {
    report["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The excluded are beside an extension, a schema of one's own, and `public` that was given away.
const OWNED_PUBLIC: &str = "
    create extension pg_trgm; create schema audit; create table audit.log (i int); insert into audit.log values (1);
    create table big (i int); create table small (i int); insert into big values (1); insert into small values (2);
    alter schema public owner to pgark_stranger; comment on schema public is 'ours'; grant usage on schema audit to public;";

/// With `--create`, into a database of one's own, and into one with extension and schema.
#[test]
fn a_part_is_restored_where_public_has_an_owner() -> Result {
    for major in MAJORS {
        let server = Postgres::shared(major)?;
        role(server, "pgark_stranger", "")?;
        let source = server.create_database("owned")?;
        source.query(OWNED_PUBLIC)?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        for (excluded, left, gone) in [
            ("--exclude-table=big", "select small.i from small, audit.log", "big"),
            ("--exclude-schema=audit", "select small.i from small, big", "audit.log"),
        ] {
            for before in [
                None,
                Some(""),
                Some("create extension pg_trgm; create schema audit; create table other (i int)"),
            ] {
                let context = || format!("PostgreSQL {major}, {excluded}, {before:?}");
                let target = server.create_database("part")?;
                let (url, to) = (target.url(), server.url("postgres"));
                let mut restore = vec!["restore", "latest", excluded, "--to"];
                if let Some(sql) = before {
                    target.query(sql)?;
                    restore.push(&url);
                } else {
                    server.psql(&format!("drop database {}", target.name()))?;
                    restore.extend([&to, "--create", target.name()]);
                }
                vault.run(&restore, &[]).with_context(context)?;
                target.query(left).with_context(context)?;
                assert_eq!(
                    target.query(&format!("select to_regclass('{gone}') is null"))?,
                    "t",
                    "{}",
                    context()
                );
                let public =
                    "select nspowner::regrole, obj_description(oid, 'pg_namespace') from pg_namespace
                    where nspname = 'public'";
                assert_eq!(target.query(public)?, source.query(public)?, "{}", context());
            }
        }
    }
    Ok(())
}

/// What an administrator made for an application that is no superuser: the extension in its own schema.
const PREPARED: &str = "create schema extensions; create extension hstore schema extensions;
    grant usage on schema extensions to public;";

/// The same database at home, with what only a superuser can bring back.
const AT_HOME: &str = "
    create schema extensions; create extension hstore schema extensions; comment on extension hstore is 'our pairs';
    comment on schema extensions is 'what others made'; grant usage on schema extensions to pgark_plain;
    create schema app; create table app.orders (id serial primary key, what extensions.hstore);
    insert into app.orders (what) values ('a=>1'), ('b=>2'); create table t (i int); insert into t values (1);
    create sequence loose owned by t.i;
    alter table app.orders owner to pgark_plain; alter schema app owner to pgark_plain;";

const ORDERS: &str =
    "select string_agg(id || what::text, ',' order by id), pg_get_serial_sequence('app.orders', 'id'),
    pg_get_serial_sequence('t', 'i'), (select i from t) from app.orders";

fn prepared(server: &'static Postgres, sql: &str) -> anyhow::Result<(Database<'static>, String)> {
    let target = server.create_database("prepared")?;
    target.query(&format!("alter database {} owner to pgark_plain; {sql}", target.name()))?;
    let url = server.url_as("pgark_plain", PASSWORD, target.name());
    Ok((target, url))
}

#[test]
fn an_administrators_extension_is_used_as_it_is() -> Result {
    for (from, to) in [(13, 18), (17, 17), (18, 15), (14, 14)] {
        let (home, server) = (Postgres::shared(from)?, Postgres::shared(to)?);
        role(home, "pgark_plain", "")?;
        role(server, "pgark_plain", "")?;
        let source = home.create_database("at_home")?;
        source.query(AT_HOME)?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        let context = || format!("from {from} into {to}");

        let (target, url) = prepared(server, PREPARED)?;
        let report =
            vault.run(&["restore", "latest", "--to", &url, "--no-owner"], &[]).with_context(context)?;
        let said = warnings(&report);
        assert_eq!(target.query(ORDERS)?, source.query(ORDERS)?, "{}", context());
        for part in [
            "is there already and is used as it is: SCHEMA extensions, EXTENSION hstore",
            "ACL SCHEMA extensions is left out",
            "can run: GRANT USAGE ON SCHEMA extensions TO pgark_plain;",
            "COMMENT SCHEMA extensions is left out",
        ] {
            assert!(said.contains(part), "{}: {part}: {said}", context());
        }
        assert!(!said.contains("COMMENT EXTENSION"), "{said}");
        assert_eq!(
            target.query("select extowner::regrole from pg_extension where extname = 'hstore'")?,
            "postgres"
        );

        // The same again over it: what belongs to the administrator stays.
        vault
            .run(&["restore", "latest", "--to", &url, "--no-owner", "--clean", "--yes"], &[])
            .with_context(|| format!("{} --clean", context()))?;
        assert_eq!(target.query(ORDERS)?, source.query(ORDERS)?, "{} --clean", context());

        // Elsewhere than at home, it is said where.
        let (_other, url) = prepared(server, "create extension hstore")?;
        let dry = vault.run(&["restore", "latest", "--to", &url, "--no-owner", "--dry-run"], &[]);
        let said = dry.map_or_else(|error| format!("{error:#}"), |report| report.to_string());
        assert!(
            said.contains("hstore lies in schema public here, and in extensions in the backup"),
            "{said}"
        );
    }
    Ok(())
}

/// A superuser brings the administrator's part too.
#[test]
fn a_superuser_changes_what_is_there() -> Result {
    let server = Postgres::shared(17)?;
    role(server, "pgark_plain", "")?;
    let source = server.create_database("at_home")?;
    source.query(AT_HOME)?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let target = server.create_database("prepared")?;
    target.query("create schema extensions; create extension hstore schema extensions;")?;
    vault.run(&["restore", "latest", "--to", &target.url()], &[])?;
    Text::of(&source.url())?.must_equal(&Text::of(&target.url())?)
}

/// What is wrong with a target as a whole is said before anything is changed.
#[test]
fn a_target_that_takes_nothing_is_refused_with_the_cure() -> Result {
    let server = Postgres::shared(16)?;
    let source = server.create_database("whole")?;
    source.query("create table t (i int); insert into t values (1)")?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    for (before, problem, cure) in [
        ("drop schema public", "has no schema public", "create schema public"),
        (
            "alter database {} set default_transaction_read_only = on",
            "default_transaction_read_only is on",
            "set default_transaction_read_only = off; alter database {} set default_transaction_read_only = off",
        ),
    ] {
        let target = server.create_database("odd")?;
        let named = |sql: &str| sql.replace("{}", target.name());
        target.query(&named(before))?;
        let restore = ["restore", "latest", "--to", &target.url()];
        let (exit, error) = vault.refused(&restore)?;
        let text = error.to_string();
        assert!(
            exit == 1 && text.contains(problem) && text.contains("Nothing was changed"),
            "{before}: {text}"
        );
        target.query(&named(cure))?;
        vault.run(&restore, &[]).with_context(|| before.to_owned())?;
        assert_eq!(target.query("select i from t")?, "1");
    }
    Ok(())
}

/// What the target gives of itself to others.
const GENEROUS: &str = "
    alter default privileges grant select on tables to pgark_stranger; alter default privileges revoke execute on functions from public;
    alter default privileges grant usage on sequences to public; alter default privileges grant usage on types to pgark_stranger;
    alter default privileges grant all on schemas to pgark_stranger;
    create schema kept; alter default privileges in schema kept grant insert on tables to public;
    alter default privileges in schema kept grant execute on functions to pgark_stranger;";

#[test]
fn default_privileges_of_the_target_widen_nothing() -> Result {
    for major in [13, 18] {
        let server = Postgres::shared(major)?;
        role(server, "pgark_stranger", "")?;
        let source = server.create_database("modest")?;
        source.query(
            "create schema kept; create schema app; create table kept.t (id serial, n int generated always as identity);
             create table app.t (i int); grant select on app.t to public; create view app.v as select 1 as one;
             create materialized view app.m as select 1 as one; create type app.e as enum ('a'); create domain app.d as int;
             create function kept.f(a int default 1, out b text) language sql as 'select ''x'''; create procedure app.p() language sql as '';
             create aggregate app.agg(*) (sfunc = int8inc, stype = int8, initcond = '0'); create aggregate app.\"Sum\"(int) (sfunc = int4pl, stype = int);
             create aggregate app.o(float8 order by anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
             revoke execute on function kept.f(int) from public; select lo_create(4711);
             grant usage on schema app to public; alter table app.t owner to pgark_stranger",
        )?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        let target = server.create_database("generous")?;
        target.query(GENEROUS)?;
        target.query("drop schema kept")?;
        let more =
            if major >= 18 { "alter default privileges grant select on large objects to public" } else { "" };
        target.query(more)?;
        let report = vault.run(&["restore", "latest", "--to", &target.url(), "--jobs=2"], &[])?;
        assert!(
            warnings(&report).contains("has default privileges for what role postgres makes"),
            "{report}"
        );
        // Its own defaults are the target's, and not of the backup.
        let text = |url: &str| -> anyhow::Result<String> {
            let text = pgark_tests::postgres::dump_text(url, &["--schema-only"])?;
            Ok(text
                .lines()
                .filter(|line| {
                    !line.contains("DEFAULT PRIVILEGES") && !line.starts_with("--") && !line.is_empty()
                })
                .collect::<Vec<_>>()
                .join("\n"))
        };
        let (before, after) = (text(&source.url())?, text(&target.url())?);
        let differs = before.lines().zip(after.lines()).find(|(one, other)| one != other);
        assert!(before == after, "PostgreSQL {major}: {differs:?}");
        // As the target has it, where no privileges are asked for.
        let other = server.create_database("generous")?;
        other.query("alter default privileges grant select on tables to pgark_stranger")?;
        vault.run(&["restore", "latest", "--to", &other.url(), "--no-privileges"], &[])?;
        assert_eq!(other.query("select has_table_privilege('pgark_stranger', 'app.v', 'select')")?, "t");
    }
    Ok(())
}
