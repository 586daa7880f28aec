//! Notifiers: who is told what happened, and how that reaches them.
//!
//! | told | SNS, Slack, webhook | ping |
//! |---|---|---|
//! | a run starts | no | start |
//! | a run failed, or found damage | always | fail |
//! | a run is done | where `notify_success` names them (never of a health check) | success |
//! | a source turns unhealthy, is so still, or recovers | always, as [`crate::health::alerts`] decides | fail or success, as the run of the check ends |
//! | a run left the work to another | no | no |
//!
//! What is said is made in [`notice`]. All channels are told at the same time, each a few times if need be, within a
//! limit. Safe because nothing here fails a job: whatever could not be delivered comes back as a sentence, without the
//! URL, which is a secret.

use std::fmt;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::app::App;
use crate::config::{self, Channel, Settings, UrlSource, variable};
use crate::runs::{JobName, RunRecord};
use crate::secret::Secret;
use crate::secrets::Secrets;
use crate::store::StoreRead as _;

mod http;
pub mod notice;
mod ping;
mod slack;
mod sns;
pub(crate) mod wording;

pub use notice::{Event, Notice};

use http::{Patience, Post};
use ping::Ping;

/// Something that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// `sns`, `slack`, `webhook` or `ping`.
    pub channel: String,
    /// Why, without a secret.
    pub why: String,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, setting) = match self.channel.as_str() {
            "sns" => ("message to the SNS topic", variable::sns_topic),
            "slack" => ("message to the Slack webhook", variable::slack_url),
            "webhook" => ("message to the webhook", variable::webhook_url),
            _ => ("ping", variable::ping_url),
        };
        write!(f, "The {what} was not delivered: {}. Look at {setting}.", self.why)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The channels that took it.
    pub delivered: Vec<Channel>,
    /// Those that did not.
    pub undelivered: Vec<Undelivered>,
}

/// Everybody who is told.
#[derive(Debug)]
pub struct Notifiers {
    topic: Option<sns::Topic>,
    slack: Option<Url>,
    webhook: Option<Url>,
    ping: Option<Url>,
    success_to: Vec<Channel>,
    store: String,
}

/// A URL, which may have to be read from a secret first.
#[derive(Debug)]
struct Url {
    source: UrlSource,
    /// For reading it.
    settings: Settings,
    read: OnceCell<Secret>,
}

impl Url {
    fn of(source: Option<&UrlSource>, settings: &Settings) -> Option<Self> {
        Some(Self { source: source?.clone(), settings: settings.clone(), read: OnceCell::new() })
    }

    async fn get(&self) -> Result<&Secret, String> {
        self.read.get_or_try_init(|| self.look_up()).await
    }

    async fn look_up(&self) -> Result<Secret, String> {
        let reference = match &self.source {
            UrlSource::Url(url) => return Ok(url.clone()),
            UrlSource::Secret(reference) => reference,
        };
        let failed = |error: crate::Error| format!("its URL cannot be read: {error}");
        let secrets = Secrets::prepare(&self.settings, &[reference]).await.map_err(failed)?;
        let text = secrets.read(reference).await.map_err(failed)?;
        config::web_address(text.expose()).map_err(|problem| format!("the secret {reference} {problem}"))
    }
}

impl Notifiers {
    /// Those that the settings name. Contacts nobody yet.
    pub fn from_settings(app: &App) -> Self {
        let settings = &app.settings;
        let watch = &settings.watch;
        let topic = watch.sns_topic.clone();
        Self {
            topic: topic.map(|arn| sns::Topic { arn, endpoint: watch.sns_endpoint.clone() }),
            slack: Url::of(watch.slack.as_ref(), settings),
            webhook: Url::of(watch.webhook.as_ref(), settings),
            ping: Url::of(watch.ping.as_ref(), settings),
            success_to: watch.success_to.clone(),
            store: app.repository.store().address(),
        }
    }

