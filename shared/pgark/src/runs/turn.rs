//! Whose turn it is: whether a run may begin, and that it stays alone as long as it lasts.
//!
//! A schedule delivers its event at least once, and Lambda repeats an invocation that failed. So a run that a schedule
//! triggers names its slot, the scheduled time: if a run of this slot has done the work, this one has nothing to do; if
//! that one failed, this one works. The slot is looked up after the lease is taken, and a run ends its record before it
//! gives its lease back, so that there is no moment at which two duplicates both go on.
//!
//! Backup and prune take leases: of two backups at once one is waste, and two prunes would work from plans that each
//! makes wrong for the other. Verify, restore-test and health take none. They change nothing but reports of their own,
//! two at a time harm nothing, and a lease would only be one more thing that keeps proof from being made.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use super::lease::{Acquired, Holder, Lease, Request, TERM};
use super::{JobName, Outcome, RunRecord};
use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::retention::earlier;

/// One renewal may fail, and the next is still in time.
const RENEWALS_A_TERM: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A run's clock may be behind that of the scheduler.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_hours(1);
/// So long a slot is remembered whose name is no time.
const NAMED_SLOT_REMEMBERED: SignedDuration = SignedDuration::from_hours(35 * 24);

/// Whether a run goes on.
pub(super) enum Admitted {
    /// It does.
    Go {
        /// Its lease, if the job takes one.
        lease: Option<Lease>,
        /// What is not as it should be, in a full sentence.
        warning: Option<String>,
    },
    /// It does not, and this is why.
    Skip(String),
}

/// Takes the lease, and looks whether there is anything to do.
pub(super) async fn admit(app: &App, run: &RunRecord, stop: &CancellationToken) -> Result<Admitted> {
    let (lease, warning) = match lease(app, run, stop).await {
        Ok(None) => (None, None),
        Ok(Some(Acquired::Taken(lease))) => (Some(lease), None),
        Ok(Some(Acquired::Held(holder))) => {
            return Ok(Admitted::Skip(format!(
                "another {} of {} is in progress: {holder}",
                run.job, run.source
            )));
        }
        // A backup that might be made twice is better than none. A prune must be alone.
        Err(error)
            if run.job == JobName::Backup
                && matches!(error.kind(), ErrorKind::StoreRefused | ErrorKind::RecordDamaged) =>
        {
            let warning =
                format!("No lease could be taken, so another run may do the same: {}.", error.with_causes());
            tracing::warn!(source = %run.source, job = %run.job, "{warning}");
            (None, Some(warning))
        }
        Err(error) => return Err(error),
    };
    let done = match &run.slot {
        Some(slot) => done_in_slot(app, run, slot).await,
        None => Ok(None),
    };
    match done {
        Ok(None) => Ok(Admitted::Go { lease, warning }),
        Ok(Some(done)) => {
            give_back(lease).await;
            let finished = done.finished_at.unwrap_or(done.started_at);
            let slot = run.slot.as_deref().unwrap_or_default();
            Ok(Admitted::Skip(format!(
                "the work of slot {slot} was done by run {} at {finished:.0}",
                done.run
            )))
        }
        Err(error) => {
            give_back(lease).await;
            Err(error)
        }
    }
}

async fn give_back(lease: Option<Lease>) {
    if let Some(lease) = lease
        && let Err(error) = lease.release().await
    {
        tracing::warn!(error = error.with_causes(), "the lease is not released: it runs out by itself");
    }
}

