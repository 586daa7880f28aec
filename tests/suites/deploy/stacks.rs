//! Both stacks at a stand-in, which runs the real function binaries: deployed by the Makefile's own targets with the real
//! SAM, set going by the schedule, with a real database behind them. What each function asks of AWS on the way is recorded,
//! and held against its role: nothing that it needs is missing, and nothing is allowed that it never uses.
//!
//! The stand-in knows the SAM transform, alarms and schedules, and runs zips. It does not enforce policies, so that is done
//! here; it puts no missing data into alarms, so that silence is only shown by the template (`rules`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::{Timestamp, ToSpan as _};
use pgark::repository::Tier;
use pgark::seal::KeyPair;
use pgark::signature::SigningKey;
use pgark_tests::{Ministack, Postgres, Recorded, Recorder, SamProject, Stack, Topic, fixtures, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Result;
use crate::policies::{Call, allowed_by, patterns};
use crate::template::list;

const SOON: Duration = Duration::from_mins(1);
const STORAGE: &str = "pgark-storage";
const APPLICATION: &str = "pgark";

fn resource_of(function: &str, what: &str) -> String {
    let words: String = function.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    words + what
}

/// What was asked of AWS, as rights. `bucket` is the one of backups.
fn calls(requests: &[Recorded], bucket: &str) -> Result<BTreeSet<Call>> {
    let mut calls = BTreeSet::new();
    for request in requests {
        match request.service.as_str() {
            "s3" => calls.extend(of_s3(request, bucket)?),
            "secretsmanager" => {
                let body: Value = serde_json::from_str(&request.body)?;
                let operation = request.target.split('.').next_back().unwrap_or_default();
                let secret = body["SecretId"].as_str().context("a secret")?;
                calls.insert(Call::new(&format!("secretsmanager:{operation}"), secret));
            }
            "sns" => {
                let field = |name: &str| {
                    request
                        .body
                        .split('&')
                        .find_map(|pair| pair.strip_prefix(&format!("{name}=")))
                        .unwrap_or_default()
                };
                let topic = field("TopicArn").replace("%3A", ":");
                calls.insert(Call::new(&format!("sns:{}", field("Action")), &topic));
            }
            // By form, JSON or CBOR, it is the only one that functions use.
            "monitoring" => drop(calls.insert(Call::new("cloudwatch:PutMetricData", "*"))),
            other => bail!("nobody knows what {other} asks for: {request:?}"),
        }
    }
    Ok(calls)
}

/// "Actions, resources, and condition keys for Amazon S3" (Service Authorization Reference). Where a KMS key encrypts the
/// bucket, S3 asks for it in the caller's name.
fn of_s3(request: &Recorded, bucket: &str) -> Result<Vec<Call>> {
    let rest = request
        .path
        .strip_prefix(&format!("/{bucket}"))
        .with_context(|| format!("another bucket: {request:?}"))?;
    let key = rest.trim_start_matches('/').replace("%3D", "=").replace("%3d", "=");
    let arn = format!("arn:aws:s3:::{bucket}");
    let object = format!("{arn}/{key}");
    let has = |name: &str| {
        request.query.split('&').any(|part| part == name || part.starts_with(&format!("{name}=")))
    };
    let through_s3 = |action: &str| {
        let via = Some("s3.us-east-1.amazonaws.com".to_owned());
        Call { via, ..Call::new(action, "KEY") }
    };
    let on_bucket = key.is_empty();
    Ok(match (request.method.as_str(), on_bucket) {
        ("GET", true) if has("uploads") => vec![Call::new("s3:ListBucketMultipartUploads", &arn)],
        ("GET", true) if has("list-type") => vec![Call::new("s3:ListBucket", &arn)],
        ("GET", true) if has("versioning") => vec![Call::new("s3:GetBucketVersioning", &arn)],
        ("GET", true) if has("object-lock") => vec![Call::new("s3:GetBucketObjectLockConfiguration", &arn)],
        ("GET", true) if has("replication") => vec![Call::new("s3:GetReplicationConfiguration", &arn)],
        ("GET", false) if has("retention") => vec![Call::new("s3:GetObjectRetention", &object)],
        ("GET", false) if has("legal-hold") => vec![Call::new("s3:GetObjectLegalHold", &object)],
        ("GET" | "HEAD", false) => vec![Call::new("s3:GetObject", &object), through_s3("kms:Decrypt")],
        ("PUT", false) if has("partNumber") => {
            vec![
                Call::new("s3:PutObject", &object),
                through_s3("kms:GenerateDataKey"),
                through_s3("kms:Decrypt"),
            ]
        }
        ("PUT", false) => vec![Call::new("s3:PutObject", &object), through_s3("kms:GenerateDataKey")],
        ("POST", false) if has("uploads") || has("uploadId") => {
            vec![
                Call::new("s3:PutObject", &object),
                through_s3("kms:GenerateDataKey"),
                through_s3("kms:Decrypt"),
            ]
        }
        ("DELETE", false) if has("uploadId") => vec![Call::new("s3:AbortMultipartUpload", &object)],
        ("DELETE", false) => vec![Call::new("s3:DeleteObject", &object)],
        ("POST", true) if has("delete") => {
            let keys = request.body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            keys.map(|key| Call::new("s3:DeleteObject", &format!("{arn}/{key}"))).collect()
        }
        _ => bail!("nobody knows what this asks for: {request:?}"),
    })
}

/// Rights that no run here uses, by the statement's name and the end of the action or resource, with the reason.
const UNUSED: &[(&str, &str, &str)] = &[
    ("Log", "", "Lambda writes the log"),
    ("Traces", "", "Lambda's own agent sends traces"),
    ("Write", "s3:PutObjectRetention", "Object Lock is a parameter"),
    ("Write", "s3:AbortMultipartUpload", "only an upload that fails is given up"),
    ("Write", "/weekly/*", "the tier follows from the date"),
    ("Write", "/monthly/*", "the tier follows from the date"),
    ("Read", "/weekly/*", "the tier follows from the date"),
    ("Read", "/monthly/*", "the tier follows from the date"),
    ("Delete", "/weekly/*", "the tier follows from the date"),
    ("Delete", "/monthly/*", "the tier follows from the date"),
    ("Delete", "/daily/*", "the older of two backups is the yearly one"),
    ("Delete", "s3:AbortMultipartUpload", "there is no upload that somebody left"),
    ("Read", "/holds/*", "nobody holds a backup"),
    ("Names", "s3:GetBucketObjectLockConfiguration", "Object Lock is a parameter"),
    ("Names", "s3:GetReplicationConfiguration", "the copy elsewhere is a parameter"),
    ("Alerts", "", "only what fails is told"),
];

struct World<'a> {
    aws: &'a Ministack,
    recorder: Recorder,
    keys: TempDir,
    bucket: String,
}

