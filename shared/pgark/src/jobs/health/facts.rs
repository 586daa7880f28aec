//! The facts of a source, put together from its store: what [`Verdict::of`](crate::health::Verdict::of) judges.

use jiff::{SignedDuration, Timestamp};

use super::SourceName;
use crate::app::App;
use crate::config::BucketFeature;
use crate::error::{Error, ErrorKind, Result};
use crate::health::{
    BadBackup, BucketState, Code, Facts, Finding, GoodBackup, Leftover, OpenRun, WINDOW, changes, tiers,
};
use crate::repository::candidates::{Candidates, Locks};
use crate::repository::{BackupRef, Repository, Tier, keys};
use crate::retention::{self, Candidate, Policy, State};
use crate::runs::{JobName, Outcome, RunName};
use crate::store::{Store, StoreRead as _};

mod proofs;
mod replicas;

/// Backups that should have been deleted so long ago say that nobody prunes.
const PRUNE_PATIENCE: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Runs that started earlier are history, whether they ended or not.
const RUNS_LOOKED_AT: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Asks the store for all facts.
pub(super) async fn gather(app: &App, source: &SourceName, now: Timestamp) -> Result<Facts> {
    let repository = &app.repository;
    let candidates = repository.candidates(source, now, Locks::Skip).await?;
    let policy = &app.settings.retention.policy;
    let mut facts = Facts {
        tiers: tiers::states(&good_times(&candidates), policy, now),
        prune_overdue: prune_overdue(&candidates.backups, policy, now),
        without_manifest: without_manifest(&candidates.incomplete),
        bucket: bucket(repository.store(), &app.settings.watch.health.bucket).await,
        ..Facts::default()
    };
    sort_out(candidates, &mut facts);
    facts.changes = since_the_one_before(repository, source, &facts.good).await;
    facts.replicas = replicas::asked_for(repository.store(), source, &facts, now).await?;
    runs(repository, source, now, &mut facts).await?;
    proofs::verified(repository, source, app.settings.watch.health.verify_level, &mut facts).await?;
    proofs::restored(repository, source, &mut facts).await?;
    unfinished_uploads(repository, source, &mut facts).await?;
    Ok(facts)
}

/// What the newest good backup has no longer as the one before had it. Their manifests were read a moment ago.
async fn since_the_one_before(
    repository: &Repository,
    source: &SourceName,
    good: &[GoodBackup],
) -> Vec<Finding> {
    let [.., before, newest] = good else { return Vec::new() };
    let place = |backup: &GoodBackup| BackupRef { id: backup.id, tier: backup.tier, source: source.clone() };
    let (before, newest) = (place(before), place(newest));
    match tokio::join!(repository.load_manifest(&before), repository.load_manifest(&newest)) {
        (Ok(before), Ok(newest)) => changes(&before, &newest),
        _ => Vec::new(),
    }
}

fn good_times(candidates: &Candidates) -> Vec<Timestamp> {
    candidates.good().map(Candidate::time).collect()
}

/// Good ones and bad ones. What was made partial on purpose is neither.
fn sort_out(candidates: Candidates, facts: &mut Facts) {
    for candidate in candidates.backups {
        let BackupRef { id, tier, .. } = candidate.backup;
        match candidate.state {
            State::Good => facts.good.push(GoodBackup {
                id,
                tier,
                stored_bytes: candidate.stored_bytes.unwrap_or(0),
                rows: candidate.rows.unwrap_or(0),
                options: candidate.options.unwrap_or_default(),
            }),
            State::Partial => {}
            State::TooNew => facts.not_looked_at.push(format!("{tier}/{id} was written by a newer pgark")),
            state => {
                let wrongly_dated = matches!(state, State::Future | State::Late { .. });
                facts.bad.push(BadBackup { id, tier, why: state.to_string(), wrongly_dated });
            }
        }
    }
    facts.good.sort_unstable_by_key(|backup| backup.id);
    facts.not_looked_at.extend(candidates.warnings);
}

/// What retention would have deleted some days ago, had anybody asked it.
fn prune_overdue(
    candidates: &[Candidate],
    policy: &Policy,
    now: Timestamp,
) -> Vec<crate::repository::BackupId> {
    let then = now.checked_sub(PRUNE_PATIENCE).unwrap_or(now);
    let there: Vec<Candidate> = candidates.iter().filter(|one| one.time() <= then).cloned().collect();
    let decisions = retention::decide(&there, policy, then);
    decisions.into_iter().filter(|decision| !decision.keep).map(|decision| decision.backup.id).collect()
}

