//! What is known of each backup of a source: put together from manifests, reports of verifications and restore tests,
//! holds, and the store's locks. Retention decides on it, and health looks at it.
//!
//! Reads only. A backup that cannot be judged because the store does not answer is an error, not a bad backup: else a
//! broken network would make everything look unworthy. Which of them count is decided in [`crate::retention`].

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::manifest::BackupOptions;
use super::{BackupId, BackupRef, Filter, Repository, SourceName, keys};
use crate::error::{Error, ErrorKind, Exit, Result};
use crate::retention::{Candidate, Content, Dating, Facts, State, judge};
use crate::store::{ObjectLock, StoreRead as _};

mod evidence;

/// A manifest may be large, so few are in memory at a time.
const MANIFESTS_IN_FLIGHT: usize = 4;
const REQUESTS_IN_FLIGHT: usize = 16;

/// Whether to ask the store for its locks, which takes a request for each backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// Ask.
    Ask,
    /// Do as if there were none.
    Skip,
}

/// The backups of a source, ascending by time, and what is no backup.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// Those with a manifest.
    pub backups: Vec<Candidate>,
    /// Folders without one: runs in progress, or what is left of failed ones.
    pub incomplete: Vec<BackupRef>,
    /// What could not be found out, in full sentences.
    pub warnings: Vec<String>,
}

impl Candidates {
    /// Those that count.
    pub fn good(&self) -> impl DoubleEndedIterator<Item = &Candidate> {
        self.backups.iter().filter(|candidate| candidate.is_good())
    }
}

/// A backup, and what is read out of its manifest.
struct Read {
    backup: BackupRef,
    manifest: Result<Known, State>,
}

struct Known {
    content: Content,
    stored_bytes: u64,
    snapshot_at: Timestamp,
    options: BackupOptions,
}

impl Repository {
    /// Looks at each backup of a source.
    ///
    /// # Errors
    /// When anything cannot be read for a reason that says nothing of the backup.
    pub async fn candidates(&self, source: &SourceName, now: Timestamp, locks: Locks) -> Result<Candidates> {
        let found = self.find(&Filter { source: Some(source.clone()), tier: None }).await?;
        let datings = found.datings();
        let read: Vec<Read> = stream::iter(found.complete)
            .map(|backup| self.read(backup))
            .buffered(MANIFESTS_IN_FLIGHT)
            .try_filter_map(|read| async move { Ok(read) })
            .try_collect()
            .await?;
        let backups: Vec<&BackupRef> = read.iter().map(|read| &read.backup).collect();
        let mut damage = self.damage(source, &backups).await?;
        let mut holds = self.holds(source).await?;
        let (mut locked, warnings) = match locks {
            Locks::Ask => self.locks(&backups).await?,
            Locks::Skip => (BTreeMap::new(), Vec::new()),
        };
        let facts: Vec<Facts> = read
            .iter()
            .map(|read| Facts {
                backup: read.backup.clone(),
                stored_at: found.stored.get(&read.backup).copied().unwrap_or(Timestamp::MAX),
                dating: datings.get(&read.backup).copied().unwrap_or(Dating::Right),
                manifest: read.manifest.as_ref().map(|known| known.content).map_err(Clone::clone),
                damage: damage.remove(&read.backup.id),
            })
            .collect();
        let states = judge(&facts, now);
        let candidate = |(Read { backup, manifest }, state): (Read, State)| Candidate {
            stored_at: found.stored.get(&backup).copied().unwrap_or(Timestamp::MAX),
            state,
            stored_bytes: manifest.as_ref().ok().map(|known| known.stored_bytes),
            rows: manifest.as_ref().ok().map(|known| known.content.rows),
            snapshot_at: manifest.as_ref().ok().map(|known| known.snapshot_at),
            options: manifest.ok().map(|known| known.options),
            held: holds.remove(&backup.id),
            lock: locked.remove(&backup).unwrap_or_default(),
            backup,
        };
        let backups = read.into_iter().zip(states).map(candidate).collect();
        Ok(Candidates { backups, incomplete: found.incomplete, warnings })
    }

    /// Reads one manifest; `None` if the backup was removed just now.
    async fn read(&self, backup: BackupRef) -> Result<Option<Read>> {
        let manifest = match self.load_manifest(&backup).await {
            Ok(manifest) => {
                let partial = manifest.options.schema_only || manifest.options.data_only;
                let content = Content { rows: manifest.totals.rows, partial };
                let (stored_bytes, snapshot_at) = (manifest.totals.stored_bytes, manifest.snapshot_at);
                Ok(Known { content, stored_bytes, snapshot_at, options: manifest.options })
            }
            Err(error) if error.kind() == ErrorKind::BackupMissing => return Ok(None),
            Err(error) => Err(unreadable(error)?),
        };
        Ok(Some(Read { backup, manifest }))
    }

    /// The store's locks, on manifests: they are the last that is written, and so the last that is let go.
    async fn locks(&self, backups: &[&BackupRef]) -> Result<(BTreeMap<BackupRef, ObjectLock>, Vec<String>)> {
        let asked = stream::iter(backups.iter().copied())
            .map(|backup| async move {
                let lock = self.store().lock(&backup.key(keys::MANIFEST)).await?;
                Ok::<_, Error>((backup.clone(), lock))
            })
            .buffered(REQUESTS_IN_FLIGHT);
        let asked: Vec<_> = asked.try_collect().await?;
        let unknown = asked.iter().filter(|(_, lock)| lock.is_none()).count();
        let warnings = (unknown > 0).then(|| {
            format!(
                "Whether the store retains backups (Object Lock) is not known for {unknown} of {}: it does not tell. Allow s3:GetObjectRetention and s3:GetObjectLegalHold.",
                asked.len()
            )
        });
        let locks = asked.into_iter().filter_map(|(backup, lock)| Some((backup, lock?)));
        Ok((locks.collect(), warnings.into_iter().collect()))
    }
}

/// The state that a manifest's error comes to; the error itself if it is not about the manifest.
fn unreadable(error: Error) -> Result<State> {
    match error.kind() {
        ErrorKind::ManifestTooNew => Ok(State::TooNew),
        ErrorKind::ObjectTooLarge => Ok(State::Unreadable { why: why(&error) }),
        _ if error.exit() == Exit::Damaged => Ok(State::Unreadable { why: why(&error) }),
        _ => Err(error),
    }
}

fn why(error: &Error) -> String {
    format!("{} [{}]", error.message(), error.code())
}

/// Damage by backup.
type Damage = BTreeMap<BackupId, String>;
