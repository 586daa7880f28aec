//! What runs left behind: folders without a manifest, and uploads that nobody finished.
//!
//! They go only if nothing about them can be of a run in progress: the run began longer ago than the grace period, by its
//! own id; everything that the store has of it is older than that too, by the store's clock; and no run that holds
//! the lease of backups began before it. The store's clock is read off the newest object that is looked at, so a wrong
//! clock here makes nothing look old. Finding them only reads; the decision on each is pure.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::report::{Done, RemainsKind, RemainsLine};
use crate::error::{ErrorKind, Result};
use crate::repository::candidates::Candidates;
use crate::repository::{BackupId, BackupRef, ReportKind, Repository, SourceName, Tier, keys};
use crate::retention::CLOCK_SKEW_MAX;
use crate::runs::{JobName, lease};
use crate::store::StoreRead as _;

/// What the store has in a folder that is no part of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stray {
    objects: u64,
    bytes: u64,
    uploads: u64,
    newest: Timestamp,
    /// Whether the folder has a manifest: then its run is over, whatever the times say.
    of_backup: bool,
}

impl Default for Stray {
    fn default() -> Self {
        Self { objects: 0, bytes: 0, uploads: 0, newest: Timestamp::MIN, of_backup: false }
    }
}

/// What decides on all of them.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    /// This machine's.
    now: Timestamp,
    /// The store's; never later than ours.
    store: Timestamp,
    grace: SignedDuration,
    /// When the run began that holds the lease of backups.
    live_since: Option<Timestamp>,
}

/// Looks for them, and says of each whether it goes.
pub(super) async fn find(
    repository: &Repository,
    source: &SourceName,
    found: &Candidates,
    now: Timestamp,
    grace: Duration,
) -> Result<Vec<RemainsLine>> {
    let mut strays: BTreeMap<BackupRef, Stray> = BTreeMap::new();
    for backup in &found.incomplete {
        let mut objects = repository.store().list(&backup.prefix())?;
        let stray = strays.entry(backup.clone()).or_default();
        while let Some(object) = objects.try_next().await? {
            stray.objects += 1;
            stray.bytes += object.bytes;
            stray.newest = stray.newest.max(object.modified);
        }
    }
    for tier in Tier::ALL {
        let prefix = keys::source_prefix(tier, source);
        for upload in repository.store().list_unfinished_uploads(&prefix).await? {
            let id = upload.key.strip_prefix(&prefix).and_then(|rest| rest.split('/').next()?.parse().ok());
            let Some(id) = id else { continue };
            let stray = strays.entry(BackupRef { id, tier, source: source.clone() }).or_default();
            stray.uploads += 1;
            stray.newest = stray.newest.max(upload.started);
        }
    }
    for candidate in &found.backups {
        if let Some(stray) = strays.get_mut(&candidate.backup) {
            stray.of_backup = true;
        }
    }
    if strays.is_empty() {
        return Ok(Vec::new());
    }
    let strays_newest = strays.values().map(|stray| stray.newest);
    let signs = strays_newest.chain(newest_sign(repository, source).await?);
    let store = signs.max().unwrap_or(now).min(now);
    let live_since = live_since(repository, source, store).await?;
    let grace = SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX);
    let clocks = Clocks { now, store, grace, live_since };
    Ok(strays.into_iter().map(|(backup, stray)| line(backup, stray, &clocks)).collect())
}

fn line(place: BackupRef, stray: Stray, clocks: &Clocks) -> RemainsLine {
    let decision = decide(place.id, stray, clocks);
    let (kind, what) = if stray.of_backup {
        (RemainsKind::Uploads, "uploads that nobody finished")
    } else {
        (RemainsKind::Incomplete, "no manifest, so it is no backup")
    };
    RemainsLine {
        backup: place.to_string(),
        kind,
        objects: stray.objects,
        stored_bytes: stray.bytes,
        uploads: stray.uploads,
        newest_at: stray.newest,
        remove: decision.is_ok(),
        reason: match decision {
            Ok(()) => format!("{what}, and older than the grace period"),
            Err(why) => format!("{what}; {why}"),
        },
        done: if decision.is_ok() { Done::Planned } else { Done::Kept },
        place,
    }
}

