//! However a test ends, nothing of it stays, and what a killed one left goes with the next.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use pgark_tests::postgres::client;
use pgark_tests::{Postgres, wait_until};
use serde_json::{Value, json};

use crate::world::World;
use crate::{Result, SOON, binaries, scratch_databases};

/// Keeps a test at its last check until it is ended.
const FOR_EVER: &str = "[[restore_test.assertions]]\nname = 'for ever'\nsql = 'select pg_sleep(3600)'\n";

fn folders(base: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("pgark-pg-"));
    ours.map(|entry| entry.path()).collect()
}

/// A session that waits in `pg_sleep`.
fn sleeps(server: &Postgres) -> bool {
    let sql =
        "select count(*) from pg_stat_activity where query = 'select pg_sleep(3600)' and state = 'active'";
    server.psql(sql).is_ok_and(|count| count == "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_on_a_server_that_is_stopped_or_killed_leaves_nothing_for_long() -> Result {
    let server = Postgres::start(17)?;
    let source = server.create_database("source")?;
    source.query("create table t as select 1 as i")?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let on = server.url("postgres");
    let arguments = ["restore-test", "--on", &on];

    std::fs::write(world.file("pgark.toml"), FOR_EVER)?;
    let mut stopped = world.start(&arguments, &[])?;
    wait_until(SOON, "the assertion runs", || sleeps(&server))?;
    stopped.signal("TERM")?;
    assert_eq!(stopped.0.wait()?.code(), Some(1));
    assert_eq!(scratch_databases(&server)?, "0");
    assert!(!sleeps(&server), "the statement is cancelled");
    let last = world.reports()?.pop().context("a report")?;
    let said = (&last["result"], &last["error"]["code"], &last["target"]["dropped"]);
    assert_eq!(said, (&json!("incomplete"), &json!("stopped"), &json!(true)));

    let mut killed = world.start(&arguments, &[])?;
    wait_until(SOON, "the assertion runs", || sleeps(&server))?;
    // While it lives, another test leaves its database alone.
    std::fs::write(world.file("pgark.toml"), "")?;
    world.done(&arguments, &[])?;
    assert_eq!(scratch_databases(&server)?, "1");
    killed.signal("KILL")?;
    assert_eq!(killed.0.wait()?.signal(), Some(9));
    assert_eq!(scratch_databases(&server)?, "1");
    // Its sessions end when the server notices; until then the database is in use.
    server.psql(
        "select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(3600)'",
    )?;
    wait_until(SOON, "its sessions are gone", || {
        let sql = "select count(*) from pg_stat_activity where datname like 'pgark\\_test\\_%' or application_name like 'pgark%'";
        server.psql(sql).is_ok_and(|count| count == "0")
    })?;
    let report = world.done(&arguments, &[])?;
    assert_eq!(scratch_databases(&server)?, "0");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("which a killed test had left, was dropped"), "{warnings}");
    Ok(())
}

/// The one connection of a database, until it is dropped.
struct Connected(Child);

