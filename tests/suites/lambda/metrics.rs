//! Metrics as functions leave them by default: lines of the log, there before the answer is, whether the run went well or
//! not. CloudWatch makes metrics of them, which no stand-in does; so the lines are held against its specification, and
//! against the alarms that wait for them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use pgark::telemetry::Metric;
use pgark_tests::template::Template;
use pgark_tests::{Rie, repository};
use serde_json::{Value, json};

use super::world::World;
use super::{PASSWORD, Result, lines, shop};

/// "Specification: Embedded metric format", Amazon CloudWatch User Guide, with its limits and units. The names of
/// members are as they stand there.
fn specification() -> Value {
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
    let units = [
        "Seconds|Microseconds|Milliseconds|Percent|Count|Count/Second|None",
        "Bytes|Kilobytes|Megabytes|Gigabytes|Terabytes|Bits|Kilobits|Megabits|Gigabits|Terabits",
        "(Bytes|Kilobytes|Megabytes|Gigabytes|Terabytes|Bits|Kilobits|Megabits|Gigabits|Terabits)/Second",
    ];
    let metric = json!({
        "type": "object", "required": ["Name"], "additionalProperties": false,
        "properties": {
            "Name": name,
            "Unit": { "type": "string", "pattern": format!("^({})$", units.join("|")) },
            "StorageResolution": { "enum": [1, 60] },
        },
    });
    let directive = json!({
        "type": "object", "required": ["Namespace", "Dimensions", "Metrics"], "additionalProperties": false,
        "properties": {
            "Namespace": name,
            "Dimensions": {
                "type": "array", "minItems": 1,
                "items": { "type": "array", "maxItems": 30, "items": name },
            },
            "Metrics": { "type": "array", "minItems": 1, "maxItems": 100, "items": metric },
        },
    });
    json!({
        "type": "object", "required": ["_aws"],
        "properties": {
            "_aws": {
                "type": "object", "required": ["Timestamp", "CloudWatchMetrics"],
                "properties": {
                    "Timestamp": { "type": "integer", "minimum": 0 },
                    "CloudWatchMetrics": { "type": "array", "minItems": 1, "items": directive },
                },
            },
        },
    })
}

/// The metrics of a line, by name. What the line has to say of each is held against the specification and the catalogue.
fn metrics(line: &Value) -> anyhow::Result<BTreeMap<String, f64>> {
    let schema = jsonschema::validator_for(&specification())?;
    let problems: Vec<String> = schema.iter_errors(line).map(|error| error.to_string()).collect();
    ensure!(problems.is_empty(), "{problems:?}");
    ensure!(line.to_string().len() < 256 << 10, "too long for an event of CloudWatch Logs");
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().context("no directives")?;
    let mut values = BTreeMap::new();
    for directive in directives {
        ensure!(directive["Namespace"] == "pgark", "{directive}");
        for definition in directive["Metrics"].as_array().into_iter().flatten() {
            let name = definition["Name"].as_str().context("no name")?;
            let metric = Metric::ALL.iter().find(|metric| metric.as_str() == name);
            let metric = metric.with_context(|| format!("{name} is not in the catalogue"))?;
            ensure!(definition["Unit"] == metric.unit().as_str(), "{definition}");
            let subject = metric.subject();
            let dimensions = [subject.dimensions(), subject.dimensions_of_all()]
                .map(|set| set.iter().map(|one| one.as_str()).collect::<Vec<_>>());
            ensure!(directive["Dimensions"] == json!(dimensions), "{name}: {directive}");
            for dimension in &dimensions[0] {
                let value = line[*dimension].as_str().unwrap_or_default();
                ensure!(!value.is_empty(), "{name}: {dimension} is no text");
            }
            let value = line[name].as_f64().with_context(|| format!("{name} is no number"))?;
            ensure!(values.insert(name.to_owned(), value).is_none(), "{name} is there twice");
        }
    }
    Ok(values)
}

/// Invokes a function, and takes the metrics of the run out of what it had printed by the answer.
fn of_run(function: &Rie, event: &Value, code: Option<&str>) -> anyhow::Result<BTreeMap<String, f64>> {
    let before = function.output().len();
    let answer = function.invoke(event)?;
    let output = function.output();
    assert_eq!(answer["errorType"].as_str(), code, "{answer}\n{output}");
    let mut all = BTreeMap::new();
    let lines = lines::of(&output[before..])?;
    let request = &lines.last().context("no line")?["function_request_id"];
    for line in lines.iter().filter(|line| !line["_aws"].is_null()) {
        ensure!(line["Source"] == "shop" && line["function_request_id"] == *request, "{line}");
        for (name, value) in metrics(line).with_context(|| line.to_string())? {
            ensure!(all.insert(name.clone(), value).is_none(), "{name} is published twice");
        }
    }
    Ok(all)
}

/// The metrics that alarms watch, by the function which is to leave them.
fn watched() -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let template = Template::application()?;
    let mut watched: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for alarm in template.of_kind("AWS::CloudWatch::Alarm") {
        let properties = alarm.properties();
        // Ours; those of AWS have their names spelled out.
        if properties["Namespace"]["Ref"] != "AWS::StackName" {
            continue;
        }
        let metric = properties["MetricName"].as_str().context("a metric")?;
        // What has no job is of a source, and only the health check looks at sources.
        let job = properties["Dimensions"][0]["Value"].as_str().unwrap_or("health");
        let function = if job == "health" { "health-check" } else { job };
        watched.entry(function.to_owned()).or_default().insert(metric.to_owned());
    }
    Ok(watched)
}

