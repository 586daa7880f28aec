//! What arrives at SNS and CloudWatch: a topic with a queue behind it, and the values of metrics.

use std::time::Duration;

use anyhow::Context as _;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::Ministack;
use crate::http::Request;
use crate::supervised::unique_number;
use crate::wait::wait_until;

/// A topic, and a queue that gets all its messages.
#[derive(Debug)]
pub struct Topic<'a> {
    aws: &'a Ministack,
    arn: String,
    queue_url: String,
}

impl Ministack {
    /// Creates a topic that no other test has, with a queue behind it.
    pub fn create_topic(&self, prefix: &str) -> anyhow::Result<Topic<'_>> {
        let name = format!("{prefix}-{}-{}", std::process::id(), unique_number());
        let created = self.query("sns", &format!("Action=CreateTopic&Version=2010-03-31&Name={name}"))?;
        self.listen_to(between(&created, "<TopicArn>", "</TopicArn>")?)
    }

    /// Puts a queue behind a topic that is there, which gets all messages from now on.
    pub fn listen_to(&self, arn: &str) -> anyhow::Result<Topic<'_>> {
        let name = format!("listener-{}-{}", std::process::id(), unique_number());
        let arn = arn.to_owned();
        let queue = self.sqs("CreateQueue", &json!({ "QueueName": name }))?;
        let queue_url =
            queue["QueueUrl"].as_str().with_context(|| format!("no queue in {queue}"))?.to_owned();
        let asked = json!({ "QueueUrl": queue_url, "AttributeNames": ["QueueArn"] });
        let attributes = self.sqs("GetQueueAttributes", &asked)?;
        let queue_arn = attributes["Attributes"]["QueueArn"].as_str().context("the queue has no ARN")?;
        self.query(
            "sns",
            &format!("Action=Subscribe&Version=2010-03-31&TopicArn={arn}&Protocol=sqs&Endpoint={queue_arn}"),
        )?;
        Ok(Topic { aws: self, arn, queue_url })
    }

    /// The metrics of a namespace: name and dimensions (`Job=backup`), sorted.
    pub fn metrics(&self, namespace: &str) -> anyhow::Result<Vec<(String, Vec<String>)>> {
        let listed = self.cloudwatch("ListMetrics", &json!({ "Namespace": namespace }))?;
        let metrics = listed["Metrics"].as_array().with_context(|| format!("no metrics in {listed}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut found: Vec<_> = metrics
            .iter()
            .map(|metric| {
                let dimensions = metric["Dimensions"].as_array().cloned().unwrap_or_default();
                let mut dimensions: Vec<String> = dimensions
                    .iter()
                    .map(|one| format!("{}={}", text(&one["Name"]), text(&one["Value"])))
                    .collect();
                dimensions.sort_unstable();
                (text(&metric["MetricName"]), dimensions)
            })
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The largest value of a metric in the last hour, with its unit.
    pub fn metric_maximum(
        &self,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
    ) -> anyhow::Result<(f64, String)> {
        let now = Timestamp::now();
        let dimensions: Vec<Value> =
            dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let asked = json!({
            "Namespace": namespace, "MetricName": metric, "Dimensions": dimensions, "Period": 7200,
            "StartTime": (now - 1.hour()).as_second(), "EndTime": (now + 1.hour()).as_second(),
            "Statistics": ["Maximum"],
        });
        let statistics = self.cloudwatch("GetMetricStatistics", &asked)?;
        let points = statistics["Datapoints"].as_array().cloned().unwrap_or_default();
        let largest = points.iter().filter_map(|point| point["Maximum"].as_f64()).reduce(f64::max);
        let unit = points.first().and_then(|point| point["Unit"].as_str()).unwrap_or_default().to_owned();
        Ok((largest.with_context(|| format!("{metric} has no value: {statistics}"))?, unit))
    }

    pub(super) fn query(&self, service: &str, form: &str) -> anyhow::Result<String> {
        let answer = Request::new("POST", self.endpoint())?
            .body_of_type("application/x-www-form-urlencoded", form.as_bytes())
            .sign(service, "us-east-1", "test", "test")
            .send()?;
        Ok(String::from_utf8(answer.success().with_context(|| form.to_owned())?)?)
    }

    fn sqs(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        self.json("sqs", &format!("AmazonSQS.{operation}"), input)
    }

    fn cloudwatch(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        self.json("monitoring", &format!("GraniteServiceVersion20100801.{operation}"), input)
    }

    pub(super) fn json(&self, service: &str, target: &str, input: &Value) -> anyhow::Result<Value> {
        let answer = Request::new("POST", self.endpoint())?
            .header("x-amz-target", target)
            .body_of_type("application/x-amz-json-1.0", input.to_string().as_bytes())
            .sign(service, "us-east-1", "test", "test")
            .send()?;
        Ok(serde_json::from_slice(&answer.success().with_context(|| target.to_owned())?)?)
    }
}

impl Topic<'_> {
    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Waits for a message, takes it out of the queue, and returns SNS's envelope: `Subject`, `Message`,
    /// `MessageAttributes`.
    pub fn take(&self) -> anyhow::Result<Value> {
        let mut found = None;
        wait_until(Duration::from_secs(20), "a message came", || {
            found = self.receive().ok().flatten();
            found.is_some()
        })?;
        found.context("no message")
    }

    /// A message, if there is one now.
    pub fn receive(&self) -> anyhow::Result<Option<Value>> {
        let asked = json!({ "QueueUrl": self.queue_url, "MaxNumberOfMessages": 1, "WaitTimeSeconds": 0 });
        let received = self.aws.sqs("ReceiveMessage", &asked)?;
        let Some(message) = received["Messages"].get(0) else { return Ok(None) };
        let handle = json!({ "QueueUrl": self.queue_url, "ReceiptHandle": message["ReceiptHandle"] });
        self.aws.sqs("DeleteMessage", &handle)?;
        Ok(Some(serde_json::from_str(message["Body"].as_str().context("a message without a body")?)?))
    }
}

pub(super) fn between<'a>(text: &'a str, start: &str, end: &str) -> anyhow::Result<&'a str> {
    let (_, rest) = text.split_once(start).with_context(|| format!("no {start} in {text}"))?;
    Ok(rest.split_once(end).with_context(|| format!("no {end} in {text}"))?.0)
}
