use serde_json::{Value, json};

use super::*;
use crate::runs::{Figures, JobName, Outcome, RunCost, RunError};

fn run(job: JobName, outcome: Outcome) -> RunRecord {
    let record = json!({
        "format_version": "1.0", "pgark_version": "0.1.0", "run": "20261121T020000Z-7k3f", "job": job,
        "source": "shop", "started_at": "2026-11-21T02:00:00Z", "finished_at": "2026-11-21T02:03:20Z",
        "outcome": outcome, "backup": null, "error": null, "report": null, "cost": null, "slot": null,
        "by": "db-1",
    });
    serde_json::from_value(record).unwrap()
}

fn failed_backup() -> RunRecord {
    RunRecord {
        error: Some(RunError {
            code: "connect.authentication".to_owned(),
            message:
                "database db.example/shop: password authentication failed for user \"backup\"\nDETAIL: <none>"
                    .to_owned(),
            hint: Some("Check the password in PGARK_DATABASE_URL.".to_owned()),
        }),
        ..run(JobName::Backup, Outcome::Failed)
    }
}

fn notice_of(run: &RunRecord) -> Notice {
    notice::of_run(run, "s3://backups/prod").unwrap()
}

#[test]
fn a_failed_backup_reads_so() {
    let text = notice_of(&failed_backup()).text();
    assert_eq!(
        text,
        "pgark: backup of shop failed

reason     database db.example/shop: password authentication failed for user \"backup\"; DETAIL: <none> [connect.authentication]
next step  Check the password in PGARK_DATABASE_URL.
duration   3 min 20 s
run        20261121T020000Z-7k3f, started 2026-11-21 02:00 UTC by db-1
store      s3://backups/prod
runbook    https://github.com/pgark/pgark/blob/main/docs/alerts.md#backup
"
    );
}

#[test]
fn a_backup_that_is_done_tells_its_size() {
    let mut run = run(JobName::Backup, Outcome::Done);
    run.figures = Figures {
        rows: Some(90_528),
        tables: Some(16),
        plain_bytes: Some(5_924_454),
        stored_bytes: Some(1_080_000),
        ..Figures::default()
    };
    run.cost = Some(RunCost { storage_month_usd: 0.0125, requests_usd: 0.0, compute_usd: 0.0 });
    let backup = "20261121T020000Z-aaaa".parse().unwrap();
    run.backup = Some(crate::runs::RunBackup { id: backup, tier: crate::repository::Tier::Daily });
    assert_eq!(
        notice_of(&run).text(),
        "pgark: backup of shop is done

backup    daily/shop/20261121T020000Z-aaaa
duration  3 min 20 s
size      1.03 MiB, 5.65 MiB before compression (ratio 5.5)
rows      90,528 in 16 tables
cost      about 0.0125 USD a month for storing it
run       20261121T020000Z-7k3f, started 2026-11-21 02:00 UTC by db-1
store     s3://backups/prod
"
    );
}

#[test]
fn what_damage_is_called() {
    let mut verify = run(JobName::Verify, Outcome::Damaged);
    verify.figures.findings = Some(2);
    assert_eq!(notice_of(&verify).title, "verify of shop found damage in 2 places");
    let test = run(JobName::RestoreTest, Outcome::Damaged);
    let notice = notice_of(&test);
    assert_eq!(notice.title, "restore test of shop failed: what was restored is not what was backed up");
    assert!(notice.runbook.unwrap().ends_with("#damage"));
    assert!(notice.next_step.unwrap().contains("pgark restore-test BACKUP"));
}

