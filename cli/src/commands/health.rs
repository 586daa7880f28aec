//! `pgark health`

use pgark::app::App;
use pgark::health::Finding;
use pgark::jobs::health::{Health, HealthReport, SourceHealth};
use pgark::{Exit, Result};

use super::answer;
use crate::args;
use crate::output::{self, duration};
use crate::stop;

pub(crate) async fn run(app: &App, args: &args::Health, json: bool) -> Result<Exit> {
    let job = Health { source: None, no_report: args.no_report, quiet: args.quiet };
    let answer = job.watched(app, &stop::token()).await?;
    Ok(answer::give(&answer, json, print, HealthReport::exit))
}

fn print(report: &HealthReport) {
    let head =
        ["SOURCE", "STATE", "NEWEST BACKUP", "VERIFIED", "RESTORE TEST", "RECOVERY POINT", "RECOVERY TIME"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(report.sources.iter().map(row));
    output::table(&rows);
    for source in &report.sources {
        for finding in &source.verdict.findings {
            print_finding("UNHEALTHY", source, finding);
        }
        for warning in &source.verdict.warnings {
            print_finding("WARNING", source, warning);
        }
        if let Some(told) = &source.told {
            let to: Vec<_> = told.to.iter().map(|channel| channel.as_str()).collect();
            output::note(&format!("told {}: {}", to.join(", "), told.title));
        }
        for undelivered in &source.undelivered {
            output::warning(undelivered);
        }
        if let Some(key) = &source.kept_as {
            output::note(&format!("the report is kept as {key}"));
        }
    }
}

fn row(source: &SourceHealth) -> [String; 7] {
    let figures = &source.verdict.figures;
    let promises = &source.verdict.promises;
    let ago = |seconds: Option<f64>, never: &str| {
        seconds.map_or(never.to_owned(), |s| format!("{} ago", duration(s)))
    };
    let of = |achieved: Option<f64>, promised: Option<f64>| match (achieved, promised) {
        (Some(achieved), Some(limit)) => format!("{} of {}", duration(achieved), duration(limit)),
        (Some(achieved), None) => duration(achieved),
        (None, _) => "-".to_owned(),
    };
    let level = source.last_verify.as_ref().and_then(|proof| proof.level);
    let depth = level.map_or(String::new(), |level| format!(" ({})", level.as_str()));
    [
        source.source.to_string(),
        if source.verdict.healthy { "healthy" } else { "UNHEALTHY" }.to_owned(),
        ago(figures.newest_backup_age_seconds, "none"),
        format!("{}{depth}", ago(figures.last_verify_age_seconds, "never")),
        ago(figures.last_restore_test_age_seconds, "never"),
        of(promises.recovery_point_achieved_seconds, promises.recovery_point_promised_seconds),
        of(promises.recovery_time_achieved_seconds, promises.recovery_time_promised_seconds),
    ]
}

fn print_finding(what: &str, source: &SourceHealth, finding: &Finding) {
    output::line(&format!("{what} {}: {} [{}]", source.source, finding.message, finding.code.as_str()));
    output::line(&format!("  hint: {}", finding.hint));
}
