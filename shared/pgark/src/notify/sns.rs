//! Messages to an SNS topic.
//!
//! Attributes say event, source and job, so that a subscription can filter without reading the text ("Amazon SNS
//! subscription filter policies", SNS Developer Guide).

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Region;
use aws_sdk_sns::error::ProvideErrorMetadata as _;
use aws_sdk_sns::types::MessageAttributeValue;

use super::notice::Notice;

/// Publish, SNS API reference: at most 100 characters, and no line breaks or control characters.
const SUBJECT_MAX: usize = 99;

/// A topic.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) arn: String,
    pub(super) endpoint: Option<String>,
}

impl Topic {
    /// Publishes. The error is a phrase for a sentence.
    pub(super) async fn publish(&self, notice: &Notice) -> Result<(), String> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts());
        if let Some(region) = self.arn.split(':').nth(3) {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(url) = &self.endpoint {
            loader = loader.endpoint_url(url);
        }
        let client = Client::new(&loader.load().await);
        let mut request =
            client.publish().topic_arn(&self.arn).subject(subject(notice)).message(notice.text());
        for (name, value) in [
            ("event", notice.event.as_str()),
            ("source", notice.source.as_str()),
            ("job", notice.job.as_str()),
        ] {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            request = request.message_attributes(name, value.map_err(|error| error.to_string())?);
        }
        request.send().await.map(|_| ()).map_err(|error| match error.code() {
            Some("AuthorizationError" | "AuthorizationErrorException") => {
                "the role may not publish to it; allow sns:Publish".to_owned()
            }
            Some(code) => format!("{code}: {}", error.message().unwrap_or("no message")),
            None => crate::telemetry::chain(&error),
        })
    }
}

/// The title as SNS takes it, and mail programs show it.
pub(super) fn subject(notice: &Notice) -> String {
    let mark = if notice.event.is_bad() { "[pgark]" } else { "[pgark ok]" };
    let title = format!("{mark} {}", notice.title);
    let ascii = title.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' });
    let subject: String = ascii.take(SUBJECT_MAX).collect();
    subject.trim().to_owned()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(17))
        .build()
}
