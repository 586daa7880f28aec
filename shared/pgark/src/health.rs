//! Whether a source is healthy: a verdict from facts, limits and the time. Pure.
//!
//! What makes a source unhealthy ([`Verdict::findings`]) is what puts a recovery at risk now: no good backup in time, no
//! proof in time, a collapse, a run that never ended, a promise that is not kept. What should be put in order but
//! risks nothing yet is a warning, and rings nobody. Where the facts come from is left to [`crate::jobs::health`], which
//! asks the store alone; who is told, and how often, to [`alerts`].

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::HealthSettings;
use crate::notify::wording::{self, seconds_between};
use crate::repository::manifest::BackupOptions;
use crate::repository::{BackupId, Level, Tier};
use crate::runs::JobName;
use crate::store::Replication;

pub mod alerts;
mod backups;
mod changes;
mod findings;
pub mod metrics;
mod order;
mod promises;
mod proofs;
mod replication;
pub(crate) mod tiers;

pub use changes::changes;
pub use findings::{Code, Finding};
pub use promises::Promises;
pub(crate) use promises::WINDOW;
pub(crate) use replication::is_due;

/// What is known of a source, from its store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The good backups, ascending by time.
    pub good: Vec<GoodBackup>,
    /// Backups that do not count as good.
    pub bad: Vec<BadBackup>,
    /// When backups were made in the last [`promises::WINDOW`], those that are gone since included; ascending.
    pub made: Vec<Timestamp>,
    /// The last verification that found a backup good.
    pub verified: Option<Proof>,
    /// The last restore test that passed.
    pub restored: Option<Proof>,
    /// A restore test that failed, if none passed since.
    pub restore_failed: Option<Proof>,
    /// Uploads that neither finished nor were given up.
    pub unfinished_uploads: Vec<Leftover>,
    /// Folders with objects and no manifest.
    pub without_manifest: Vec<Leftover>,
    /// Runs that started and have no end, with no run of the same job that ended since.
    pub open_runs: Vec<OpenRun>,
    /// What retention promises, and what there is.
    pub tiers: Vec<TierState>,
    /// Backups that should have been deleted some days ago.
    pub prune_overdue: Vec<BackupId>,
    /// What the bucket was asked to have.
    pub bucket: Vec<BucketState>,
    /// Whether the newest good backup was copied elsewhere, if the bucket is asked for replication; and if it is too young
    /// for that, also one that is not.
    pub replicas: Vec<ReplicaState>,
    /// What the newest good backup has no longer as the one before had it.
    pub changes: Vec<Finding>,
    /// That the last run of a backup did not find the source on its server, in a sentence's words.
    pub vanished: Option<String>,
    /// What could not be looked at, and why.
    pub not_looked_at: Vec<String>,
}

/// A good backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodBackup {
    /// Its id, which has its time.
    pub id: BackupId,
    /// Its tier.
    pub tier: Tier,
    /// Its bytes as stored.
    pub stored_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// What it was asked to leave out.
    #[serde(default)]
    pub options: BackupOptions,
}

/// A backup that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadBackup {
    /// Its id.
    pub id: BackupId,
    /// Its tier.
    pub tier: Tier,
    /// Why it does not count.
    pub why: String,
    /// Whether it is the time in its id that is wrong.
    #[serde(default)]
    pub wrongly_dated: bool,
}

/// A proof: a verification or a restore test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// When it ended.
    pub at: Timestamp,
    /// The backup.
    pub backup: String,
    /// The key of its report.
    pub report: String,
    /// How deep a verification looked.
    #[serde(default)]
    pub level: Option<Level>,
    /// What the restore took, if it was one.
    pub recovery_seconds: Option<f64>,
}

/// Something that lies around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where.
    pub key: String,
    /// Since when.
    pub since: Timestamp,
}

/// A run that started and did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub run: BackupId,
    /// Its job.
    pub job: JobName,
}

/// What a rule of retention promises, and what there is of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierState {
    /// The rule's period.
    pub tier: Tier,
    /// How many periods it promises.
    pub promised: usize,
    /// How many of these the source has existed for.
    pub possible: usize,
    /// How many have a good backup.
    pub present: usize,
    /// The beginnings of those that have none.
    pub missing: Vec<String>,
}

/// What a bucket was asked to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketState {
    /// `versioning`, `lock` or `replication`.
    pub feature: String,
    /// Whether it has it; `null` if that could not be found out.
    pub present: Option<bool>,
    /// What it has, or why that is not known.
    pub detail: String,
}

/// What the store says of its copy of a backup elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaState {
    /// The backup.
    pub backup: BackupId,
    /// When the last of its objects was written, by the store's clock.
    pub written_at: Timestamp,
    /// How far the copy of that object is.
    pub replication: Replication,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether nothing puts a recovery at risk.
    pub healthy: bool,
    /// What does.
    pub findings: Vec<Finding>,
    /// What should be put in order.
    pub warnings: Vec<Finding>,
    /// The numbers.
    pub figures: Figures,
    /// What was promised, and what is achieved.
    pub promises: Promises,
}

/// The numbers of a verdict; what is not known is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Good backups.
    pub good_backups: u64,
    /// Age of the newest good backup.
    pub newest_backup_age_seconds: Option<f64>,
    /// Age of the last verification that found a backup good.
    pub last_verify_age_seconds: Option<f64>,
    /// Age of the last restore test that passed.
    pub last_restore_test_age_seconds: Option<f64>,
    /// The newest backup's size, for each byte of the median of those before it.
    pub size_to_median: Option<f64>,
    /// The same of rows.
    pub rows_to_median: Option<f64>,
    /// Whether one of the two is beyond the limit.
    pub size_anomaly: bool,
}

impl Verdict {
    /// Judges a source.
    pub fn of(facts: &Facts, limits: &HealthSettings, now: Timestamp) -> Self {
        let mut found = Found::default();
        let promises = Promises::of(facts, limits, now);
        let mut figures = Figures { good_backups: facts.good.len() as u64, ..Figures::default() };
        backups::age(facts, limits, now, &mut figures, &mut found);
        backups::bad(facts, &mut found);
        backups::sizes(facts, limits, &mut figures, &mut found);
        proofs::judge(facts, limits, now, &mut figures, &mut found);
        promises.judge(&mut found);
        order::judge(facts, limits, now, &mut found);
        replication::judge(facts, now, &mut found);
        Self {
            healthy: found.unhealthy.is_empty(),
            findings: found.unhealthy,
            warnings: found.warnings,
            figures,
            promises,
        }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    unhealthy: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Found {
    fn unhealthy(&mut self, code: Code, message: impl Into<String>, hint: impl Into<String>) {
        self.unhealthy.push(Finding { code, message: message.into(), hint: hint.into() });
    }

    fn warning(&mut self, code: Code, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Finding { code, message: message.into(), hint: hint.into() });
    }
}

/// `3 d 2 h old, and may be 26 h`.
fn too_old(age: f64, limit: Duration) -> Option<String> {
    let limit = limit.as_secs_f64();
    (age > limit).then(|| {
        format!("{} old, and should be at most {}", wording::duration(age), wording::duration(limit))
    })
}

#[cfg(test)]
mod tests;
