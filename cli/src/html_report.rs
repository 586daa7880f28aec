//! One HTML page about all sources, which needs neither network nor script: style and plots are in it.
//!
//! The page's text and structure is `templates/report.html`, which escapes all that is put into it. This prepares
//! what it shows; plots are drawn in [`charts`], and get their colours from the page's style, light or dark.

use askama::Template;
use jiff::Timestamp;
use pgark::jobs::overview::{BackupPoint, Overview, ProofPoint, Trouble};
use pgark::repository::Looked;
use pgark::runs::{JobName, Outcome};
use pgark::{Error, ErrorKind, Result};

use crate::output::{ago, bytes, count, duration};

mod charts;

use charts::Chart;

/// So many of the newest backups are listed.
const BACKUPS_LISTED: usize = 15;
const TROUBLES_LISTED: usize = 10;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    store: String,
    written_at: String,
    since: String,
    version: &'static str,
    sources: Vec<Source>,
}

struct Source {
    name: String,
    /// Each with a class that colours it: `good`, `bad` or none.
    facts: Vec<(&'static str, String, &'static str)>,
    charts: Vec<Chart>,
    backups: Vec<[String; 6]>,
    backups_more: usize,
    troubles: Vec<[String; 4]>,
    troubles_more: usize,
    warnings: Vec<String>,
}

/// The page.
///
/// # Errors
/// When a plot cannot be drawn.
pub(crate) fn render(store: &str, sources: &[Overview], since: Timestamp, now: Timestamp) -> Result<String> {
    let page = Page {
        store: store.to_owned(),
        written_at: format!("{now:.0}"),
        since: since.strftime("%Y-%m-%d").to_string(),
        version: env!("CARGO_PKG_VERSION"),
        sources: sources.iter().map(|source| view(source, since, now)).collect::<Result<_>>()?,
    };
    page.render().map_err(|source| Error::new(ErrorKind::Internal, "the page cannot be made").because(source))
}

fn view(source: &Overview, since: Timestamp, now: Timestamp) -> Result<Source> {
    let newest = source.backups.iter().rev();
    let troubles = source.troubles.iter().rev();
    Ok(Source {
        name: source.source.to_string(),
        facts: facts(source, now),
        charts: charts::draw(source, since, now)?,
        backups: newest.take(BACKUPS_LISTED).map(backup_row).collect(),
        backups_more: source.backups.len().saturating_sub(BACKUPS_LISTED),
        troubles: troubles.take(TROUBLES_LISTED).map(trouble_row).collect(),
        troubles_more: source.troubles.len().saturating_sub(TROUBLES_LISTED),
        warnings: source.warnings.clone(),
    })
}

fn facts(source: &Overview, now: Timestamp) -> Vec<(&'static str, String, &'static str)> {
    let since = |time: Timestamp| ago(now.duration_since(time).as_secs_f64());
    let mut facts = Vec::new();
    match source.last_backup() {
        Some(backup) => {
            facts.push(("last backup", format!("{} ago", since(backup.started_at)), ""));
            facts.push(("size", bytes(backup.stored_bytes), ""));
            facts.push(("rows", count(backup.rows), ""));
            facts.push(("took", duration(backup.seconds), ""));
        }
        None => facts.push(("last backup", "none".to_owned(), "bad")),
    }
    for (job, name) in [(JobName::Verify, "verified"), (JobName::RestoreTest, "restored")] {
        let newest = source.proofs.iter().rev().find(|proof| proof.job == job);
        facts.push(match newest {
            None => (name, "never".to_owned(), ""),
            Some(proof) => proof_fact(name, proof, &since(proof.finished_at)),
        });
    }
    let recovery = source.last_good(JobName::RestoreTest).and_then(|proof| proof.recovery_seconds);
    facts.extend(recovery.map(|seconds| ("recovery takes", duration(seconds), "")));
    facts
}

fn proof_fact(name: &'static str, proof: &ProofPoint, ago: &str) -> (&'static str, String, &'static str) {
    match proof.outcome {
        Outcome::Done => match proof.looked_at {
            None => (name, format!("{ago} ago"), "good"),
            Some(Looked::Part) => (name, format!("a part, {ago} ago"), ""),
            Some(looked) => (name, format!("{ago} ago ({})", looked.as_str()), "good"),
        },
        Outcome::Damaged => (name, format!("damaged, {ago} ago"), "bad"),
        _ => (name, format!("failed, {ago} ago"), "bad"),
    }
}

fn backup_row(backup: &BackupPoint) -> [String; 6] {
    [
        if backup.present { backup.id.to_string() } else { format!("{} (gone)", backup.id) },
        backup.tier.to_string(),
        bytes(backup.stored_bytes),
        bytes(backup.plain_bytes),
        count(backup.rows),
        duration(backup.seconds),
    ]
}

fn trouble_row(trouble: &Trouble) -> [String; 4] {
    let (code, message) = match &trouble.error {
        Some(error) => (error.code.clone(), error.message.clone()),
        None if trouble.outcome.is_none() => {
            ("-".to_owned(), "has not ended: it is in progress, or was killed".to_owned())
        }
        None => ("-".to_owned(), "gave no reason".to_owned()),
    };
    [format!("{:.0}", trouble.started_at), trouble.job.to_string(), code, message]
}

#[cfg(test)]
mod tests;