    /// The channels that there are, besides pings.
    pub fn channels(&self) -> Vec<Channel> {
        let there = [
            (Channel::Sns, self.topic.is_some()),
            (Channel::Slack, self.slack.is_some()),
            (Channel::Webhook, self.webhook.is_some()),
        ];
        there.into_iter().filter_map(|(channel, there)| there.then_some(channel)).collect()
    }

    /// A run starts.
    pub async fn run_started(&self, run: &RunRecord) -> Vec<Undelivered> {
        self.ping(run, Ping::Start, format!("{} of {} starts\n", run.job, run.source))
            .await
            .into_iter()
            .collect()
    }

    /// A run has ended.
    pub async fn run_ended(&self, run: &RunRecord) -> Vec<Undelivered> {
        let notice = notice::of_run(run, &self.store);
        let pinged = async {
            match (ping::at_end(run), &notice) {
                (Some(ping), Some(notice)) => self.ping(run, ping, notice.text()).await,
                _ => None,
            }
        };
        let told = async {
            match &notice {
                Some(notice) => self.tell(notice, &self.hearers(notice)).await.undelivered,
                None => Vec::new(),
            }
        };
        let (pinged, mut undelivered) = tokio::join!(pinged, told);
        undelivered.extend(pinged);
        undelivered
    }

    /// Who hears of the end of a run.
    fn hearers(&self, notice: &Notice) -> Vec<Channel> {
        let mut channels = self.channels();
        match notice.event {
            Event::RunFailed | Event::RunDamaged => {}
            Event::RunDone if notice.job != JobName::Health => {
                channels.retain(|channel| self.success_to.contains(channel));
            }
            // What a health check found is told by its alerts.
            _ => channels.clear(),
        }
        channels
    }

    /// Tells channels something, all at the same time.
    pub async fn tell(&self, notice: &Notice, channels: &[Channel]) -> Delivery {
        let told =
            channels.iter().map(|channel| async move { (*channel, self.tell_one(notice, *channel).await) });
        let mut delivery = Delivery::default();
        for (channel, outcome) in join_all(told).await {
            match outcome {
                Ok(()) => delivery.delivered.push(channel),
                Err(why) => {
                    delivery.undelivered.push(Undelivered { channel: channel.as_str().to_owned(), why });
                }
            }
        }
        delivery
    }

    async fn tell_one(&self, notice: &Notice, channel: Channel) -> Result<(), String> {
        let (url, body) = match channel {
            Channel::Sns => match &self.topic {
                Some(topic) => return topic.publish(notice).await,
                None => return Err(NOT_SET.to_owned()),
            },
            Channel::Slack => (&self.slack, slack::body(notice)),
            Channel::Webhook => {
                let json = serde_json::to_vec(notice).map_err(|error| format!("it is no JSON: {error}"))?;
                (&self.webhook, Bytes::from(json))
            }
        };
        let url = url.as_ref().ok_or(NOT_SET)?.get().await?;
        let post = Post { content_type: "application/json", id: notice.id.clone(), body };
        http::post(url, &post, Patience::MESSAGE).await
    }

    async fn ping(&self, run: &RunRecord, ping: Ping, text: String) -> Option<Undelivered> {
        let url = self.ping.as_ref()?;
        let sent = async {
            let Some(url) = ping::url_for(url.get().await?, run, ping) else { return Ok(()) };
            let post = Post {
                content_type: "text/plain; charset=utf-8",
                id: format!("{}-{ping:?}", run.run),
                body: Bytes::from(text),
            };
            let patience = if ping == Ping::Start { Patience::START } else { Patience::MESSAGE };
            http::post(&url, &post, patience).await
        };
        let failed: Result<(), String> = sent.await;
        failed.err().map(|why| Undelivered { channel: "ping".to_owned(), why })
    }
}

const NOT_SET: &str = "it is not set";

#[cfg(test)]
mod tests;
