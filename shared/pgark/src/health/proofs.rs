//! Is there a young enough proof that backups are intact, and that they restore?

use std::time::Duration;

use jiff::Timestamp;

use super::{Code, Facts, Figures, Found, Proof, seconds_between, too_old};
use crate::config::HealthSettings;
use crate::notify::wording;
use crate::repository::Level;

pub(super) fn judge(
    facts: &Facts,
    limits: &HealthSettings,
    now: Timestamp,
    figures: &mut Figures,
    found: &mut Found,
) {
    // A source that is younger than the period owes no proof yet. How long it has been owed is counted from its
    // oldest good backup.
    let owed_for = facts.good.first().map(|oldest| seconds_between(oldest.id.time(), now));
    let age = |proof: &Option<Proof>| proof.as_ref().map(|proof| seconds_between(proof.at, now));
    let late =
        |age: Option<f64>, limit: Option<Duration>, never: &str, last: &str| match (limit, age, owed_for) {
            (Some(limit), Some(age), _) => too_old(age, limit).map(|old| format!("{last} is {old}")),
            (Some(limit), None, Some(owed)) if owed > limit.as_secs_f64() => {
                Some(format!("{never}, and the oldest backup is {} old", wording::duration(owed)))
            }
            _ => None,
        };
    figures.last_verify_age_seconds = age(&facts.verified);
    figures.last_restore_test_age_seconds = age(&facts.restored);
    let (demanded, key) = match limits.verify_level {
        Level::Stored => ("", ""),
        Level::Content => (
            " down to its content",
            " PGARK_HEALTH_VERIFY_LEVEL demands `--level content`, for which the verification needs the secret key.",
        ),
    };
    if let Some(message) = late(
        figures.last_verify_age_seconds,
        limits.verify_age_max,
        &format!("no verification has found a backup good{demanded} yet"),
        &format!("the last verification that found a backup good{demanded}"),
    ) {
        found.unhealthy(
            Code::VerifyOverdue,
            message,
            format!(
                "Run `pgark verify`, and look whether its schedule runs. PGARK_HEALTH_VERIFY_AGE is the limit; `off` \
                 goes without.{key}"
            ),
        );
    }
    if let Some(message) = late(
        figures.last_restore_test_age_seconds,
        limits.restore_test_age_max,
        "no restore test has passed yet",
        "the last restore test that passed",
    ) {
        found.unhealthy(
            Code::RestoreTestOverdue,
            message,
            "Run `pgark restore-test`, and look whether its schedule runs. PGARK_HEALTH_RESTORE_TEST_AGE is the limit; \
             `off` goes without.",
        );
    }
    if let Some(failed) = &facts.restore_failed {
        found.unhealthy(
            Code::RestoreTestFailed,
            format!(
                "the restore test of {} failed at {}, and none has passed since",
                failed.backup,
                wording::time(failed.at)
            ),
            format!("Read {}, and test another backup with `pgark restore-test BACKUP`.", failed.report),
        );
    }
}
