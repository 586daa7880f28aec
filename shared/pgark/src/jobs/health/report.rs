//! What a look at a source came to. Its JSON is specified in docs/health.md and docs/format/health.schema.json.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::config::Channel;
use crate::error::{Error, ErrorKind, Exit, Result};
use crate::health::alerts::AlertKind;
use crate::health::{BucketState, Facts, GoodBackup, Proof, TierState, Verdict};
use crate::repository::{BackupId, ReportKind, SourceName};
use crate::runs::{Figures, Outcome, RunError, Summarized, Summary};
use crate::store::StoreRead as _;

/// The version of the form of reports.
const FORMAT_VERSION: &str = "1.0";

/// A look at several sources.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthReport {
    /// Whether all are healthy.
    pub healthy: bool,
    /// Each, in the order of their names.
    pub sources: Vec<SourceHealth>,
}

/// A look at one source. This is what is kept in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// `health`.
    pub kind: String,
    /// The report's id, by which its key sorts.
    pub id: BackupId,
    /// The version of pgark that looked.
    pub pgark_version: String,
    /// The source.
    pub source: SourceName,
    /// When.
    pub checked_at: Timestamp,
    /// The store.
    pub store: String,
    /// What came out.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The newest good backup; `null` if there is none.
    pub newest_backup: Option<GoodBackup>,
    /// The last verification that found a backup good.
    pub last_verify: Option<Proof>,
    /// The last restore test that passed.
    pub last_restore_test: Option<Proof>,
    /// What retention promises, and what there is of it.
    pub tiers: Vec<TierState>,
    /// What the bucket was asked to have.
    pub bucket: Vec<BucketState>,
    /// Who was told what; `null` if nobody.
    pub told: Option<Told>,
    /// What could not be delivered, in full sentences.
    pub undelivered: Vec<String>,
    /// The key under which this report is kept; `null` if it is not.
    pub kept_as: Option<String>,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What.
    pub kind: AlertKind,
    /// Its title.
    pub title: String,
    /// To whom.
    pub to: Vec<Channel>,
}

impl SourceHealth {
    pub(super) fn of(
        app: &App,
        source: &SourceName,
        (id, now): (BackupId, Timestamp),
        facts: Facts,
        verdict: Verdict,
        kept_as: Option<String>,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            kind: ReportKind::Health.as_str().to_owned(),
            id,
            pgark_version: env!("CARGO_PKG_VERSION").to_owned(),
            source: source.clone(),
            checked_at: now,
            store: app.repository.store().address(),
            verdict,
            newest_backup: facts.good.last().cloned(),
            last_verify: facts.verified,
            last_restore_test: facts.restored,
            tiers: facts.tiers,
            bucket: facts.bucket,
            told: None,
            undelivered: Vec::new(),
            kept_as,
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write the report as JSON").because(source)
        })?;
        json.push(b'\n');
        Ok(json)
    }

    /// The error that this comes to, for whoever cannot answer with a report and an exit code.
    pub fn error(&self) -> Option<Error> {
        let first = self.verdict.findings.first()?;
        let more = match self.verdict.findings.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let message = format!("{} [{}]{more}", first.message, first.code.as_str());
        Some(
            Error::new(ErrorKind::Unhealthy, message).on(format!("source {}", self.source)).hint(&first.hint),
        )
    }
}

impl HealthReport {
    /// The looks at several sources, put together.
    pub fn of(sources: Vec<SourceHealth>) -> Self {
        Self { healthy: sources.iter().all(|source| source.verdict.healthy), sources }
    }

    /// How a process ends with this report.
    pub fn exit(&self) -> Exit {
        if self.healthy { Exit::Done } else { Exit::Unhealthy }
    }

    /// The error that this report comes to: that of the first source that is unhealthy.
    pub fn error(&self) -> Option<Error> {
        self.sources.iter().find_map(SourceHealth::error)
    }
}

/// A run looks at one source; of several, the first that is unhealthy says how it ended.
impl Summarized for HealthReport {
    fn summary(&self) -> Summary {
        let findings = |source: &SourceHealth| source.verdict.findings.len() as u64;
        let figures = Figures {
            backups: Some(self.sources.iter().map(|source| source.verdict.figures.good_backups).sum()),
            findings: Some(self.sources.iter().map(findings).sum()),
            ..Figures::default()
        };
        let worst = self.sources.iter().find(|source| !source.verdict.healthy);
        let told = worst.or(self.sources.first());
        let first = worst.and_then(|source| source.verdict.findings.first());
        let error = first.map(|first| RunError {
            code: first.code.as_str().to_owned(),
            message: first.message.clone(),
            hint: Some(first.hint.clone()),
        });
        let outcome = if self.healthy { Outcome::Done } else { Outcome::Unhealthy };
        let report = told.and_then(|source| source.kept_as.clone());
        Summary { outcome, figures, error, report, ..Summary::done() }
    }

    fn failure(&self) -> Option<Error> {
        self.error()
    }
}
