//! Metrics: what a run or a look at a source came to, as numbers that alarms and dashboards are built on.
//!
//! The names stand in [`catalogue`]; which values there are is decided in [`datum`] and, for health, in
//! [`crate::health`]. They go to CloudWatch by request, or as lines of a function's log, or nowhere, as the settings
//! say. Safe because nothing here fails a job: what could not be published is said, as a sentence.

use std::time::Duration;

use crate::app::App;
use crate::config::{LAMBDA_LOG_LEVEL, LAMBDA_RUNTIME_API, MetricsWay, SERVICE_NAME, variable};
use crate::runs::RunRecord;

pub mod catalogue;
mod cloudwatch;
pub mod datum;
mod embedded;

pub use catalogue::{Dimension, Metric};
pub(crate) use cloudwatch::chain;
pub use datum::{Data, Datum, of_run};

use cloudwatch::CloudWatch;

/// All tries together; a job has ended, and waits for this.
const TIME_MAX: Duration = Duration::from_secs(20);

/// What all lines of a function's log say under `service`, those of metrics too: `pgark`, unless it is set.
pub(crate) fn service_name(environment: fn(&str) -> Option<String>) -> String {
    let name = environment(SERVICE_NAME).filter(|name| !name.trim().is_empty());
    name.unwrap_or_else(|| "pgark".to_owned())
}

/// Where metrics go to.
#[derive(Debug, Clone)]
pub struct Metrics {
    way: Way,
    namespace: String,
}

#[derive(Debug, Clone)]
enum Way {
    None,
    CloudWatch(CloudWatch),
    Embedded(embedded::Log),
    /// Lines for a log, where standard output is no log.
    Misplaced,
}

impl Metrics {
    /// As the settings say; unless they say it, a function writes them into its log, and a program nowhere.
    pub fn from_settings(app: &App) -> Self {
        let environment = app.outside.environment;
        let settings = &app.settings.watch;
        let in_function = environment(LAMBDA_RUNTIME_API).is_some();
        let way = match settings.metrics {
            None if in_function => MetricsWay::Embedded,
            None => MetricsWay::None,
            Some(way) => way,
        };
        let way = match way {
            MetricsWay::None => Way::None,
            MetricsWay::CloudWatch => Way::CloudWatch(CloudWatch {
                endpoint: settings.cloudwatch_endpoint.clone(),
                region: app.settings.s3_region.clone(),
            }),
            MetricsWay::Embedded if !in_function => Way::Misplaced,
            MetricsWay::Embedded => Way::Embedded(embedded::Log {
                level: environment(LAMBDA_LOG_LEVEL)
                    .map_or("INFO".to_owned(), |level| level.to_ascii_uppercase()),
                service: service_name(environment),
                request_id: app.trigger.by.clone(),
            }),
        };
        Self { way, namespace: settings.metrics_namespace.clone() }
    }

    /// Publishes what a run came to. What it returns could not be published, in a full sentence.
    pub async fn record_run(&self, run: &RunRecord) -> Option<String> {
        self.record(&of_run(run)?).await
    }

    /// Publishes values. What it returns could not be published, in a full sentence.
    pub async fn record(&self, data: &Data) -> Option<String> {
        if data.values.is_empty() {
            return None;
        }
        let done = match &self.way {
            Way::None => Ok(()),
            Way::Misplaced => {
                Err(format!("emf is for functions; set {} to cloudwatch or none", variable::metrics))
            }
            Way::Embedded(log) => {
                let lines = embedded::lines(data, &self.namespace, log);
                embedded::print(&lines).map_err(|error| format!("the log cannot be written: {error}"))
            }
            Way::CloudWatch(cloudwatch) => {
                let put = cloudwatch.put(data, &self.namespace);
                tokio::time::timeout(TIME_MAX, put).await.unwrap_or_else(|_| {
                    Err(format!("CloudWatch did not answer within {} s", TIME_MAX.as_secs()))
                })
            }
        };
        done.err().map(|why| format!("Metrics were not published: {why}."))
    }
}

#[cfg(test)]
mod tests;
