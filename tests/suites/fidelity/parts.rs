//! Parts of a backup: a table comes back whole, with what it needs, and what cannot come is named or refused before the
//! first change.

use anyhow::Context as _;
use pgark_tests::Postgres;
use pgark_tests::postgres::{Database, dump_text};

use crate::Result;
use crate::text::Text;
use crate::vault::Vault;

/// A table with everything that one can have, beside others.
const RICH: &str = r#"
    do $$ begin create role pgark_parts; exception when duplicate_object or unique_violation then null; end $$;
    create schema app;
    grant usage on schema app to pgark_parts;
    create type app.state as enum ('new', 'done');
    create function app.touch() returns trigger language plpgsql as 'begin return new; end';
    create function app.unused() returns integer language sql as 'select 1';
    create sequence app.shared_numbers start 70;
    create table app.buyers (id integer primary key, name text);
    create table app.orders (
        id serial primary key,
        number bigint default nextval('app.shared_numbers') unique,
        line integer generated always as identity,
        buyer integer references app.buyers,
        previous integer references app.orders,
        state app.state default 'new' not null,
        amount numeric check (amount > 0),
        doubled numeric generated always as (amount * 2) stored
    );
    create index "On State" on app.orders (state) where amount > 10;
    create index on app.orders (lower(number::text));
    create statistics app.related on state, amount from app.orders;
    create trigger touched before update on app.orders for each row execute function app.touch();
    create rule quiet as on delete to app.orders where old.state = 'done' do instead nothing;
    alter table app.orders enable row level security;
    create policy own on app.orders for select to pgark_parts using (amount < 1000);
    grant select, insert on app.orders to pgark_parts;
    grant update (state) on app.orders to pgark_parts;
    grant usage on sequence app.orders_id_seq to pgark_parts;
    comment on table app.orders is 'all orders';
    comment on column app.orders.amount is 'in euro';
    comment on index app."On State" is 'partial';
    comment on constraint orders_buyer_fkey on app.orders is 'to buyers';
    comment on trigger touched on app.orders is 'nothing';
    alter table app.orders owner to pgark_parts;
    create view app.late as select * from app.orders where state = 'new';
    create table app.lines (order_id integer references app.orders, what text);
    create table app.parted (k integer, v text, primary key (k)) partition by range (k);
    create table app.parted_1 partition of app.parted for values from (0) to (100);
    create table app.parted_2 partition of app.parted default;
    create index on app.parted (v);
    insert into app.buyers values (1, 'ann'), (2, 'bob');
    insert into app.orders (buyer, amount) select 1 + i % 2, i from generate_series(1, 500) i;
    insert into app.orders (buyer, amount, previous) values (1, 5, 1);
    insert into app.lines values (1, 'x');
    insert into app.parted select i, 'v' || i from generate_series(1, 200) i;
"#;

fn source() -> anyhow::Result<(Database<'static>, Vault)> {
    let source = Postgres::shared(17)?.create_database("parts")?;
    source.query(RICH)?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &["--chunk-bytes", "64KiB"])?;
    Ok((source, vault))
}

#[test]
fn a_table_that_was_lost_comes_back_whole() -> Result {
    let (source, vault) = source()?;
    let before = Text::of(&source.url())?;
    let late = source.query("select pg_get_viewdef('app.late')")?;
    source.query("drop view app.late; alter table app.lines drop constraint lines_order_id_fkey; drop table app.orders")?;
    let report = vault.run(&["restore", "latest", "--to", &source.url(), "--table", "app.orders"], &[])?;
    assert_eq!((&report["rows"], &report["warnings"]), (&501.into(), &serde_json::json!([])), "{report}");
    // What belongs to others than the table is theirs to make again.
    source.query(&format!(
        "create view app.late as {late}
         ; alter table app.lines add constraint lines_order_id_fkey foreign key (order_id) references app.orders(id)"
    ))?;
    before.must_equal(&Text::of(&source.url())?)?;
    // The sequences go on where they were.
    assert_eq!(
        source.query("insert into app.orders (buyer, amount) values (1, 1) returning id, line")?,
        "502|502"
    );
    Ok(())
}

