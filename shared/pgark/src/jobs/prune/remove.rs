//! Removing one backup, or the remains of one. Each can be broken off anywhere and done again.

use jiff::Timestamp;

use super::report::Done;
use crate::error::{Error, Result};
use crate::repository::{BackupRef, Repository, keys};
use crate::store::StoreRead as _;

/// Removes a backup: its manifest, and only once that is gone, the rest.
pub(super) async fn backup(
    repository: &Repository,
    backup: &BackupRef,
    now: fn() -> Timestamp,
) -> Result<Done> {
    // The plan may be minutes old.
    let (hold, _) = repository.hold_on(backup).await?;
    if hold.is_some_and(|hold| hold.holds(now())) {
        return Ok(Done::Spared);
    }
    let untouched = "Nothing else of the backup was touched.";
    repository.remove_manifest(backup).await.map_err(|error| with_hint(error, untouched))?;
    let unlisted = "Its manifest is gone, so it is no backup any more; a later run removes the rest.";
    repository.remove_rest(backup).await.map_err(|error| with_hint(error, unlisted))?;
    Ok(Done::Removed)
}

/// Removes what has no manifest. Looks again that it has none: a run that was thought to be dead may have finished.
pub(super) async fn remains(repository: &Repository, backup: &BackupRef) -> Result<Done> {
    if repository.store().head(&backup.key(keys::MANIFEST)).await?.is_some() {
        return Ok(Done::Spared);
    }
    repository.remove_rest(backup).await?;
    Ok(Done::Removed)
}

/// Aborts the uploads in the folder of a backup that stays.
pub(super) async fn uploads(repository: &Repository, backup: &BackupRef) -> Result<Done> {
    repository.abort_uploads(backup).await?;
    Ok(Done::Removed)
}

fn with_hint(error: Error, state: &str) -> Error {
    let hint = [state, error.hint_text().unwrap_or_default()].join(" ");
    error.hint(hint.trim_end())
}
