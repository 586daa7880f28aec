//! `pgark history`

use pgark::app::App;
use pgark::jobs::history::{self, History, HistoryReport};
use pgark::runs::{Outcome, RunRecord};
use pgark::{Exit, Result};

use crate::args;
use crate::output::{self, bytes, count, duration, usd};

pub(crate) async fn run(app: &App, args: &args::History, json: bool) -> Result<Exit> {
    let job = History {
        source: app.settings.source.clone(),
        job: args.job.as_deref().and_then(|job| job.parse().ok()),
        since: Some(history::since(&args.since, (app.outside.now)())?),
    };
    let report = job.run(app).await?;
    output::report(&report, json, print);
    Ok(Exit::Done)
}

fn print(report: &HistoryReport) {
    if report.runs.is_empty() {
        output::line(&format!("no runs in {}", report.store));
    } else {
        let head = ["STARTED", "JOB", "SOURCE", "RESULT", "TIME", "BACKUP", "SIZE", "ROWS", "COST"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(report.runs.iter().map(row));
        output::table(&rows);
    }
    for run in report.runs.iter().filter(|run| run.error.is_some()) {
        if let Some(error) = &run.error {
            output::note(&format!(
                "{} {} {}: {} [{}]",
                run.run, run.job, run.source, error.message, error.code
            ));
        }
    }
    for run in &report.runs {
        for warning in &run.warnings {
            output::note(&format!("{} {} {}: {warning}", run.run, run.job, run.source));
        }
    }
    for record in &report.unreadable {
        output::warning(&format!("{}: {} [{}]", record.key, record.message, record.code));
    }
}

fn row(run: &RunRecord) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        format!("{:.0}", run.started_at),
        run.job.to_string(),
        run.source.to_string(),
        result(run.outcome).to_owned(),
        or_dash(run.seconds().map(duration)),
        or_dash(run.backup.as_ref().map(|backup| backup.id.to_string())),
        or_dash(run.figures.stored_bytes.map(bytes)),
        or_dash(run.figures.rows.map(count)),
        or_dash(run.cost.map(|cost| usd(cost.requests_usd + cost.compute_usd))),
    ]
}

fn result(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Done) => "done",
        Some(Outcome::Failed) => "FAILED",
        Some(Outcome::Damaged) => "DAMAGED",
        Some(Outcome::Unhealthy) => "UNHEALTHY",
        Some(Outcome::Skipped) => "skipped",
        None => "no end",
    }
}
