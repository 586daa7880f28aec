//! `pgark restore`

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use pgark::app::App;
use pgark::jobs::restore::{Prepared, Restore, RestoreReport};
use pgark::{Error, ErrorKind, Exit, Result};

use crate::args;
use crate::output::{self, count, duration};
use crate::progress::RestoreProgress;
use crate::stop;

pub(crate) async fn run(app: &App, args: &args::Restore, json: bool) -> Result<Exit> {
    let job = Restore {
        backup: args.backup.clone(),
        source: app.settings.source.clone(),
        to: args.to.clone(),
        create: args.create.clone(),
        tables: args.table.clone(),
        schemas: args.schema.clone(),
        schema_only: args.schema_only,
        data_only: args.data_only,
        no_owner: args.no_owner,
        no_privileges: args.no_privileges,
        no_tablespaces: args.no_tablespaces,
        clean: args.clean,
        globals: args.globals,
        role_map: args.role_map.clone(),
    };
    let stop = stop::token();
    let prepared = job.prepare(app).await?;
    if !args.yes {
        confirm(&prepared)?;
    }
    let progress = Arc::new(RestoreProgress::new(prepared.manifest().totals.plain_bytes, json));
    let report = prepared.run(app, Arc::clone(&progress) as _, &stop).await;
    progress.finish();
    let report = report?;
    output::report(&report, json, print);
    Ok(Exit::Done)
}

pub(crate) fn print(report: &RestoreReport) {
    output::line(&format!("backup {} is restored into {}", report.backup, report.target));
    output::fields(&[
        ("entries", format!("{} restored, {} left out", report.entries, report.entries_left_out)),
        ("rows", format!("{} in {} files, each the same as was dumped", count(report.rows), report.files)),
        ("signature", report.signature.to_string()),
        (
            "time",
            format!(
                "{} (definitions {}, data {}, indexes and the rest {})",
                duration(report.seconds),
                duration(report.pre_data_seconds),
                duration(report.data_seconds),
                duration(report.post_data_seconds)
            ),
        ),
    ]);
    for warning in &report.warnings {
        output::warning(warning);
    }
}

/// Lets the user type the name of the database that loses its objects.
fn confirm(prepared: &Prepared) -> Result<()> {
    let Some(database) = prepared.database_to_clean() else { return Ok(()) };
    let refused = |message: &str| {
        Err(Error::new(ErrorKind::Usage, message.to_owned())
            .on(format!("database {}", prepared.target()))
            .hint("Type the name of the database when asked, or give --yes."))
    };
    if !std::io::stdin().is_terminal() {
        return refused("--clean would drop objects, and there is nobody to ask");
    }
    output::ask(&format!(
        "{} has {} objects, and --clean drops those that the backup holds. Type its name to go on: ",
        prepared.target(),
        prepared.present
    ));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok();
    if answer.trim() == database { Ok(()) } else { refused("the name was not typed, so nothing was changed") }
}
