//! Lists backups, newest last. Only reads.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::repository::{BackupId, BackupRef, Filter, Manifest, Repository, SourceName, Tier};
use crate::retention::Hold;
use crate::signature::SignatureCheck;
use crate::store::StoreRead as _;

/// The arguments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct List {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only of this tier.
    pub tier: Option<Tier>,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// The store.
    pub store: String,
    /// Whether the manifests' signatures were checked.
    pub signature: SignatureCheck,
    /// The backups whose manifests can be read.
    pub backups: Vec<BackupLine>,
    /// The backups whose manifests cannot, or whose signatures are wrong.
    pub unreadable: Vec<Unreadable>,
    /// Runs without a manifest: in progress, or failed. Not backups.
    pub incomplete: Vec<String>,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupLine {
    /// The id.
    pub id: BackupId,
    /// The source.
    pub source: SourceName,
    /// The tier.
    pub tier: Tier,
    /// The time of the data.
    pub snapshot_at: Timestamp,
    /// How long the job took.
    pub duration_seconds: i64,
    /// Tables with rows in it.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes before compression.
    pub plain_bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// The server's version.
    pub server_version: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// How many warnings it has.
    pub warnings: usize,
    /// The hold that is on it; `null` if it is not held.
    pub held: Option<Hold>,
}

/// A backup whose manifest cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Its place.
    pub backup: String,
    /// The stable code of the error.
    pub code: &'static str,
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub hint: Option<String>,
}

impl List {
    /// Runs the job.
    ///
    /// `now` tells which holds are over.
    pub async fn run(&self, repository: &Repository, now: Timestamp) -> Result<ListReport> {
        let filter = Filter { source: self.source.clone(), tier: self.tier };
        let found = repository.find(&filter).await?;
        let mut report = ListReport {
            store: repository.store().address(),
            signature: repository.signature_check(),
            backups: Vec::new(),
            unreadable: Vec::new(),
            incomplete: found.incomplete.iter().map(ToString::to_string).collect(),
        };
        let mut holds = holds(repository, &found.complete).await?;
        for (backup, manifest) in repository.load_manifests(&found.complete).await {
            match manifest {
                Ok(manifest) => {
                    let held = holds.remove(&(backup.source, backup.id)).filter(|hold| hold.holds(now));
                    report.backups.push(line(manifest, held));
                }
                Err(error) => report.unreadable.push(unreadable(&backup, &error)),
            }
        }
        Ok(report)
    }
}

/// The holds on all of these.
async fn holds(
    repository: &Repository,
    backups: &[BackupRef],
) -> Result<BTreeMap<(SourceName, BackupId), Hold>> {
    let sources: BTreeSet<&SourceName> = backups.iter().map(|backup| &backup.source).collect();
    let mut holds = BTreeMap::new();
    for source in sources {
        let of_source = repository.holds(source).await?;
        holds.extend(of_source.into_iter().map(|(backup, hold)| ((source.clone(), backup), hold)));
    }
    Ok(holds)
}

fn line(manifest: Manifest, held: Option<Hold>) -> BackupLine {
    BackupLine {
        id: manifest.id,
        source: manifest.source,
        tier: manifest.tier,
        snapshot_at: manifest.snapshot_at,
        duration_seconds: manifest.finished_at.as_second() - manifest.started_at.as_second(),
        tables: manifest.totals.tables,
        rows: manifest.totals.rows,
        plain_bytes: manifest.totals.plain_bytes,
        stored_bytes: manifest.totals.stored_bytes,
        server_version: manifest.server.version,
        encrypted: manifest.encryption.is_some(),
        warnings: manifest.warnings.len(),
        held,
    }
}

fn unreadable(backup: &BackupRef, error: &Error) -> Unreadable {
    Unreadable {
        backup: backup.to_string(),
        code: error.code(),
        error: error.to_string(),
        hint: error.hint_text().map(str::to_owned),
    }
}
