//! How each source is, over time: its backups, its proofs, and the runs that failed. What `pgark status` and the HTML
//! report show, gathered once.
//!
//! A backup is told of by its run's record, which outlives it, and by its manifest, if it has no record: it was made
//! before there were any, or its record could not be written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::history::sources_of;
use crate::app::App;
use crate::error::Result;
use crate::repository::{BackupId, BackupRef, Filter, Looked, SourceName, Tier};
use crate::runs::{JobName, Outcome, RunError, RunRecord};

/// A source, as it is and was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// The source.
    pub source: SourceName,
    /// Good backups, ascending by time; those that are gone by now too.
    pub backups: Vec<BackupPoint>,
    /// Verifications and restore tests, ascending by time.
    pub proofs: Vec<ProofPoint>,
    /// Runs that failed, and those that have a start and no end, ascending by time.
    pub troubles: Vec<Trouble>,
    /// What could not be read, in full sentences.
    pub warnings: Vec<String>,
}

/// A backup, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackupPoint {
    /// Its id.
    pub id: BackupId,
    /// Its tier.
    pub tier: Tier,
    /// When it was begun.
    pub started_at: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// Its bytes as stored.
    pub stored_bytes: u64,
    /// Its bytes before compression.
    pub plain_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Whether it is still in the store.
    pub present: bool,
}

/// A verification or a restore test, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofPoint {
    /// Which of the two.
    pub job: JobName,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What a verification that went well looked at; `null` for a restore test.
    pub looked_at: Option<Looked>,
    /// The backup, if it was just one.
    pub backup: Option<BackupId>,
    /// How long it took.
    pub seconds: f64,
    /// From the empty database to the restored one, for a restore test.
    pub recovery_seconds: Option<f64>,
}

/// A run that did not end well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trouble {
    /// The job.
    pub job: JobName,
    /// When it started.
    pub started_at: Timestamp,
    /// How it ended; `null` if it did not, as far as is known: it is in progress, or was killed.
    pub outcome: Option<Outcome>,
    /// Why.
    pub error: Option<RunError>,
}

impl Overview {
    /// The newest good backup that is there.
    pub fn last_backup(&self) -> Option<&BackupPoint> {
        self.backups.iter().rev().find(|backup| backup.present)
    }

    /// The last proof of a kind that went well. A verification of a part is none.
    pub fn last_good(&self, job: JobName) -> Option<&ProofPoint> {
        let is_good = |proof: &&ProofPoint| {
            proof.job == job && proof.outcome == Outcome::Done && proof.looked_at != Some(Looked::Part)
        };
        self.proofs.iter().rev().find(is_good)
    }
}

/// Looks at one source, or at all in the store, since a time.
///
/// # Errors
/// When the store fails.
pub async fn overviews(
    app: &App,
    source: Option<&SourceName>,
    since: Option<Timestamp>,
) -> Result<Vec<Overview>> {
    let mut overviews = Vec::new();
    for source in sources_of(&app.repository, source).await? {
        overviews.push(Box::pin(overview(app, source, since)).await?);
    }
    Ok(overviews)
}

async fn overview(app: &App, source: SourceName, since: Option<Timestamp>) -> Result<Overview> {
    let runs = app.repository.runs(&source, None, since).await?;
    let present = app.repository.list(&Filter { source: Some(source.clone()), tier: None }).await?;
    let mut overview = of_records(source, &runs.records, &present);
    for (key, error) in &runs.unreadable {
        overview.warnings.push(format!("The record {key} cannot be read: {}.", error.message()));
    }
    let known: Vec<BackupId> = overview.backups.iter().map(|backup| backup.id).collect();
    let unknown: Vec<BackupRef> = present
        .into_iter()
        .filter(|backup| !known.contains(&backup.id) && since.is_none_or(|since| backup.id.time() >= since))
        .collect();
    for (backup, manifest) in app.repository.load_manifests(&unknown).await {
        match manifest {
            Ok(manifest) => overview.backups.push(BackupPoint {
                id: backup.id,
                tier: backup.tier,
                started_at: manifest.started_at,
                seconds: manifest.finished_at.duration_since(manifest.started_at).as_secs_f64(),
                stored_bytes: manifest.totals.stored_bytes,
                plain_bytes: manifest.totals.plain_bytes,
                rows: manifest.totals.rows,
                present: true,
            }),
            Err(error) => {
                overview.warnings.push(format!("The backup {backup} cannot be read: {}.", error.message()));
            }
        }
    }
    overview.backups.sort_by_key(|backup| backup.id);
    Ok(overview)
}

/// What records say. Pure.
fn of_records(source: SourceName, records: &[RunRecord], present: &[BackupRef]) -> Overview {
    let present: BTreeMap<BackupId, Tier> = present.iter().map(|backup| (backup.id, backup.tier)).collect();
    let mut overview = Overview {
        source,
        backups: Vec::new(),
        proofs: Vec::new(),
        troubles: Vec::new(),
        warnings: Vec::new(),
    };
    for record in records {
        let is_good = matches!(record.outcome, Some(Outcome::Done | Outcome::Skipped));
        if !is_good {
            overview.troubles.push(Trouble {
                job: record.job,
                started_at: record.started_at,
                outcome: record.outcome,
                error: record.error.clone(),
            });
        }
        match (record.job, record.outcome, record.finished_at) {
            (JobName::Backup, Some(Outcome::Done), _) => {
                let figures = &record.figures;
                if let Some(backup) = &record.backup {
                    overview.backups.push(BackupPoint {
                        id: backup.id,
                        tier: backup.tier,
                        started_at: record.started_at,
                        seconds: record.seconds().unwrap_or(0.0),
                        stored_bytes: figures.stored_bytes.unwrap_or(0),
                        plain_bytes: figures.plain_bytes.unwrap_or(0),
                        rows: figures.rows.unwrap_or(0),
                        present: present.contains_key(&backup.id),
                    });
                }
            }
            (JobName::Verify | JobName::RestoreTest, Some(outcome), Some(finished_at))
                if outcome != Outcome::Skipped =>
            {
                overview.proofs.push(ProofPoint {
                    job: record.job,
                    finished_at,
                    outcome,
                    looked_at: record.looked_at,
                    backup: record.backup.as_ref().map(|backup| backup.id),
                    seconds: record.seconds().unwrap_or(0.0),
                    recovery_seconds: record.figures.recovery_seconds,
                });
            }
            _ => {}
        }
    }
    overview
}