#[test]
fn a_damaged_table_is_replaced_whole() -> Result {
    let (source, vault) = source()?;
    source.query("drop view app.late; alter table app.lines drop constraint lines_order_id_fkey")?;
    let before = Text::of(&source.url())?;
    source.query("update app.orders set amount = 7; drop index app.\"On State\"; alter table app.orders drop column doubled")?;
    let restore = ["restore", "latest", "--to", &source.url(), "--table", "app.orders"];
    let (exit, error) = vault.refused(&restore)?;
    let text = error.to_string();
    assert!(exit == 1 && text.contains("exists in the target already") && text.contains("--clean"), "{text}");
    vault.run(&[&restore[..], &["--clean", "--yes"]].concat(), &[])?;
    before.must_equal(&Text::of(&source.url())?)
}

/// With somebody's view on it, the table cannot be dropped: that is said before anything is.
#[test]
fn what_hangs_on_a_table_keeps_it_from_being_replaced() -> Result {
    let (source, vault) = source()?;
    let before = Text::of(&source.url())?;
    let restore = ["restore", "latest", "--to", &source.url(), "--table", "app.orders", "--clean", "--yes"];
    // A dry run says the same: what hangs on it, each by name.
    for restore in [&restore[..], &[&restore[..], &["--dry-run"]].concat()] {
        let (exit, error) = vault.refused(restore)?;
        let text = error.to_string();
        for part in
            ["TABLE app.orders cannot be dropped", " depends on table app.orders", "Nothing was changed"]
        {
            assert!(exit == 1 && text.contains(part), "{part}: {text}");
        }
    }
    before.must_equal(&Text::of(&source.url())?)
}

#[test]
fn a_table_comes_into_an_empty_database_with_what_it_needs() -> Result {
    let (source, vault) = source()?;
    let target = source.server().create_database("alone")?;
    let report =
        vault.run(&["restore", "latest", "--to", &target.url(), "--table", "app.orders", "--jobs=2"], &[])?;
    let warnings = report["warnings"].to_string();
    for part in ["SCHEMA app", "TYPE app.state", "FUNCTION app.touch()", "SEQUENCE app.shared_numbers"] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert!(
        warnings.contains("FK CONSTRAINT app.orders orders_buyer_fkey is left out")
            && warnings.contains("TABLE app.buyers")
    );
    assert!(!warnings.contains("unused") && !warnings.contains("orders_previous_fkey"), "{warnings}");
    // pg_dump's words for the table are the same, but for that foreign key.
    let dumped = |url: &str| dump_text(url, &["--table=app.orders", "--table=app.shared_numbers"]);
    let expected = source.server().create_database("expected")?;
    expected.query(
        "create schema app; create type app.state as enum ('new', 'done');
        create function app.touch() returns trigger language plpgsql as 'begin return new; end';
        create table app.buyers (id integer primary key); insert into app.buyers values (1), (2)",
    )?;
    expected.query(&dumped(&source.url())?)?;
    expected.query("alter table app.orders drop constraint orders_buyer_fkey")?;
    assert_eq!(dumped(&expected.url())?, dumped(&target.url())?);
    Ok(())
}

#[test]
fn a_partitioned_table_comes_with_its_partitions() -> Result {
    let (source, vault) = source()?;
    let target = source.server().create_database("parted")?;
    let restore = ["restore", "latest", "--to", &target.url(), "--jobs=3"];
    vault.run(&[&restore[..], &["--table", "parted"]].concat(), &[])?;
    let measure = "select count(*), count(distinct tableoid), max(v) from app.parted";
    assert_eq!(target.query(measure)?, source.query(measure)?);
    let indexes = "select count(*) from pg_indexes where tablename like 'parted%'";
    assert_eq!(target.query(indexes)?, source.query(indexes)?);
    // One partition is a table of its own.
    target.query("drop table app.parted")?;
    let report = vault.run(&[&restore[..], &["--table", "parted_1"]].concat(), &[])?;
    assert!(report["warnings"].to_string().contains("TABLE ATTACH app.parted_1 is left out"), "{report}");
    assert_eq!(target.query("select count(*) from app.parted_1")?, "99");
    Ok(())
}

