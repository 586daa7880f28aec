//! A lease: that a job runs on a source once at a time, whoever starts it and wherever.
//!
//! The store is the only thing that all runs share, and all it offers is to create an object that is not there yet. So a
//! lease is a row of numbered objects: whoever creates the next number made the next move, and of several who race
//! for it the store lets one win. Moves are: to take, to renew, to release. [`holder`] reads the row and says whose the
//! lease is; everybody who reads it comes to the same answer, because it asks no clock but the store's own: a move to
//! take counts only if the lease was released, or its time had run out by the times at which the store saw the
//! objects written. A machine whose clock is fast may move too early, and then learns that its move does not count;
//! the holder passes over it.
//!
//! A holder renews at a third of the time. One that was killed blocks others for the rest of it, no longer. One that was
//! only asleep finds at its next move that the lease is another's. Released leases leave one object, so that numbers go on;
//! a role that may not delete leaves them all, and only those since the last release are read.
//! What is done with a lease, and what happens when it is lost, is [`super::watched`]'s.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::JobName;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{BackupId, Repository, SourceName, keys};
use crate::retention::later;
use crate::store::{StoreRead as _, StoreWrite as _};

/// How long a lease lasts without renewal, and so how long a killed run blocks others. A move that says more is believed no
/// further: whoever can write one could else stop all backups for years.
pub const TERM: Duration = Duration::from_mins(2);
const FORMAT_VERSION: &str = "1.0";
const MOVE_BYTES_MAX: usize = 64 * 1024;
/// Somebody else moves in between each time that one of these is used up, so it is never reached in earnest.
const TRIES_MAX: u32 = 64;

/// What a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Taken,
    Renewed,
    Released,
}

/// A move, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Move {
    format_version: String,
    kind: Kind,
    /// The run that moves.
    run: BackupId,
    /// The machine, or the request id of the function.
    by: Option<String>,
    /// When, by the clock of the run; for people.
    at: Timestamp,
    /// How long the lease is good for, from when the store saw this written.
    seconds: u32,
}

/// A move in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed {
    number: u32,
    /// When the store saw it written, by the store's clock.
    stored: Timestamp,
    made: Move,
}

/// Who holds a lease, or did when its time ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The run.
    pub run: BackupId,
    /// The machine, or the request id of the function.
    pub by: Option<String>,
    /// The number of its last move: it grows as long as the run is alive.
    pub number: u32,
    /// When the store saw that move.
    pub since: Timestamp,
    /// When the time runs out, by the store's clock.
    pub until: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}", self.run)?;
        if let Some(by) = &self.by {
            write!(f, " on {by}")?;
        }
        write!(f, ", until {:.0} unless it renews", self.until)
    }
}

impl Holder {
    /// Whether it is in force, as far as a clock of ours can tell. A clock that is behind the store's own time stamp cannot.
    fn seems_in_force(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

/// Whose the lease is, by all moves since the last release, ascending.
fn holder(moves: &[Placed]) -> Option<Holder> {
    let mut holder: Option<Holder> = None;
    for Placed { number, stored, made } in moves {
        let is_its_own = holder.as_ref().is_some_and(|holder| holder.run == made.run);
        match made.kind {
            Kind::Released if is_its_own => holder = None,
            // Whoever is no holder has nothing to release.
            Kind::Released => {}
            Kind::Taken | Kind::Renewed => {
                if is_its_own || holder.as_ref().is_none_or(|holder| holder.until <= *stored) {
                    holder = Some(Holder {
                        run: made.run,
                        by: made.by.clone(),
                        number: *number,
                        since: *stored,
                        until: later(*stored, term(made.seconds)),
                    });
                }
            }
        }
    }
    holder
}

/// The term that a move gives.
fn term(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds).min(TERM.as_secs().cast_signed()))
}

