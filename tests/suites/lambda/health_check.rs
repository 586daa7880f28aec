//! The function `health-check`, on backups that the function `backup` wrote: what it says, and what arrives at SNS, at a
//! Slack webhook whose URL is in a secret, and at CloudWatch. It has no setting of a database, so it asks none.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use pgark_tests::{Ministack, Receiver, Rie, Topic, repository, wait_until};
use serde_json::{Value, json};

use super::world::{self, World};
use super::{Result, shop};

fn event(name: &str) -> anyhow::Result<Value> {
    let file = repository().join("events/health-check").join(format!("{name}.json"));
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

/// Who is told, for one test alone.
struct Told {
    aws: &'static Ministack,
    topic: Topic<'static>,
    slack: Receiver,
    slack_secret: String,
    webhook: Receiver,
    namespace: String,
}

impl Told {
    fn new() -> anyhow::Result<Self> {
        let (aws, slack) = (Ministack::shared()?, Receiver::start()?);
        let topic = aws.create_topic("alerts")?;
        let slack_secret = aws.create_secret("slack", &slack.url("/services/hunter2"))?;
        let namespace = topic.arn().rsplit(':').next().context("an ARN has a name")?.to_owned();
        Ok(Self { aws, topic, slack, slack_secret, webhook: Receiver::start()?, namespace })
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let endpoint = || self.aws.endpoint().to_owned();
        vec![
            ("AWS_ENDPOINT_URL_SNS", endpoint()),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", endpoint()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint()),
            ("PGARK_SNS_TOPIC", self.topic.arn().to_owned()),
            ("PGARK_SLACK_SECRET", self.slack_secret.clone()),
            ("PGARK_WEBHOOK_URL", self.webhook.url("/hunter2")),
            ("PGARK_METRICS", "cloudwatch".to_owned()),
            ("PGARK_METRICS_NAMESPACE", self.namespace.clone()),
        ]
    }

    fn function(&self, world: &World, limit: &str) -> anyhow::Result<Rie> {
        let limit = ("PGARK_HEALTH_BACKUP_AGE", limit.to_owned());
        world.start("health-check", self.settings().into_iter().chain([limit]))
    }
}

fn slack_text(receiver: &Receiver) -> anyhow::Result<String> {
    let requests = receiver.received();
    let last = requests.last().context("Slack got nothing")?;
    let body: Value = serde_json::from_str(&last.body)?;
    Ok(body["text"].as_str().context("no text")?.to_owned())
}

#[test]
fn it_tells_once_when_a_source_turns_unhealthy_and_once_when_it_recovers() -> Result {
    let (world, shop, told) = (World::new()?, shop()?, Told::new()?);
    let backup = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    let made = backup.invoke(&json!({}))?;
    let id = made["id"].as_str().with_context(|| format!("{made}"))?.to_owned();

    // A limit that any backup is beyond, after a second.
    let strict = told.function(&world, "1s")?;
    let mut answer = Value::Null;
    wait_until(Duration::from_secs(20), "the backup is too old", || {
        answer = strict.invoke(&json!({})).unwrap_or_default();
        answer["errorType"] == "health.unhealthy"
    })?;
    let message = answer["errorMessage"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("the newest good backup, {id}, is")), "{message}");
    assert!(message.contains("[backup.overdue]"), "{message}");

    let alert = told.topic.take()?;
    let subject = alert["Subject"].as_str().unwrap_or_default();
    assert!(subject.starts_with("[pgark] shop is unhealthy: the newest good backup, "), "{alert:#}");
    let text = alert["Message"].as_str().unwrap_or_default();
    for part in [
        "[backup.overdue]\nnext step ",
        " Run `pgark backup` now",
        "\nnewest backup ",
        "docs/alerts.md#backupoverdue\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let attributes = &alert["MessageAttributes"];
    assert_eq!(attributes["event"]["Value"], "health.unhealthy", "{alert:#}");
    assert_eq!(
        (&attributes["source"]["Value"], &attributes["job"]["Value"]),
        (&json!("shop"), &json!("health"))
    );
    let slack = slack_text(&told.slack)?;
    assert!(slack.starts_with(":rotating_light: *pgark: shop is unhealthy: "), "{slack}");
    let webhook: Value = serde_json::from_str(&told.webhook.received()[0].body)?;
    assert_eq!(
        (&webhook["event"], &webhook["reason"]["code"]),
        (&json!("health.unhealthy"), &json!("backup.overdue"))
    );

    // Still so: nothing is said again.
    assert_eq!(strict.invoke(&event("scheduler-default")?)?["errorType"], "health.unhealthy");
    assert_eq!(told.topic.receive()?, None);
    assert_eq!((told.slack.received().len(), told.webhook.received().len()), (1, 1));

    let patient = told.function(&world, "26h")?;
    let answer = patient.invoke(&event("default")?)?;
    assert_eq!(answer["healthy"], true, "{answer}\n{}", patient.log());
    let recovered = told.topic.take()?;
    assert!(
        recovered["Subject"]
            .as_str()
            .unwrap_or_default()
            .starts_with("[pgark ok] shop is healthy again, after "),
        "{recovered:#}"
    );
    assert!(slack_text(&told.slack)?.starts_with(":white_check_mark: *pgark: shop is healthy again"));
    assert_eq!(patient.invoke(&event("one")?)?["healthy"], true);
    assert_eq!(told.topic.receive()?, None);

    // The report of the answer is kept, and so is what was said.
    let report = &answer["sources"][0];
    let key = report["kept_as"].as_str().context("no report is kept")?;
    let kept: Value = serde_json::from_slice(&world.get(&format!("backups/{key}"))?)?;
    assert_eq!(&kept, report);
    let alerts = world.keys()?.iter().filter(|key| key.starts_with("backups/alerts/shop/")).count();
    assert_eq!(alerts, 2);
    for function in [&strict, &patient] {
        assert!(!function.log().contains("hunter2"), "{}", function.log());
    }
    metrics_arrived(&told)
}

/// Each value, with its unit, under its dimensions and for all sources together.
fn metrics_arrived(told: &Told) -> Result {
    let listed = told.aws.metrics(&told.namespace)?;
    let names: Vec<&str> = listed
        .iter()
        .filter(|(_, dimensions)| dimensions == &["Source=shop"])
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["AchievedRecoveryPoint", "GoodBackups", "Healthy", "NewestBackupAge", "SizeAnomaly"]);
    let source = [("Source", "shop")];
    let maximum = |metric, dimensions: &[_]| told.aws.metric_maximum(&told.namespace, metric, dimensions);
    for dimensions in [&source[..], &[]] {
        assert_eq!(maximum("Healthy", dimensions)?, (1.0, "Count".to_owned()));
        assert_eq!(maximum("GoodBackups", dimensions)?, (1.0, "Count".to_owned()));
        let (age, unit) = maximum("NewestBackupAge", dimensions)?;
        ensure!(age > 1.0 && age < 3600.0 && unit == "Seconds", "{age} {unit}");
    }
    Ok(())
}

