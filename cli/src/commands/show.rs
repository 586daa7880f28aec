//! `pgark show`

use pgark::app::App;
use pgark::jobs::show::{Show, ShowReport};
use pgark::{Exit, Result};

use crate::args;
use crate::output::{self, bytes, count};

pub(crate) async fn run(app: &App, args: &args::Show, json: bool) -> Result<Exit> {
    let job = Show { backup: args.backup.clone(), source: app.settings.source.clone() };
    let report = job.run(&app.repository, (app.outside.now)()).await?;
    output::report(&report, json, |report| print(report, args.tables));
    Ok(Exit::Done)
}

fn print(report: &ShowReport, with_tables: bool) {
    let manifest = &report.manifest;
    output::line(&format!(
        "backup {} of {}, database {}",
        manifest.id, manifest.source, manifest.server.database
    ));
    let encryption = match &manifest.encryption {
        Some(encryption) => format!("{} to {}", encryption.scheme, encryption.recipients.join(", ")),
        None => "none".to_owned(),
    };
    output::fields(&[
        ("location", report.location.clone()),
        ("server", format!("PostgreSQL {}, encoding {}", manifest.server.version, manifest.server.encoding)),
        (
            "snapshot",
            format!(
                "{} (WAL {})",
                manifest.snapshot_at,
                manifest.snapshot.wal_lsn.as_deref().unwrap_or("unknown")
            ),
        ),
        (
            "written",
            format!(
                "{} to {} by pgark {}",
                manifest.started_at, manifest.finished_at, manifest.pgark_version
            ),
        ),
        ("tables", count(manifest.totals.tables)),
        ("rows", count(manifest.totals.rows)),
        ("large objects", count(manifest.large_objects.as_ref().map_or(0, |large| large.count))),
        (
            "size",
            format!(
                "{} in {} objects, {} before compression",
                bytes(manifest.totals.stored_bytes),
                manifest.totals.objects,
                bytes(manifest.totals.plain_bytes)
            ),
        ),
        ("compression", manifest.compression.to_string()),
        ("encryption", encryption),
        ("signature", report.signature.to_string()),
        (
            "held",
            report.held.as_ref().map_or_else(
                || "no".to_owned(),
                |hold| format!("yes{}: {}", super::list::until(hold), hold.reason.escape_debug()),
            ),
        ),
    ]);
    for missing in &manifest.allow_missing {
        output::warning(&format!("not in the backup: {missing}"));
    }
    for warning in &manifest.warnings {
        output::warning(warning);
    }
    if with_tables {
        let mut rows = vec![["TABLE", "ROWS", "BYTES", "FINGERPRINT"].map(str::to_owned)];
        rows.extend(manifest.tables.iter().map(|table| {
            let name = format!("{}.{}", table.schema, table.name);
            [
                name.escape_debug().to_string(),
                count(table.rows),
                bytes(table.plain_bytes),
                table.fingerprint.clone(),
            ]
        }));
        output::table(&rows);
    }
}
