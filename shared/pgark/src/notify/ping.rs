//! Pings as Healthchecks and its like take them: `URL/start`, then `URL` for success or `URL/fail`, each with a text.
//!
//! A check watches one schedule. If several reported to the same one, a good verification would hide that the backup is
//! missing; so a URL without `{job}` hears of backups only.

use crate::runs::{JobName, Outcome, RunRecord};
use crate::secret::Secret;

/// What is pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ping {
    Start,
    Success,
    Fail,
}

/// What a run that has ended pings.
pub(super) fn at_end(run: &RunRecord) -> Option<Ping> {
    match run.outcome? {
        Outcome::Done => Some(Ping::Success),
        Outcome::Failed | Outcome::Damaged | Outcome::Unhealthy => Some(Ping::Fail),
        // The other run pings.
        Outcome::Skipped => None,
    }
}

/// The URL to ping for a run, if this URL is for runs of its job.
pub(super) fn url_for(template: &Secret, run: &RunRecord, ping: Ping) -> Option<Secret> {
    let template = template.expose();
    if run.job != JobName::Backup && !template.contains("{job}") {
        return None;
    }
    let filled = template.replace("{job}", run.job.as_str()).replace("{source}", run.source.as_str());
    let (path, query) = match filled.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (filled.as_str(), String::new()),
    };
    let path = path.trim_end_matches('/');
    let end = match ping {
        Ping::Start => "/start",
        Ping::Success => "",
        Ping::Fail => "/fail",
    };
    Some(Secret::new(format!("{path}{end}{query}")))
}
