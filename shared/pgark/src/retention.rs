//! Retention: which backups are kept and which go, each with its reasons. Plain functions of backups, policy and time.
//!
//! Safe because of what is not there: nothing here reads a clock or a store, and nothing deletes. Only good backups count
//! for a rule, so failed, damaged and future-dated ones push nothing out. Rules count days, weeks, months and years that
//! have a good backup, not those that passed, so no silence, however long, makes a backup old. And the newest good
//! ones, `keep_min` of them, are kept whatever the rules say, and so is the newest of each of the last `keep_min` days by the
//! store's clock: of these nobody can make more than one a day. What the store's clock says against is not good ([`clocks`]).
//!
//! What is known of a backup is put together in [`crate::repository`], and acted on in [`crate::jobs::prune`].

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::repository::BackupRef;
use crate::repository::manifest::BackupOptions;
use crate::store::ObjectLock;

mod clocks;
mod decide;
mod judge;
mod policy;

pub use clocks::{Dating, LATE_MAX, datings, earlier, later};
pub use decide::{Decision, Reason, decide, protections};
pub use judge::{Content, Facts, judge};
pub use policy::{Age, Policy, Rule, Rules, Zone};

/// Clocks of two machines may differ by this much before a backup counts as dated in the future.
pub const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_hours(1);

/// A backup, with all that decides on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is; its id tells its time.
    pub backup: BackupRef,
    /// When the store saw its manifest written, by the store's clock.
    pub stored_at: Timestamp,
    /// Whether it counts.
    pub state: State,
    /// Its bytes as stored; `None` if the manifest cannot be read.
    pub stored_bytes: Option<u64>,
    /// Its rows; `None` if the manifest cannot be read.
    pub rows: Option<u64>,
    /// The time of its data; `None` if the manifest cannot be read.
    pub snapshot_at: Option<Timestamp>,
    /// What it was asked to leave out; `None` if the manifest cannot be read.
    pub options: Option<BackupOptions>,
    /// The hold that is on it.
    pub held: Option<Hold>,
    /// The store's own lock on it, as its manifest has it.
    pub lock: ObjectLock,
}

impl Candidate {
    /// Whether it counts for the rules and for the floor.
    pub fn is_good(&self) -> bool {
        self.state == State::Good
    }

    /// When it was started.
    pub fn time(&self) -> Timestamp {
        self.backup.id.time()
    }
}

/// Whether a backup counts, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Complete, readable, and nobody found anything wrong with it.
    Good,
    /// The newest verification or restore test that could tell found it damaged.
    Damaged {
        /// What was found, and the report that says so.
        why: String,
    },
    /// Dated in the future, or later than the store saw it: some clock was wrong.
    Future,
    /// The store saw it long after the time that it is dated.
    Late {
        /// When the store saw it.
        stored_at: Timestamp,
    },
    /// It holds no rows, and a good backup before it did.
    EmptySuccess,
    /// Only definitions or only rows, by its own options, of a source that has whole backups.
    Partial,
    /// Its manifest cannot be read, or is not signed as it must be.
    Unreadable {
        /// What is wrong.
        why: String,
    },
    /// A newer pgark wrote it, which alone can judge it. Never deleted.
    TooNew,
}

impl State {
    /// One word for tables, reports and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Damaged { .. } => "damaged",
            Self::Future => "future",
            Self::Late { .. } => "late",
            Self::EmptySuccess => "empty",
            Self::Partial => "partial",
            Self::Unreadable { .. } => "unreadable",
            Self::TooNew => "too-new",
        }
    }
}

/// Why a backup does not count, for people.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Damaged { why } => write!(f, "damaged: {why}"),
            Self::Future => f.write_str("dated in the future, or later than the store saw it"),
            Self::Late { stored_at } => write!(f, "dated back: the store saw it only at {stored_at:.0}"),
            Self::EmptySuccess => f.write_str("without rows, unlike those before it"),
            Self::Partial => f.write_str("only definitions or only rows"),
            Self::Unreadable { why } => write!(f, "unreadable: {why}"),
            Self::TooNew => f.write_str("written by a newer pgark"),
        }
    }
}

/// A person's word that a backup stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Until when; `null` for until it is released.
    pub until: Option<Timestamp>,
    /// Since when.
    pub since: Timestamp,
}

impl Hold {
    /// Whether it holds now.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod ten_years;
#[cfg(test)]
mod tests;
