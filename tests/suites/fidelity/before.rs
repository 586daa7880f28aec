//! What is looked at before the first change, and the state that a failure leaves: told, marked on the server, and a way
//! to repeat that works.

use anyhow::Context as _;
use pgark_tests::Postgres;
use serde_json::Value;

use crate::Result;
use crate::text::Text;
use crate::vault::Vault;

fn text<'a>(error: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    error[key].as_str().with_context(|| format!("the error has no {key}: {error}"))
}

#[test]
fn all_problems_come_at_once_with_their_cures() -> Result {
    let server = Postgres::start(17)?;
    let source = server.create_database("needy")?;
    source.query(
        "create role lost_owner; create role lost_reader; create role lost_policy;
         create table t (i integer); alter table t owner to lost_owner; grant select on t to lost_reader;
         create policy p on t to lost_policy using (true); insert into t values (1);
         set allow_in_place_tablespaces = on; create tablespace lost_space location '';
         create table u (i integer) tablespace lost_space;",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let target = Postgres::shared(18)?.create_database("target")?;
    target.query("create table mine (i integer)")?;
    let before = Text::of(&target.url())?;
    let url = target.url();
    let (exit, error) = vault.refused(&["restore", "latest", "--to", &url])?;
    assert!(exit == 1 && error["code"] == "restore.target", "{error}");
    let (message, hint) = (text(&error, "message")?, text(&error, "hint")?);
    for part in [
        "lost_owner (an owner)",
        "lost_reader",
        "lost_policy",
        "tablespace lost_space",
        "is not empty",
        "table public.mine",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    for part in [
        "--globals",
        "--no-owner",
        "--no-privileges",
        "--no-tablespaces",
        "--create NAME",
        "--clean",
        "Nothing was changed",
    ] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
    before.must_equal(&Text::of(&url)?)?;
    // A dry run says the same; with the cures, it says what would be done, and does nothing.
    assert_eq!(vault.refused(&["restore", "latest", "--to", &url, "--dry-run"])?.0, 1);
    let cured = [
        "restore",
        "latest",
        "--to",
        &url,
        "--no-owner",
        "--no-privileges",
        "--no-tablespaces",
        "--clean",
        "--yes",
    ];
    let (_, error) = vault.refused(&cured)?;
    // Policies name roles too, whatever becomes of grants.
    assert!(text(&error, "message")?.contains("lost_policy"), "{error}");
    let mapped = [&cured[..], &["--role-map", "lost_policy=pg_monitor"]].concat();
    let plan = vault.run(&[&mapped[..], &["--dry-run"]].concat(), &[])?;
    assert!(plan["entries"].as_u64() > Some(3) && plan["free_bytes"].is_null(), "{plan}");
    before.must_equal(&Text::of(&url)?)?;
    vault.run(&mapped, &[])?;
    assert_eq!(target.query("select count(*) from t, pg_policies where 'pg_monitor' = any (roles)")?, "1");
    Ok(())
}

/// A role that is no superuser: what it may not do is found before anything is done.
#[test]
fn what_a_role_may_not_do_is_refused_before_the_first_change() -> Result {
    let server = Postgres::shared(16)?;
    let source = server.create_database("rights")?;
    source.query(
        "do $$ begin create role pgark_limited login createdb password 'harness'; exception when duplicate_object then null; end $$;
         create table t (i integer); insert into t values (1);
         create function c_code() returns integer language internal as 'int4in'",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let name = format!("{}_limited", source.name());
    let to = server.url_as("pgark_limited", "harness", "postgres");
    let restore = ["restore", "latest", "--exit-on-error", "--to", &to, "--create", &name];
    let (exit, error) = vault.refused(&restore)?;
    assert!(exit == 1 && text(&error, "message")?.contains("may not give objects to postgres"), "{error}");
    let (exit, error) = vault.refused(&[&restore[..], &["--no-owner"]].concat())?;
    assert!(exit == 1 && text(&error, "message")?.contains("FUNCTION public.c_code()"), "{error}");
    let exists = format!("select count(*) from pg_database where datname = '{name}'");
    assert_eq!(server.psql(&exists)?, "0");
    Ok(())
}

/// A constraint that the rows do not satisfy, as after a NOT VALID that was forgotten, fails at the very end.
const BROKEN: &str = "create table a (id integer primary key); create table b (id integer);
     alter table b add foreign key (id) references a not valid; insert into a values (1);
     set session_replication_role = replica; insert into b values (2);
     update pg_constraint set convalidated = true where contype = 'f'; comment on database CURRENT is 'mine'";

#[test]
fn a_failure_says_the_state_and_the_way_to_repeat() -> Result {
    let server = Postgres::shared(17)?;
    let source = server.create_database("broken")?;
    source.query(&BROKEN.replace("CURRENT", source.name()))?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let comment = |name: &str| {
        server.psql(&format!(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = '{name}'"
        ))
    };

    // Into a new database: it stays, since an index of hours may be worth more than order; it is marked.
    let (url, name) = (server.url("postgres"), format!("{}_new", source.name()));
    let restore = ["restore", "latest", "--exit-on-error", "--to", &url, "--create", &name];
    let (exit, error) = vault.refused(&restore)?;
    let drop = format!("DROP DATABASE {name};");
    assert!(exit == 1 && text(&error, "hint")?.contains(&drop), "{error}");
    assert!(comment(&name)?.contains("holds a part of backup"));
    let (_, error) = vault.refused(&restore)?;
    assert!(
        text(&error, "message")?.contains("half restored") && text(&error, "hint")?.contains(&drop),
        "{error}"
    );
    server.psql(&drop)?;

    // Into one that is there: its comment comes back with the restore that succeeds.
    let target = server.create_database("target")?;
    server.psql(&format!("comment on database {} is 'it''s {{mine}}'", target.name()))?;
    let into = ["restore", "latest", "--exit-on-error", "--to", &target.url()];
    let (exit, error) = vault.refused(&into)?;
    assert!(exit == 1 && text(&error, "hint")?.contains("the same command again with --clean"), "{error}");
    assert!(comment(target.name())?.contains("holds a part of backup"));
    let (_, error) = vault.refused(&into)?;
    assert!(
        text(&error, "message")?.contains("did not end") && text(&error, "hint")?.contains("--clean"),
        "{error}"
    );
    let good = Vault::new()?;
    source.query("delete from b")?;
    good.backup(&source.url(), &[])?;
    good.run(&[&into[..], &["--clean", "--yes"]].concat(), &[])?;
    assert_eq!(comment(target.name())?, "it's {mine}");
    assert_eq!(target.query("select count(*) from a")?, "1");
    Ok(())
}

/// Dropping a subscription would contact its publisher, which may be gone: here it has never been there.
#[test]
fn a_subscription_is_replaced_without_its_publisher() -> Result {
    let server = Postgres::shared(15)?;
    let source = server.create_database("subscriber")?;
    source.query(
        "create table t (i integer);
         create subscription pgark_nobody connection 'host=127.0.0.1 port=1 connect_timeout=1' publication p
             with (connect = false, slot_name = 'kept', enabled = false)",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let before = Text::of(&source.url())?;
    // It has its slot, and is awake.
    let refused = source.query("drop subscription pgark_nobody");
    assert!(format!("{:#}", refused.err().context("was dropped")?).contains("could not connect"));
    let url = source.url();
    let report = vault.run(&["restore", "latest", "--to", &url, "--clean", "--yes"], &[])?;
    assert!(report["warnings"].to_string().contains("parted from its slot"), "{report}");
    before.must_equal(&Text::of(&url)?)?;
    source.query("alter subscription pgark_nobody set (slot_name = none); drop subscription pgark_nobody")?;
    Ok(())
}