/// Failures and damage are told to all, success to those who asked, and what a health check found by its alerts alone.
#[test]
fn who_hears_of_what() {
    use Channel::{Slack, Sns, Webhook};
    let url = || {
        let file = "store = 'file:///backups'";
        let origins = config::Origins {
            flags: config::RawSettings::default(),
            environment: &|_| None,
            file: Some(file),
            cores: 2,
        };
        let settings = Settings::resolve(origins, config::Needs::default()).unwrap();
        let source = UrlSource::Url(Secret::new("https://hooks.example/x"));
        Url::of(Some(&source), &settings)
    };
    let topic = sns::Topic { arn: "arn:aws:sns:eu-west-1:123456789012:x".to_owned(), endpoint: None };
    let notifiers = Notifiers {
        topic: Some(topic),
        slack: url(),
        webhook: url(),
        ping: None,
        success_to: vec![Webhook],
        store: "s3://backups".to_owned(),
    };
    let all = vec![Sns, Slack, Webhook];
    for (job, outcome, channels) in [
        (JobName::Backup, Outcome::Failed, all.clone()),
        (JobName::RestoreTest, Outcome::Damaged, all.clone()),
        (JobName::Health, Outcome::Failed, all),
        (JobName::Backup, Outcome::Done, vec![Webhook]),
        (JobName::Health, Outcome::Done, vec![]),
        (JobName::Health, Outcome::Unhealthy, vec![]),
    ] {
        assert_eq!(notifiers.hearers(&notice_of(&run(job, outcome))), channels, "{job} {outcome:?}");
    }
    assert_eq!(notice::of_run(&run(JobName::Backup, Outcome::Skipped), ""), None);
    assert_eq!(notice_of(&run(JobName::Health, Outcome::Failed)).title, "health check of shop failed");
    assert_eq!(notice_of(&run(JobName::Health, Outcome::Unhealthy)).title, "shop is unhealthy");
}

/// docs/format/notice.schema.json is what the webhook gets.
#[test]
fn the_webhook_gets_what_the_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../docs/format/notice.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for run in
        [failed_backup(), run(JobName::Backup, Outcome::Done), run(JobName::RestoreTest, Outcome::Damaged)]
    {
        let json = serde_json::to_value(notice_of(&run)).unwrap();
        let errors: Vec<_> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{json:#}");
    }
    assert!(!schema.is_valid(&json!({ "event": "run.failed" })));
}

#[test]
fn the_subject_is_one_that_sns_takes() {
    let mut run = failed_backup();
    let mut notice = notice_of(&run);
    assert_eq!(sns::subject(&notice), "[pgark] backup of shop failed");
    notice.title = format!("ü\n{}", "x".repeat(200));
    let subject = sns::subject(&notice);
    assert!(subject.is_ascii() && subject.len() < 100 && !subject.contains('\n'), "{subject}");
    run.outcome = Some(Outcome::Done);
    assert_eq!(sns::subject(&notice_of(&run)), "[pgark ok] backup of shop is done");
}

#[test]
fn slack_gets_escaped_text_that_cannot_leave_its_block() {
    let mut run = failed_backup();
    run.error.as_mut().unwrap().message = "``` <!channel> & more".to_owned();
    let body: Value = serde_json::from_slice(&slack::body(&notice_of(&run))).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with(":rotating_light: *pgark: backup of shop failed*\n```reason "), "{text}");
    assert!(text.contains("''' &lt;!channel&gt; &amp; more"), "{text}");
    assert_eq!(text.matches("```").count(), 2, "{text}");
}

#[test]
fn pings_go_to_the_check_of_their_job() {
    let url = |template: &str, job, ping| {
        let found = ping::url_for(&Secret::new(template), &run(job, Outcome::Done), ping);
        found.map(|url| url.expose().to_owned())
    };
    for (template, job, ping, expected) in [
        ("https://hc/abc", JobName::Backup, Ping::Start, Some("https://hc/abc/start")),
        ("https://hc/abc/", JobName::Backup, Ping::Success, Some("https://hc/abc")),
        ("https://hc/abc?create=1", JobName::Backup, Ping::Fail, Some("https://hc/abc/fail?create=1")),
        // A good verification must not hide a missing backup.
        ("https://hc/abc", JobName::Verify, Ping::Success, None),
        ("https://hc/abc", JobName::Health, Ping::Fail, None),
        ("https://hc/k/{source}-{job}", JobName::Verify, Ping::Fail, Some("https://hc/k/shop-verify/fail")),
    ] {
        assert_eq!(url(template, job, ping).as_deref(), expected, "{template} {job} {ping:?}");
    }
    for (outcome, ping) in [
        (Outcome::Done, Some(Ping::Success)),
        (Outcome::Failed, Some(Ping::Fail)),
        (Outcome::Damaged, Some(Ping::Fail)),
        (Outcome::Unhealthy, Some(Ping::Fail)),
        (Outcome::Skipped, None),
    ] {
        assert_eq!(ping::at_end(&run(JobName::Backup, outcome)), ping);
    }
}

#[test]
fn what_was_not_delivered_is_a_sentence_with_the_setting() {
    let one = Undelivered { channel: "slack".to_owned(), why: "HTTP status 500, in 3 tries".to_owned() };
    assert_eq!(
        one.to_string(),
        "The message to the Slack webhook was not delivered: HTTP status 500, in 3 tries. Look at PGARK_SLACK_URL."
    );
}
