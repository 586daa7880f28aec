//! No setting that a database or a role has of its own changes a value on its way into a backup and back.

use std::fmt::Write as _;

use anyhow::ensure;
use pgark_tests::Postgres;
use pgark_tests::postgres::{Database, PASSWORD};

use crate::vault::{PgRestore, Vault};
use crate::{Result, Way};

/// Values of all types whose text, or whose reading, depends on a setting; and some definitions.
const VALUES: &str = "
create type pair as (a money, b timestamptz);
create table v (
    id int primary key, m money, f8 float8, f4 float4, n numeric, ts timestamp, tz timestamptz, d date, t time, tt timetz,
    i interval, b bytea, ta text[], ia int[], x xml, j jsonb, r tstzrange, mr money[], p pair, rc regclass, tv tsvector,
    tq tsquery, o point, ip inet, e text default 'ok' check (e is null or e <> ''), g text generated always as (e || 'x') stored
);
create index on v using gin (tv);
insert into v values (
    1, 5::numeric::money, 0.1::float8 + 0.2, 1.1::float4 / 3, 12345.678, '0099-12-31 23:59:59.123456', '2026-07-04 05:06:07.89+02',
    '0044-03-15 BC', '24:00', '01:02:03+05:45', '-1 year 2 mons -3 days 04:05:06.7', '\\x00ff5c27', '{a,NULL,\"NULL\",\"\"}',
    '{1,NULL}', '<a>1</a><b/>', '{\"a\": 0.1}', '[2026-01-01 00:00:00+00,)', '{1.50,NULL}', row(2.5::numeric::money, '2026-01-01 12:00:00+00'),
    'pg_class', 'the fat cats'::tsvector, 'fat & cat'::tsquery, '(0.1,0.3)', '10.0.0.1/8', 'é \\ it''s');
insert into v select n, (n * 1.11)::numeric::money, 1 / n::float8, sqrt(n)::float4, n / 7.0, now()::timestamp, now(), now()::date
    from generate_series(2, 300) n;
create table s (id serial, v regclass default 'v'::regclass, w money default 1.25::numeric::money);
insert into s default values;
create view w as select m, tz, i from v where f8 = 0.30000000000000004::float8 or ts < '1999-01-08 04:05:06';
select lo_from_bytea(0, '\\x0001');
";

/// The same of the values, from a session that has no settings of its own.
const MEASURE: &str = "set datestyle = 'ISO'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set extra_float_digits = 3;
    set bytea_output = 'hex'; set lc_monetary = 'C'; set search_path = 'public'; set client_encoding = 'UTF8'; set quote_all_identifiers = off;
    select md5(string_agg(v::text, e'\\n' order by id)), count(*), count(m), sum(m::numeric), bool_and(ta[2] is null), min(g) from v;
    select s::text, (select column_default from information_schema.columns where table_name = 's' and column_name = 'w') from s;
    select pg_get_viewdef('w'::regclass);
    select encode(lo_get(oid), 'hex') from pg_largeobject_metadata;";

/// Settings that are left as they are, each because of what it would do to any session.
const NOT_SET: &[(&str, &str)] = &[
    ("session_preload_libraries", "names libraries to load"),
    ("local_preload_libraries", "names libraries to load"),
    ("dynamic_library_path", "says where PL/pgSQL is"),
    ("extension_control_path", "says where extensions are"),
    ("default_tablespace", "needs another tablespace"),
    ("temp_tablespaces", "needs another tablespace"),
    ("default_table_access_method", "there is but one"),
    ("default_transaction_read_only", "keeps everybody from restoring, by somebody's wish"),
    ("transaction_read_only", "is a transaction's own"),
    ("transaction_isolation", "is a transaction's own"),
    ("transaction_deferrable", "is a transaction's own"),
    ("log_min_messages", "fills the log"),
    ("backtrace_functions", "fills the log"),
    ("trace_sort", "fills the log"),
    ("trace_locks", "fills the log"),
    ("log_statement", "fills the log"),
    ("debug_print_parse", "fills the log"),
    ("debug_print_plan", "fills the log"),
    ("debug_print_rewritten", "fills the log"),
    ("log_planner_stats", "fills the log"),
    ("log_parser_stats", "fills the log"),
    ("log_executor_stats", "fills the log"),
    ("log_statement_stats", "fills the log"),
    ("log_btree_build_stats", "fills the log"),
];

/// Values for settings that are texts.
const TEXTS: &[(&str, &str)] = &[
    ("DateStyle", "German, DMY"),
    ("TimeZone", "Asia/Kathmandu"),
    ("timezone_abbreviations", "India"),
    ("client_encoding", "LATIN1"),
    ("lc_monetary", "es_AR.UTF-8"),
    ("lc_numeric", "es_AR.UTF-8"),
    ("lc_time", "es_AR.UTF-8"),
    ("lc_messages", "es_AR.UTF-8"),
    ("search_path", "\"no where\", pg_temp"),
    ("default_text_search_config", "pg_catalog.german"),
    ("application_name", "somebody"),
    ("createrole_self_grant", "set, inherit"),
    ("restrict_nonsystem_relation_kind", "view"),
];

