//! `pgark status`

use jiff::Timestamp;
use pgark::app::App;
use pgark::jobs::history;
use pgark::jobs::overview::{Overview, ProofPoint, overviews};
use pgark::runs::{JobName, Outcome};
use pgark::{Exit, Result};

use crate::args;
use crate::output::{self, ago, bytes, count};
use crate::sparkline::sparkline;

pub(crate) async fn run(app: &App, args: &args::Status, json: bool) -> Result<Exit> {
    let now = (app.outside.now)();
    let since = history::since(&args.since, now)?;
    let report = overviews(app, app.settings.source.as_ref(), Some(since)).await?;
    output::report(&report, json, |report| print(report, now));
    Ok(Exit::Done)
}

fn print(sources: &[Overview], now: Timestamp) {
    if sources.is_empty() {
        output::line("no source has left anything in the store");
        return;
    }
    let head = ["SOURCE", "LAST BACKUP", "AGE", "SIZE", "ROWS", "VERIFIED", "RESTORED", "SIZES", "TIMES"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(sources.iter().map(|source| row(source, now)));
    output::table(&rows);
    for source in sources {
        for trouble in since_last_backup(source) {
            output::warning(&trouble);
        }
        for warning in &source.warnings {
            output::warning(warning);
        }
    }
}

fn row(source: &Overview, now: Timestamp) -> [String; 9] {
    let since = |time: Timestamp| ago(now.duration_since(time).as_secs_f64());
    let last = source.last_backup();
    let of_last = |text: &dyn Fn(&pgark::jobs::overview::BackupPoint) -> String| {
        last.map_or_else(|| "-".to_owned(), text)
    };
    let proof = |job: JobName| {
        let newest = source.proofs.iter().rev().find(|proof| proof.job == job);
        newest.map_or_else(|| "never".to_owned(), |proof| proof_cell(proof, &since(proof.finished_at)))
    };
    [
        source.source.to_string(),
        last.map_or_else(|| "none".to_owned(), |backup| backup.id.to_string()),
        of_last(&|backup| since(backup.started_at)),
        of_last(&|backup| bytes(backup.stored_bytes)),
        of_last(&|backup| count(backup.rows)),
        proof(JobName::Verify),
        proof(JobName::RestoreTest),
        sparkline(source.backups.iter().map(|backup| measure(backup.stored_bytes))),
        sparkline(source.backups.iter().map(|backup| backup.seconds)),
    ]
}

#[allow(clippy::cast_precision_loss)] // for a bar of eight heights
fn measure(bytes: u64) -> f64 {
    bytes as f64
}

fn proof_cell(proof: &ProofPoint, ago: &str) -> String {
    match proof.outcome {
        Outcome::Done => {
            let depth = proof.looked_at.map_or(String::new(), |looked| format!(" ({})", looked.as_str()));
            format!("{ago} ago{depth}")
        }
        Outcome::Damaged => format!("DAMAGED {ago} ago"),
        _ => format!("FAILED {ago} ago"),
    }
}

/// What went wrong since the last good backup, as sentences.
fn since_last_backup(source: &Overview) -> Vec<String> {
    let last = source.last_backup().map(|backup| backup.started_at);
    let since = source.troubles.iter().filter(|trouble| last.is_none_or(|last| trouble.started_at > last));
    let sentence = |trouble: &pgark::jobs::overview::Trouble| {
        let what = format!("{} of {}, begun at {:.0}", trouble.job, source.source, trouble.started_at);
        match &trouble.error {
            Some(error) => format!("{what}: {} [{}]", error.message, error.code),
            None => format!("{what}, has not ended: it is in progress, or was killed"),
        }
    };
    since.map(sentence).collect()
}
