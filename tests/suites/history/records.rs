//! Records of runs that were done, killed and stopped, and what is told from them.

use pgark_tests::postgres::Database;
use pgark_tests::{Postgres, wait_until};
use serde_json::Value;

use crate::place::Place;
use crate::{Result, SOON, history, pgark};

fn database() -> Result<Database<'static>> {
    let database = Postgres::shared(17)?.create_database("records")?;
    database.load("create table t as select n from generate_series(1, 1000) n")?;
    Ok(database)
}

fn one(name: &str, source: &str, outcome: Option<&str>) -> (String, String, Option<String>) {
    (name.to_owned(), source.to_owned(), outcome.map(str::to_owned))
}

#[test]
fn what_ran_is_told_by_history_status_cost_and_a_page() -> Result {
    let database = database()?;
    for place in Place::both()? {
        let backup =
            || Ok::<_, anyhow::Error>(pgark(&place, ["backup"])?.set("PGARK_DATABASE_URL", database.url()));
        let first = backup()?.set("PGARK_SOURCE", "shop").run()?.done()?;
        pgark(&place, ["verify"])?.run()?.done()?;
        backup()?.set("PGARK_SOURCE", "shop").with(["--dry-run"]).run()?.done()?;
        let failed = pgark(&place, ["backup"])?.set("PGARK_SOURCE", "shop");
        let wrong = database.server().url_as("postgres", "wrong", database.name());
        failed.set("PGARK_DATABASE_URL", wrong).run()?.failed(1, "connect.authentication", &[])?;

        // A dry run leaves nothing.
        let done = Some("done");
        assert_eq!(
            history(&place)?,
            [one("backup", "shop", done), one("verify", "shop", done), one("backup", "shop", Some("failed"))]
        );
        let runs = pgark(&place, ["history", "--job", "backup", "--since", "1h"])?.run()?.done()?;
        let runs = runs["runs"].as_array().cloned().unwrap_or_default();
        assert_eq!(runs.len(), 2);
        let (good, bad) = (&runs[0], &runs[1]);
        assert_eq!((&good["backup"]["id"], &good["figures"]["rows"]), (&first["id"], &Value::from(1000)));
        assert_eq!(bad["error"]["code"], "connect.authentication");
        let is_s3 = place.url().starts_with("s3://");
        assert_eq!(good["cost"]["storage_month_usd"].as_f64() > Some(0.0), is_s3, "{good}");

        let status = pgark(&place, ["status"])?.run()?.done()?;
        assert_eq!(status[0]["source"], "shop");
        assert_eq!(status[0]["backups"][0]["id"], first["id"]);
        assert_eq!(
            (&status[0]["backups"][0]["present"], &status[0]["proofs"][0]["outcome"]),
            (&true.into(), &"done".into())
        );
        assert_eq!(status[0]["troubles"][0]["error"]["code"], "connect.authentication");

        let cost = pgark(&place, ["cost"])?.run()?.done()?;
        assert!(cost["total_usd"].as_f64() > Some(0.0), "{cost}");
        assert_eq!(cost["region"], "us-east-1");
        // What the default policy keeps in the end is more than the one that is there.
        let forecast = &cost["sources"][0];
        let lines = forecast["storage"].as_array().into_iter().flatten();
        let kept: u64 = lines.filter_map(|line| line["backups"].as_u64()).sum();
        assert!((22..=29).contains(&kept), "{cost}");
        assert!(forecast["stored_now_usd"].as_f64() < forecast["storage_usd"].as_f64(), "{cost}");

        let folder = tempfile::tempdir()?;
        let file = folder.path().join("page.html");
        pgark(&place, ["report", "--html", &file.display().to_string()])?.run()?.done()?;
        let page = std::fs::read_to_string(&file)?;
        assert!(page.contains("<h2>shop</h2>") && page.contains("connect.authentication"), "{page}");
    }
    Ok(())
}

/// A backup that waits for a lock, and with it a session that holds the lock.
struct Waiting<'a> {
    database: &'a Database<'static>,
    locker: std::process::Child,
}

