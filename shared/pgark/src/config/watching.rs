//! Settings of watching: who is told what happened, where metrics go, and what counts as healthy.
//!
//! URLs of webhooks and pings let anybody post who knows them, so they are secrets: no `Debug` shows them, and no error
//! repeats them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::problems::Problems;
use super::validate::endpoint_of;
use super::values;
use super::variables::{RawSettings, variable};
use crate::repository::Level;
use crate::secret::Secret;
use crate::secrets::SecretReference;

/// Settings of watching.
#[derive(Debug, Clone)]
pub struct WatchSettings {
    /// The ARN of the SNS topic that gets messages, if there is one.
    pub sns_topic: Option<String>,
    /// The Slack-compatible webhook.
    pub slack: Option<UrlSource>,
    /// The webhook that gets JSON.
    pub webhook: Option<UrlSource>,
    /// What is pinged at the start and the end of runs.
    pub ping: Option<UrlSource>,
    /// Who hears of success, besides pings.
    pub success_to: Vec<Channel>,
    /// Where metrics go; by default into the log of a function, and nowhere from elsewhere.
    pub metrics: Option<MetricsWay>,
    /// The namespace of metrics in CloudWatch.
    pub metrics_namespace: String,
    /// A custom endpoint for SNS.
    pub sns_endpoint: Option<String>,
    /// A custom endpoint for CloudWatch.
    pub cloudwatch_endpoint: Option<String>,
    /// What counts as healthy.
    pub health: HealthSettings,
}

/// Where the URL of a webhook is found. Its `Debug` shows none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlSource {
    /// Here.
    Url(Secret),
    /// In a secret of AWS Secrets Manager.
    Secret(SecretReference),
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The SNS topic.
    Sns,
    /// The Slack-compatible webhook.
    Slack,
    /// The webhook that gets JSON.
    Webhook,
}

impl Channel {
    /// As in settings and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sns => "sns",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
        }
    }
}

/// Where metrics go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsWay {
    /// Nowhere.
    None,
    /// To CloudWatch, by request.
    CloudWatch,
    /// Into a function's log, in CloudWatch's embedded metric format.
    Embedded,
}

/// What counts as healthy. `None` switches a check off.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSettings {
    /// How old the newest good backup may be.
    pub backup_age_max: Option<Duration>,
    /// How old the last verification that found nothing may be.
    pub verify_age_max: Option<Duration>,
    /// How deep a verification must have looked to count.
    pub verify_level: Level,
    /// How old the last restore test that passed may be.
    pub restore_test_age_max: Option<Duration>,
    /// How many times larger or smaller than the median a backup may be.
    pub size_factor_max: Option<f64>,
    /// How long a run may take, and an upload may stay unfinished.
    pub run_time_max: Duration,
    /// The promise of how much may be lost; by default `backup_age_max`.
    pub recovery_point: Option<Duration>,
    /// The promise of how long a restore takes.
    pub recovery_time: Option<Duration>,
    /// What the bucket is to have.
    pub bucket: Vec<BucketFeature>,
    /// After which time an alert is repeated; `None` never.
    pub reminder: Option<Duration>,
}

/// What a bucket may be asked to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketFeature {
    /// Versioning.
    Versioning,
    /// Object Lock with a default retention.
    Lock,
    /// Replication to another bucket.
    Replication,
}

impl BucketFeature {
    /// As in settings and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Versioning => "versioning",
            Self::Lock => "lock",
            Self::Replication => "replication",
        }
    }
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Default for HealthSettings {
    /// For a backup and a verification every night, and a restore test every week.
    fn default() -> Self {
        Self {
            backup_age_max: Some(26 * HOUR),
            verify_age_max: Some(26 * HOUR),
            verify_level: Level::Stored,
            restore_test_age_max: Some(8 * DAY),
            size_factor_max: Some(2.0),
            run_time_max: 6 * HOUR,
            recovery_point: None,
            recovery_time: None,
            bucket: Vec::new(),
            reminder: Some(DAY),
        }
    }
}