/// Every setting that a user or a superuser may set on a database, with a value that is not the default.
fn settings(server: &Postgres) -> anyhow::Result<Vec<(String, String)>> {
    let text = server.psql(
        "select name, vartype, case vartype
           when 'bool' then case setting when 'on' then 'off' else 'on' end
           when 'enum' then (select v from unnest(enumvals) with ordinality u (v, n) where v <> setting order by n limit 1)
           when 'string' then ''
           else case when min_val <> setting then min_val else max_val end end
         from pg_settings where context in ('user', 'superuser') and name !~ '[.]' order by name",
    )?;
    let mut settings = Vec::new();
    for line in text.lines() {
        let [name, kind, value] = line.split('|').collect::<Vec<_>>()[..] else { anyhow::bail!("{line}") };
        if NOT_SET.iter().any(|(not, _)| *not == name) {
            continue;
        }
        let text = TEXTS.iter().find(|(text, _)| *text == name);
        let value = text.map_or(value, |(_, value)| *value);
        // An enum of one value, or a text that only names what is not there, has no other.
        if value.is_empty() && kind != "bool" {
            continue;
        }
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

/// `set` for each, as part of an `ALTER` statement.
fn alter(what: &str, settings: &[(String, String)]) -> String {
    let mut sql = String::new();
    for (name, value) in settings {
        // A list of names is not to become one name.
        let value =
            if name == "search_path" { value.clone() } else { format!("'{}'", value.replace('\'', "''")) };
        let _ = writeln!(sql, "alter {what} set {name} to {value};");
    }
    sql
}

fn nothing_changes(major: u32) -> Result {
    let server = Postgres::options(major).locales(&["es_AR"]).start()?;
    let settings = settings(&server)?;
    ensure!(settings.len() > 130, "only {} settings", settings.len());
    let source = server.create_database("hostile")?;
    source.query(VALUES)?;
    let before = source.query(MEASURE)?;
    source.query(&alter(&format!("database {}", source.name()), &settings))?;
    server.psql(&format!(
        "create role hostile superuser login password '{PASSWORD}'; {}",
        alter("role hostile", &settings)
    ))?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &["--source", "hostile"])?;
    // A database and a role that have them, at both ends.
    let url = server.url_as("hostile", PASSWORD, source.name());
    vault.backup(&url, &["--source", "hostile", "--chunk-bytes", "64KiB"])?;
    let to = server.url_as("hostile", PASSWORD, "postgres");
    vault.run(&["restore", "latest", "--to", &to, "--create", "by_hostile", "--jobs", "4"], &[])?;
    let restored =
        |name: &str| -> anyhow::Result<String> { pgark_tests::postgres::psql(&server.url(name), MEASURE) };
    let found = restored("by_hostile")?;
    ensure!(found == before, "the values differ:\n{before}\n{found}");
    // Into a database that has them already.
    server.psql("create database beforehand template template0")?;
    server.psql(&alter("database beforehand", &settings))?;
    let to = server.url_as("hostile", PASSWORD, "beforehand");
    vault.run(&["restore", "latest", "--to", &to], &[])?;
    let found = restored("beforehand")?;
    ensure!(found == before, "the values differ in a database that was there:\n{before}\n{found}");
    // The archive tells pg_restore what it needs.
    let stock: Database<'_> = server.create_database("stock")?;
    server.psql(&alter(
        &format!("database {}", stock.name()),
        &settings
            .into_iter()
            .filter(|(name, _)| name.starts_with("lc_") || name == "array_nulls" || name == "IntervalStyle")
            .collect::<Vec<_>>(),
    ))?;
    PgRestore::V18.run(&server, &stock.url(), &["--jobs", "2"], &vault.fetch()?)?;
    let found = restored(stock.name())?;
    ensure!(found == before, "pg_restore brings other values:\n{before}\n{found}");
    Ok(())
}

#[test]
fn no_setting_changes_a_value_on_the_oldest() -> Result {
    nothing_changes(13)
}

#[test]
fn no_setting_changes_a_value_on_the_newest() -> Result {
    nothing_changes(18)
}

/// Where money has a comma, and where it has no cents: amounts stay what they are.
#[test]
fn money_stays_what_it_is() -> Result {
    let server = Postgres::options(17).locales(&["es_AR", "de_DE", "ja_JP"]).start()?;
    for locale in ["es_AR.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8"] {
        let source = server.create_database("money")?;
        source.query("create table m (i int, c money); insert into m values (1, 5::numeric::money), (2, 123.45::numeric::money)")?;
        server.psql(&format!("alter database {} set lc_monetary = '{locale}'", source.name()))?;
        // The number behind the text is what is stored.
        let measure = "set lc_monetary = 'C'; select i, c::numeric from m order by i";
        let before = source.query(measure)?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        let restored = Way::Pgark("1").restore(&server, &vault)?;
        assert_eq!(restored.query(measure)?, before, "{locale}");
        assert_eq!(restored.query("show lc_monetary")?, locale);
    }
    Ok(())
}