/// Whether it goes; if not, why.
fn decide(id: BackupId, stray: Stray, clocks: &Clocks) -> Result<(), &'static str> {
    let old = |time: Timestamp, clock: Timestamp| clock.duration_since(time) >= clocks.grace;
    if !old(stray.newest, clocks.store) {
        return Err("kept: the store saw it written within the grace period");
    }
    if stray.of_backup {
        return Ok(());
    }
    if !old(id.time(), clocks.now) {
        return Err("kept: it began within the grace period, and may be in progress");
    }
    match clocks.live_since {
        Some(since) if id.time().saturating_add(CLOCK_SKEW_MAX).is_ok_and(|time| time >= since) => {
            Err("kept: a backup is in progress that began before it")
        }
        _ => Ok(()),
    }
}

/// The newest time at which the store saw a report of prune, or a move on the lease of backups: by its clock it is at least
/// so late.
async fn newest_sign(repository: &Repository, source: &SourceName) -> Result<Option<Timestamp>> {
    let mut newest = None;
    for prefix in
        [keys::reports_prefix(source, ReportKind::Prune), keys::leases_prefix(source, JobName::Backup)]
    {
        let mut objects = repository.store().list(&prefix)?;
        while let Some(object) = objects.try_next().await? {
            newest = newest.max(Some(object.modified));
        }
    }
    Ok(newest)
}

/// When the run began that holds the lease of backups, if one does by the store's clock. A lease that cannot be
/// understood counts as that of a run that began before everything.
async fn live_since(
    repository: &Repository,
    source: &SourceName,
    store: Timestamp,
) -> Result<Option<Timestamp>> {
    match lease::holder_of(repository, source, JobName::Backup).await {
        Ok(holder) => Ok(holder.filter(|holder| holder.until > store).map(|holder| holder.run.time())),
        Err(error) if error.kind() == ErrorKind::RecordDamaged => {
            tracing::warn!(%error, "nothing that a run left is removed");
            Ok(Some(Timestamp::MIN))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_no_run_can_be_writing_goes() {
        let now = at("2026-01-10T02:00:00Z");
        let clocks = Clocks { now, store: now, grace: SignedDuration::from_hours(48), live_since: None };
        let (old, young) = (at("2026-01-08T01:59:59Z"), at("2026-01-08T02:00:01Z"));
        let stray = Stray { objects: 1, newest: old, ..Stray::default() };
        let goes = |begun: Timestamp, stray: Stray, clocks: Clocks| {
            decide(BackupId::new(begun, 0), stray, &clocks).is_ok()
        };
        assert!(goes(old, stray, clocks));
        assert!(!goes(young, stray, clocks), "the run began within the grace period");
        assert!(!goes(old, Stray { newest: young, ..stray }, clocks), "the run still writes");
        assert!(!goes(at("2027-01-01T00:00:00Z"), stray, clocks), "dated in the future");
        // A clock here that is days ahead makes nothing old by itself.
        let ahead = Clocks { now: at("2026-02-01T00:00:00Z"), store: old, ..clocks };
        assert!(!goes(old, stray, ahead));
        // A run of three days that renews its lease.
        let live = |since: &str| Clocks { live_since: Some(at(since)), ..clocks };
        assert!(!goes(old, stray, live("2026-01-07T00:00:00Z")));
        assert!(!goes(old, stray, live("2026-01-08T02:30:00Z")), "clocks differ");
        assert!(goes(old, stray, live("2026-01-09T00:00:00Z")), "it began after this one");
        // In the folder of a backup that is complete, no upload is of a run in progress.
        let of_backup = Stray { of_backup: true, ..stray };
        assert!(goes(young, of_backup, live("2026-01-07T00:00:00Z")));
        assert!(!goes(old, Stray { newest: young, ..of_backup }, clocks));
    }
}
