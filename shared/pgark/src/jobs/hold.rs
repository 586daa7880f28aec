//! Holding a backup, and letting go of it: no policy and no prune deletes what is held.
//!
//! Each is a record that is added and never changed, so it can be seen later who decided what, and why.

use jiff::Timestamp;
use serde::Serialize;

use crate::app::App;
use crate::config::USER;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::holds::{HoldKind, HoldRecord};
use crate::repository::{BackupId, BackupRef, Filter, SourceName};

/// Longer ones are no reasons.
const REASON_CHARACTERS_MAX: usize = 1000;

/// Holds a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// An id, a unique prefix of one, or `latest`.
    pub backup: String,
    /// Why.
    pub reason: String,
    /// Until when; else until it is released.
    pub until: Option<Timestamp>,
}

/// Lets go of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// An id, a unique prefix of one, or `latest`.
    pub backup: String,
    /// Why.
    pub reason: String,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldReport {
    /// The backup.
    pub id: BackupId,
    /// Its source.
    pub source: SourceName,
    /// Where it is: tier, source and id.
    pub backup: String,
    /// Whether it is held from now on.
    pub held: bool,
    /// Until when; `null` for until it is released.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl Hold {
    /// Runs the job. A hold replaces the one before.
    ///
    /// # Errors
    /// When there is no such backup, no reason, or its end is not in the future.
    pub async fn run(&self, app: &App) -> Result<HoldReport> {
        let now = (app.outside.now)();
        if let Some(until) = self.until.filter(|until| *until <= now) {
            let message = format!("the hold would be over already: {until:.0} is past");
            return Err(Error::new(ErrorKind::Usage, message).hint("Give a date in the future, or none."));
        }
        let reason = checked(&self.reason)?;
        let backup = resolve(app, &self.backup).await?;
        let (_, newest) = app.repository.hold_on(&backup).await?;
        let record = HoldRecord { until: self.until, ..record(app, HoldKind::Hold, &backup, reason, newest) };
        app.repository.put_hold(&record).await?;
        Ok(report(&backup, &record))
    }
}

impl Release {
    /// Runs the job.
    ///
    /// # Errors
    /// When there is no such backup, no reason, or it is not held.
    pub async fn run(&self, app: &App) -> Result<HoldReport> {
        let reason = checked(&self.reason)?;
        let backup = resolve(app, &self.backup).await?;
        let (hold, newest) = app.repository.hold_on(&backup).await?;
        if hold.is_none() {
            return Err(Error::new(ErrorKind::HoldMissing, "is not held")
                .on(backup.to_string())
                .hint("`pgark list` shows the holds."));
        }
        let record = record(app, HoldKind::Release, &backup, reason, newest);
        app.repository.put_hold(&record).await?;
        Ok(report(&backup, &record))
    }
}

async fn resolve(app: &App, argument: &str) -> Result<BackupRef> {
    let filter = Filter { source: app.settings.source.clone(), tier: None };
    app.repository.resolve(argument, &filter).await
}

fn checked(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    let wrong = if reason.is_empty() {
        "no reason is given"
    } else if reason.chars().count() > REASON_CHARACTERS_MAX || reason.contains(char::is_control) {
        "the reason is too long, or has line breaks or other control characters in it"
    } else {
        return Ok(reason);
    };
    Err(Error::new(ErrorKind::Usage, wrong).hint("Say in a line why, for whoever comes to it in a year."))
}

fn record(
    app: &App,
    kind: HoldKind,
    backup: &BackupRef,
    reason: &str,
    newest: Option<BackupId>,
) -> HoldRecord {
    #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
    let random = (app.outside.random)() as u32;
    let record = HoldRecord::new(kind, backup, reason, (app.outside.now)(), random, newest);
    HoldRecord { by: (app.outside.environment)(USER).filter(|user| !user.is_empty()), ..record }
}

fn report(backup: &BackupRef, record: &HoldRecord) -> HoldReport {
    HoldReport {
        id: backup.id,
        source: backup.source.clone(),
        backup: backup.to_string(),
        held: record.kind == HoldKind::Hold,
        until: record.until,
        reason: record.reason.clone(),
    }
}
