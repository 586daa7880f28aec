//! Databases that cannot be backed up whole: locks, rights, and objects that the archive would not hold.

use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};

use pgark_tests::postgres::{SUPERUSER, client};
use pgark_tests::{Fault, FaultProxy, Postgres, wait_until};
use serde_json::json;

use super::place::Place;
use super::program::Pgark;
use super::source::{Source, backup_through};
use super::{Result, SOON};

/// Somebody else's session with an open transaction.
pub(crate) struct Other {
    psql: Child,
    input: ChildStdin,
}

impl Other {
    /// Begins a transaction in which `sql` has been done.
    pub(crate) fn doing(source: &Source<'_>, sql: &str) -> Result<Self> {
        let mut psql = client("psql")?
            .args(["-Xq", "--set=ON_ERROR_STOP=1", "--dbname", &source.url()])
            .env("PGAPPNAME", "migration")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let input = psql.stdin.take().expect("was piped");
        let mut other = Self { psql, input };
        other.say(&format!("begin; {sql}"))?;
        let sql = "select 1 from pg_stat_activity where datname = current_database()
                   and application_name = 'migration' and state = 'idle in transaction'
                   and query not like 'begin%'";
        wait_until(SOON, "the other session has its lock", || {
            source.query(sql).is_ok_and(|rows| rows == "1")
        })?;
        Ok(other)
    }

    pub(crate) fn say(&mut self, sql: &str) -> Result {
        writeln!(self.input, "{sql}")?;
        Ok(self.input.flush()?)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.say("\\q");
        let _ = self.psql.wait();
    }
}

const LOCK_HELD: &str = "lock table app.held in access exclusive mode;";

fn source_of_locks() -> Result<Source<'static>> {
    Source::with(
        "create schema app; create table app.held (i int); create table app.free (i int);
         insert into app.held select generate_series(1, 1000);",
    )
}

#[test]
fn a_lock_that_another_holds_is_not_waited_for_for_ever() -> Result {
    let source = source_of_locks()?;
    let other = Other::doing(&source, LOCK_HELD)?;
    let place = Place::folder()?;
    let ended = source.backup(&place)?.set("PGARK_LOCK_TIMEOUT", "300ms").run()?;
    // Who holds it is what a person has to know to get rid of it.
    let parts = ["table app.held", "ACCESS EXCLUSIVE", "migration", "--lock-timeout"];
    ended.failed(1, "postgres.lock-timeout", &parts)?;
    source.is_left_alone()?;
    place.is_untouched()?;
    drop(other);
    source.backup(&place)?.set("PGARK_LOCK_TIMEOUT", "300ms").run()?.done()?;
    Ok(())
}

#[test]
fn a_signal_ends_the_wait_for_a_lock() -> Result {
    let source = source_of_locks()?;
    let _other = Other::doing(&source, LOCK_HELD)?;
    let place = Place::folder()?;
    let running = source.backup(&place)?.start()?;
    source.session("a.wait_event_type = 'Lock' and a.query like 'LOCK TABLE%'")?;
    running.signal("TERM")?;
    running.end()?.failed(1, "stopped", &[])?;
    source.is_left_alone()?;
    place.is_untouched()
}

#[test]
fn a_missing_right_is_named_with_the_grant() -> Result {
    let source = Source::with(
        "create schema app; create table app.open (i int); create table app.\"Closed\" (i int);
         insert into app.\"Closed\" values (1);",
    )?;
    let (url, role) = source.role("")?;
    source.query(&format!("grant usage on schema app to {role}; grant select on app.open to {role}"))?;
    let place = Place::folder()?;
    let backup = || backup_through(&url, &place);
    let parts = ["table app.\"Closed\"", "permission denied", "GRANT SELECT ON TABLE app.\"Closed\""];
    backup()?.run()?.failed(1, "postgres.permission", &parts)?;
    source.is_left_alone()?;
    place.is_untouched()?;

    source.query(&format!("grant select on app.\"Closed\" to {role}"))?;
    backup()?.run()?.done()?;
    Ok(())
}

#[test]
fn rows_that_a_policy_hides_are_never_left_out_silently() -> Result {
    let source = Source::with(
        "create table tenants (i int); insert into tenants values (1), (2);
         alter table tenants enable row level security;
         create policy first_only on tenants using (i = 1);",
    )?;
    let (url, role) = source.role("in role pg_read_all_data")?;
    let place = Place::folder()?;
    let backup = || backup_through(&url, &place);
    let parts = ["table public.tenants", "row-level security", "BYPASSRLS"];
    backup()?.run()?.failed(1, "postgres.permission", &parts)?;
    source.is_left_alone()?;
    place.is_untouched()?;

    source.query(&format!("alter role {role} bypassrls"))?;
    assert_eq!(backup()?.run()?.done()?["rows"], json!(2));
    Ok(())
}

