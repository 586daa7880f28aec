//! What people and programs are told: one form for all channels, made of a run or of a verdict. Pure.
//!
//! How it looks in a channel is left to the channel; who hears of what to [`super`]. Nothing secret gets in: a record of
//! a run holds no secret.

use jiff::Timestamp;
use serde::Serialize;

use super::wording;
use crate::repository::SourceName;
use crate::runs::{JobName, Outcome, RunError, RunRecord};

/// The version of the JSON that webhooks get.
pub const FORMAT_VERSION: &str = "1.0";
/// Where the page lies that explains alerts.
const ALERTS_PAGE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/alerts.md");

/// What happened. The names are public: receivers filter by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Event {
    /// A run failed.
    #[serde(rename = "run.failed")]
    RunFailed,
    /// A verification or a restore test found damage.
    #[serde(rename = "run.damaged")]
    RunDamaged,
    /// A run did what it should. Only told where a setting asks for it.
    #[serde(rename = "run.done")]
    RunDone,
    /// A source turned unhealthy.
    #[serde(rename = "health.unhealthy")]
    Unhealthy,
    /// A source is unhealthy still.
    #[serde(rename = "health.reminder")]
    StillUnhealthy,
    /// A source is healthy again.
    #[serde(rename = "health.recovered")]
    Recovered,
}

impl Event {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::RunFailed,
        Self::RunDamaged,
        Self::RunDone,
        Self::Unhealthy,
        Self::StillUnhealthy,
        Self::Recovered,
    ];

    /// As receivers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunFailed => "run.failed",
            Self::RunDamaged => "run.damaged",
            Self::RunDone => "run.done",
            Self::Unhealthy => "health.unhealthy",
            Self::StillUnhealthy => "health.reminder",
            Self::Recovered => "health.recovered",
        }
    }

    /// Whether somebody should act.
    pub const fn is_bad(self) -> bool {
        !matches!(self, Self::RunDone | Self::Recovered)
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// [`FORMAT_VERSION`].
    pub format_version: &'static str,
    /// What happened.
    pub event: Event,
    /// Distinct for each message; the same when it is sent again.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The source.
    pub source: SourceName,
    /// The job.
    pub job: JobName,
    /// The store.
    pub store: String,
    /// One line that says it.
    pub title: String,
    /// Why: the error of a run, or the first finding.
    pub reason: Option<RunError>,
    /// What else is known, by name.
    pub facts: Vec<Fact>,
    /// Everything that was found, one line each.
    pub findings: Vec<String>,
    /// What to do; `null` if nothing is.
    pub next_step: Option<String>,
    /// Where to read on; `null` if nobody needs to act.
    pub runbook: Option<String>,
    /// The numbers, for programs.
    pub figures: NoticeFigures,
}

/// A named value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What.
    pub name: &'static str,
    /// The value, for people.
    pub value: String,
}

/// The numbers of a notice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct NoticeFigures {
    /// How long the run took.
    pub seconds: Option<f64>,
    /// Bytes as stored.
    pub stored_bytes: Option<u64>,
    /// Bytes before compression.
    pub plain_bytes: Option<u64>,
    /// Plain bytes for each stored one.
    pub ratio: Option<f64>,
    /// Rows.
    pub rows: Option<u64>,
    /// What is wrong, counted.
    pub findings: Option<u64>,
    /// What a restore took.
    pub recovery_seconds: Option<f64>,
}

impl Notice {
    /// The text for people: title, facts, findings, next step.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("pgark: {}", self.title), String::new()];
        let mut named: Vec<(&str, String)> = Vec::new();
        if let Some(reason) = &self.reason {
            named.push(("reason", format!("{} [{}]", wording::one_line(&reason.message), reason.code)));
        }
        if let Some(step) = &self.next_step {
            named.push(("next step", wording::one_line(step)));
        }
        named.extend(self.facts.iter().map(|fact| (fact.name, wording::one_line(&fact.value))));
        named.push(("store", self.store.clone()));
        if let Some(runbook) = &self.runbook {
            named.push(("runbook", runbook.clone()));
        }
        let width = named.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        lines.extend(named.iter().map(|(name, value)| format!("{name:width$}  {value}")));
        if !self.findings.is_empty() {
            lines.push(String::new());
            lines.extend(self.findings.iter().map(|finding| format!("- {}", wording::one_line(finding))));
        }
        lines.join("\n") + "\n"
    }
}

