//! Which backup to test.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::repository::{BackupId, BackupRef, Filter, ReportKind, Repository, SourceName, only_source};
use crate::store::StoreRead as _;

/// The argument that means the backup whose last test is longest ago.
pub const OLDEST_TESTED: &str = "oldest-tested";
const REQUESTS_IN_FLIGHT: usize = 16;

/// The backup that an argument means.
///
/// # Errors
/// When there is none, or an argument that is no id could mean backups of several sources. `own` is the source of the
/// database in the settings, if there is one.
pub(super) async fn choose(
    repository: &Repository,
    argument: &str,
    filter: &Filter,
    own: Option<&SourceName>,
) -> Result<BackupRef> {
    if argument != OLDEST_TESTED {
        return repository.resolve_at(argument, filter, own).await;
    }
    let mut backups = repository.list(filter).await?;
    let source =
        only_source(&backups, argument, own).map_err(|error| error.on(repository.store().address()))?;
    backups.retain(|backup| Some(&backup.source) == source.as_ref());
    let tested = last_tests(repository, &backups).await?;
    oldest_tested(&backups, &tested).cloned().ok_or_else(|| {
        Error::new(ErrorKind::BackupMissing, "there is no backup")
            .on(repository.store().address())
            .hint("`pgark list` shows the backups. A run that did not finish is not one.")
    })
}

/// The one that was never tested, or not for the longest time; the older of two. `backups` ascending by time.
fn oldest_tested<'a>(
    backups: &'a [BackupRef],
    tested: &BTreeMap<(SourceName, BackupId), BackupId>,
) -> Option<&'a BackupRef> {
    // None is less than any. `min_by_key` returns the first of several.
    backups.iter().min_by_key(|backup| tested.get(&(backup.source.clone(), backup.id)).map(BackupId::time))
}

/// The last report on each backup. A test that could not be completed counts: it was loud, and the next run is for the
/// next backup, or one that cannot be tested would keep all others from it.
async fn last_tests(
    repository: &Repository,
    backups: &[BackupRef],
) -> Result<BTreeMap<(SourceName, BackupId), BackupId>> {
    let sources: BTreeSet<&SourceName> = backups.iter().map(|backup| &backup.source).collect();
    let mut tested = BTreeMap::new();
    for source in sources {
        let mut wanted: BTreeSet<BackupId> =
            backups.iter().filter(|backup| backup.source == *source).map(|backup| backup.id).collect();
        let reports = repository.reports(source, ReportKind::RestoreTest).await?;
        // The newest first: once every backup was met, older reports say nothing new.
        let read = stream::iter(reports.into_iter().rev())
            .map(|id| async move { (id, tested_backup(repository, source, id).await) })
            .buffered(REQUESTS_IN_FLIGHT);
        let mut read = std::pin::pin!(read);
        while !wanted.is_empty()
            && let Some((report, backup)) = read.next().await
        {
            if let Some(backup) = backup
                && wanted.remove(&backup)
            {
                tested.insert((source.clone(), backup), report);
            }
        }
    }
    Ok(tested)
}

#[derive(Deserialize)]
struct Report {
    backup: Tested,
}

#[derive(Deserialize)]
struct Tested {
    id: BackupId,
}

/// Which backup a report is about. A report that cannot be read is not evidence of anything.
async fn tested_backup(repository: &Repository, source: &SourceName, report: BackupId) -> Option<BackupId> {
    let json = repository.read_report(source, ReportKind::RestoreTest, report).await;
    let json = json.map_err(|error| tracing::warn!(%error, "a report cannot be read, and does not count"));
    let parsed = serde_json::from_slice::<Report>(&json.ok()?);
    let report =
        parsed.map_err(|error| tracing::warn!(%error, %report, "a report is none, and does not count"));
    Some(report.ok()?.backup.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Tier;

    #[test]
    fn what_was_never_tested_comes_first_and_then_what_was_tested_longest_ago() {
        let id = |day: u32| -> BackupId { format!("202601{day:02}T020000Z-aaaa").parse().unwrap() };
        let source: SourceName = "shop".parse().unwrap();
        let backups: Vec<BackupRef> =
            (1..=4).map(|day| BackupRef { id: id(day), tier: Tier::Daily, source: source.clone() }).collect();
        let chosen = |tested: &[(u32, u32)]| {
            let tested = tested.iter().map(|(backup, report)| ((source.clone(), id(*backup)), id(*report)));
            oldest_tested(&backups, &tested.collect()).map(|backup| backup.id)
        };
        assert_eq!(chosen(&[]), Some(id(1)));
        assert_eq!(chosen(&[(1, 10), (2, 11)]), Some(id(3)));
        assert_eq!(chosen(&[(1, 13), (2, 11), (3, 12), (4, 14)]), Some(id(2)));
        assert_eq!(oldest_tested(&[], &BTreeMap::new()), None);
    }
}