/// An event that makes a run fail, by the settings that do, and the code.
struct Failing<'a> {
    event: Value,
    settings: Vec<(&'static str, String)>,
    code: &'a str,
}

#[test]
fn what_alarms_watch_is_in_the_log_when_the_answer_is() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let recipient = ("PGARK_RECIPIENTS", world.recipient().to_owned());
    let database = |url: String| vec![recipient.clone(), ("PGARK_DATABASE_URL", url)];
    let test = vec![world.identity(), ("PGARK_RESTORE_TEST_URL", shop.server().url("postgres"))];
    let wrong = json!({ "assertions": [{ "name": "empty", "sql": "select count(*) from sales.orders", "expect": 0 }] });
    let refused = || vec![("AWS_SECRET_ACCESS_KEY", "wrong".to_owned())];
    // A plan of deletions is no run.
    let (one, apply) = (json!({ "source": "shop" }), json!({ "source": "shop", "apply": true }));
    let stranger = shop.server().url_as("postgres", PASSWORD, shop.name());
    // In this order: proofs come after the backup, and the health check tells of them; what damages comes last.
    let failing = |event: &Value, settings, code| Failing { event: event.clone(), settings, code };
    let runs = [
        (
            "backup",
            json!({}),
            database(shop.url()),
            failing(&json!({}), database(stranger), "connect.authentication"),
        ),
        ("verify", json!({}), vec![world.identity()], failing(&json!({}), vec![], "verify.findings")),
        ("restore-test", json!({}), test.clone(), failing(&wrong, test, "restore-test.failed")),
        ("health-check", one.clone(), vec![], failing(&one, refused(), "store.refused")),
        ("prune", apply.clone(), vec![], failing(&apply, refused(), "store.refused")),
    ];
    let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut failures = Vec::new();
    for (name, event, settings, failing) in runs {
        let values = of_run(&world.start(name, settings)?, &event, None)?;
        assert_eq!(
            (values.get("RunSuccess"), values.get("RunFailure")),
            (Some(&1.0), Some(&0.0)),
            "{name}: {values:?}"
        );
        left.entry(name.to_owned()).or_default().extend(values.into_keys());
        failures.push((name, failing));
    }
    // The restore test first: it fails by its own assertion, with the backup still good.
    failures.sort_by_key(|(name, _)| *name != "restore-test");
    for (name, Failing { event, settings, code }) in failures {
        if name == "verify" {
            let keys = world.keys()?;
            let table =
                keys.iter().find(|key| key.contains("/data/sales.customers.dat")).context("no table")?;
            world.replace(table, b"something else")?;
        }
        let values = of_run(&world.start(name, settings)?, &event, Some(code))?;
        assert_eq!(
            (values.get("RunSuccess"), values.get("RunFailure")),
            (Some(&0.0), Some(&1.0)),
            "{name}: {values:?}"
        );
        left.entry(name.to_owned()).or_default().extend(values.into_keys());
    }
    let watched = watched()?;
    for (function, metrics) in &watched {
        let missing: Vec<_> = metrics.difference(&left[function]).collect();
        assert!(missing.is_empty(), "alarms wait for {missing:?}, which {function} does not leave");
    }
    let functions = std::fs::read_dir(repository().join("functions"))?.count();
    assert_eq!((watched.len(), left.len()), (functions, functions));
    Ok(())
}

/// Whoever looks at a chart sees that the schedule fired, and that there was nothing to do.
#[test]
fn a_run_that_was_not_needed_is_counted_as_such() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let function = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    let event = json!({ "slot": "2026-11-21T02:00:00Z" });
    let first = of_run(&function, &event, None)?;
    assert_eq!((first.get("RunSuccess"), first.get("RunSkipped")), (Some(&1.0), Some(&0.0)));
    assert_eq!(of_run(&function, &event, None)?, BTreeMap::from([("RunSkipped".to_owned(), 1.0)]));
    Ok(())
}

#[test]
fn what_is_not_as_cloudwatch_reads_it_is_found() -> Result {
    let good = r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"pgark","Dimensions":[["Job","Source"],["Job"]],"Metrics":[{"Name":"RunSuccess","Unit":"Count"}]}]},"Job":"backup","Source":"shop","RunSuccess":1.0}"#;
    assert_eq!(metrics(&serde_json::from_str(good)?)?, BTreeMap::from([("RunSuccess".to_owned(), 1.0)]));
    for (part, instead) in [
        (r#""Timestamp":1"#, r#""Timestamp":"1""#),
        (r#""Namespace":"pgark","#, ""),
        (r#""Namespace":"pgark""#, r#""Namespace":"else""#),
        (r#"["Job","Source"],"#, ""),
        ("Count", "Counts"),
        ("Count", "Bytes"),
        (r#""Name":"RunSuccess""#, r#""Name":"RunSucceeded""#),
        (r#""Job":"backup","#, ""),
        (r#""Source":"shop""#, r#""Source":7"#),
        (r#""RunSuccess":1.0"#, r#""RunSuccess":"1""#),
        (r#""RunSuccess":1.0"#, r#""runSuccess":1.0"#),
    ] {
        assert!(good.contains(part), "{part}");
        let line: Value = serde_json::from_str(&good.replacen(part, instead, 1))?;
        assert!(metrics(&line).is_err(), "{part} -> {instead}");
    }
    Ok(())
}
