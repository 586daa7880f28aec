//! `pgark doctor`

use pgark::app::App;
use pgark::jobs::doctor::{self, DoctorReport, Status};
use pgark::{Exit, Result};

use crate::{output, stop};

pub(crate) async fn run(app: &App, json: bool) -> Result<Exit> {
    let report = doctor::run(app, &stop::token()).await;
    output::report(&report, json, print);
    Ok(if report.is_healthy() { Exit::Done } else { Exit::Failed })
}

fn print(report: &DoctorReport) {
    for check in &report.checks {
        let mark = match check.status {
            Status::Ok => "ok     ",
            Status::Warning => "warning",
            Status::Failed => "FAILED ",
        };
        output::line(&format!("{mark}  {}: {}", check.name, check.finding));
        if let Some(hint) = &check.hint {
            output::line(&format!("         {hint}"));
        }
    }
    let verdict = if report.is_healthy() { "a backup would work" } else { "a backup would not work yet" };
    output::line(verdict);
}