/// Who asks for a lease, and of what.
#[derive(Debug, Clone)]
pub struct Request {
    /// The source.
    pub source: SourceName,
    /// The job.
    pub job: JobName,
    /// The run that asks.
    pub run: BackupId,
    /// The machine, or the request id of the function.
    pub by: Option<String>,
    /// How long it is good for without renewal, in whole seconds.
    pub term: Duration,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// What came of a request.
#[derive(Debug)]
pub enum Acquired {
    /// The lease is ours.
    Taken(Lease),
    /// It is another's.
    Held(Holder),
}

/// A lease that is ours, as long as it is renewed.
#[derive(Debug)]
pub struct Lease {
    repository: Repository,
    request: Request,
    /// Of our last move.
    number: u32,
}

impl Lease {
    /// Takes the lease, if it is free.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn acquire(repository: &Repository, request: Request) -> Result<Acquired> {
        let mut lease = Self { repository: repository.clone(), request, number: 0 };
        for _ in 0..TRIES_MAX {
            let row = lease.row().await?;
            let before = holder(&row.moves);
            if let Some(holder) = &before
                && holder.seems_in_force((lease.request.now)())
            {
                return Ok(Acquired::Held(holder.clone()));
            }
            let number = row.last + 1;
            match lease.make(Kind::Taken, number).await {
                Ok(()) => lease.number = number,
                Err(error) if error.kind() == ErrorKind::ObjectExists => continue,
                Err(error) => return Err(error),
            }
            // After a release the next move counts whatever the clocks say; else the store's clock decides.
            if before.is_none() {
                return Ok(Acquired::Taken(lease));
            }
            match holder(&lease.row().await?.moves) {
                Some(holder) if holder.run == lease.request.run => return Ok(Acquired::Taken(lease)),
                Some(holder) => return Ok(Acquired::Held(holder)),
                None => {}
            }
        }
        Err(lease.busy())
    }

    /// How long the lease is good for.
    pub fn term(&self) -> Duration {
        self.request.term
    }

    /// Makes it last for another term.
    ///
    /// # Errors
    /// [`ErrorKind::LeaseLost`] if it is another's by now.
    pub async fn renew(&mut self) -> Result<()> {
        self.move_as_holder(Kind::Renewed).await
    }

    /// Gives it back, for the next run not to wait until its time has run out.
    ///
    /// # Errors
    /// [`ErrorKind::LeaseLost`] if it is another's by now. That old moves cannot be deleted is no error: a role that
    /// writes backups need not be allowed to.
    pub async fn release(mut self) -> Result<()> {
        self.move_as_holder(Kind::Released).await?;
        let passed = self.row().await?.keys.into_iter().filter(|(number, _)| *number < self.number);
        let keys: Vec<String> = passed.map(|(_, key)| key).collect();
        if let Err(error) = self.repository.store().delete(&keys).await {
            tracing::debug!(%error, "old moves of a lease stay in the store");
        }
        Ok(())
    }