#[test]
fn by_default_its_metrics_are_lines_of_its_log() -> Result {
    let world = World::new()?;
    // At this level Lambda would throw away what has a lower one.
    let function = world.start("health-check", [("AWS_LAMBDA_LOG_LEVEL", "ERROR".to_owned())])?;
    let answer = function.invoke(&event("one")?)?;
    assert_eq!(answer["errorType"], "health.unhealthy", "{answer}");
    assert!(answer["errorMessage"].as_str().unwrap_or_default().contains("[backup.none]"), "{answer}");
    function.wait_for_log("CloudWatchMetrics")?;
    let log = function.log();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.contains("_aws"))
        .map(serde_json::from_str)
        .collect::<std::result::Result<_, _>>()?;
    let source = lines.iter().find(|line| line["Healthy"] == 0.0).with_context(|| log.clone())?;
    assert_eq!((&source["Source"], &source["level"]), (&json!("shop"), &json!("ERROR")));
    assert_eq!(source["_aws"]["CloudWatchMetrics"][0]["Namespace"], "pgark");
    assert_eq!(source.get("NewestBackupAge"), None, "what is not known has no value: {source}");
    Ok(())
}

#[test]
fn what_it_cannot_look_at_is_an_error_and_not_health() -> Result {
    let world = World::new()?;
    let function = world.start("health-check", [("AWS_SECRET_ACCESS_KEY", "wrong".to_owned())])?;
    let answer = function.invoke(&event("default")?)?;
    assert_eq!(answer["errorType"], "store.refused", "{answer}");
    assert_eq!(world::last_error(&function)?["exception_name"], "store.refused");
    let function = world.start("health-check", [("PGARK_HEALTH_BACKUP_AGE", "never".to_owned())])?;
    assert_eq!(function.invoke(&event("default")?)?["errorType"], "settings.invalid");
    Ok(())
}

/// The bucket's protection, as the report of the answer to this event has it: feature, whether it has it, what it has.
fn protection(world: &World, function: &Rie) -> anyhow::Result<Vec<(String, Value, String)>> {
    function.invoke(&json!({ "source": "shop", "quiet": true }))?;
    let keys = world.keys()?;
    let newest =
        keys.iter().rfind(|key| key.contains("/reports/shop/health/")).context("no report is kept")?;
    let report: Value = serde_json::from_slice(&world.get(newest)?)?;
    let states = report["bucket"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(states
        .iter()
        .map(|one| (text(&one["feature"]), one["present"].clone(), text(&one["detail"])))
        .collect())
}

#[test]
fn it_tells_what_the_bucket_lacks_where_it_is_asked() -> Result {
    let world = World::new()?;
    let asked = ("PGARK_HEALTH_BUCKET", "versioning, lock".to_owned());
    let function = world.start("health-check", [asked])?;
    let lacks = |feature: &str| {
        (feature.to_owned(), json!(false), "its configuration has none that is enabled".to_owned())
    };
    assert_eq!(protection(&world, &function)?, [lacks("versioning"), lacks("lock")]);

    world.configure_bucket(
        "versioning",
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    )?;
    world.configure_bucket(
        "object-lock",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
         <Mode>GOVERNANCE</Mode><Days>7</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    )?;
    let has = |feature: &str, detail: &str| (feature.to_owned(), json!(true), detail.to_owned());
    // Two reports of one second are not ordered by their names.
    wait_until(Duration::from_secs(20), "a later report tells of the protection", || {
        protection(&world, &function).is_ok_and(|states| {
            states == [has("versioning", "enabled"), has("lock", "governance for 7 days")]
        })
    })
}
