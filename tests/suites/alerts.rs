//! What people and programs hear of runs: pings, messages and metrics, as they arrive, and that nobody who cannot be told
//! fails a run. Health has its own tests in `lambda`, and beside its code.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use pgark_tests::postgres::Database;
use pgark_tests::{Ministack, Postgres, Receiver, fixtures, workspace_binary};
use serde_json::{Value, json};
use tempfile::TempDir;

type Result = anyhow::Result<()>;

/// What stands in every URL here, and must be printed nowhere.
const SECRET: &str = "hunter2";

/// A store, and who is told.
struct World {
    folder: TempDir,
    shop: Database<'static>,
    ping: Receiver,
    webhook: Receiver,
}

/// A run of the program that has ended.
struct Ran {
    code: i32,
    report: Value,
    errors: String,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("pgark-tests-watch-")?;
        fs::create_dir(folder.path().join("store"))?;
        let shop = Postgres::shared(17)?.create_database("shop")?;
        shop.load(fixtures::SHOP)?;
        Ok(Self { folder, shop, ping: Receiver::start()?, webhook: Receiver::start()? })
    }

    fn run(&self, arguments: &[&str], settings: &[(&str, String)]) -> anyhow::Result<Ran> {
        let mut command = Command::new(workspace_binary("pgark")?);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG") || name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        }
        let output = command
            .current_dir(self.folder.path())
            .env("PGARK_STORE", format!("file://{}", self.folder.path().join("store").display()))
            .env("PGARK_ENCRYPTION", "none")
            .env("PGARK_SOURCE", "shop")
            .env("PGARK_DATABASE_URL", self.shop.url())
            .env("PGARK_PING_URL", self.ping.url(&format!("/{SECRET}/{{source}}-{{job}}")))
            .env("PGARK_WEBHOOK_URL", self.webhook.url(&format!("/{SECRET}")))
            .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
            .args(arguments)
            .arg("--json")
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(!format!("{printed}{errors}").contains(SECRET), "a secret was printed: {printed}\n{errors}");
        let report =
            serde_json::from_str(&printed).with_context(|| format!("no JSON: {printed}\n{errors}"))?;
        Ok(Ran { code: output.status.code().context("pgark was killed")?, report, errors })
    }

    /// Files of the store whose paths end so, in order.
    fn files(&self, end: &str) -> anyhow::Result<Vec<PathBuf>> {
        let (mut found, mut folders) = (BTreeSet::new(), vec![self.folder.path().join("store")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().ends_with(end) {
                    found.insert(path);
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The record of the end of the only run of a job.
    fn record(&self, job: &str) -> anyhow::Result<Value> {
        let files = self.files(&format!(".{job}.end.json"))?;
        ensure!(files.len() == 1, "{files:?}");
        Ok(serde_json::from_slice(&fs::read(&files[0])?)?)
    }

    fn pings(&self) -> Vec<String> {
        self.ping.received().into_iter().map(|request| request.path).collect()
    }

    fn notices(&self) -> anyhow::Result<Vec<Value>> {
        self.webhook.received().iter().map(|request| Ok(serde_json::from_str(&request.body)?)).collect()
    }
}

#[test]
fn a_backup_pings_its_start_and_its_end_and_publishes_its_numbers() -> Result {
    let (world, aws) = (World::new()?, Ministack::shared()?);
    let namespace = format!("watch-{}", world.shop.name());
    let mut settings = aws.environment().to_vec();
    settings.extend([
        ("PGARK_METRICS", "cloudwatch".to_owned()),
        ("PGARK_METRICS_NAMESPACE", namespace.clone()),
        ("PGARK_NOTIFY_SUCCESS", "webhook".to_owned()),
    ]);
    let backup = world.run(&["backup"], &settings)?;
    assert_eq!(backup.code, 0, "{}\n{}", backup.report, backup.errors);

    let ping = format!("/{SECRET}/shop-backup");
    assert_eq!(world.pings(), [format!("{ping}/start"), ping]);
    let text = world.ping.received()[1].body.clone();
    for part in
        ["pgark: backup of shop is done\n", "\nsize ", "before compression (ratio ", "\nrows ", "\nduration "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let notices = world.notices()?;
    let [notice] = &notices[..] else { anyhow::bail!("{notices:?}") };
    assert_eq!((&notice["event"], &notice["source"]), (&json!("run.done"), &json!("shop")));
    for figure in ["rows", "stored_bytes", "plain_bytes"] {
        assert_eq!(notice["figures"][figure], backup.report[figure], "{figure}");
    }
    assert_eq!(notice["runbook"], Value::Null);

    let dimensions = [("Job", "backup"), ("Source", "shop")];
    let maximum = |metric| aws.metric_maximum(&namespace, metric, &dimensions);
    let number = |name: &str| backup.report[name].as_f64().context("a number");
    assert_eq!(maximum("RunSuccess")?, (1.0, "Count".to_owned()));
    assert_eq!(maximum("RunFailure")?, (0.0, "Count".to_owned()));
    assert_eq!(maximum("Rows")?, (number("rows")?, "Count".to_owned()));
    assert_eq!(maximum("StoredBytes")?, (number("stored_bytes")?, "Bytes".to_owned()));
    let ratio = number("plain_bytes")? / number("stored_bytes")?;
    let (published, unit) = maximum("CompressionRatio")?;
    assert!((published - ratio).abs() < 1e-6 && unit == "None", "{published} {unit} {ratio}");
    let over_all = aws.metric_maximum(&namespace, "RunSuccess", &[("Job", "backup")])?;
    assert_eq!(over_all, (1.0, "Count".to_owned()), "over all sources");
    assert_eq!(world.record("backup")?["warnings"], json!([]));
    Ok(())
}

#[test]
fn a_backup_that_fails_is_told_with_reason_and_next_step() -> Result {
    let (world, aws) = (World::new()?, Ministack::shared()?);
    let topic = aws.create_topic("failures")?;
    let mut settings = aws.environment().to_vec();
    let url = world.shop.server().url_as("postgres", SECRET, world.shop.name());
    settings.extend([("PGARK_DATABASE_URL", url), ("PGARK_SNS_TOPIC", topic.arn().to_owned())]);
    let backup = world.run(&["backup"], &settings)?;
    assert_eq!((backup.code, &backup.report["error"]["code"]), (1, &json!("connect.authentication")));

    let ping = format!("/{SECRET}/shop-backup");
    assert_eq!(world.pings(), [format!("{ping}/start"), format!("{ping}/fail")]);
    let message = topic.take()?;
    assert_eq!(message["Subject"], "[pgark] backup of shop failed", "{message:#}");
    let text = message["Message"].as_str().unwrap_or_default();
    for part in ["[connect.authentication]", "\nnext step ", "docs/alerts.md#backup\n", "\nrun ", "\nstore "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
    let notice = world.notices()?.pop().context("the webhook got nothing")?;
    assert_eq!((&notice["event"], &notice["job"]), (&json!("run.failed"), &json!("backup")));
    assert_eq!(notice["reason"]["code"], "connect.authentication");
    Ok(())
}

#[test]
fn damage_is_told() -> Result {
    let world = World::new()?;
    assert_eq!(world.run(&["backup"], &[])?.code, 0);
    assert_eq!(world.webhook.received().len(), 0, "success is only told where somebody asks for it");
    let object = world.files(".dat.zst")?.pop().context("no data")?;
    fs::write(object, "something else")?;
    assert_eq!(world.run(&["verify"], &[])?.code, 3);
    let notice = world.notices()?.pop().context("the webhook got nothing")?;
    assert_eq!(notice["event"], "run.damaged");
    assert_eq!(notice["title"], "verify of shop found damage");
    assert_eq!(notice["reason"]["code"], "object.damaged", "{notice:#}");
    assert!(notice["runbook"].as_str().unwrap_or_default().ends_with("#damage"));
    assert_eq!(world.pings().last(), Some(&format!("/{SECRET}/shop-verify/fail")));
    Ok(())
}

#[test]
fn nobody_who_cannot_be_told_fails_a_run() -> Result {
    let (world, aws) = (World::new()?, Ministack::shared()?);
    world.webhook.answer(&[500, 503, 500]);
    world.ping.answer(&[404, 410]);
    let mut settings = aws.environment().to_vec();
    settings.extend([
        ("PGARK_NOTIFY_SUCCESS", "sns,slack,webhook".to_owned()),
        ("PGARK_SNS_TOPIC", "arn:aws:sns:us-east-1:000000000000:no-such-topic".to_owned()),
        ("PGARK_SLACK_URL", format!("http://127.0.0.1:1/{SECRET}")),
        ("PGARK_METRICS", "cloudwatch".to_owned()),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:1".to_owned()),
    ]);
    let backup = world.run(&["backup"], &settings)?;
    assert_eq!(backup.code, 0, "{}", backup.errors);
    let record = world.record("backup")?;
    assert_eq!(record["outcome"], "done");
    let warnings = record["warnings"].to_string();
    for part in [
        "The ping was not delivered: HTTP status 404. Look at PGARK_PING_URL.",
        "The ping was not delivered: HTTP status 410. Look at PGARK_PING_URL.",
        "The message to the webhook was not delivered: HTTP status 500, in 3 tries. Look at PGARK_WEBHOOK_URL.",
        "The message to the Slack webhook was not delivered: ",
        "The message to the SNS topic was not delivered: NotFound",
        "Metrics were not published: ",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
        assert!(backup.errors.contains(part), "it is said aloud too: {}", backup.errors);
    }
    assert!(!warnings.contains(SECRET), "{warnings}");
    Ok(())
}

#[test]
fn a_message_that_was_refused_for_a_moment_arrives_once_more_with_the_same_id() -> Result {
    let world = World::new()?;
    world.webhook.answer(&[502]);
    let backup = world.run(&["backup"], &[("PGARK_NOTIFY_SUCCESS", "webhook".to_owned())])?;
    assert_eq!(backup.code, 0);
    let received = world.webhook.received();
    let id =
        |at: usize| received[at].headers.iter().find(|line| line.starts_with("idempotency-key: ")).cloned();
    assert_eq!(received.len(), 2);
    assert!(id(0).is_some() && id(0) == id(1) && received[0].body == received[1].body, "{received:?}");
    assert_eq!(world.record("backup")?["warnings"], json!([]));
    Ok(())
}