    /// The number behind our last is ours, unless somebody moved too early or the lease is lost.
    async fn move_as_holder(&mut self, kind: Kind) -> Result<()> {
        let mut number = self.number + 1;
        for _ in 0..TRIES_MAX {
            match self.make(kind, number).await {
                Ok(()) => {
                    self.number = number;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::ObjectExists => {}
                Err(error) => return Err(error),
            }
            let row = self.row().await?;
            match holder(&row.moves) {
                Some(holder) if holder.run == self.request.run => number = row.last + 1,
                Some(other) => return Err(self.lost(&format!("is held by another by now: {other}"))),
                None => return Err(self.lost("was taken and released by another")),
            }
        }
        Err(self.busy())
    }

    async fn make(&self, kind: Kind, number: u32) -> Result<()> {
        let Request { source, job, run, by, term, now } = &self.request;
        let made = Move {
            format_version: FORMAT_VERSION.to_owned(),
            kind,
            run: *run,
            by: by.clone(),
            at: now(),
            seconds: u32::try_from(term.as_secs()).unwrap_or(u32::MAX),
        };
        let json = serde_json::to_vec(&made).map_err(|source| {
            Error::new(ErrorKind::Internal, "a lease cannot be written as JSON").because(source)
        })?;
        let key = keys::lease(source, *job, number);
        self.repository.store().put_small(&key, Bytes::from(json)).await.map(drop)
    }

    async fn row(&self) -> Result<Row> {
        row(&self.repository, &self.request.source, self.request.job).await
    }

    fn lost(&self, message: &str) -> Error {
        Error::new(ErrorKind::LeaseLost, message).on(name(&self.request.source, self.request.job)).hint(
            "This run was cut off from the store, or its machine asleep, for longer than the lease lasts. The other run does the work.",
        )
    }

    fn busy(&self) -> Error {
        busy(&self.request.source, self.request.job)
    }
}

/// Who holds the lease of a job on a source, or did when its time ran out: for those who must not disturb a run.
///
/// # Errors
/// When the store fails. A move that cannot be read counts as none.
pub async fn holder_of(repository: &Repository, source: &SourceName, job: JobName) -> Result<Option<Holder>> {
    Ok(holder(&row(repository, source, job).await?.moves))
}

/// The row as it is now.
async fn row(repository: &Repository, source: &SourceName, job: JobName) -> Result<Row> {
    let prefix = keys::leases_prefix(source, job);
    'changed: for _ in 0..TRIES_MAX {
        let objects: Vec<_> = repository.store().list(&prefix)?.try_collect().await?;
        let number = |key: &str| keys::parse_lease(key.strip_prefix(&prefix)?);
        let mut placed: Vec<_> =
            objects.into_iter().filter_map(|object| Some((number(&object.key)?, object))).collect();
        placed.sort_unstable_by_key(|(number, _)| *number);
        let mut row = Row { last: placed.last().map_or(0, |(number, _)| *number), ..Row::default() };
        for (number, object) in placed.iter().rev() {
            let made = match repository.store().get_small(&object.key, MOVE_BYTES_MAX).await {
                Ok(json) => match parse(&object.key, &json) {
                    Ok(made) => made,
                    Err(error) => {
                        passed_over(&error);
                        continue;
                    }
                },
                Err(error) if error.kind() == ErrorKind::ObjectTooLarge => {
                    passed_over(&error);
                    continue;
                }
                // The holder releases it beside us.
                Err(error) if error.kind() == ErrorKind::ObjectMissing => continue 'changed,
                Err(error) => return Err(error),
            };
            if made.kind == Kind::Released {
                break;
            }
            row.moves.push(Placed { number: *number, stored: object.modified, made });
        }
        row.moves.reverse();
        row.keys = placed.into_iter().map(|(number, object)| (number, object.key)).collect();
        return Ok(row);
    }
    Err(busy(source, job))
}

fn name(source: &SourceName, job: JobName) -> String {
    format!("lease of {job} on {source}")
}

fn busy(source: &SourceName, job: JobName) -> Error {
    Error::new(ErrorKind::StoreBusy, "changes all the time").on(name(source, job)).hint("Run it again.")
}

/// All moves that are stored.
#[derive(Debug, Default)]
struct Row {
    /// The highest number; 0 if there is none.
    last: u32,
    /// Those since the last release, ascending.
    moves: Vec<Placed>,
    keys: Vec<(u32, String)>,
}

/// What is no move moves nothing: else whoever can write one object could stop all runs.
fn passed_over(error: &Error) {
    tracing::warn!(error = error.with_causes(), "a record of a lease cannot be read, and counts as none");
}

fn parse(key: &str, json: &[u8]) -> Result<Move> {
    serde_json::from_slice(json).map_err(|source| {
        Error::new(ErrorKind::RecordDamaged, "is no record of a lease")
            .on(key)
            .hint("Delete it once no other run is in progress.")
            .because(source)
    })
}

#[cfg(test)]
mod tests;