impl Connected {
    fn new(url: &str) -> anyhow::Result<Self> {
        let mut psql = client("psql")?;
        psql.args(["--no-psqlrc", "--quiet", "--dbname", url]).stdin(Stdio::piped());
        Ok(Self(psql.spawn()?))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_surely_a_leftover_is_dropped() -> Result {
    let server = Postgres::start(14)?;
    let source = server.create_database("source")?;
    source.query("create table t as select 1 as i")?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let mine = "pgark restore-test of some backup";
    for (name, comment, content) in [
        ("pgark_test_20260101t000000z_dead", mine, "create table t (i int)"),
        ("pgark_test_20260101t000000z_newb", "", ""),
        ("pgark_test_20260101t000000z_full", "", "create table t (i int)"),
        ("pgark_test_20260101t000000z_othr", "somebody's", ""),
        ("pgark_test_20260101t000000z_live", mine, ""),
        ("pgark_test_20260101t000000z_used", mine, ""),
        ("pgark_test_mine", mine, ""),
        ("my_pgark_test_20260101t000000z_dead", mine, ""),
    ] {
        server.psql(&format!("create database {name}"))?;
        if !comment.is_empty() {
            server.psql(&format!("comment on database {name} is $${comment}$$"))?;
        }
        pgark_tests::postgres::psql(&server.url(name), content)?;
    }
    let keeper = format!("{}?application_name=pgark_test_20260101t000000z_live", server.url("template1"));
    let sessions =
        [Connected::new(&keeper)?, Connected::new(&server.url("pgark_test_20260101t000000z_used"))?];
    wait_until(SOON, "both are connected", || {
        let sql = "select count(*) from pg_stat_activity where datname in ('template1', 'pgark_test_20260101t000000z_used')";
        server.psql(sql).is_ok_and(|count| count == "2")
    })?;
    let report = world.done(&["restore-test", "--on", &server.url("postgres")], &[])?;
    drop(sessions);
    let left =
        server.psql("select datname from pg_database where datname like '%pgark\\_test\\_%' order by 1")?;
    assert_eq!(
        left.lines().collect::<Vec<_>>(),
        [
            "my_pgark_test_20260101t000000z_dead",
            "pgark_test_20260101t000000z_full",
            "pgark_test_20260101t000000z_live",
            "pgark_test_20260101t000000z_othr",
            "pgark_test_20260101t000000z_used",
            "pgark_test_mine",
        ]
    );
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("_used, which a killed test had left, cannot be dropped"), "{warnings}");
    Ok(())
}

/// A restored subscription belongs to a slot on the original's publisher, which must stay as it is.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_do_not_keep_the_scratch_database() -> Result {
    let server = Postgres::start(16)?;
    let source = server.create_database("source")?;
    source.query(
        "create subscription elsewhere connection 'host=192.0.2.1 password=secret' publication p
         with (connect = false, slot_name = 'precious')",
    )?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let report = world.done(&["restore-test", "--on", &server.url("postgres")], &[])?;
    assert_eq!(report["target"]["dropped"], json!(true), "{report:#}");
    assert_eq!(scratch_databases(&server)?, "0");
    assert!(!report.to_string().contains("secret"));
    source.query("alter subscription elsewhere set (slot_name = none); drop subscription elsewhere").map(drop)
}

/// Its own server ends with the test, however that ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_server_ends_with_its_test() -> Result {
    let source = Postgres::shared(17)?.create_database("embedded_end")?;
    source.query("create table t as select 1 as i")?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    std::fs::write(world.file("pgark.toml"), FOR_EVER)?;
    // Short, for the path of the socket; of this test alone.
    let temporary = tempfile::Builder::new().prefix("rt").tempdir_in("/tmp")?;
    open_to_all(temporary.path())?;
    let base = temporary.path().display().to_string();
    let bin = binaries(17)?;
    let settings = [("PGARK_POSTGRES_BIN", bin.as_str()), ("TMPDIR", base.as_str())];
    let asleep = || {
        let [folder] = &folders(temporary.path())[..] else { return false };
        let url = format!("host={} user=postgres dbname=postgres", folder.display());
        let sql = "select count(*) from pg_stat_activity where query = 'select pg_sleep(3600)'";
        pgark_tests::postgres::psql(&url, sql).is_ok_and(|count| count == "1")
    };
    for (signal, code) in [("TERM", Some(1)), ("KILL", None)] {
        let mut running = world.start(&["restore-test"], &settings)?;
        wait_until(SOON, "the assertion runs", asleep)?;
        let folder = folders(temporary.path()).pop().context("its folder")?;
        let pid = std::fs::read_to_string(folder.join("pid"))?;
        running.signal(signal)?;
        assert_eq!(running.0.wait()?.code(), code, "{signal}");
        wait_until(SOON, "the server is gone", || !runs(pid.trim()))?;
        wait_until(SOON, "its folder is gone", || folders(temporary.path()).is_empty())?;
    }

    // If its supervisor is killed as well, the server goes on; the next test ends it.
    let mut running = world.start(&["restore-test"], &settings)?;
    wait_until(SOON, "the assertion runs", asleep)?;
    let folder = folders(temporary.path()).pop().context("its folder")?;
    let pid = std::fs::read_to_string(folder.join("pid"))?;
    let pid = pid.trim();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let supervisor = status.lines().find_map(|line| line.strip_prefix("PPid:")).context("it has a parent")?;
    for victim in [supervisor.trim(), &running.0.id().to_string()] {
        assert!(Command::new("kill").args(["-s", "KILL", victim]).status()?.success());
    }
    running.0.wait()?;
    assert!(runs(pid) && folder.exists(), "the server goes on");
    std::fs::write(world.file("pgark.toml"), "")?;
    let report: Value = world.done(&["restore-test"], &settings)?;
    assert_eq!(report["result"], "passed");
    assert!(!runs(pid), "the next test ended it");
    assert!(folders(temporary.path()).is_empty());
    Ok(())
}

/// Whether a process is there and has not ended: whose parent is killed waits for init to take note of its end.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

/// The server's user must get in.
fn open_to_all(folder: &Path) -> Result {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))?)
}