pub(super) fn validate(
    raw: &RawSettings,
    [sns_endpoint, cloudwatch_endpoint]: [Option<String>; 2],
    problems: &mut Problems,
) -> WatchSettings {
    let topic = raw.sns_topic.as_deref().map(topic);
    let metrics = raw.metrics.as_deref().map(metrics_way);
    let namespace = raw.metrics_namespace.as_deref().map(namespace);
    let success_to = raw.notify_success.as_deref().map(|text| list(text, channel));
    WatchSettings {
        sns_topic: problems.keep(
            variable::sns_topic,
            topic,
            "Give the topic's ARN: arn:aws:sns:REGION:ACCOUNT:NAME.",
        ),
        slack: url(
            (variable::slack_url, &raw.slack_url),
            (variable::slack_secret, &raw.slack_secret),
            problems,
        ),
        webhook: url(
            (variable::webhook_url, &raw.webhook_url),
            (variable::webhook_secret, &raw.webhook_secret),
            problems,
        ),
        ping: url((variable::ping_url, &raw.ping_url), (variable::ping_secret, &raw.ping_secret), problems),
        success_to: problems
            .keep(
                variable::notify_success,
                success_to,
                "Give some of sns, slack and webhook, comma separated.",
            )
            .unwrap_or_default(),
        metrics: problems.keep(variable::metrics, metrics, "Give none, cloudwatch, or (in a function) emf."),
        metrics_namespace: problems
            .keep(
                variable::metrics_namespace,
                namespace,
                "Give a name such as pgark or backups/production: letters, digits and . - _ / # : only.",
            )
            .unwrap_or_else(|| "pgark".to_owned()),
        sns_endpoint,
        cloudwatch_endpoint,
        health: health(raw, problems),
    }
}

fn health(raw: &RawSettings, problems: &mut Problems) -> HealthSettings {
    const AGE: &str = "Give a time such as 26h or 8d, or off.";
    let mut age = |name, text: &Option<String>, default: Option<Duration>| {
        let parsed =
            text.as_deref().map(|text| if text == OFF { Ok(None) } else { values::age(text).map(Some) });
        problems.keep(name, parsed, AGE).unwrap_or(default)
    };
    let default = HealthSettings::default();
    let backup_age_max = age(variable::health_backup_age, &raw.health_backup_age, default.backup_age_max);
    let verify_age_max = age(variable::health_verify_age, &raw.health_verify_age, default.verify_age_max);
    let restore_test_age_max =
        age(variable::health_restore_test_age, &raw.health_restore_test_age, default.restore_test_age_max);
    let recovery_point = age(variable::recovery_point, &raw.recovery_point, None);
    let recovery_time = age(variable::recovery_time, &raw.recovery_time, None);
    let reminder = age(variable::health_reminder, &raw.health_reminder, default.reminder);
    let run_time = raw.health_run_time.as_deref().map(values::age);
    let factor = raw.health_size_factor.as_deref().map(factor);
    let level = raw.health_verify_level.as_deref().map(verify_level);
    let bucket = raw.health_bucket.as_deref().map(|text| list(text, bucket_feature));
    HealthSettings {
        backup_age_max,
        verify_age_max,
        verify_level: problems
            .keep(variable::health_verify_level, level, "Give stored or content.")
            .unwrap_or(default.verify_level),
        restore_test_age_max,
        size_factor_max: problems
            .keep(variable::health_size_factor, factor, "Give a number above 1, such as 2, or off.")
            .unwrap_or(default.size_factor_max),
        run_time_max: problems
            .keep(variable::health_run_time, run_time, "Give a time such as 6h.")
            .unwrap_or(default.run_time_max),
        recovery_point,
        recovery_time,
        bucket: problems
            .keep(
                variable::health_bucket,
                bucket,
                "Give some of versioning, lock and replication, comma separated.",
            )
            .unwrap_or_default(),
        reminder,
    }
}

fn verify_level(text: &str) -> Result<Level, String> {
    [Level::Stored, Level::Content]
        .into_iter()
        .find(|level| level.as_str() == text)
        .ok_or_else(|| format!("unknown level {text:?}"))
}

