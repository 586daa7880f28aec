use std::collections::HashMap;

use super::*;
use crate::config::{Needs, Origins, Problem, Settings};

fn resolve(environment: &[(&str, &str)], file: Option<&str>) -> Result<WatchSettings, Vec<Problem>> {
    let environment: HashMap<_, _> = environment.iter().copied().collect();
    let variable = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    let origins = Origins { flags: RawSettings::default(), environment: &variable, file, cores: 2 };
    Settings::resolve(origins, Needs::default()).map(|settings| settings.watch)
}

#[test]
fn by_default_nobody_is_told_and_a_nightly_backup_is_watched() {
    let watch = resolve(&[], None).unwrap();
    assert_eq!((&watch.sns_topic, &watch.slack, &watch.webhook, &watch.ping), (&None, &None, &None, &None));
    assert_eq!((watch.metrics, watch.metrics_namespace.as_str()), (None, "pgark"));
    assert_eq!(watch.health, HealthSettings::default());
}

#[test]
fn settings_are_read() {
    let environment = [
        ("PGARK_SNS_TOPIC", "arn:aws:sns:eu-west-1:123456789012:backups"),
        ("PGARK_SLACK_SECRET", "prod/slack"),
        ("PGARK_PING_URL", "https://hc.example/{source}-{job}"),
        ("PGARK_NOTIFY_SUCCESS", "webhook, sns"),
        ("PGARK_METRICS", "cloudwatch"),
        ("AWS_ENDPOINT_URL", "http://all:1"),
        ("AWS_ENDPOINT_URL_SNS", "http://sns:2"),
        ("PGARK_HEALTH_RESTORE_TEST_AGE", "off"),
        ("PGARK_HEALTH_SIZE_FACTOR", "1.5"),
        ("PGARK_HEALTH_BUCKET", "lock,versioning,lock"),
    ];
    let watch = resolve(&environment, Some("health_backup_age = '2d'\nhealth_reminder = 'off'")).unwrap();
    assert_eq!(watch.success_to, [Channel::Webhook, Channel::Sns]);
    assert_eq!(watch.metrics, Some(MetricsWay::CloudWatch));
    assert_eq!(watch.sns_endpoint.as_deref(), Some("http://sns:2"));
    assert_eq!(watch.cloudwatch_endpoint.as_deref(), Some("http://all:1"));
    let health = watch.health;
    assert_eq!((health.backup_age_max, health.restore_test_age_max), (Some(2 * DAY), None));
    assert_eq!((health.size_factor_max, health.reminder), (Some(1.5), None));
    assert_eq!(health.bucket, [BucketFeature::Lock, BucketFeature::Versioning]);
    assert!(matches!(watch.slack, Some(UrlSource::Secret(secret)) if secret.id() == "prod/slack"));
}

/// A variable replaces the URL and the secret of the file alike.
#[test]
fn the_nearer_url_wins() {
    let file = "slack_url = 'https://file.example/x'";
    let watch = resolve(&[("PGARK_SLACK_SECRET", "prod/slack")], Some(file)).unwrap();
    assert!(matches!(watch.slack, Some(UrlSource::Secret(_))));
}

#[test]
fn what_is_wrong_is_told_and_no_url_is_shown() {
    for (name, value) in [
        ("PGARK_SNS_TOPIC", "backups"),
        ("PGARK_SNS_TOPIC", "arn:aws:sqs:eu-west-1:123456789012:backups"),
        ("PGARK_SLACK_URL", "hooks.example/hunter2"),
        ("PGARK_WEBHOOK_URL", "ftp://hunter2@hooks.example"),
        ("PGARK_PING_URL", "https:///hunter2"),
        ("PGARK_PING_SECRET", "no name"),
        ("PGARK_NOTIFY_SUCCESS", "mail"),
        ("PGARK_METRICS", "prometheus"),
        ("PGARK_METRICS_NAMESPACE", "AWS/Lambda"),
        ("PGARK_METRICS_NAMESPACE", "a\nb"),
        ("PGARK_HEALTH_BACKUP_AGE", "26"),
        ("PGARK_HEALTH_RUN_TIME", "off"),
        ("PGARK_HEALTH_SIZE_FACTOR", "1"),
        ("PGARK_HEALTH_SIZE_FACTOR", "inf"),
        ("PGARK_HEALTH_BUCKET", "logging"),
        ("PGARK_RECOVERY_TIME", "soon"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", "monitoring"),
    ] {
        let problems = resolve(&[(name, value)], None).unwrap_err();
        let [problem] = &problems[..] else { panic!("{name}={value}: {problems:?}") };
        assert_eq!(problem.setting, name, "{value}");
        assert!(problem.fix.ends_with('.'), "{}", problem.fix);
        assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
    }
    let both = [("PGARK_PING_URL", "https://hc.example/x"), ("PGARK_PING_SECRET", "ping")];
    assert_eq!(resolve(&both, None).unwrap_err().len(), 1);
}

#[test]
fn urls_do_not_show() {
    let watch = resolve(&[("PGARK_WEBHOOK_URL", "https://hooks.example/hunter2")], None).unwrap();
    assert!(!format!("{watch:?}").contains("hunter2"), "{watch:?}");
}
