//! Metrics by CloudWatch's PutMetricData.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::Region;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::types::{Dimension as AwsDimension, MetricDatum, StandardUnit};

use super::catalogue::{Dimension, Unit};
use super::datum::Data;

/// Where metrics are sent to.
#[derive(Debug, Clone)]
pub(super) struct CloudWatch {
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
}

impl CloudWatch {
    /// Publishes values. The error is a phrase for a sentence.
    pub(super) async fn put(&self, data: &Data, namespace: &str) -> Result<(), String> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &self.endpoint {
            loader = loader.endpoint_url(url);
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err("no AWS region is set; set AWS_REGION".to_owned());
        }
        let put = Client::new(&config).put_metric_data().namespace(namespace);
        // Far below the 1,000 values that a request may have.
        let sent = put.set_metric_data(Some(datums(data))).send().await;
        sent.map(|_| ()).map_err(|error| match error.code() {
            Some(code) => {
                let message = error.message().unwrap_or("no message");
                format!("{code}: {message}. The role needs cloudwatch:PutMetricData")
            }
            None => chain(&error),
        })
    }
}

/// Each value under its dimensions, and once more without the source.
pub(super) fn datums(data: &Data) -> Vec<MetricDatum> {
    let time = SystemTime::from(data.at).into();
    let dimensions = |of: &[Dimension]| {
        let one = |dimension: &Dimension| {
            AwsDimension::builder().name(dimension.as_str()).value(data.dimension(*dimension)).build()
        };
        Some(of.iter().map(one).collect())
    };
    let each = data.values.iter().flat_map(|datum| {
        let subject = datum.metric.subject();
        [subject.dimensions(), subject.dimensions_of_all()].map(|of| {
            MetricDatum::builder()
                .metric_name(datum.metric.as_str())
                .unit(unit(datum.metric.unit()))
                .value(datum.value)
                .timestamp(time)
                .set_dimensions(dimensions(of))
                .build()
        })
    });
    each.collect()
}

fn unit(unit: Unit) -> StandardUnit {
    match unit {
        Unit::Seconds => StandardUnit::Seconds,
        Unit::Bytes => StandardUnit::Bytes,
        Unit::Count => StandardUnit::Count,
        Unit::None => StandardUnit::None,
    }
}

/// A job has ended, and waits for this.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(15))
        .build()
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&cause| cause.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