/// A server that says of itself that it is newer than any that there is. Its catalogs are those of an older one, so the
/// census finds all that it looks for, and the backup is good.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_newer_than_tested_is_backed_up_with_a_warning() -> Result {
    let server = Postgres::shared(18)?;
    let source = Source::on(server, "create table t as select 1 as i")?;
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into()).await?;
    assert!(source.query("show server_version_num")?.starts_with("18000"));
    proxy.set(Fault::Rewrite("18000", "21000")).await?;
    let place = Place::folder()?;
    let report = backup_through(&source.url_through(&proxy), &place)?.run()?.done()?;
    let warned = |warnings: &serde_json::Value| {
        let warnings = warnings.to_string();
        warnings.contains("the server is PostgreSQL 21, newer than 18") && warnings.contains("census")
    };
    assert!(warned(&report["warnings"]), "{report}");
    // The manifest keeps it.
    let show = Pgark::new(["show", "latest", "--json"])?.set_all(place.variables()).run()?.done()?;
    assert!(warned(&show["manifest"]["warnings"]), "{show}");
    let people = backup_through(&source.url_through(&proxy), &place)?.without("--json").run()?;
    assert!(people.err.contains("PostgreSQL 21, newer than 18"), "{people}");
    Ok(())
}

/// The check before the first row cannot see what happens after it. Then the sessions' own setting makes the server
/// refuse: with `row_security = on` this backup would be complete, with one row of two.
#[test]
fn row_security_that_comes_to_apply_in_the_midst_of_a_backup_fails_it() -> Result {
    let source = Source::large()?;
    source.load(
        "create table public.tenants (i int); insert into public.tenants values (1), (2);
         alter table public.tenants enable row level security;
         create policy first_only on public.tenants using (i = 1);",
    )?;
    let (url, role) = source.role("bypassrls")?;
    source.query(&format!("grant select on all tables in schema public to {role}"))?;
    let place = Place::folder()?;
    // The largest table goes first, and this is the second.
    let running = backup_through(&url, &place)?.start()?;
    source.copying()?;
    source.query(&format!("alter role {role} nobypassrls"))?;
    let parts = ["table public.tenants", "row-level security"];
    running.end()?.failed(1, "postgres.permission", &parts)?;
    source.is_left_alone()?;
    place.is_untouched()
}

/// Every kind of object that PostgreSQL has can be dumped. One that a later version adds stands in a catalog that
/// pgark does not know; this one is such a catalog.
const LATER_KIND: &str = "create table t as select 1 as i; set allow_system_table_mods = on;
    create table pg_catalog.pg_later_kind (oid oid primary key, latname name);
    insert into pg_catalog.pg_later_kind values (99999, 'x'), (12, 'made by initdb');
    create table pg_catalog.pg_later_part (latpid oid, latpno integer);
    insert into pg_catalog.pg_later_part values (99999, 1), (99999, 2), (12, 1);
    create table pg_catalog.pg_later_of_initdb (latioid oid); insert into pg_catalog.pg_later_of_initdb values (12);";

#[test]
fn what_cannot_be_dumped_is_named_and_only_left_out_on_request() -> Result {
    let source = Source::with(LATER_KIND)?;
    let place = Place::folder()?;
    let backup = || source.backup(&place);
    let object = "row of pg_later_kind OID 99999";
    let parts = "catalog pg_later_part (2 rows)";
    // Here, these are a user's tables.
    let tables = ["kind", "of_initdb", "part"].map(|name| format!("table pg_catalog.pg_later_{name}"));
    backup()?.run()?.failed(1, "dump.census", &["5 user objects", parts, object, "--allow-missing"])?;
    source.is_left_alone()?;
    place.is_untouched()?;

    let report = backup()?.with(["--allow-missing"]).run()?.done()?;
    assert_eq!(report["missing"], json!([parts, object, tables[0], tables[1], tables[2]]));
    let show = Pgark::new(["show", "latest", "--json"])?.set_all(place.variables()).run()?.done()?;
    assert_eq!(show["manifest"]["allow_missing"], report["missing"], "{show}");
    Ok(())
}

#[test]
fn hidden_options_of_a_user_mapping_are_never_left_out_silently() -> Result {
    let source = Source::with(
        "create table t as select 1 as i; create foreign data wrapper nowhere;
         create server far foreign data wrapper nowhere;
         create user mapping for current_user server far options (password 'hunter2');",
    )?;
    let (url, role) = source.role("")?;
    source.query(&format!("grant select on t to {role}"))?;
    let place = Place::folder()?;
    let mapping = format!("user mapping {SUPERUSER} on server far");
    let parts = [&*mapping, "GRANT SELECT ON TABLE pg_catalog.pg_user_mapping"];
    backup_through(&url, &place)?.secret("hunter2").run()?.failed(1, "postgres.permission", &parts)?;
    source.is_left_alone()?;
    place.is_untouched()
}