/// The lease, for a job that takes one. A run that a schedule triggered does not take a holder's word for it: the holder
/// may have been killed a moment ago, and this be the repetition that makes up for it. So it waits for the holder to
/// renew, which shows that it is alive, or for the lease to become free.
async fn lease(app: &App, run: &RunRecord, stop: &CancellationToken) -> Result<Option<Acquired>> {
    if !matches!(run.job, JobName::Backup | JobName::Prune) {
        return Ok(None);
    }
    let request = Request {
        source: run.source.clone(),
        job: run.job,
        run: run.run,
        by: run.by.clone(),
        term: TERM,
        now: app.outside.now,
    };
    let mut first: Option<Holder> = None;
    let wait_until = app.trigger.wait.and_then(|wait| Instant::now().checked_add(wait));
    loop {
        let acquired = Lease::acquire(&app.repository, request.clone()).await?;
        let Acquired::Held(holder) = &acquired else { return Ok(Some(acquired)) };
        let first = first.get_or_insert_with(|| holder.clone());
        let is_alive = holder.run == first.run && holder.number > first.number;
        let waits = wait_until.is_some_and(|until| Instant::now() < until);
        if !waits && (run.slot.is_none() || is_alive) {
            return Ok(Some(acquired));
        }
        tokio::select! {
            () = time::sleep(LOOK_EVERY) => {}
            // Somebody who waits may give up; whoever makes up for another is to be told.
            () = stop.cancelled() => {
                if run.slot.is_none() {
                    return Ok(Some(acquired));
                }
                return Err(Error::new(ErrorKind::Stopped, "was stopped while it waited for another run")
                    .on(format!("{} of {}", run.job, run.source)));
            }
        }
    }
}

/// The run that did this slot's work.
async fn done_in_slot(app: &App, run: &RunRecord, slot: &str) -> Result<Option<RunRecord>> {
    let since = match slot.parse::<Timestamp>() {
        Ok(scheduled) if scheduled <= run.started_at => earlier(scheduled, CLOCK_SKEW_MAX),
        // A name, or a time that is still to come, and says nothing of when its work was done.
        _ => earlier(run.started_at, NAMED_SLOT_REMEMBERED),
    };
    let runs = app.repository.runs(&run.source, Some(run.job), Some(since)).await?;
    for (key, error) in &runs.unreadable {
        tracing::warn!(key, %error, "the record of a run cannot be read, and does not count");
    }
    let mut records = runs.records.into_iter();
    let same = |other: &RunRecord| other.slot.as_deref().is_some_and(|other| is_same_slot(slot, other));
    Ok(records.find(|other| same(other) && other.outcome == Some(Outcome::Done)))
}

/// Whether two clocks mean the same: of times the time counts, and not how it is written.
fn is_same_slot(one: &str, other: &str) -> bool {
    match (one.parse::<Timestamp>(), other.parse::<Timestamp>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Does the work while the lease is renewed; what is left of the lease comes back. A lease that is lost stops the work.
pub(super) async fn keep<T>(
    lease: Option<Lease>,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&CancellationToken) -> Result<T>,
) -> (Result<T>, Option<Lease>) {
    let Some(mut lease) = lease else { return (work(stop).await, None) };
    let stop = stop.child_token();
    let mut work = Box::pin(work(&stop));
    let lost = tokio::select! {
        done = &mut work => return (done, Some(lease)),
        lost = renew_until_lost(&mut lease) => lost,
    };
    tracing::error!(error = lost.with_causes(), "stopping");
    stop.cancel();
    match work.await {
        // It was quicker: what is done is done.
        Ok(done) => (Ok(done), None),
        Err(error) => (Err(lost.because(error)), None),
    }
}

/// Renews, until the lease is another's or could not be renewed for a whole term.
async fn renew_until_lost(lease: &mut Lease) -> Error {
    let term = lease.term();
    let mut good_until = Instant::now() + term;
    loop {
        time::sleep(term / RENEWALS_A_TERM).await;
        let began = Instant::now();
        match time::timeout_at(good_until, lease.renew()).await {
            Ok(Ok(())) => good_until = began + term,
            Ok(Err(error)) if error.kind() == ErrorKind::LeaseLost => return error,
            Ok(Err(error)) => tracing::warn!(error = error.with_causes(), "the lease could not be renewed"),
            Err(_) => {}
        }
        if Instant::now() >= good_until {
            return Error::new(ErrorKind::LeaseLost, "the lease could not be renewed in time").hint(
                "The store could not be reached, so another run may have begun. Look at the store, and run it again.",
            );
        }
    }
}

#[cfg(test)]
mod tests;
