//! Definitions that pg_dump's text does not bring back, or not onto every version: what the original holds, the copy
//! holds, and a restore test says so.

use anyhow::Context as _;
use pgark_tests::Postgres;

use crate::Result;
use crate::text::Text;
use crate::vault::Vault;

struct Case {
    name: &'static str,
    /// From which version into which.
    ways: &'static [(u32, u32)],
    sql: &'static str,
    /// Says the same of the original and of the copy.
    measure: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "a grant by a role that lost the schema afterwards",
        ways: &[(13, 13), (17, 17), (15, 18)],
        sql: "create schema s authorization pgark_def_own; create table s.u (x int); create function s.f() returns int
                language sql as 'select 1'; create type s.e as enum ('a');
            grant usage on schema s to pgark_def_a; grant select (x), update on s.u to pgark_def_a with grant option;
            grant execute on function s.f() to pgark_def_a with grant option; grant usage on type s.e to pgark_def_a with grant option;
            set role pgark_def_a; grant select (x), update on s.u to pgark_def_b; grant execute on function s.f() to pgark_def_b;
            grant usage on type s.e to pgark_def_b; reset role; revoke usage on schema s from pgark_def_a;
            alter default privileges for role pgark_def_own in schema s grant select on tables to pgark_def_b;",
        measure: "select (select array_agg(replace(a::text, 'Dxtm', 'Dxt') order by a::text) from pg_class, unnest(relacl) a where oid = 's.u'::regclass),
            (select array_agg(a::text order by a::text) from pg_attribute, unnest(attacl) a where attrelid = 's.u'::regclass),
            (select array_agg(a::text order by a::text) from pg_proc, unnest(proacl) a where oid = 's.f'::regproc),
            (select array_agg(a::text order by a::text) from pg_type, unnest(typacl) a where oid = 's.e'::regtype),
            (select array_agg(a::text order by a::text) from pg_namespace, unnest(nspacl) a where nspname = 's'),
            (select count(*) from pg_default_acl)",
    },
    Case {
        name: "columns in another order than INHERITS would make",
        ways: &[(13, 13), (17, 17), (18, 18), (15, 18)],
        sql: "create table a (x int default 1, y text, z int not null); create table b (w int, x int default 2, z int);
            create table c (q int) inherits (b); create table d (x int default 3, q int) inherits (b, a);
            alter table d no inherit b; alter table d inherit b;
            create table e (z int not null, x int, y text, w int default 9, gone int); alter table e drop column gone;
            alter table e inherit a; alter table e inherit b; alter table e alter column x drop default;
            alter table a drop column y cascade; alter table a add constraint pos check (x > -100);
            alter table b add constraint pos check (x > -100) not valid;
            alter table d add constraint own check (q is null) no inherit;
            create table g (n int, n2 int generated always as (n * 2) stored);
            create table h (first int, n int, n2 int generated always as (n * 2) stored); alter table h inherit g;
            create table i (own text) inherits (a, g); alter table g add column late text not null default 'x';
            alter table a add column later int generated always as (z + 1) stored;
            insert into a values (1, 1); insert into b values (1, 2, 3); insert into d (x, w, z) values (5, 6, 7);
            insert into e (z, x, w) values (1, 2, 3); insert into c (w, x, z, q) values (1, 1, 1, 1); insert into h values (1, 2);",
        measure: "select array_agg((attrelid::regclass, attname, attnotnull, attislocal, attinhcount, pg_get_expr(adbin, adrelid)) order by attrelid::regclass::text, attnum),
            (select array_agg((inhrelid::regclass, inhparent::regclass) order by inhrelid::regclass::text, inhseqno) from pg_inherits
                where inhrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)),
            (select array_agg((conrelid::regclass, conname, convalidated, conislocal) order by conrelid::regclass::text, conname) from pg_constraint
                where contype = 'c'), (select array_agg(d) from d), (select array_agg(e) from e), (select array_agg(h) from h)
            from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
            where attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r')
              and attnum > 0 and not attisdropped",
    },
    Case {
        name: "constraints that are called as 18 would call a NOT NULL",
        ways: &[(13, 18), (17, 18), (17, 17)],
        sql: "create table t (i int not null, j int not null, k int);
            alter table t add constraint t_i_not_null check (i is not null) not valid;
            alter table t add constraint t_k_not_null check (k > 0); alter table t add constraint t_j_not_null unique (j);
            create table k (id int constraint k_id_not_null primary key, v int); insert into t values (1, 2, 3);",
        measure: "select (select array_agg((conname, contype, convalidated) order by conname) from pg_constraint
                where contype <> 'n' and (conrelid >= 16384 or contypid >= 16384)),
            (select array_agg((attrelid::regclass, attname) order by attrelid::regclass::text, attnum) from pg_attribute
                where attnotnull and attnum > 0 and attrelid in ('t'::regclass, 'k'::regclass)),
            (select array_agg(t) from t)",
    },
    Case {
        name: "a domain's constraint that is called as 17 would call its NOT NULL",
        ways: &[(13, 18), (16, 17), (16, 16)],
        sql: "create domain d as int not null constraint d_not_null check (value > 0); create table u (d d);
            insert into u values (4);",
        measure: "select (select array_agg(conname) from pg_constraint where contypid = 'd'::regtype and contype = 'c'),
            (select typnotnull from pg_type where typname = 'd'), (select sum(d) from u)",
    },
    Case {
        name: "privileges in the beginning of a role that was dropped",
        ways: &[(13, 13), (15, 15), (15, 18)],
        sql: "create extension hstore; create table t (i int); insert into t values (1);
            insert into pg_init_privs values ('hstore_version_diag(hstore)'::regprocedure, 'pg_proc'::regclass, 0, 'e',
                array[makeaclitem(99999999, 10, 'EXECUTE', false), makeaclitem(10, 10, 'EXECUTE', false),
                      makeaclitem(0, 10, 'EXECUTE', false)]);
            update pg_proc set proacl = array[makeaclitem(10, 10, 'EXECUTE', false), makeaclitem(0, 10, 'EXECUTE', false)]
                where oid = 'hstore_version_diag(hstore)'::regprocedure;",
        measure: "select (select i from t), has_function_privilege('pgark_def_a', 'hstore_version_diag(hstore)', 'execute')",
    },
];

