//! `pgark prune`

use pgark::app::App;
use pgark::jobs::prune::{BackupLine, Done, Prune, PruneReport, RemainsLine, SourceReport};
use pgark::{Exit, Result};

use super::answer;
use crate::args;
use crate::output::{self, bytes, count};
use crate::stop;

pub(crate) async fn run(app: &App, args: &args::Prune, json: bool) -> Result<Exit> {
    let job = Prune {
        source: None,
        apply: args.apply,
        allow_share: args.allow_share,
        allow_no_good: args.allow_no_good,
        remove: args.remove.clone(),
    };
    let answer = job.watched(app, &stop::token()).await?;
    Ok(answer::give(&answer, json, print, PruneReport::exit))
}

fn print(report: &PruneReport) {
    if report.reports.is_empty() && report.errors.is_empty() {
        output::line("there are no backups");
    }
    report.reports.iter().for_each(print_source);
    for error in &report.errors {
        output::warning(&format!("{}: {} [{}]", error.source, error.message, error.code));
        hint(error.hint.as_deref());
    }
}

fn print_source(report: &SourceReport) {
    let policy = &report.policy;
    output::line(&format!("prune of {}", report.source));
    output::line(&format!(
        "  keep {}; days of {}; at least {} good ones",
        policy.keep, policy.time_zone, policy.keep_min
    ));
    let mut rows = vec![["BACKUP", "STATE", "ROWS", "STORED", "PLAN", "WHY"].map(str::to_owned)];
    rows.extend(report.backups.iter().map(backup));
    rows.extend(report.remains.iter().map(remains));
    output::table(&rows);
    print_outcome(report);
}

fn print_outcome(report: &SourceReport) {
    let totals = &report.totals;
    for warning in &report.warnings {
        output::warning(warning);
    }
    for failure in &report.failures {
        output::warning(&format!("{}: {} [{}]", failure.backup, failure.message, failure.code));
        hint(failure.hint.as_deref());
    }
    for refusal in &report.refusals {
        output::warning(&format!(
            "{}: {}",
            if report.apply { "refused" } else { "would be refused" },
            refusal.text
        ));
        hint(Some(&refusal.hint));
    }
    output::line(&format!(
        "{} of {} backups stay, {} of them good",
        totals.backups - totals.backups_removed,
        totals.backups,
        totals.good_kept
    ));
    output::line(&gone(report));
    if report.stopped {
        output::warning("the run was stopped before all was deleted; the next one goes on");
    }
    if let Some(key) = &report.kept_as {
        output::note(&format!("the report is kept as {key}"));
    }
}

/// What went, or would go.
fn gone(report: &SourceReport) -> String {
    let totals = &report.totals;
    let planned = format!(
        "{} backups ({}) and the remains of {} runs",
        totals.backups_removed,
        bytes(totals.stored_bytes_removed),
        totals.remains_removed
    );
    if totals.backups_removed + totals.remains_removed == 0 {
        return "nothing would go".to_owned();
    }
    if !report.apply {
        return format!("{planned} would go: --apply deletes them");
    }
    if !report.refusals.is_empty() {
        return format!("{planned} would go: nothing was deleted");
    }
    let backups = report.backups.iter().filter(|line| line.done == Done::Removed).count();
    let remains = report.remains.iter().filter(|line| line.done == Done::Removed).count();
    format!("{planned} were to go: {backups} and {remains} are deleted")
}

fn hint(text: Option<&str>) {
    if let Some(text) = text {
        output::note(&format!("  {text}"));
    }
}

fn backup(line: &BackupLine) -> [String; 6] {
    let reasons: Vec<String> =
        line.reasons.iter().map(|reason| reason.text.escape_debug().to_string()).collect();
    [
        line.backup.clone(),
        line.state.to_owned(),
        line.rows.map_or("?".to_owned(), count),
        line.stored_bytes.map_or("?".to_owned(), bytes),
        word(line.done).to_owned(),
        reasons.join("; "),
    ]
}

fn remains(line: &RemainsLine) -> [String; 6] {
    [
        line.backup.clone(),
        "remains".to_owned(),
        "-".to_owned(),
        bytes(line.stored_bytes),
        word(line.done).to_owned(),
        format!("{} objects, {} unfinished uploads: {}", line.objects, line.uploads, line.reason),
    ]
}

fn word(done: Done) -> &'static str {
    match done {
        Done::Kept => "keep",
        Done::Planned => "delete",
        Done::Removed => "deleted",
        Done::Spared => "spared",
        Done::Failed => "FAILED",
        Done::NotDone => "not yet",
    }
}
