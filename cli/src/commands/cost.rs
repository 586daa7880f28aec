//! `pgark cost`

use pgark::app::App;
use pgark::jobs::cost::{Cost, CostReport};
use pgark::{Exit, Result};

use crate::output::{self, bytes, usd};

pub(crate) async fn run(app: &App, json: bool) -> Result<Exit> {
    let report = Cost { source: app.settings.source.clone() }.run(app).await?;
    output::report(&report, json, print);
    Ok(Exit::Done)
}

fn print(report: &CostReport) {
    let mut rows = vec![["SOURCE", "WHAT", "BACKUPS", "BYTES", "A MONTH"].map(str::to_owned)];
    for source in &report.sources {
        let name = source.source.to_string();
        for line in &source.storage {
            rows.push([
                name.clone(),
                format!("{} in {}", line.tier, line.class),
                line.backups.to_string(),
                bytes(line.stored_bytes),
                usd(line.month_usd),
            ]);
        }
        let backups = format!("{:.0} made", source.backups_a_month);
        rows.push([name.clone(), "requests".to_owned(), backups, String::new(), usd(source.requests_usd)]);
        rows.push([
            name.clone(),
            "functions".to_owned(),
            String::new(),
            String::new(),
            usd(source.compute_usd),
        ]);
        let now = usd(source.stored_now_usd);
        rows.push([
            name.clone(),
            "what is stored now".to_owned(),
            String::new(),
            String::new(),
            format!("({now})"),
        ]);
        rows.push([name, "all".to_owned(), String::new(), String::new(), usd(source.total_usd)]);
    }
    output::table(&rows);
    output::line(&format!(
        "together {} a month, at the prices of {} in {}",
        usd(report.total_usd),
        report.prices_as_of,
        report.region
    ));
    for note in &report.notes {
        output::note(note);
    }
}