/// A privilege that only newer servers know takes no other one with it.
#[test]
fn an_older_server_gets_the_privileges_that_it_knows() -> Result {
    let (home, server) = (Postgres::shared(18)?, Postgres::shared(15)?);
    roles(home)?;
    roles(server)?;
    let source = home.create_database("newer_words")?;
    source.query(
        "create table t (i int); grant select, maintain on t to pgark_def_a; grant maintain on t to pgark_def_b;
         alter default privileges for role pgark_def_own grant select, maintain on tables to pgark_def_a;
         create subscription pgark_def_feed connection 'dbname=x' publication p with (connect = false, slot_name = none)",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    source.query("drop subscription pgark_def_feed")?;
    let target = server.create_database("older_words")?;
    let report = vault.run(&["restore", "latest", "--to", &target.url()], &[])?;
    let said = report["warnings"].to_string();
    for part in [
        "PostgreSQL 15 gets without the privilege MAINTAIN: ",
        "ACL public.TABLE t",
        "with streaming = on, since there is no parallel: SUBSCRIPTION pgark_def_feed",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let found = "select relacl::text, (select defaclacl::text from pg_default_acl), (select substream from pg_subscription
        where subname = 'pgark_def_feed') from pg_class where relname = 't'";
    let expected = "{postgres=arwdDxt/postgres,pgark_def_a=r/postgres}|{pgark_def_own=arwdDxt/pgark_def_own,pgark_def_a=r/pgark_def_own}|t";
    assert_eq!(target.query(found)?, expected);
    target.query("drop subscription pgark_def_feed").map(drop)
}

fn roles(server: &Postgres) -> Result {
    for role in ["own", "a", "b"] {
        server.psql(&format!(
            "do $$ begin create role pgark_def_{role}; exception when duplicate_object or unique_violation then null; end $$"
        ))?;
    }
    Ok(())
}

#[test]
fn what_pg_dump_cannot_bring_back_comes_back() -> Result {
    for case in CASES {
        for (from, to) in case.ways {
            let context = || format!("{}, from {from} into {to}", case.name);
            let (home, server) = (Postgres::shared(*from)?, Postgres::shared(*to)?);
            roles(home)?;
            roles(server)?;
            let source = home.create_database("definitions")?;
            source.query(&format!("set allow_system_table_mods = on; {}", case.sql)).with_context(context)?;
            let vault = Vault::new()?;
            vault.backup(&source.url(), &[]).with_context(context)?;
            let target = server.create_database("copy")?;
            vault.run(&["restore", "latest", "--to", &target.url()], &[]).with_context(context)?;
            assert_eq!(target.query(case.measure)?, source.query(case.measure)?, "{}", context());
            if from == to {
                if !case.sql.contains("pg_init_privs") {
                    let (before, after) = (Text::of(&source.url())?, Text::of(&target.url())?);
                    before.must_equal(&after).with_context(context)?;
                }
                let test = ["restore-test", "latest", "--on", &server.url("postgres")];
                vault.run(&test, &[]).with_context(|| format!("restore test: {}", context()))?;
            }
        }
    }
    Ok(())
}
