//! What ran: the records of runs, of one source or of all.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{Repository, SourceName};
use crate::runs::{JobName, RunRecord, sources};
use crate::store::StoreRead as _;

/// So far back, unless somebody asks for more.
pub const SINCE_DEFAULT: &str = "30d";

/// The arguments.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only of this job.
    pub job: Option<JobName>,
    /// Only runs that started at or after this time.
    pub since: Option<Timestamp>,
}

/// Records of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryReport {
    /// The store.
    pub store: String,
    /// Of each run the record of its end, or of its start if it has none; ascending by start.
    pub runs: Vec<RunRecord>,
    /// Records that cannot be read.
    pub unreadable: Vec<UnreadableRecord>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadableRecord {
    /// Its key.
    pub key: String,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl History {
    /// Runs the job.
    ///
    /// # Errors
    /// When the store fails. A record that cannot be read is none: it is named in the report.
    pub async fn run(&self, app: &App) -> Result<HistoryReport> {
        let repository = &app.repository;
        let mut report =
            HistoryReport { store: repository.store().address(), runs: Vec::new(), unreadable: Vec::new() };
        for source in sources_of(repository, self.source.as_ref()).await? {
            let found = repository.runs(&source, self.job, self.since).await?;
            report.runs.extend(found.records);
            report.unreadable.extend(found.unreadable.into_iter().map(|(key, error)| UnreadableRecord {
                key,
                code: error.code(),
                message: error.message().to_owned(),
            }));
        }
        report.runs.sort_by(|a, b| (a.started_at, &a.source, a.job).cmp(&(b.started_at, &b.source, b.job)));
        Ok(report)
    }
}

/// The one source that is meant, or all that have left anything in the store.
pub(super) async fn sources_of(
    repository: &Repository,
    source: Option<&SourceName>,
) -> Result<BTreeSet<SourceName>> {
    if let Some(source) = source {
        return Ok([source.clone()].into());
    }
    let mut sources = sources::stored(repository).await?;
    sources.extend(repository.sources_with_runs().await?);
    Ok(sources)
}

/// Understands a time: `30d`, `12h`, `8w`, a date, or a date and time.
///
/// # Errors
/// When it is none of these.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp> {
    let wrong = || {
        Error::new(ErrorKind::Usage, format!("{text:?} is no time"))
            .hint("Give 12h, 30d or 8w for so long ago, a date such as 2026-11-01, or a time such as 2026-11-01T02:00:00Z.")
    };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        return date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        _ => return Err(wrong()),
    };
    let ago = number
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(hours))
        .filter(|hours| *hours < 24 * 366 * 200);
    let ago = ago.map(SignedDuration::from_hours).ok_or_else(wrong)?;
    now.checked_sub(ago).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_several_ways() {
        let now: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("12h", "2026-11-20T14:00:00Z"),
            ("30d", "2026-10-22T02:00:00Z"),
            ("2w", "2026-11-07T02:00:00Z"),
            ("0d", "2026-11-21T02:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T02:00:00+01:00", "2026-11-01T01:00:00Z"),
        ] {
            assert_eq!(since(text, now).unwrap(), expected.parse::<Timestamp>().unwrap(), "{text}");
        }
        for wrong in ["", "30", "d", "-1d", "30 days", "2026-13-01", "99999999999999999d", "9999999w"] {
            assert_eq!(since(wrong, now).unwrap_err().kind(), ErrorKind::Usage, "{wrong}");
        }
    }
}