impl<'a> Waiting<'a> {
    fn of(database: &'a Database<'static>) -> Result<Self> {
        let mut psql = pgark_tests::postgres::client("psql")?;
        psql.args(["--no-psqlrc", "--quiet", "--dbname", &database.url()]);
        psql.args(["--command", "begin; lock table t in access exclusive mode; select pg_sleep(300)"]);
        let locker = psql.stdout(std::process::Stdio::null()).spawn()?;
        let granted = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
                      where c.relname = 't' and l.mode = 'AccessExclusiveLock' and l.granted";
        wait_until(SOON, "the table is locked", || database.query(granted).is_ok_and(|count| count == "1"))?;
        Ok(Self { database, locker })
    }

    fn is_there(&self) -> Result {
        let waiting = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
                       where c.relname = 't' and l.mode = 'AccessShareLock' and not l.granted";
        wait_until(SOON, "the backup waits", || self.database.query(waiting).is_ok_and(|count| count == "1"))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _ = self.locker.kill();
        let _ = self.locker.wait();
        let _ = self.database.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like '%lock table t%' and pid <> pg_backend_pid()",
        );
    }
}

#[test]
fn a_run_that_is_killed_leaves_a_start_and_one_that_is_stopped_an_end() -> Result {
    let database = database()?;
    for place in Place::both()? {
        let backup = |source: &str| {
            let call = pgark(&place, ["backup", "--lock-timeout", "5m", "--source", source])?;
            Ok::<_, anyhow::Error>(call.set("PGARK_DATABASE_URL", database.url()))
        };
        let waiting = Waiting::of(&database)?;
        let killed = backup("killed")?.start()?;
        waiting.is_there()?;
        killed.signal("KILL")?;
        assert!(killed.end().is_err());
        let gone = "select count(*) from pg_stat_activity where application_name = 'pgark'
                    and datname = current_database() and wait_event_type = 'Lock'";
        // Nobody tells the server that its client is gone while it waits for a lock.
        database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgark' and datname = current_database()")?;
        wait_until(SOON, "the killed one waits no longer", || {
            database.query(gone).is_ok_and(|count| count == "0")
        })?;
        let stopped = backup("stopped")?.start()?;
        waiting.is_there()?;
        stopped.signal("INT")?;
        stopped.end()?.failed(1, "stopped", &[])?;
        drop(waiting);

        assert_eq!(
            history(&place)?,
            [one("backup", "killed", None), one("backup", "stopped", Some("failed"))]
        );
        // The killed one's lease has not run out yet. Nobody is told that all is well: the reason is said.
        let ended = backup("killed")?.run()?;
        assert_eq!(ended.code, 6, "{ended}");
        let skipped: serde_json::Value = serde_json::from_str(&ended.out)?;
        assert_eq!(skipped["job"], "backup");
        let why = skipped["skipped"].as_str().unwrap_or_default();
        assert!(why.starts_with("another backup of killed is in progress: run "), "{skipped}");
        // The stopped one gave its lease back.
        assert!(backup("stopped")?.run()?.done()?["id"].is_string());
    }
    Ok(())
}

#[test]
fn a_slot_is_done_once() -> Result {
    let database = database()?;
    let place = Place::bucket()?;
    let backup = |url: String| {
        let call = pgark(&place, ["backup", "--source", "shop", "--slot", "2026-11-21T02:00:00Z"])?;
        call.set("PGARK_DATABASE_URL", url).run()
    };
    let wrong = database.server().url_as("postgres", "wrong", database.name());
    backup(wrong)?.failed(1, "connect.authentication", &[])?;
    let done = backup(database.url())?.done()?;
    assert!(done["id"].is_string(), "{done}");
    let skipped = backup(database.url())?.done()?;
    assert!(
        skipped["skipped"]
            .as_str()
            .unwrap_or_default()
            .starts_with("the work of slot 2026-11-21T02:00:00Z was done by run ")
    );
    let outcomes: Vec<_> = history(&place)?.into_iter().filter_map(|(_, _, outcome)| outcome).collect();
    assert_eq!(outcomes, ["failed", "done", "skipped"]);
    assert_eq!(place.listed()?.len(), 1);
    Ok(())
}