/// In place of a limit: none.
const OFF: &str = "off";

/// A URL, or the secret that holds it.
fn url(
    (url_name, url): (&str, &Option<String>),
    (secret_name, secret): (&str, &Option<String>),
    problems: &mut Problems,
) -> Option<UrlSource> {
    if url.is_some() && secret.is_some() {
        problems.add(url_name, format!("is set, and so is {secret_name}"), "Leave one of both away.");
        return None;
    }
    let url_fix = "Give a URL that starts with https:// (or http://).";
    let url = problems.keep(url_name, url.as_deref().map(web_address), url_fix);
    let secret = secret.as_deref().map(str::parse::<SecretReference>);
    let secret = problems.keep(secret_name, secret, SecretReference::RULE);
    url.map(UrlSource::Url).or(secret.map(UrlSource::Secret))
}

/// The URL of a webhook or ping. It is not repeated in the error.
pub(crate) fn web_address(text: &str) -> Result<Secret, &'static str> {
    let text = text.trim();
    let filled = text.replace("{job}", "job").replace("{source}", "source");
    let parsed: Result<http::Uri, _> = filled.parse();
    match parsed {
        Ok(uri)
            if matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|h| !h.is_empty()) =>
        {
            Ok(Secret::new(text))
        }
        _ => Err("is no http:// or https:// URL"),
    }
}

fn topic(text: &str) -> Result<String, &'static str> {
    let parts: Vec<_> = text.trim().split(':').collect();
    match parts[..] {
        ["arn", partition, "sns", region, account, name]
            if [partition, region, account, name].iter().all(|part| !part.is_empty()) =>
        {
            Ok(text.trim().to_owned())
        }
        _ => Err("is no ARN of an SNS topic"),
    }
}

fn metrics_way(text: &str) -> Result<MetricsWay, String> {
    match text.trim() {
        "none" => Ok(MetricsWay::None),
        "cloudwatch" => Ok(MetricsWay::CloudWatch),
        "emf" => Ok(MetricsWay::Embedded),
        text => Err(format!("`{text}` is no way for metrics")),
    }
}

/// "Metrics concepts", Amazon CloudWatch User Guide.
fn namespace(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
    let text = text.trim();
    if text.is_empty() || text.len() > 255 || !text.chars().all(allowed) || text.starts_with("AWS/") {
        return Err("is no namespace of CloudWatch for metrics of one's own");
    }
    Ok(text.to_owned())
}

fn list<T: PartialEq>(text: &str, one: fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let mut found = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let item = one(item)?;
        if !found.contains(&item) {
            found.push(item);
        }
    }
    Ok(found)
}

fn channel(text: &str) -> Result<Channel, String> {
    [Channel::Sns, Channel::Slack, Channel::Webhook]
        .into_iter()
        .find(|channel| channel.as_str() == text)
        .ok_or_else(|| format!("`{text}` is nobody who can be told of success"))
}

fn bucket_feature(text: &str) -> Result<BucketFeature, String> {
    [BucketFeature::Versioning, BucketFeature::Lock, BucketFeature::Replication]
        .into_iter()
        .find(|feature| feature.as_str() == text)
        .ok_or_else(|| format!("`{text}` is nothing that a bucket is asked for"))
}

fn factor(text: &str) -> Result<Option<f64>, String> {
    if text == OFF {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(factor) if factor > 1.0 && factor.is_finite() => Ok(Some(factor)),
        _ => Err(format!("`{text}` is no number above 1")),
    }
}

/// The endpoints of SNS and CloudWatch.
pub(super) fn endpoints(
    raw: &RawSettings,
    general: Option<&String>,
    problems: &mut Problems,
) -> [Option<String>; 2] {
    [(variable::sns_endpoint, &raw.sns_endpoint), (variable::cloudwatch_endpoint, &raw.cloudwatch_endpoint)]
        .map(|(name, text)| endpoint_of(name, text.as_deref(), (raw, general), problems))
}

#[cfg(test)]
mod tests;
