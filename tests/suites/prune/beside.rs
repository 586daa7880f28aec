//! The program, on a folder, with real backups: prune while a backup runs, and by hand from end to end.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pgark_tests::{Direction, Fault, FaultProxy, Postgres, eventually, wait_until, workspace_binary};
use serde_json::Value;
use tempfile::TempDir;

use super::Result;

const SOON: Duration = Duration::from_secs(30);

/// The program, with settings of its own and no others.
fn pgark(store: &Path, url: &str, keep: &str) -> Result<Command> {
    let mut command = Command::new(workspace_binary("pgark")?);
    command.env_clear().current_dir(store.parent().context("a folder in a folder")?).envs([
        ("PGARK_STORE", format!("file://{}", store.display())),
        ("PGARK_DATABASE_URL", url.to_owned()),
        ("PGARK_SOURCE", "shop".to_owned()),
        ("PGARK_ENCRYPTION", "none".to_owned()),
        ("PGARK_KEEP", keep.to_owned()),
        ("PGARK_KEEP_MIN", "1".to_owned()),
        ("PGARK_PRUNE_SHARE_MAX", "100%".to_owned()),
        ("PGARK_PRUNE_GRACE", "1h".to_owned()),
        ("USER", "tester".to_owned()),
    ]);
    Ok(command)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(mut command: Command, arguments: &[&str]) -> Result<Value> {
    let output = command.args(arguments).arg("--json").output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", text(&output));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Ids of one second are in no order.
fn next_second() -> Result {
    let now = jiff::Timestamp::now().as_second();
    wait_until(SOON, "the next second", || jiff::Timestamp::now().as_second() > now)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_runs_meanwhile_is_not_touched_and_ends_well() -> Result {
    let folder = TempDir::with_prefix("pgark-tests-prune-")?;
    let store = folder.path().join("store");
    std::fs::create_dir(&store)?;
    let server = Postgres::shared(17)?;
    let database = server.create_database("shop")?;
    database.query(
        "create table large as select string_agg(md5((n * 200 + m)::text), '') as digits
         from generate_series(1, 4000) n, generate_series(1, 200) m group by n",
    )?;
    for _ in 0..3 {
        json(pgark(&store, &database.url(), "last 1")?, &["backup"])?;
        next_second()?;
    }
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into()).await?;
    let url =
        database.url().replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.address().port()));
    let mut slow = pgark(&store, &url, "last 1")?;
    let running = slow.args(["backup", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // In the middle of the table.
    eventually(SOON, "rows come", async || proxy.bytes(Direction::ToClient) > 4 << 20).await?;
    proxy.set(Fault::Stall).await?;
    for _ in 0..2 {
        let pruned = json(pgark(&store, &database.url(), "last 1")?, &["prune", "--apply"])?;
        let remains = &pruned["reports"][0]["remains"];
        assert_eq!(remains.as_array().map(Vec::len), Some(1), "{pruned:#}");
        assert_eq!(remains[0]["remove"], false, "{pruned:#}");
    }
    proxy.set(Fault::Pass).await?;
    let ended = running.wait_with_output()?;
    assert!(ended.status.success(), "{}", text(&ended));

    let made: Value = serde_json::from_slice(&ended.stdout)?;
    let verified = json(pgark(&store, &url, "last 1")?, &["verify", "all"])?;
    assert_eq!(verified["good"], true, "{verified:#}");
    let pruned = json(pgark(&store, &url, "last 1")?, &["prune", "--apply"])?;
    let backups = pruned["reports"][0]["backups"].as_array().context("no backups")?;
    let last = backups.last().context("none")?;
    assert_eq!((&last["id"], &last["keep"], backups.len()), (&made["id"], &Value::Bool(true), 2));
    Ok(())
}

#[test]
fn by_hand_a_plan_first_then_holds_and_then_the_deed() -> Result {
    let folder = TempDir::with_prefix("pgark-tests-prune-")?;
    let store = folder.path().join("store");
    std::fs::create_dir(&store)?;
    let database = Postgres::shared(17)?.create_database("shop")?;
    database.query("create table t as select 1 as n")?;
    let run =
        |arguments: &[&str]| -> Result<Value> { json(pgark(&store, &database.url(), "last 1")?, arguments) };
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(run(&["backup"])?["id"].as_str().context("no id")?.to_owned());
        next_second()?;
    }
    let people = |arguments: &[&str]| -> Result<(i32, String)> {
        let output = pgark(&store, &database.url(), "last 1")?.args(arguments).output()?;
        Ok((output.status.code().context("killed")?, text(&output)))
    };
    let held = run(&["hold", &ids[0], "--reason", "before the audit", "--until", "2099-12-31"])?;
    assert_eq!(held["until"], "2100-01-01T00:00:00Z", "to the end of the day");
    let (code, plan) = people(&["prune"])?;
    assert_eq!(code, 0, "{plan}");
    for part in [
        "keep last 1; days of UTC; at least 1 good ones",
        "held until 2100-01-01T00:00:00Z: before the audit",
        "last: not one of the newest 1",
        "last 1 of 1; floor 1 of 1",
        "2 of 3 backups stay, 2 of them good",
        "1 backups (",
        "would go: --apply deletes them",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert!(people(&["list"])?.1.contains("held until 2100-01-01T00:00:00Z: before the audit"));
    assert!(people(&["show", &ids[0]])?.1.contains("yes until 2100-01-01T00:00:00Z: before the audit"));

    assert_eq!(run(&["prune", "--apply"])?["reports"][0]["backups"][1]["done"], "removed");
    assert_eq!(run(&["list"])?["backups"].as_array().map(Vec::len), Some(2));
    run(&["release", &ids[0], "--reason", "the audit is over"])?;
    run(&["prune", "--apply"])?;
    let left = run(&["list"])?;
    assert_eq!(
        (&left["backups"][0]["id"], left["backups"].as_array().map(Vec::len)),
        (&ids[2].clone().into(), Some(1))
    );

    for (arguments, code, part) in [
        (vec!["hold", "latest", "--reason", ""], 2, "no reason is given [usage.invalid]"),
        (vec!["hold", "latest", "--reason", "x", "--until", "soon"], 2, "\"soon\" is no day and no time"),
        (vec!["hold", "latest", "--reason", "x", "--until", "2001-01-01"], 2, "would be over already"),
        (vec!["hold", "2001", "--reason", "x"], 1, "[backup.missing]"),
        (vec!["release", "latest", "--reason", "x"], 1, "is not held [hold.missing]"),
        (vec!["prune", "--allow-share"], 2, "--apply"),
        (vec!["prune", "--keep", "weekly often"], 2, "PGARK_KEEP: `often` is not a number"),
    ] {
        let (exit, said) = people(&arguments)?;
        assert!(exit == code && said.contains(part), "{arguments:?} {exit}: {said}");
    }
    Ok(())
}
