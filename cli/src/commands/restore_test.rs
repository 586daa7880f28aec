//! `pgark restore-test`

use std::sync::Arc;

use pgark::app::App;
use pgark::jobs::restore_test::{
    Check, CheckName, CheckResult, RestoreTest, RestoreTestReport, TargetKind, TestResult,
};
use pgark::{Exit, Result};

use super::answer;
use crate::args;
use crate::output::{self, bytes, count, duration};
use crate::progress::RestoreProgress;
use crate::stop;

pub(crate) async fn run(app: &App, args: &args::RestoreTest, json: bool) -> Result<Exit> {
    let job = RestoreTest { backup: args.backup.clone(), ..RestoreTest::default() };
    let progress = Arc::new(RestoreProgress::of_unknown_size(json));
    let answer = job.watched(app, Arc::clone(&progress) as _, &stop::token()).await;
    progress.finish();
    let exit = |report: &RestoreTestReport| match report.result {
        TestResult::Passed => Exit::Done,
        _ => Exit::Damaged,
    };
    Ok(answer::give(&answer?, json, |report| print(report, &app.settings), exit))
}

fn print(report: &RestoreTestReport, settings: &pgark::config::Settings) {
    let result = if report.result == TestResult::Passed { "passed" } else { "FAILED" };
    output::line(&format!(
        "backup {} of {} {result} its restore-test",
        report.backup.id, report.backup.source
    ));
    let target = match report.target.kind {
        Some(TargetKind::Embedded) => "a server of pgark's own",
        Some(TargetKind::Server) | None => report.target.address.as_deref().unwrap_or("nowhere"),
    };
    let version = report.target.server_version.as_deref().unwrap_or("unknown");
    let times = &report.times;
    output::fields(&[
        ("restored to", format!("{target}, PostgreSQL {version}{}", gone(report))),
        (
            "restored",
            format!(
                "{} rows, {} as stored",
                count(report.restored.map_or(0, |restored| restored.rows)),
                bytes(report.backup.stored_bytes.unwrap_or(0))
            ),
        ),
        (
            "recovery",
            format!(
                "{} (definitions {}, rows {}, indexes and the rest {})",
                duration(times.recovery_seconds),
                duration(times.definitions_seconds),
                duration(times.data_seconds),
                duration(times.indexes_seconds)
            ),
        ),
        ("whole test", duration(times.seconds)),
        ("signature", report.backup.signature.to_string()),
        ("report", report_place(report, settings)),
    ]);
    for check in &report.checks {
        output::line(&line_of(check));
        for difference in &check.differences {
            output::line(&format!("           {difference}"));
        }
    }
    for warning in &report.warnings {
        output::warning(warning);
    }
}

fn gone(report: &RestoreTestReport) -> &'static str {
    if report.target.dropped { "; it is gone" } else { "" }
}

fn report_place(report: &RestoreTestReport, settings: &pgark::config::Settings) -> String {
    settings.store().map_or_else(|_| report.key.clone(), |store| format!("{store}/{}", report.key))
}

fn line_of(check: &Check) -> String {
    let result = match check.result {
        CheckResult::Passed => "ok",
        CheckResult::Failed => "FAILED",
        CheckResult::Skipped => "skipped",
    };
    let (name, things) = match check.name {
        CheckName::Load => ("load", "data files"),
        CheckName::Rows => ("rows", "tables"),
        CheckName::Schema => ("schema", "definitions"),
        CheckName::Indexes => ("indexes", "indexes"),
        CheckName::Assertions => ("assertions", "assertions"),
    };
    match check.result {
        CheckResult::Skipped => format!("{result:8} {name}: {}", check.what),
        _ => format!("{result:8} {name}: {} {things}, {}", count(check.checked), check.what),
    }
}
