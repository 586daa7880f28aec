//! Parts of a database: what a backup leaves out is what pg_dump leaves out, and what a restore takes is what
//! pg_restore takes.

use anyhow::Context as _;
use pgark_tests::postgres::client;
use pgark_tests::{Postgres, fixtures};

use crate::text::Text;
use crate::vault::{PgRestore, Vault, contents, files, succeed};
use crate::{Result, load};

/// Flags that pgark and pg_dump share. Patterns name a schema: without one, pg_dump looks along the search path, and
/// pgark everywhere.
const SELECTIONS: &[&[&str]] = &[
    &[],
    &["--schema-only"],
    &["--data-only"],
    &["--exclude-table", "app.big"],
    &["--exclude-table", "app.part*", "--exclude-table", "content.no_*", "--exclude-table", "*.mv?"],
    &["--exclude-table", "\"We ird/Schema\".*", "--exclude-table", "content.scalars"],
    &["--exclude-table-data", "app.big"],
    &["--exclude-table-data", "content.own*", "--exclude-table-data", "app.part_2a"],
    &["--exclude-schema", "empty", "--exclude-schema", "pub*"],
    &["--exclude-schema", "\"We ird/Schema\"", "--exclude-schema", "con*", "--exclude-schema", "EXT"],
    &["--schema-only", "--exclude-schema", "app"],
    &["--data-only", "--exclude-table", "content.*"],
];

#[test]
fn what_is_left_out_is_what_pg_dump_leaves_out() -> Result {
    for major in [14, 18] {
        let source = load(Postgres::shared(major)?, &[fixtures::CONTENT])?;
        for flags in SELECTIONS {
            let context = || format!("PostgreSQL {major}, {flags:?}");
            let vault = Vault::new()?;
            vault.backup(&source.url(), flags).with_context(context)?;
            let folder = tempfile::tempdir()?;
            let theirs = folder.path().join("theirs");
            let mut pg_dump = client("pg_dump")?;
            pg_dump
                .args(["--format=custom", "--compress=0", "--dbname", &source.url(), "--file"])
                .arg(&theirs);
            succeed(pg_dump.args(*flags)).with_context(context)?;
            let (ours, theirs) = (contents(&vault.fetch()?)?, contents(&theirs)?);
            let difference = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
            assert_eq!(difference, None, "{} (ours, theirs)", context());
            assert_eq!(ours.len(), theirs.len(), "{}", context());
            assert!(ours.len() > 50, "{}: only {} entries", context(), ours.len());
        }
    }
    Ok(())
}

#[test]
fn a_dry_run_writes_nothing() -> Result {
    let source = Postgres::shared(15)?.create_database("dry")?;
    source.query("create table t as select i from generate_series(1, 1000) i; analyze t")?;
    let vault = Vault::new()?;
    let report = vault.backup(&source.url(), &["--dry-run"])?;
    assert_eq!((&report["tables"], &report["rows"]), (&1.into(), &1000.into()), "{report}");
    assert!(report["id"].is_null(), "{report}");
    assert_eq!(files(&vault.store())?, [""; 0].map(std::path::PathBuf::from));
    Ok(())
}

/// Two schemas, tables with all that hangs on them, a view, a sequence.
const SMALL: &str = r#"
    create table public.one (id integer primary key, v text);
    create table public."Two" (id serial, one integer references public.one);
    create index on public.one (v);
    create view public.three as select * from public.one;
    create function public.f() returns integer language sql as 'select 1';
    insert into public.one select i, 'v' || i from generate_series(1, 100) i;
    insert into public."Two" (one) values (1), (2);
    create schema other;
    create table other.one (id integer);
    insert into other.one values (7);
"#;

#[test]
fn what_a_restore_takes_is_what_pg_restore_takes() -> Result {
    let server = Postgres::shared(18)?;
    let source = server.create_database("small")?;
    source.query(SMALL)?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let fetched = vault.fetch()?;
    // One table is another matter: see `parts`.
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--section", "pre-data"], &["--section", "pre-data"]),
        (&["--section", "pre-data", "--section", "data"], &["--section", "pre-data", "--section", "data"]),
        (
            &["--section", "pre-data", "--section", "post-data"],
            &["--section", "pre-data", "--section", "post-data"],
        ),
        (&["--schema", "public"], &["--schema", "public"]),
        (&["--schema-only"], &["--schema-only"]),
        (&["--schema", "pub*", "--schema-only"], &["--schema", "public", "--schema-only"]),
        (&["--no-owner", "--no-privileges"], &["--no-owner", "--no-privileges"]),
        (&[], &[]),
    ];
    for (ours, theirs) in cases {
        let expected = server.create_database("by_pg_restore")?;
        PgRestore::V18.run(server, &expected.url(), theirs, &fetched)?;
        let restored = server.create_database("by_pgark")?;
        vault.run(&[&["restore", "latest", "--to", &restored.url()], ours].concat(), &[])?;
        let context = || format!("restore {ours:?}");
        Text::of(&expected.url())?.must_equal(&Text::of(&restored.url())?).with_context(context)?;
    }
    Ok(())
}

#[test]
fn rows_alone_go_into_definitions_that_are_there() -> Result {
    let server = Postgres::shared(18)?;
    let source = server.create_database("small")?;
    source.query(SMALL)?;
    let before = Text::of(&source.url())?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let restored = server.create_database("restored")?;
    vault.run(&["restore", "latest", "--to", &restored.url(), "--schema-only"], &[])?;
    assert_eq!(restored.query("select count(*) from public.one")?, "0");
    vault.run(&["restore", "latest", "--to", &restored.url(), "--data-only", "--jobs=1"], &[])?;
    before.must_equal(&Text::of(&restored.url())?)
}

#[test]
fn a_target_that_is_not_empty_is_refused_unless_it_may_be_cleaned() -> Result {
    let server = Postgres::shared(17)?;
    let source = server.create_database("small")?;
    source.query(SMALL)?;
    let before = Text::of(&source.url())?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;

    let target = server.create_database("used")?;
    target.query("create table public.one (mine integer); insert into public.one values (42)")?;
    let untouched = Text::of(&target.url())?;
    let url = target.url();
    let restore = ["restore", "latest", "--to", &url];
    let (exit, error) = vault.refused(&restore)?;
    assert_eq!(exit, 1, "{error}");
    let message = error["message"].as_str().context("the error has no message")?;
    assert!(message.contains("not empty") && message.contains("table public.one"), "{error}");
    let hint = error["hint"].as_str().context("the error has no hint")?;
    assert!(hint.contains("--create") && hint.contains("--clean"), "{error}");
    untouched.must_equal(&Text::of(&url)?)?;

    // Nobody is there to type the name.
    let (exit, error) = vault.refused(&[&restore[..], &["--clean"]].concat())?;
    assert_eq!(exit, 2, "{error}");
    untouched.must_equal(&Text::of(&url)?)?;

    let (exit, error) =
        vault.refused(&["restore", "latest", "--to", &server.url("postgres"), "--create", target.name()])?;
    assert_eq!(exit, 1, "{error}");
    untouched.must_equal(&Text::of(&url)?)?;

    for _ in 0..2 {
        vault.run(&[&restore[..], &["--clean", "--yes"]].concat(), &[])?;
        before.must_equal(&Text::of(&url)?)?;
    }
    Ok(())
}