impl World<'_> {
    fn role(&self, application: &Stack<'_>, function: &str) -> Result<Vec<Value>> {
        let mut statements = self.aws.statements(&application.physical(&resource_of(function, "Role"))?)?;
        // A key's ARN is made by the stand-in; calls name the only one there is.
        for statement in &mut statements {
            if list(&statement["Action"]).iter().any(|action| action.starts_with("kms:")) {
                statement["Resource"] = json!("KEY");
            }
        }
        Ok(statements)
    }

    /// Invokes a function, and notes what it asked for on the way.
    fn invoke(&self, function: &str, event: &Value, asked: &mut BTreeSet<Call>) -> Result<Value> {
        self.recorder.take();
        let answer = self.aws.invoke(&format!("{APPLICATION}-{function}"), event)?;
        asked.extend(calls(&self.recorder.take(), &self.bucket)?);
        Ok(answer)
    }

    fn key(&self, file: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.keys.path().join(file))?)
    }

    fn manifests(&self) -> Result<Vec<String>> {
        Ok(self.aws.keys(&self.bucket)?.into_iter().filter(|key| key.ends_with("/manifest.json")).collect())
    }
}

/// All messages of a topic so far; they come in any order.
struct Inbox<'a> {
    topic: Topic<'a>,
    messages: Vec<String>,
}

impl Inbox<'_> {
    /// Waits until a message has all of these texts in it.
    fn wait_for(&mut self, parts: &[&str]) -> Result {
        wait_until(SOON, &format!("a message with {parts:?}"), || {
            while let Ok(Some(message)) = self.topic.receive() {
                self.messages.push(message.to_string());
            }
            self.messages.iter().any(|message| parts.iter().all(|part| message.contains(part)))
        })
        .with_context(|| self.messages.join("\n"))
    }
}

