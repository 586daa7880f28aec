//! The last proofs, out of the reports in the store, the newest first. A report that cannot be read proves nothing.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::error::{ErrorKind, Result};
use crate::health::{Facts, Proof};
use crate::repository::proof::Look;
use crate::repository::{BackupId, Level, ReportKind, Repository, SourceName, keys};

/// No proof is looked for further back than so many reports.
const REPORTS_LOOKED_AT: usize = 100;

/// What is read of a verification's report.
#[derive(Debug, Deserialize)]
struct Verification {
    finished_at: Timestamp,
    sample: Option<IgnoredAny>,
    backups: Vec<VerifiedBackup>,
    failures: Vec<NotChecked>,
}

#[derive(Debug, Deserialize)]
struct NotChecked {
    backup: String,
}

#[derive(Debug, Deserialize)]
struct VerifiedBackup {
    backup: String,
    objects: usize,
    objects_read: usize,
    findings: usize,
    level: Level,
}

impl Verification {
    fn is_proof(&self, line: &VerifiedBackup) -> bool {
        let failures = self.failures.iter().filter(|failure| failure.backup == line.backup).count();
        let VerifiedBackup { objects, objects_read, findings, .. } = *line;
        Look { objects, objects_read, findings, failures, sampled: self.sample.is_some() }.is_proof()
    }
}

/// What is read of a restore test's report.
#[derive(Debug, Deserialize)]
struct RestoreTest {
    result: String,
    finished_at: Timestamp,
    backup: TestedBackup,
    times: Times,
}

#[derive(Debug, Deserialize)]
struct TestedBackup {
    id: BackupId,
}

#[derive(Debug, Deserialize)]
struct Times {
    recovery_seconds: f64,
}

/// The last time that a backup was read as a whole, as deep as is demanded, and nothing wrong was found in it.
pub(super) async fn verified(
    repository: &Repository,
    source: &SourceName,
    demanded: Level,
    facts: &mut Facts,
) -> Result<()> {
    facts.verified = newest(
        repository,
        source,
        ReportKind::Verify,
        &mut facts.not_looked_at,
        |report: Verification, key| {
            let good =
                report.backups.iter().rev().find(|line| line.level >= demanded && report.is_proof(line))?;
            Some(Proof {
                at: report.finished_at,
                backup: good.backup.clone(),
                report: key,
                level: Some(good.level),
                recovery_seconds: None,
            })
        },
    )
    .await?;
    Ok(())
}

/// The last restore test that passed, and the last that failed if that was later. One that could not be completed says
/// nothing of a backup.
pub(super) async fn restored(repository: &Repository, source: &SourceName, facts: &mut Facts) -> Result<()> {
    let mut failed = None;
    facts.restored = newest(
        repository,
        source,
        ReportKind::RestoreTest,
        &mut facts.not_looked_at,
        |report: RestoreTest, key| {
            let proof = |seconds| Proof {
                at: report.finished_at,
                backup: report.backup.id.to_string(),
                report: key,
                level: None,
                recovery_seconds: seconds,
            };
            match report.result.as_str() {
                "passed" => return Some(proof(Some(report.times.recovery_seconds))),
                "failed" if failed.is_none() => failed = Some(proof(None)),
                _ => {}
            }
            None
        },
    )
    .await?;
    facts.restore_failed = failed;
    Ok(())
}

/// Goes through reports from the newest on, until one has what is looked for.
async fn newest<R: DeserializeOwned>(
    repository: &Repository,
    source: &SourceName,
    kind: ReportKind,
    unreadable: &mut Vec<String>,
    mut wanted: impl FnMut(R, String) -> Option<Proof>,
) -> Result<Option<Proof>> {
    let reports = repository.reports(source, kind).await?;
    for id in reports.into_iter().rev().take(REPORTS_LOOKED_AT) {
        let key = keys::report_of(source, kind, id);
        let json = match repository.read_report(source, kind, id).await {
            // A lifecycle rule may take reports away while they are read.
            Err(error) if error.kind() == ErrorKind::ObjectMissing => continue,
            Err(error) if error.kind() == ErrorKind::ObjectTooLarge => {
                unreadable.push(format!("{key} is no report that can be read: {error}"));
                continue;
            }
            json => json?,
        };
        match serde_json::from_slice::<R>(&json) {
            Ok(report) => {
                if let Some(proof) = wanted(report, key) {
                    return Ok(Some(proof));
                }
            }
            Err(error) => unreadable.push(format!("{key} is no report that can be read: {error}")),
        }
    }
    Ok(None)
}
