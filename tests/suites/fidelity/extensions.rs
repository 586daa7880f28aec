//! Extensions: those that come with PostgreSQL, those that people add most, and one made to be difficult. An archive
//! says CREATE EXTENSION, and what a user did with the extension since; it takes the rows of configuration tables.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use pgark_tests::postgres::Database;
use pgark_tests::{Postgres, fixtures, pgvector};

use crate::Result;
use crate::text::Text;
use crate::vault::{PgRestore, Vault};

/// The ways into a database that is there. New ones by `--create` are the other tests' business.
fn restored<'a>(server: &'a Postgres, vault: &Vault, newest: PgRestore) -> anyhow::Result<[Database<'a>; 3]> {
    let by = |name: &str| server.create_database(name);
    let [by_pgark, serial, parallel] = [by("by_pgark")?, by("by_pg_restore")?, by("by_pg_restore_j")?];
    vault.run(&["restore", "latest", "--to", &by_pgark.url(), "--jobs", "4"], &[])?;
    newest.run(server, &serial.url(), &["--jobs=1"], &vault.fetch()?)?;
    newest.run(server, &parallel.url(), &["--jobs=4"], &vault.fetch()?)?;
    Ok([by_pgark, serial, parallel])
}

/// Backs a database up and restores it in all ways: its text must be the same, which has the rows in it.
fn comes_back<'a>(source: &Database<'a>, newest: PgRestore) -> anyhow::Result<[Database<'a>; 3]> {
    // Each pg_dump leaves the column option out that its own servers add (docs/decisions/0005-column-version-mark.md).
    let text = |url: &str| if newest == PgRestore::V15 { Text::by_pg_dump_15(url) } else { Text::of(url) };
    let before = text(&source.url())?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let restored = restored(source.server(), &vault, newest)?;
    for database in &restored {
        before.must_equal(&text(&database.url())?).with_context(|| database.name().to_owned())?;
    }
    Ok(restored)
}

#[test]
fn the_extensions_of_postgresql_come_back() -> Result {
    for (major, pg_restore) in [(13, PgRestore::V15), (18, PgRestore::V18)] {
        let source = Postgres::shared(major)?.create_database("extensions")?;
        source.query(fixtures::ROLES)?;
        source.query(fixtures::EXTENSIONS)?;
        comes_back(&source, pg_restore).with_context(|| format!("PostgreSQL {major}"))?;
    }
    Ok(())
}

#[test]
fn postgis_and_pg_partman_come_back() -> Result {
    let server = Postgres::debian().start()?;
    let source = server.create_database("debian")?;
    source.query(fixtures::ROLES)?;
    source.query(fixtures::DEBIAN_EXTENSIONS)?;
    for database in comes_back(&source, PgRestore::V15)? {
        // The extensions still know what was made with them.
        database.query("call partman.run_maintenance_proc()")?;
        let layers = "select topology_id, layer_id, schema_name, table_name from topology.layer";
        assert_eq!(database.query(layers)?, source.query(layers)?);
        let ours = "select count(*) filter (where srid = 900001), count(*) > 8000 from spatial_ref_sys";
        assert_eq!(database.query(ours)?, "1|t");
    }
    Ok(())
}

/// A server that finds the extensions in these folders too: `extension` below them holds the SQL, and they hold the
/// libraries. Only PostgreSQL 18 looks for extensions elsewhere than in its own folder.
fn server_with(folders: &[&Path]) -> anyhow::Result<Postgres> {
    let path = |own: &str| {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        format!("{}:{own}", folders.join(":"))
    };
    Postgres::options(18)
        .setting("extension_control_path", &path("$system"))
        .setting("dynamic_library_path", &path("$libdir"))
        .start()
}

