//! What the reports of jobs say, as far as a run's record has room for it: one implementation for each job's report.

use super::{Figures, Outcome, RunBackup, RunCost, RunError};
use crate::error::{Error, Exit};
use crate::jobs::backup::BackupReport;
use crate::jobs::prune::{Done, PruneReport};
use crate::jobs::restore_test::RestoreTestReport;
use crate::jobs::verify::{BackupLine, SourceReport, VerifyReport};
use crate::repository::{BackupId, Looked};

/// What a job came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// The backup that it made or looked at, if there is just one.
    pub backup: Option<RunBackup>,
    /// What it measured.
    pub figures: Figures,
    /// What a verification that went well looked at.
    pub looked_at: Option<Looked>,
    /// The first that it found wrong.
    pub error: Option<RunError>,
    /// The key of the full report.
    pub report: Option<String>,
    /// What it cost.
    pub cost: Option<RunCost>,
}

/// A report that can be summed up.
pub trait Summarized {
    /// In short.
    fn summary(&self) -> Summary;

    /// What the run's record is to say beside it, in full sentences.
    fn notable(&self) -> Vec<String> {
        Vec::new()
    }

    /// The error that this report comes to, for whoever cannot answer with a report and an exit code.
    fn failure(&self) -> Option<Error> {
        None
    }
}

impl Summary {
    /// Of a job that did what it should.
    pub fn done() -> Self {
        let figures = Figures::default();
        let outcome = Outcome::Done;
        Self { outcome, backup: None, figures, looked_at: None, error: None, report: None, cost: None }
    }
}

impl Outcome {
    /// How a run ended that an error ended.
    pub fn of_error(error: &Error) -> Self {
        match error.exit() {
            Exit::Damaged => Self::Damaged,
            Exit::Unhealthy => Self::Unhealthy,
            Exit::Done | Exit::Failed | Exit::Usage | Exit::LeftOut | Exit::NotDone => Self::Failed,
        }
    }

    /// How a process ends after such a run.
    pub fn exit(self) -> Exit {
        match self {
            Self::Done | Self::Skipped => Exit::Done,
            Self::Failed => Exit::Failed,
            Self::Damaged => Exit::Damaged,
            Self::Unhealthy => Exit::Unhealthy,
        }
    }
}

impl Summarized for BackupReport {
    fn summary(&self) -> Summary {
        let figures = Figures {
            rows: Some(self.rows),
            tables: Some(self.tables),
            objects: Some(self.files),
            plain_bytes: Some(self.plain_bytes),
            stored_bytes: Some(self.stored_bytes),
            ..Figures::default()
        };
        let backup = self.id.map(|id| RunBackup { id, tier: self.tier });
        Summary { backup, figures, cost: self.cost, ..Summary::done() }
    }

    fn notable(&self) -> Vec<String> {
        self.changes.iter().map(|change| format!("{} [{}].", change.message, change.code.as_str())).collect()
    }
}

impl Summarized for SourceReport {
    fn summary(&self) -> Summary {
        let sum = |of: fn(&BackupLine) -> u64| Some(self.backups.iter().map(of).sum());
        let figures = Figures {
            rows: sum(|backup| backup.rows_counted),
            objects: sum(|backup| backup.objects_read as u64),
            stored_bytes: sum(|backup| backup.stored_bytes_read),
            backups: Some(self.backups.len() as u64),
            findings: Some((self.findings.len() + self.failures.len()) as u64),
            ..Figures::default()
        };
        let (outcome, first) = match (self.findings.first(), self.failures.first()) {
            (Some(finding), _) => (Outcome::Damaged, Some(finding)),
            (None, Some(failure)) => (Outcome::Failed, Some(failure)),
            (None, None) => (Outcome::Done, None),
        };
        let error = first.map(|found| RunError {
            code: found.code.to_owned(),
            message: format!(
                "{}/{}: {} ({})",
                found.backup,
                found.object.as_deref().unwrap_or("manifest.json"),
                found.message,
                found.affects
            ),
            hint: found.hint.clone(),
        });
        let backup = match self.backups.as_slice() {
            [one] => id_of(&one.backup).map(|id| RunBackup { id, tier: one.tier }),
            _ => None,
        };
        let looked_at = Looked::at_all(self.backups.iter().map(|line| (self.look(line), line.level)))
            .filter(|_| outcome == Outcome::Done);
        Summary { backup, figures, looked_at, error, report: self.kept_as.clone(), outcome, cost: None }
    }
}

/// Of a run on one source. Of several the worst is told; whoever wants a record of each runs each for itself.
impl Summarized for VerifyReport {
    fn summary(&self) -> Summary {
        let summaries = self.reports.iter().map(Summarized::summary);
        let worst = summaries.min_by_key(|summary| match summary.outcome {
            Outcome::Damaged => 0,
            Outcome::Failed => 1,
            _ => 2,
        });
        worst.unwrap_or_else(Summary::done)
    }

    fn failure(&self) -> Option<Error> {
        self.verdict()
    }
}

/// Of a run on one source.
impl Summarized for PruneReport {
    fn summary(&self) -> Summary {
        let removed = |of: fn(&crate::jobs::prune::BackupLine) -> u64| {
            let lines = self.reports.iter().flat_map(|report| &report.backups);
            lines.filter(|line| line.done == Done::Removed).map(of).sum::<u64>()
        };
        let figures = Figures {
            backups: Some(self.reports.iter().map(|report| report.totals.backups).sum()),
            deleted: Some(removed(|_| 1)),
            stored_bytes: Some(removed(|line| line.stored_bytes.unwrap_or(0))),
            findings: Some(self.reports.iter().map(|report| report.failures.len() as u64).sum()),
            ..Figures::default()
        };
        let failure = self.verdict();
        let outcome = failure.as_ref().map_or(Outcome::Done, Outcome::of_error);
        let report = self.reports.first().and_then(|report| report.kept_as.clone());
        Summary { outcome, figures, error: failure.as_ref().map(RunError::from), report, ..Summary::done() }
    }

    fn failure(&self) -> Option<Error> {
        self.verdict()
    }
}

/// The id at the end of a backup's place.
fn id_of(place: &str) -> Option<BackupId> {
    place.rsplit('/').next()?.parse().ok()
}

impl Summarized for RestoreTestReport {
    fn summary(&self) -> Summary {
        let restored = self.restored.as_ref();
        let figures = Figures {
            rows: restored.map(|restored| restored.rows),
            tables: self.backup.tables,
            objects: restored.map(|restored| restored.files),
            plain_bytes: self.backup.plain_bytes,
            stored_bytes: self.backup.stored_bytes,
            backups: Some(1),
            findings: Some(self.differences().count() as u64),
            recovery_seconds: restored.map(|_| self.times.recovery_seconds),
            ..Figures::default()
        };
        let (outcome, error) = match Self::failure(self) {
            None => (Outcome::Done, None),
            Some(error) => (Outcome::of_error(&error), Some(RunError::from(&error))),
        };
        let backup = Some(RunBackup { id: self.backup.id, tier: self.backup.tier });
        Summary { outcome, backup, figures, error, report: Some(self.key.clone()), ..Summary::done() }
    }

    fn failure(&self) -> Option<Error> {
        Self::failure(self)
    }
}
