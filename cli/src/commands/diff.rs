//! `pgark diff`

use pgark::app::App;
use pgark::jobs::diff::{Change, Diff, DiffReport, TableSize};
use pgark::{Exit, Result};

use crate::args;
use crate::output::{self, bytes, count};

pub(crate) async fn run(app: &App, args: &args::Diff, json: bool) -> Result<Exit> {
    let job = Diff {
        before: args.before.clone(),
        after: args.after.clone(),
        source: app.settings.source.clone(),
        across_sources: args.across_sources,
    };
    let report = job.run(app).await?;
    output::report(&report, json, print);
    Ok(Exit::Done)
}

fn print(report: &DiffReport) {
    output::line(&if report.source_before == report.source_after {
        format!("{}: from backup {} to {}", report.source_before, report.before, report.after)
    } else {
        format!(
            "from backup {} of {} to {} of {}",
            report.before, report.source_before, report.after, report.source_after
        )
    });
    if !report.tables.is_empty() {
        let mut rows = vec![["TABLE", "CHANGE", "ROWS", "BYTES", "COLUMNS"].map(str::to_owned)];
        rows.extend(report.tables.iter().map(|table| {
            let added = table.columns_added.iter().map(|column| format!("+{column}"));
            let removed = table.columns_removed.iter().map(|column| format!("-{column}"));
            let columns: Vec<String> = added.chain(removed).collect();
            let of = |value: fn(&TableSize) -> String| {
                step(table.before.as_ref().map(value), table.after.as_ref().map(value))
            };
            [
                table.table.escape_debug().to_string(),
                word(table.change).to_owned(),
                of(|size| count(size.rows)),
                of(|size| bytes(size.plain_bytes)),
                columns.join(" ").escape_debug().to_string(),
            ]
        }));
        output::table(&rows);
    }
    output::line(&format!("{} tables are the same in both", count(report.tables_unchanged)));
    match &report.definitions {
        Some(changes) if changes.is_empty() => output::line("every definition is the same in both"),
        Some(changes) => {
            for change in changes {
                output::line(&format!("{}: {}", word(change.change), change.object.escape_debug()));
            }
        }
        None => {
            let reason = report.definitions_not_compared.as_deref().unwrap_or("no reason is known");
            output::note(&format!("definitions were not compared: {reason}"));
        }
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

/// `7 -> 9`, or one number if there is only one, or if it stayed.
fn step(before: Option<String>, after: Option<String>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
        (before, after) => after.or(before).unwrap_or_default(),
    }
}