#[test]
fn what_needs_a_table_that_is_not_there_is_refused() -> Result {
    let (source, vault) = source()?;
    let target = source.server().create_database("lacking")?;
    let empty = Text::of(&target.url())?;
    let cases: [(&[&str], [&str; 3]); 2] = [
        (
            &["--table", "app.late"],
            ["VIEW app.late needs TABLE app.orders", "--table", "Nothing was changed"],
        ),
        (
            &["--exclude-table", "app.orders"],
            ["VIEW app.late needs TABLE app.orders", "--exclude-table", "Nothing"],
        ),
    ];
    for (flags, parts) in cases {
        let (exit, error) =
            vault.refused(&[&["restore", "latest", "--to", &target.url()], flags].concat())?;
        let text = error.to_string();
        assert!(exit == 1 && parts.iter().all(|part| text.contains(part)), "{flags:?}: {text}");
        empty.must_equal(&Text::of(&target.url())?)?;
    }
    // Without both, the rest is whole, and the key to the table that is missing is named.
    let flags = ["--exclude-table", "app.orders", "--exclude-table", "app.late"];
    let report = vault.run(&[&["restore", "latest", "--to", &target.url()][..], &flags].concat(), &[])?;
    assert!(report["warnings"].to_string().contains("lines lines_order_id_fkey is left out"), "{report}");
    assert_eq!(target.query("select count(*) from app.lines")?, "1");
    assert_eq!(target.query("select to_regclass('app.orders') is null")?, "t");
    Ok(())
}

#[test]
fn sections_one_after_the_other_are_the_whole() -> Result {
    let (source, vault) = source()?;
    let before = Text::of(&source.url())?;
    let target = source.server().create_database("sections")?;
    let restore = |section: &str| {
        vault
            .run(&["restore", "latest", "--to", &target.url(), "--section", section, "--jobs=2"], &[])
            .context(section.to_owned())
    };
    restore("pre-data")?;
    assert_eq!(target.query("select count(*) from app.orders")?, "0");
    restore("data")?;
    assert_eq!(target.query("select count(*) from pg_indexes where schemaname = 'app'")?, "0");
    restore("post-data")?;
    before.must_equal(&Text::of(&target.url())?)
}

/// Names that sort against the direction of their foreign keys.
#[test]
fn rows_alone_are_loaded_in_the_order_of_foreign_keys() -> Result {
    let server = Postgres::shared(18)?;
    let source = server.create_database("keys")?;
    source.query(
        "create table z (id integer primary key); create table y (id integer primary key references z);
         create table a (id integer references y, p integer references y);
         create table root (id integer primary key references z) partition by list (id);
         create table aa_leaf partition of root for values in (1);
         insert into z select generate_series(1, 2000); insert into y select id from z;
         insert into a select id, 1 from y; insert into root values (1)",
    )?;
    let before = Text::of(&source.url())?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    for jobs in ["1", "4"] {
        let target = server.create_database("rows")?;
        let url = target.url();
        vault.run(&["restore", "latest", "--to", &url, "--schema-only"], &[])?;
        let rows = ["restore", "latest", "--to", &url, "--data-only", "--jobs", jobs];
        vault.run(&rows, &[])?;
        before.must_equal(&Text::of(&url)?)?;
        // A second time they would be there twice.
        let (exit, error) = vault.refused(&rows)?;
        let text = error.to_string();
        assert!(exit == 1 && text.contains("have rows already") && text.contains("TRUNCATE"), "{text}");
        before.must_equal(&Text::of(&url)?)?;
    }
    Ok(())
}

#[test]
fn circles_of_foreign_keys_are_said_and_can_be_loaded_without_triggers() -> Result {
    let server = Postgres::shared(16)?;
    let source = server.create_database("circle")?;
    source.query(
        "create table a (id integer primary key, b integer); create table b (id integer primary key, a integer references a);
         insert into a values (1, 1); insert into b values (1, 1);
         alter table a add foreign key (b) references b;
         create function no() returns trigger language plpgsql as 'begin raise ''fired''; end';
         create trigger no before insert on a for each row execute function no()",
    )?;
    let before = Text::of(&source.url())?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let target = server.create_database("rows")?;
    let url = target.url();
    vault.run(&["restore", "latest", "--to", &url, "--schema-only"], &[])?;
    let rows = ["restore", "latest", "--to", &url, "--data-only"];
    let (exit, error) = vault.refused(&rows)?;
    let text = error.to_string();
    assert!(
        exit == 1 && text.contains("public.a, public.b") && text.contains("--disable-triggers"),
        "{text}"
    );
    assert_eq!(target.query("select count(*) from b")?, "0");
    vault.run(&[&rows[..], &["--disable-triggers"]].concat(), &[])?;
    before.must_equal(&Text::of(&url)?)
}
