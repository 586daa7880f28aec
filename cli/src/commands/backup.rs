//! `pgark backup`

use pgark::app::App;
use pgark::jobs::backup::{Backup, BackupReport, Roles};
use pgark::{Exit, Result};

use super::answer;
use crate::args;
use crate::output::{self, bytes, count, duration};
use crate::progress::BackupProgress;
use crate::stop;

pub(crate) async fn run(app: &App, args: &args::Backup, json: bool) -> Result<Exit> {
    let job = Backup {
        dry_run: args.dry_run,
        schema_only: args.schema_only,
        data_only: args.data_only,
        exclude_tables: args.exclude_table.clone(),
        exclude_table_data: args.exclude_table_data.clone(),
        exclude_schemas: args.exclude_schema.clone(),
        allow_missing: args.allow_missing,
        role_passwords: args.role_passwords,
        compare_with_before: true,
    };
    let progress = BackupProgress::new(json);
    let answer = job.watched(app, &progress, &stop::token()).await;
    progress.finish();
    Ok(answer::give(&answer?, json, print, |_| Exit::Done))
}

pub(crate) fn print(report: &BackupReport) {
    if let Some(id) = &report.id {
        output::line(&format!("backup {id} of {} is complete", report.database));
        output::fields(&[
            ("location", report.location.clone()),
            ("snapshot", report.snapshot_at.clone()),
            ("tables", count(report.tables)),
            ("rows", count(report.rows)),
            (
                "size",
                format!(
                    "{} in {} objects, {} before compression",
                    bytes(report.stored_bytes),
                    report.files,
                    bytes(report.plain_bytes)
                ),
            ),
            ("time", duration(report.seconds)),
            ("encryption", encryption(report.encrypted)),
            ("signature", signature(report.signed_by.as_deref())),
            ("roles", roles(report)),
        ]);
    } else {
        output::line(&format!(
            "plan for {} (PostgreSQL {}); nothing was written",
            report.database, report.server_version
        ));
        output::fields(&[
            ("would go to", report.location.clone()),
            ("tables", format!("{} in {} data files", count(report.tables), report.files)),
            ("rows", format!("about {}", count(report.rows))),
            ("on disk", bytes(report.plain_bytes)),
            ("entries", count(report.toc_entries)),
            ("encryption", encryption(report.encrypted)),
            ("signature", signature(report.signed_by.as_deref())),
            ("roles", roles(report)),
        ]);
    }
    for missing in &report.missing {
        output::warning(&format!("not in the backup, as --allow-missing accepts: {missing}"));
    }
    for change in &report.changes {
        output::warning(&format!("{} [{}]", change.message, change.code.as_str()));
        output::note(&format!("  {}", change.hint));
    }
    for warning in &report.warnings {
        output::warning(warning);
    }
}

fn roles(report: &BackupReport) -> String {
    let text = match report.roles {
        Roles::WithPasswords => "with the hashes of their passwords",
        Roles::WithoutPasswords => "without passwords; --role-passwords adds their hashes",
        Roles::None => "none, with rows alone",
    };
    text.to_owned()
}

fn encryption(encrypted: bool) -> String {
    if encrypted { "age".to_owned() } else { "NONE: whoever can read the store can read the data".to_owned() }
}

fn signature(key: Option<&str>) -> String {
    key.map_or_else(|| "none".to_owned(), |key| format!("by the minisign key {key}"))
}
