//! `pgark list`

use pgark::app::App;
use pgark::jobs::list::{List, ListReport};
use pgark::retention::Hold;
use pgark::signature::SignatureCheck;
use pgark::{Error, ErrorKind, Exit, Result};

use crate::args;
use crate::output::{self, bytes, count};

pub(crate) async fn run(app: &App, args: &args::List, json: bool) -> Result<Exit> {
    let tier = match &args.tier {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Error::new(ErrorKind::Usage, format!("{text:?} is no tier"))
                .hint("Give daily, weekly, monthly or yearly.")
        })?),
    };
    let report =
        List { source: app.settings.source.clone(), tier }.run(&app.repository, (app.outside.now)()).await?;
    output::report(&report, json, print);
    Ok(Exit::Done)
}

pub(crate) fn print(report: &ListReport) {
    if report.backups.is_empty() {
        output::line(&format!("no backups in {}", report.store));
    } else {
        let mut rows =
            vec![["ID", "SOURCE", "TIER", "TAKEN", "ROWS", "STORED", "CONTENT"].map(str::to_owned)];
        rows.extend(report.backups.iter().map(|backup| {
            [
                backup.id.to_string(),
                backup.source.to_string(),
                backup.tier.to_string(),
                format!("{:.0}", backup.snapshot_at),
                count(backup.rows),
                bytes(backup.stored_bytes),
                bytes(backup.plain_bytes),
            ]
        }));
        output::table(&rows);
    }
    for backup in &report.backups {
        if let Some(hold) = &backup.held {
            output::note(&format!("{}: held{}: {}", backup.id, until(hold), hold.reason.escape_debug()));
        }
    }
    if report.signature == SignatureCheck::NotChecked && !report.backups.is_empty() {
        output::note("signatures were not checked: no verification key is set");
    }
    for backup in &report.unreadable {
        output::warning(&format!("{}: {} [{}]", backup.backup, backup.error, backup.code));
    }
    for run in &report.incomplete {
        output::note(&format!(
            "{run}: no manifest, so it is no backup: a run in progress, or one that failed"
        ));
    }
}

/// Until when something is held, for people.
pub(crate) fn until(hold: &Hold) -> String {
    hold.until.map_or_else(String::new, |until| format!(" until {until:.0}"))
}
