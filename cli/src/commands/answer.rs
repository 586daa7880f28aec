//! What the answer of a job looks like: the report of one source as its command prints it; of several, each with its
//! line in front.

use pgark::Exit;
use pgark::runs::{Answer, Outcome, SourceOutcome, SourcesReport, Summarized};
use serde::Serialize;

use crate::output;

/// Gives an answer to whoever asked, and says how the process ends.
pub(crate) fn give<R: Serialize + Summarized>(
    answer: &Answer<R>,
    json: bool,
    print: impl Fn(&R),
    exit: impl Fn(&R) -> Exit,
) -> Exit {
    output::report(answer, json, |answer| match answer {
        Answer::One(report) => print(report),
        Answer::Skipped(skipped) => output::line(&format!("nothing was done: {}", skipped.skipped)),
        Answer::Several(report) => several(report, &print),
    });
    match answer {
        Answer::One(report) => exit(report),
        Answer::Skipped(skipped) => skipped.exit(),
        Answer::Several(report) => report.exit(),
    }
}

fn several<R: Summarized>(report: &SourcesReport<R>, print: &impl Fn(&R)) {
    for source in &report.sources {
        output::line(&format!("{} {}", word(source.outcome), source.source));
        if let Some(skipped) = &source.skipped {
            output::line(&format!("  {skipped}"));
        }
        match (&source.report, &source.error) {
            (Some(report), _) => print(report),
            (None, Some(_)) => error(source),
            (None, None) => {}
        }
    }
    for left_out in &report.left_out {
        output::note(&format!(
            "left out: database {:?} of {}: {}",
            left_out.database, left_out.server, left_out.reason
        ));
    }
    output::line(&format!(
        "{} of {} sources: {} done, {} failed, {} skipped",
        report.job,
        report.sources.len(),
        report.done,
        report.failed,
        report.skipped
    ));
}

fn error<R>(source: &SourceOutcome<R>) {
    if let Some(error) = &source.error {
        output::line(&format!("  error: {} [{}]", error.message, error.code));
        if let Some(hint) = &error.hint {
            output::line(&format!("  hint: {hint}"));
        }
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "ok       ",
        Outcome::Failed => "FAILED   ",
        Outcome::Damaged => "DAMAGED  ",
        Outcome::Unhealthy => "UNHEALTHY",
        Outcome::Skipped => "skipped  ",
    }
}