#[test]
#[allow(clippy::too_many_lines)] // one life of a deployment, in its order
fn a_deployment_backs_up_proves_prunes_and_alarms_with_no_more_rights_than_it_uses() -> Result {
    let server = Postgres::shared(17)?;
    let shop = server.create_database("shop")?;
    shop.load(fixtures::SHOP)?;

    let recorder = Recorder::start()?;
    let aws = Ministack::start_with([("AWS_ENDPOINT_URL", recorder.url())])?;
    recorder.forward_to(aws.port()?);

    // As docs/deploy.md says: keys, settings, `make deploy`.
    let project = SamProject::clone_for(&aws)?;
    let keys = TempDir::with_prefix("pgark-tests-deploy-")?;
    let pair = KeyPair::generate(Timestamp::now());
    pair.write_file(&keys.path().join("identity.txt"))?;
    SigningKey::generate()?.write_files(&keys.path().join("signing.key"))?;
    let verification_key = std::fs::read_to_string(keys.path().join("signing.key.pub"))?;
    let verification_key = verification_key.lines().last().context("a key")?.to_owned();
    let scratch = aws.create_secret("scratch", &server.url("postgres"))?;
    project.set(&[
        ("Source", "shop".to_owned()),
        ("AlarmEmail", "none".to_owned()),
        ("Recipients", pair.recipient().to_string()),
        ("VerificationKey", verification_key),
        ("RestoreTestSecretArn", scratch),
        ("Metrics", "cloudwatch".to_owned()),
        ("Keep", "last 1".to_owned()),
        ("KeepMin", "1".to_owned()),
        ("PruneShareMax", "100%".to_owned()),
        // What the schedules do is shown by one of them, below.
        ("Schedules", "DISABLED".to_owned()),
    ])?;
    project.make(&["deploy"], "")?;
    let (aws, storage, application) = (&aws, aws.stack(STORAGE), aws.stack(APPLICATION));
    let world = World { aws, recorder, keys, bucket: storage.output("Bucket")? };
    let topic = aws.listen_to(&application.output("AlertsTopic")?)?;
    let mut alerts = Inbox { topic, messages: Vec::new() };

    // No secret yet: the run fails by name, and alerts and alarms ring.
    let mut asked_by_backup = BTreeSet::new();
    let failed = project.make(&["invoke-backup"], "").err().context("a run without a secret failed")?;
    asked_by_backup.extend(calls(&world.recorder.take(), &world.bucket)?);
    // The stand-in gives a secret without a value an empty one; Amazon has none then.
    let code =
        ["secret.missing", "secret.invalid"].into_iter().find(|code| format!("{failed:#}").contains(code));
    let code = code.with_context(|| format!("{failed:#}"))?;
    alerts.wait_for(&[code])?;
    for alarm in ["backup-missing", "backup-failed"] {
        let name = format!("{APPLICATION}-{alarm}");
        wait_until(SOON, &format!("{name} rings"), || {
            aws.alarm_state(&name).is_ok_and(|state| state == "ALARM")
        })?;
    }
    alerts.wait_for(&["pgark-backup-missing", "ALARM"])?;

    // No backup yet: unhealthy, which is told. (Not earlier: the stand-in's alarms see no dimensions, and this run succeeds.)
    let mut asked_by_health_check = BTreeSet::new();
    let answer = world.invoke("health-check", &json!({}), &mut asked_by_health_check)?;
    assert_eq!(answer["errorType"], "health.unhealthy", "{answer}");
    alerts.wait_for(&["shop is unhealthy"])?;

    // The secrets come, and the schedule fires.
    aws.put_secret(&storage.output("DatabaseSecretArn")?, &shop.url())?;
    aws.put_secret(&storage.output("SigningKeySecretArn")?, &world.key("signing.key")?)?;
    aws.put_secret(&storage.output("IdentitySecretArn")?, &world.key("identity.txt")?)?;
    world.recorder.take();
    let soon = (Timestamp::now() + 2.seconds()).strftime("at(%Y-%m-%dT%H:%M:%S)").to_string();
    project.set(&[("Schedules", "ENABLED".to_owned()), ("BackupSchedule", soon)])?;
    project.make(&["deploy"], "")?;
    wait_until(SOON, "the schedule made a backup", || {
        world.manifests().is_ok_and(|manifests| manifests.len() == 1)
    })?;
    let name = format!("{APPLICATION}-backup-missing");
    wait_until(SOON, "the alarm is over", || aws.alarm_state(&name).is_ok_and(|state| state == "OK"))?;
    asked_by_backup.extend(calls(&world.recorder.take(), &world.bucket)?);

    // A second one, by hand; both are looked at, restored and pruned.
    std::fs::write(project.path().join("event.json"), json!({ "slot": "second" }).to_string())?;
    let answer: Value = serde_json::from_str(&project.make(&["invoke-backup", "EVENT=event.json"], "")?)?;
    assert_eq!(answer["source"], "shop", "{answer}");
    project.make_until("logs-backup", answer["id"].as_str().context("an id")?)?;
    asked_by_backup.extend(calls(&world.recorder.take(), &world.bucket)?);
    let again = world.invoke("backup", &json!({ "slot": "second" }), &mut asked_by_backup)?;
    assert!(again["skipped"].as_str().is_some_and(|why| why.contains("slot second")), "{again}");
    // What a run that was killed left behind.
    let left = world.keys.path().join("signing.key.pub");
    aws.upload(&world.bucket, "daily/shop/20260101T020000Z-aaaa/toc.dat.age", &left)?;
    let mut asked = BTreeMap::from([("backup", asked_by_backup), ("health-check", asked_by_health_check)]);
    for (function, event) in [
        ("verify", json!({ "backup": "all", "sample": "50%", "slot": "first" })),
        ("verify", json!({ "backup": "all", "sample": "50%", "slot": "second" })),
        ("restore-test", json!({ "backup": "latest", "slot": "first" })),
        ("restore-test", json!({ "backup": "oldest-tested", "slot": "second" })),
        ("health-check", json!({})),
        ("prune", json!({ "slot": "first" })),
        ("prune", json!({ "apply": true, "slot": "second" })),
        ("prune", json!({ "apply": true, "slot": "second" })),
    ] {
        let by_function = asked.entry(function).or_default();
        let answer = world.invoke(function, &event, by_function)?;
        assert!(answer["errorType"].is_null(), "{function}: {answer}");
    }
    alerts.wait_for(&["shop is healthy again"])?;
    assert_eq!(world.manifests()?.len(), 1, "prune keeps the last one");

    // Each alarm on our metrics watches one that was really published, or that only trouble publishes.
    let published = aws.metrics("pgark")?;
    for (metric, dimensions) in [
        ("RunSuccess", vec!["Job=backup"]),
        ("RunSuccess", vec!["Job=health"]),
        ("RunFailure", vec!["Job=verify"]),
        ("RunFailure", vec!["Job=restore-test"]),
        ("RunDuration", vec!["Job=backup"]),
        ("BackupsDeleted", vec!["Job=prune"]),
        ("Healthy", vec![]),
        ("SizeAnomaly", vec![]),
        ("LastRestoreTestAge", vec![]),
    ] {
        let dimensions: Vec<String> = dimensions.into_iter().map(str::to_owned).collect();
        assert!(
            published.contains(&(metric.to_owned(), dimensions)),
            "{metric} was not published: {published:#?}"
        );
    }

    let mut problems = Vec::new();
    for (function, asked) in &asked {
        let statements = world.role(&application, function)?;
        let mut used = BTreeSet::new();
        for call in asked {
            let allowing = allowed_by(&statements, call)?;
            if allowing.is_empty() {
                problems.push(format!("the role of {function} lacks {call:?}"));
            }
            for number in allowing {
                used.extend(patterns(&statements[number], call).into_iter().map(|pattern| (number, pattern)));
            }
        }
        for (number, statement) in statements.iter().enumerate() {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            for pattern in list(&statement["Action"]).into_iter().chain(list(&statement["Resource"])) {
                let excused = UNUSED.iter().any(|(of, end, _)| *of == sid && pattern.ends_with(end));
                if !used.contains(&(number, pattern)) && !excused {
                    problems.push(format!("{function} never uses {pattern} of its statement {sid}"));
                }
            }
        }
        forbidden(function, &statements, &world, &storage)?;
    }

    assert!(problems.is_empty(), "{}", problems.join("\n"));

    // To the questions whether it is meant.
    project.make(&["destroy"], "y\ny\n")?;
    assert!(application.is_gone());
    assert_eq!(world.manifests()?.len(), 1, "the backups stay");
    Ok(())
}