/// What is told of a run that has ended; nothing of one that has not, or that left the work to another.
pub fn of_run(run: &RunRecord, store: &str) -> Option<Notice> {
    let (outcome, at) = (run.outcome?, run.finished_at?);
    let event = match outcome {
        Outcome::Done => Event::RunDone,
        Outcome::Failed => Event::RunFailed,
        Outcome::Damaged => Event::RunDamaged,
        Outcome::Unhealthy => Event::Unhealthy,
        Outcome::Skipped => return None,
    };
    let figures = figures(run);
    let next_step = event.is_bad().then(|| {
        run.error
            .as_ref()
            .and_then(|error| error.hint.clone())
            .unwrap_or_else(|| next_step(run.job).to_owned())
    });
    let runbook =
        event.is_bad().then(|| runbook(if event == Event::RunDamaged { "damage" } else { run.job.as_str() }));
    Some(Notice {
        format_version: FORMAT_VERSION,
        event,
        id: format!("{}-{}-{}", run.run, run.job, event.as_str()),
        at,
        source: run.source.clone(),
        job: run.job,
        store: store.to_owned(),
        title: title(run, event, &figures),
        reason: run.error.clone().filter(|_| event.is_bad()),
        facts: facts(run, &figures),
        findings: Vec::new(),
        next_step,
        runbook,
        figures,
    })
}

/// The place on the page of alerts.
pub(crate) fn runbook(place: &str) -> String {
    format!("{ALERTS_PAGE}#{place}")
}

#[allow(clippy::cast_precision_loss)] // a ratio
fn figures(run: &RunRecord) -> NoticeFigures {
    let of = run.figures;
    let ratio = match (of.plain_bytes, of.stored_bytes) {
        (Some(plain), Some(stored)) if stored > 0 => Some(plain as f64 / stored as f64),
        _ => None,
    };
    NoticeFigures {
        seconds: run.seconds(),
        stored_bytes: of.stored_bytes,
        plain_bytes: of.plain_bytes,
        ratio,
        rows: of.rows,
        findings: of.findings,
        recovery_seconds: of.recovery_seconds,
    }
}

fn title(run: &RunRecord, event: Event, figures: &NoticeFigures) -> String {
    let (job, source) = (job_words(run.job), &run.source);
    match event {
        Event::Unhealthy => format!("{source} is unhealthy"),
        Event::RunDamaged if run.job == JobName::RestoreTest => {
            format!("{job} of {source} failed: what was restored is not what was backed up")
        }
        Event::RunDamaged => match figures.findings {
            Some(1) => format!("{job} of {source} found damage"),
            Some(findings) if findings > 1 => format!("{job} of {source} found damage in {findings} places"),
            _ => format!("{job} of {source} found damage"),
        },
        Event::RunDone => format!("{job} of {source} is done"),
        _ => format!("{job} of {source} failed"),
    }
}

/// What a job is called in a sentence.
pub(super) const fn job_words(job: JobName) -> &'static str {
    match job {
        JobName::RestoreTest => "restore test",
        JobName::Health => "health check",
        other => other.as_str(),
    }
}

fn facts(run: &RunRecord, figures: &NoticeFigures) -> Vec<Fact> {
    let size = match (figures.stored_bytes, figures.plain_bytes, figures.ratio) {
        (Some(stored), Some(plain), Some(ratio)) => Some(format!(
            "{}, {} before compression (ratio {ratio:.1})",
            wording::bytes(stored),
            wording::bytes(plain)
        )),
        (Some(stored), _, _) => Some(wording::bytes(stored)),
        _ => None,
    };
    let rows = figures.rows.map(|rows| match run.figures.tables {
        Some(tables) => format!("{} in {} tables", wording::count(rows), wording::count(tables)),
        None => wording::count(rows),
    });
    let by = run.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let cost = run.cost.filter(|_| run.job == JobName::Backup);
    let cost = cost.map(|cost| format!("about {:.4} USD a month for storing it", cost.storage_month_usd));
    let backup = run.backup.as_ref().map(|backup| format!("{}/{}/{}", backup.tier, run.source, backup.id));
    let facts = [
        ("backup", backup),
        ("duration", figures.seconds.map(wording::duration)),
        ("size", size),
        ("rows", rows),
        ("deleted", run.figures.deleted.map(|deleted| format!("{} backups", wording::count(deleted)))),
        ("restore time", figures.recovery_seconds.map(wording::duration)),
        ("cost", cost),
        ("report", run.report.clone()),
        ("run", Some(format!("{}, started {}{by}", run.run, wording::time(run.started_at)))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value? })).collect()
}

/// For an error that has no cure of its own.
const fn next_step(job: JobName) -> &'static str {
    match job {
        JobName::Backup => "Run `pgark doctor` with the same settings: it checks all that a backup needs.",
        JobName::Verify => {
            "Run `pgark verify all` to see which backups are affected, and use one that is good."
        }
        JobName::RestoreTest => "Read the report, and test another backup with `pgark restore-test BACKUP`.",
        JobName::Prune => "Run `pgark prune` without --apply to see its plan.",
        JobName::Health => "Run `pgark health` with the same settings.",
    }
}
