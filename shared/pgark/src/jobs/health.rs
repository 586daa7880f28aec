//! Looks whether each source could be recovered now, from the store alone, and tells people if not.
//!
//! Safe because nothing here asks the database, or changes a backup: it reads listings, manifests, reports and records,
//! and writes a report and, when something was said, an alert. The verdict is [`crate::health`]'s, the facts are put
//! together in `facts`. What should be looked at and cannot be is an error, not health.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::health::alerts::{self, Alert, ToSay};
use crate::health::{Verdict, metrics};
use crate::notify::Notifiers;
use crate::repository::{BackupId, ReportKind, SourceName, keys};
use crate::runs::answer::answer;
use crate::runs::{Answer, Job, JobName};
use crate::store::StoreRead as _;
use crate::telemetry::Metrics;

mod facts;
mod report;

pub use report::{HealthReport, SourceHealth, Told};

/// The arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Only this source; else the one of the settings, else every one.
    pub source: Option<SourceName>,
    /// Keep no report in the store.
    pub no_report: bool,
    /// Tell nobody, and publish no metrics.
    pub quiet: bool,
}

impl Health {
    /// The sources that are meant: the one that is named, or that of the settings, or all that the store knows.
    ///
    /// # Errors
    /// When there is none at all: that is no health.
    pub async fn sources(&self, app: &App) -> Result<Vec<SourceName>> {
        if let Some(source) = self.source.clone().or_else(|| app.settings.source.clone()) {
            return Ok(vec![source]);
        }
        let mut sources = app.repository.sources().await?;
        sources.extend(app.repository.sources_with_runs().await?);
        sources.sort_unstable();
        sources.dedup();
        if sources.is_empty() {
            return Err(Error::new(ErrorKind::BackupMissing, "there is no backup, and no run of any")
                .on(app.repository.store().address())
                .hint("Run `pgark backup`, or name the source that should be there with PGARK_SOURCE."));
        }
        Ok(sources)
    }

    /// Looks at all that are meant, each in a run of its own, of which a record is left. Without sources in the
    /// settings, those are looked at that the store knows.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn watched(&self, app: &App, stop: &CancellationToken) -> Result<Answer<HealthReport>> {
        let named;
        let app = if let Some(source) = &self.source {
            named = app.naming(source.clone());
            &named
        } else {
            app
        };
        let job = Job { name: JobName::Health, recorded: !self.no_report && !self.quiet };
        let health = Self { source: None, ..self.clone() };
        if app.settings.source.is_some() || !app.settings.sources.is_empty() {
            return answer(app, job, stop, async |app, stop| health.run(app, stop).await).await;
        }
        let (mut checked, mut skipped, mut failed) = (Vec::new(), None, None);
        for source in self.sources(app).await? {
            let one = app.for_source(&source).await?;
            match Box::pin(answer(&one, job, stop, async |app, stop| health.run(app, stop).await)).await {
                Ok(Answer::One(report)) => checked.extend(report.sources),
                Ok(other) => skipped = Some(other),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        match (failed, skipped) {
            (Some(error), _) => Err(error),
            (None, Some(skipped)) if checked.is_empty() => Ok(skipped),
            (None, _) => Ok(Answer::One(HealthReport::of(checked))),
        }
    }

    /// Looks at all that are meant. One that cannot be looked at does not hide the others: they are looked at, and then
    /// it fails.
    ///
    /// # Errors
    /// As [`check`](Self::check), and [`sources`](Self::sources).
    pub async fn run(&self, app: &App, stop: &CancellationToken) -> Result<HealthReport> {
        let mut checked = Vec::new();
        let mut failed = None;
        for source in self.sources(app).await? {
            let check = self.check(app, &source);
            let done = tokio::select! {
                done = check => done,
                () = stop.cancelled() => {
                    return Err(Error::new(ErrorKind::Stopped, "was stopped").on(format!("source {source}")));
                }
            };
            match done {
                Ok(report) => checked.push(report),
                Err(error) => failed = failed.or(Some(error.on(format!("source {source}")))),
            }
        }
        failed.map_or_else(|| Ok(HealthReport::of(checked)), Err)
    }

    /// Looks at one source.
    ///
    /// # Errors
    /// When the store cannot be read, or the report cannot be kept. That a source is unhealthy is no error: it is in the
    /// report.
    pub async fn check(&self, app: &App, source: &SourceName) -> Result<SourceHealth> {
        let now = (app.outside.now)();
        let facts = Box::pin(facts::gather(app, source, now)).await?;
        let verdict = Verdict::of(&facts, &app.settings.watch.health, now);
        #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
        let id = BackupId::new(now, (app.outside.random)() as u32);
        let kept_as = (!self.no_report).then(|| keys::report_of(source, ReportKind::Health, id));
        let mut report = SourceHealth::of(app, source, (id, now), facts, verdict, kept_as);
        if !self.quiet {
            Box::pin(self.tell(app, &mut report)).await?;
        }
        if let Some(key) = &report.kept_as {
            app.repository.put_report(key, report.to_json()?).await?;
        }
        Ok(report)
    }

    /// Metrics and alerts. What cannot be delivered is in the report, and fails nothing.
    async fn tell(&self, app: &App, report: &mut SourceHealth) -> Result<()> {
        let data = metrics::of_verdict(&report.source, &report.verdict, report.checked_at);
        report.undelivered.extend(Metrics::from_settings(app).record(&data).await);
        let notifiers = Notifiers::from_settings(app);
        let last = app.repository.last_alert(&report.source).await?;
        let reminder = app.settings.watch.health.reminder;
        let channels = notifiers.channels();
        let say = alerts::decide(last.as_ref(), &report.verdict, report.checked_at, reminder, &channels);
        if let Some(say) = say {
            self.say(app, &notifiers, (last.as_ref(), say), report).await;
        }
        for undelivered in &report.undelivered {
            tracing::warn!(source = %report.source, "{undelivered}");
        }
        Ok(())
    }

    async fn say(
        &self,
        app: &App,
        notifiers: &Notifiers,
        (last, say): (Option<&Alert>, ToSay),
        report: &mut SourceHealth,
    ) {
        let store = app.repository.store().address();
        let (source, now) = (&report.source, report.checked_at);
        let kept_as = report.kept_as.as_deref();
        let notice = alerts::notice(&say, &report.id, (source, &store), &report.verdict, now, kept_as);
        let delivery = notifiers.tell(&notice, &say.to).await;
        let alert = alerts::said(last, say, &delivery, (report.id, source, now));
        report.undelivered.extend(delivery.undelivered.iter().map(ToString::to_string));
        // What reached nobody was not said: the next check says it again.
        if !delivery.delivered.is_empty() {
            report.told = Some(Told { kind: alert.kind, title: notice.title, to: delivery.delivered });
            if let Err(error) = app.repository.put_alert(&alert).await {
                let why = error.with_causes();
                report.undelivered.push(format!(
                    "That an alert was sent could not be noted, so it will be sent again: {why}."
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