/// What a role must not be able to do, whatever else it may.
fn forbidden(function: &str, statements: &[Value], world: &World<'_>, storage: &Stack<'_>) -> Result {
    let object = |key: &str| format!("arn:aws:s3:::{}/{key}", world.bucket);
    let mut never = Vec::new();
    for tier in Tier::ALL {
        let data = object(&format!("{tier}/shop/20261121T020000Z-7k3f/data/sales.orders.dat.zst.age"));
        never.push(Call::new("s3:DeleteObjectVersion", &data));
        if function != "prune" {
            never.push(Call::new("s3:DeleteObject", &data));
        }
        if function != "backup" {
            never.push(Call::new("s3:PutObject", &data));
        }
        if !["verify", "restore-test"].contains(&function) {
            never.push(Call::new("s3:GetObject", &data));
        }
    }
    for (secret, reader) in [("Identity", "restore-test"), ("SigningKey", "backup"), ("Database", "backup")] {
        if function != reader {
            let arn = storage.output(&format!("{secret}SecretArn"))?;
            never.push(Call::new("secretsmanager:GetSecretValue", &arn));
        }
    }
    // Not in its own name, only through S3.
    never.push(Call::new("kms:Decrypt", "KEY"));
    never.push(Call::new("s3:PutObject", &object("reports/shop/other/x.json")));
    never.push(Call::new("iam:PassRole", "*"));
    for call in never {
        assert!(allowed_by(statements, &call)?.is_empty(), "{function} may {call:?}");
    }
    Ok(())
}