fn without_manifest(incomplete: &[BackupRef]) -> Vec<Leftover> {
    incomplete.iter().map(|one| Leftover { key: one.to_string(), since: one.id.time() }).collect()
}

/// When backups were made, and which runs never ended.
async fn runs(repository: &Repository, source: &SourceName, now: Timestamp, facts: &mut Facts) -> Result<()> {
    let since = now.checked_sub(RUNS_LOOKED_AT).unwrap_or(Timestamp::MIN);
    let names = repository.run_names(source, Some(since)).await?;
    facts.open_runs = open_runs(&names);
    let window = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
    let backups: Vec<RunName> = names
        .into_iter()
        .filter(|name| name.job == JobName::Backup && name.ended && name.run.time() >= window)
        .collect();
    let runs = repository.read_runs(source, &backups).await?;
    let last = runs.records.last().filter(|run| run.outcome == Some(Outcome::Skipped));
    facts.vanished = last
        .and_then(|run| run.error.as_ref())
        .filter(|error| error.code == Code::SourceVanished.as_str())
        .map(|error| error.message.clone());
    let done = runs.records.iter().filter(|run| run.outcome == Some(Outcome::Done));
    facts.made = done.filter_map(|run| run.backup.as_ref()).map(|backup| backup.id.time()).collect();
    facts.made.sort_unstable();
    facts.not_looked_at.extend(runs.unreadable.iter().map(|(key, error)| format!("{key}: {error}")));
    Ok(())
}

/// Runs without an end. If the same job ended after a later start, that one did the work.
fn open_runs(names: &[RunName]) -> Vec<OpenRun> {
    let later = |open: &RunName| {
        names.iter().any(|name| name.ended && name.job == open.job && name.run.time() > open.run.time())
    };
    let open = names.iter().filter(|name| !name.ended && !later(name));
    open.map(|name| OpenRun { run: name.run, job: name.job }).collect()
}

/// Not every role may list them, and not every store can.
async fn unfinished_uploads(repository: &Repository, source: &SourceName, facts: &mut Facts) -> Result<()> {
    for tier in Tier::ALL {
        match repository.store().list_unfinished_uploads(&keys::source_prefix(tier, source)).await {
            Ok(uploads) => facts.unfinished_uploads.extend(
                uploads.into_iter().map(|upload| Leftover { key: upload.key, since: upload.started }),
            ),
            Err(error) if matches!(error.kind(), ErrorKind::StoreRefused | ErrorKind::StoreFailed) => {
                facts.not_looked_at.push(format!("unfinished uploads cannot be listed: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the bucket was asked to have. That it does not tell is found as well.
async fn bucket(store: &Store, features: &[BucketFeature]) -> Vec<BucketState> {
    let mut states = Vec::new();
    for feature in features {
        let asked = match store {
            Store::Local(_) => Err("the store is a folder".to_owned()),
            Store::S3(bucket) => match feature {
                BucketFeature::Versioning => bucket.versioning().await,
                BucketFeature::Lock => bucket.default_lock().await,
                BucketFeature::Replication => bucket.replication().await,
            }
            .map_err(|error: Error| error.with_causes()),
        };
        let (present, detail) = match asked {
            Ok(Some(detail)) => (Some(true), detail),
            Ok(None) => (Some(false), "its configuration has none that is enabled".to_owned()),
            Err(why) => (None, why),
        };
        states.push(BucketState { feature: feature.as_str().to_owned(), present, detail });
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(day: u32, job: JobName, ended: bool) -> RunName {
        RunName { run: format!("202611{day:02}T020000Z-aaaa").parse().unwrap(), job, ended }
    }

    #[test]
    fn a_run_is_open_until_one_of_the_same_job_ends_that_started_later() {
        use JobName::{Backup, Verify};
        let open = |names: &[RunName]| open_runs(names).len();
        assert_eq!(open(&[name(1, Backup, false)]), 1);
        assert_eq!(open(&[name(1, Backup, true)]), 0);
        assert_eq!(open(&[name(1, Backup, false), name(2, Verify, true)]), 1);
        assert_eq!(open(&[name(1, Backup, true), name(2, Backup, false)]), 1);
        assert_eq!(open(&[name(1, Backup, false), name(2, Backup, true)]), 0);
        assert_eq!(open(&[name(1, Backup, false), name(2, Backup, false)]), 2);
    }
}
