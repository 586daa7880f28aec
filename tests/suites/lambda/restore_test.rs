//! The function `restore-test`: its real binary, against the files of events/restore-test, on a server of its own and on
//! one that is named.

use std::process::Command;

use anyhow::{Context as _, ensure};
use pgark::seal::KeyPair;
use pgark_tests::postgres::server_binaries;
use pgark_tests::{Ministack, ObjectStore, Postgres, Rie, repository, workspace_binary};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{PASSWORD, Result, shop, world};

/// A bucket with one backup of the shop, and the key that opens it.
struct Backed {
    bucket: String,
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Backed {
    fn new() -> anyhow::Result<Self> {
        let (store, shop) = (ObjectStore::shared()?, shop()?);
        let (bucket, folder) =
            (store.create_bucket("restore-test")?, TempDir::with_prefix("pgark-tests-key-")?);
        let pair = KeyPair::generate(jiff::Timestamp::now());
        pair.write_file(&folder.path().join("key.txt"))?;
        let mut environment = store.environment().to_vec();
        environment.push(("PGARK_STORE", format!("s3://{bucket}/backups")));
        let mut backup = Command::new(workspace_binary("pgark")?);
        backup.arg("backup").envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
        backup.env("PGARK_DATABASE_URL", shop.url()).env("PGARK_SOURCE", "shop");
        let output = backup.env("PGARK_RECIPIENTS", pair.recipient().to_string()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        environment.push(("PGARK_IDENTITY_FILE", folder.path().join("key.txt").display().to_string()));
        Ok(Self { bucket, folder, environment })
    }

    fn function<const N: usize>(&self, settings: [(&'static str, String); N]) -> anyhow::Result<Rie> {
        let environment = self.environment.iter().cloned().chain(settings);
        Rie::start(&workspace_binary("restore-test")?, environment)
    }

    /// The reports in the bucket, the oldest first.
    fn reports(&self) -> anyhow::Result<Vec<Value>> {
        let store = ObjectStore::shared()?;
        let keys = store.keys(&self.bucket)?;
        let reports = keys.iter().filter(|key| key.starts_with("backups/reports/shop/restore-test/"));
        let read = |key: &String| Ok(serde_json::from_slice(&store.get(&self.bucket, key)?)?);
        let mut reports: Vec<Value> = reports.map(read).collect::<anyhow::Result<_>>()?;
        // Not by their keys, which tell those of one second apart by chance.
        let started = |report: &Value| report["started_at"].as_str()?.parse::<jiff::Timestamp>().ok();
        reports.sort_by_key(started);
        Ok(reports)
    }
}

fn event(name: &str) -> anyhow::Result<Value> {
    let file = repository().join("events/restore-test").join(format!("{name}.json"));
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

fn embedded() -> anyhow::Result<(&'static str, String)> {
    Ok(("PGARK_POSTGRES_BIN", server_binaries(17)?.display().to_string()))
}

#[test]
fn a_backup_is_tested_on_a_server_of_the_functions_own() -> Result {
    let backed = Backed::new()?;
    let function = backed.function([embedded()?])?;
    let mut answers = Vec::new();
    for name in ["default", "oldest-tested", "assertions", "scheduler-default"] {
        let answer = function.invoke(&event(name)?)?;
        assert_eq!(answer["result"], "passed", "{name}: {answer:#}\n{}", function.log());
        assert_eq!(answer["target"]["kind"], "embedded");
        assert!(answer["restored"]["rows"].as_u64() > Some(10_000), "{answer:#}");
        let checked = answer["checks"].as_array().into_iter().flatten();
        let checked: Vec<&Value> = checked.filter(|check| check["result"] == "passed").collect();
        assert_eq!(checked.len(), if name == "assertions" { 5 } else { 4 }, "{answer:#}");
        answers.push(answer);
    }
    assert_eq!(backed.reports()?, answers);
    world::assert_no_secret_in_log(&function);

    // What differs fails the invocation, so that an alarm can ring; the evidence is kept all the same.
    let wrong = json!({ "assertions": [{ "name": "empty", "sql": "select count(*) from sales.orders", "expect": 0 }] });
    let answer = function.invoke(&wrong)?;
    assert_eq!(answer["errorType"], "restore-test.failed", "{answer}");
    let message = answer["errorMessage"].as_str().unwrap_or_default();
    assert!(message.contains("assertion empty: returned"), "{message}");
    let last = backed.reports()?.pop().context("a report")?;
    assert_eq!(last["result"], "failed");
    assert!(message.contains(last["key"].as_str().unwrap_or("no key")), "{message}");
    drop(backed.folder);
    Ok(())
}

#[test]
fn a_backup_is_tested_on_a_server_that_a_secret_names() -> Result {
    let backed = Backed::new()?;
    let server = Postgres::start(17)?;
    server.psql(&format!("create role tester superuser login password '{PASSWORD}'"))?;
    let aws = Ministack::shared()?;
    let arn = aws.create_secret("restore-test", &server.url_as("tester", PASSWORD, "postgres"))?;
    let function = backed.function([
        ("PGARK_RESTORE_TEST_SECRET", arn),
        ("AWS_ENDPOINT_URL", aws.endpoint().to_owned()),
        ("AWS_ENDPOINT_URL_S3", ObjectStore::shared()?.endpoint().to_owned()),
    ])?;
    let answer = function.invoke(&event("assertions")?)?;
    let said = (&answer["result"], &answer["target"]["kind"], &answer["target"]["dropped"]);
    assert_eq!(said, (&json!("passed"), &json!("server"), &json!(true)), "{answer:#}\n{}", function.log());
    assert_eq!(server.psql("select count(*) from pg_database where datname like 'pgark%'")?, "0");
    assert_eq!(backed.reports()?, [answer]);
    world::assert_no_secret_in_log(&function);
    Ok(())
}

#[test]
fn what_does_not_fit_into_the_time_is_given_up_and_leaves_no_database() -> Result {
    let backed = Backed::new()?;
    let server = Postgres::start(17)?;
    let function = backed.function([
        ("PGARK_RESTORE_TEST_URL", server.url("postgres")),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "10".to_owned()),
    ])?;
    let event = json!({ "assertions": [{ "name": "for ever", "sql": "select pg_sleep(3600)" }] });
    let answer = function.invoke(&event)?;
    crate::assert_out_of_time(&answer, &function);
    assert_eq!(server.psql("select count(*) from pg_database where datname like 'pgark%'")?, "0");
    let report = backed.reports()?.pop().context("a report")?;
    let said = (&report["result"], &report["error"]["code"], &report["target"]["dropped"]);
    assert_eq!(said, (&json!("incomplete"), &json!("stopped"), &json!(true)), "{report:#}");
    Ok(())
}