#[test]
fn pgvector_comes_back() -> Result {
    let server = server_with(&[&pgvector()?])?;
    let source = server.create_database("vectors")?;
    source.query(
        "create extension vector;
         create table items (
             id integer primary key, v vector(3) not null, h halfvec(2), s sparsevec(5), many vector[], any_size vector
         );
         insert into items values
             (1, '[1,2.5,-3e-10]', '[1,2]', '{1:1.5,5:2}/5', array['[1]'::vector, null], '[1,2,3,4]'),
             (2, '[0,0,0]', null, '{}/5', '{}', null);
         insert into items select i, array[i, i % 7, i % 11]::vector(3) from generate_series(3, 500) i;
         create index on items using hnsw (v vector_l2_ops) with (m = 8, ef_construction = 32);
         create index on items using ivfflat (v vector_cosine_ops) with (lists = 5);
         create index on items using hnsw ((v::halfvec(3)) halfvec_ip_ops);
         create view near as select id from items order by v <-> '[1,2,3]' limit 3;
         create function mean() returns vector language sql as 'select avg(v) from public.items';",
    )?;
    for database in comes_back(&source, PgRestore::V18)? {
        let near = "set enable_indexscan = off; select id from items order by v <-> '[1,2,3]', id limit 5";
        assert_eq!(database.query(near)?, source.query(near)?);
        let by_index =
            "set enable_seqscan = off; explain select id from items order by v <-> '[1,2,3]' limit 5";
        assert!(database.query(by_index)?.contains("Index Scan using items_v_idx"));
    }
    Ok(())
}

/// Tables of configuration whose foreign keys run against the alphabet, with conditions, with triggers and row security
/// of their own; not relocatable, in a schema that a user made; with a second extension on top of it.
const CONFIGURED: &str = "
    create table settings (name text primary key, value text, standard boolean default false);
    insert into settings values ('shipped', 'by the extension', true);
    create table a_refers (id integer primary key, setting text references settings, more integer references a_refers);
    create table z_first (id integer generated always as identity, v text) with (fillfactor = 50);
    alter table settings add column z text, add column gone text;
    alter table settings drop column gone;
    create sequence counter;
    create table not_configuration (i integer);
    create function shout(text) returns text language sql immutable as 'select upper($1)';
    create view loud as select @extschema@.shout(value) as value from @extschema@.settings;
    select pg_catalog.pg_extension_config_dump('a_refers', '');
    select pg_catalog.pg_extension_config_dump('settings', 'where not standard');
    select pg_catalog.pg_extension_config_dump('z_first', 'where id > 1');
    select pg_catalog.pg_extension_config_dump('counter', '');";

#[test]
fn configuration_tables_of_extensions_keep_their_rows() -> Result {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let extension = folder.path().join("extension");
    fs::create_dir(&extension)?;
    let write = |name: &str, text: &str| fs::write(extension.join(name), text);
    write("configured.control", "default_version = '1'\nrelocatable = false\n")?;
    write("configured--1.sql", CONFIGURED)?;
    write("on_top.control", "default_version = '1'\nrelocatable = true\nrequires = 'configured'\n")?;
    write("on_top--1.sql", "create view on_top as select name from @extschema:configured@.settings;")?;
    let server = server_with(&[folder.path()])?;
    let source = server.create_database("configured")?;
    source.query(fixtures::ROLES)?;
    source.query(
        "create schema conf; create extension configured schema conf; create extension on_top schema public;
         insert into conf.settings values ('ours', 'added'), ('\\.', null);
         insert into conf.a_refers values (1, 'ours', 1), (2, '\\.', 1), (3, 'shipped', null);
         insert into conf.z_first (v) values ('not dumped'), ('dumped'), (null);
         insert into conf.not_configuration values (1);
         select nextval('conf.counter'), nextval('conf.counter');
         grant select on conf.settings, on_top to pgark_alice;
         grant update (value) on conf.settings to pgark_alice with grant option;
         revoke execute on function conf.shout(text) from public;
         alter table conf.settings enable row level security;
         create policy only_ours on conf.settings to pgark_alice using (not standard);
         create table stands_on (name text references conf.settings, loud text default conf.shout('x'));
         insert into stands_on values ('ours', default);
         create view reads as select value from conf.loud;
         create table heir (extra text) inherits (conf.settings);
         insert into heir values ('heir', 'of a member', false, null, 'x');",
    )?;
    for database in comes_back(&source, PgRestore::V18)? {
        let rows = "select count(*), count(*) filter (where standard) from only conf.settings";
        assert_eq!(database.query(rows)?, "3|1");
        assert_eq!(database.query("select id, v from conf.z_first order by id")?, "2|dumped\n3|");
        assert_eq!(database.query("select count(*) from conf.not_configuration")?, "0");
        // An extension's own sequence goes on where it was.
        assert_eq!(database.query("select nextval('conf.counter')")?, "3");
    }
    Ok(())
}
