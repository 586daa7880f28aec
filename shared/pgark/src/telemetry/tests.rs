use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::runs::{Figures, JobName, Outcome, RunCost};

fn run(job: JobName, outcome: Outcome) -> RunRecord {
    let record = json!({
        "format_version": "1.0", "pgark_version": "0.1.0", "run": "20261121T020000Z-7k3f", "job": job,
        "source": "shop", "started_at": "2026-11-21T02:00:00Z", "finished_at": "2026-11-21T02:00:12.5Z",
        "outcome": outcome, "backup": null, "error": null, "report": null, "cost": null, "slot": null, "by": null,
    });
    serde_json::from_value(record).unwrap()
}

fn values(run: &RunRecord) -> Vec<(&'static str, f64)> {
    of_run(run).unwrap().values.iter().map(|datum| (datum.metric.as_str(), datum.value)).collect()
}

#[test]
fn a_backup_comes_to_its_numbers() {
    let mut run = run(JobName::Backup, Outcome::Done);
    run.figures = Figures {
        rows: Some(90_528),
        plain_bytes: Some(5_000),
        stored_bytes: Some(1_000),
        ..Figures::default()
    };
    run.cost = Some(RunCost { storage_month_usd: 0.5, requests_usd: 0.25, compute_usd: 0.125 });
    let expected = [
        ("RunSuccess", 1.0),
        ("RunFailure", 0.0),
        ("RunSkipped", 0.0),
        ("RunDuration", 12.5),
        ("PlainBytes", 5_000.0),
        ("StoredBytes", 1_000.0),
        ("Rows", 90_528.0),
        ("CompressionRatio", 5.0),
        ("EstimatedStorageCost", 0.5),
        ("EstimatedRunCost", 0.375),
    ];
    assert_eq!(values(&run), expected);
}

#[test]
fn success_and_failure_are_told_by_the_outcome() {
    for (outcome, success, failure) in [
        (Outcome::Done, 1.0, 0.0),
        (Outcome::Failed, 0.0, 1.0),
        (Outcome::Damaged, 0.0, 1.0),
        (Outcome::Unhealthy, 1.0, 0.0),
    ] {
        let values = values(&run(JobName::Verify, outcome));
        assert_eq!(values[..2], [("RunSuccess", success), ("RunFailure", failure)], "{outcome:?}");
    }
    assert_eq!(values(&run(JobName::Backup, Outcome::Skipped)), [("RunSkipped", 1.0)]);
    let started = RunRecord { finished_at: None, outcome: None, ..run(JobName::Backup, Outcome::Done) };
    assert_eq!(of_run(&started), None);
}

/// "Specification: Embedded metric format", Amazon CloudWatch User Guide: every name in a directive is a member beside
/// `_aws`, dimensions as text and metrics as numbers.
#[test]
fn a_line_of_the_log_is_what_cloudwatch_reads() {
    let data = of_run(&run(JobName::Backup, Outcome::Failed)).unwrap();
    let log = embedded::Log {
        level: "WARN".to_owned(),
        service: "backups".to_owned(),
        request_id: Some("899856cb".to_owned()),
    };
    let lines = embedded::lines(&data, "backups/prod", &log);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(!line.contains('\n'));
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["level"], &line["timestamp"]), (&json!("WARN"), &json!("2026-11-21T02:00:12.500Z")));
    assert_eq!((&line["service"], &line["function_request_id"]), (&json!("backups"), &json!("899856cb")));
    assert_eq!(line["_aws"]["Timestamp"], 1_795_226_412_500_u64);
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "backups/prod");
    assert_eq!(directive["Dimensions"], json!([["Job", "Source"], ["Job"]]));
    assert_eq!((&line["Job"], &line["Source"]), (&json!("backup"), &json!("shop")));
    let metrics = directive["Metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 4);
    for metric in metrics {
        assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
    }
    assert_eq!(metrics[3], json!({ "Name": "RunDuration", "Unit": "Seconds" }));
}

#[test]
fn cloudwatch_gets_each_value_with_and_without_its_source() {
    let data = of_run(&run(JobName::Prune, Outcome::Skipped)).unwrap();
    let datums = cloudwatch::datums(&data);
    let dimensions: Vec<Vec<(&str, &str)>> = datums
        .iter()
        .map(|datum| {
            let of = datum.dimensions().iter();
            of.map(|one| (one.name().unwrap_or_default(), one.value().unwrap_or_default())).collect()
        })
        .collect();
    assert_eq!(dimensions, [vec![("Job", "prune"), ("Source", "shop")], vec![("Job", "prune")]]);
    let expected = "2026-11-21T02:00:12.5Z".parse::<Timestamp>().unwrap();
    assert!(datums.iter().all(|datum| datum.timestamp().unwrap().secs() == expected.as_second()));
}
