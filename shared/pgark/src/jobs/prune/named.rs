//! Backups that somebody names for removal, such as those that a wrong clock dated. Pure.
//!
//! A hold or a lock of the store stands against it as against any policy; and the guard still refuses to remove the last
//! good one.

use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result};
use crate::repository::{BackupId, SourceName};
use crate::retention::{Candidate, Decision, Reason, protections};

/// Decides on each of a source's backups, in their order: those that are named go, all others stay.
///
/// # Errors
/// When one that is named is not there, or protected.
pub(super) fn decide(
    source: &SourceName,
    candidates: &[Candidate],
    named: &[BackupId],
    now: Timestamp,
) -> Result<Vec<Decision>> {
    for id in named {
        let Some(candidate) = candidates.iter().find(|one| one.backup.id == *id) else {
            return Err(Error::new(ErrorKind::BackupMissing, format!("there is no backup {id}"))
                .on(format!("source {source}"))
                .hint("`pgark list` shows the backups. Give whole ids."));
        };
        if let Some(first) = protections(candidate, now).first() {
            return Err(Error::new(
                ErrorKind::PruneRefused,
                format!("stays, because it is protected: {}", first.text),
            )
            .on(candidate.backup.to_string())
            .hint("`pgark release` ends a hold. A lock of the store ends at its time, or is lifted there."));
        }
    }
    let decision = |candidate: &Candidate| {
        let keep = !named.contains(&candidate.backup.id);
        let reason = if keep {
            Reason::new("not-named", "only what is named goes")
        } else {
            Reason::new("named", format!("{}; named for removal", candidate.state))
        };
        Decision { backup: candidate.backup.clone(), keep, reasons: vec![reason] }
    };
    Ok(candidates.iter().map(decision).collect())
}
