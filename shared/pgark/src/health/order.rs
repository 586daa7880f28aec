//! Is everything in order around the backups: runs, remains, retention, the bucket?

use std::time::Duration;

use jiff::Timestamp;

use super::{Code, Facts, Found, Leftover, seconds_between};
use crate::config::HealthSettings;
use crate::notify::wording::{self, things};

/// So many are named.
const NAMED_MAX: usize = 3;

pub(super) fn judge(facts: &Facts, limits: &HealthSettings, now: Timestamp, found: &mut Found) {
    runs(facts, limits.run_time_max, now, found);
    remains(facts, limits.run_time_max, now, found);
    retention(facts, found);
    bucket(facts, found);
    found.warnings.extend(facts.changes.iter().cloned());
    if let Some(vanished) = &facts.vanished {
        found.warning(
            Code::SourceVanished,
            vanished.clone(),
            "If it is meant so, hold what is to stay, and take the source out of the settings. Else look for the database: \
             it was dropped or renamed, allows no connections, or is excluded.",
        );
    }
    for what in &facts.not_looked_at {
        found.warning(
            Code::NotLookedAt,
            what.clone(),
            "Give the role of the health check the right to list and read this, or go without.",
        );
    }
}

fn runs(facts: &Facts, time_max: Duration, now: Timestamp, found: &mut Found) {
    for open in &facts.open_runs {
        let age = seconds_between(open.run.time(), now);
        if age > time_max.as_secs_f64() {
            found.unhealthy(
                Code::RunUnfinished,
                format!(
                    "{} {} started {} ago and has not ended: it was killed, or it hangs",
                    open.job,
                    open.run,
                    wording::duration(age)
                ),
                "Look at the log of where it ran for a time-out or too little memory, and run it again. \
                 PGARK_HEALTH_RUN_TIME is how long runs may take.",
            );
        }
    }
}

fn remains(facts: &Facts, time_max: Duration, now: Timestamp, found: &mut Found) {
    let hint = "`pgark prune --apply` removes them.";
    let old = |leftovers: &[Leftover]| -> Vec<String> {
        let old = leftovers.iter().filter(|one| seconds_between(one.since, now) > time_max.as_secs_f64());
        old.map(|one| one.key.clone()).collect()
    };
    let uploads = old(&facts.unfinished_uploads);
    if !uploads.is_empty() {
        let message = format!("{} never finished: {}", things(uploads.len(), "upload"), named(&uploads));
        found.warning(Code::Remains, message, hint);
    }
    let folders = old(&facts.without_manifest);
    if !folders.is_empty() {
        let message =
            format!("{} left objects without a manifest: {}", things(folders.len(), "run"), named(&folders));
        found.warning(Code::Remains, message, hint);
    }
}

fn retention(facts: &Facts, found: &mut Found) {
    for tier in &facts.tiers {
        if tier.present < tier.possible {
            found.warning(
                Code::TierIncomplete,
                format!(
                    "{}: {} of {} have a good backup; none has that of {}",
                    tier.tier,
                    tier.present,
                    tier.possible,
                    named(&tier.missing)
                ),
                "A run failed then, or somebody deleted the backup: `pgark history` tells. Nothing brings it back; the \
                 next period gets its own.",
            );
        }
    }
    if !facts.prune_overdue.is_empty() {
        let ids: Vec<String> = facts.prune_overdue.iter().map(ToString::to_string).collect();
        found.warning(
            Code::PruneOverdue,
            format!("{} should have been deleted by now: {}", things(ids.len(), "backup"), named(&ids)),
            "Look at the plan of `pgark prune`, and whether the schedule of `pgark prune --apply` runs.",
        );
    }
}

fn bucket(facts: &Facts, found: &mut Found) {
    for state in facts.bucket.iter().filter(|state| state.present != Some(true)) {
        let what = match state.present {
            None => format!("whether the bucket has {} is not known: {}", state.feature, state.detail),
            _ => format!("the bucket has no {}: {}", state.feature, state.detail),
        };
        let hint = format!(
            "Switch {} on for the bucket, or take it out of PGARK_HEALTH_BUCKET. The role needs the right to read \
             the bucket's configuration.",
            state.feature
        );
        found.unhealthy(Code::BucketUnprotected, what, hint);
    }
}

pub(super) fn named(all: &[String]) -> String {
    let shown = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
