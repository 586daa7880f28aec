//! `pgark restore`

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use pgark::app::App;
use pgark::jobs::compare::Comparison;
use pgark::jobs::restore::{LeftOut, Prepared, Replaced, Restore, RestoreReport, WouldLeaveOut};
use pgark::{Error, ErrorKind, Exit, Result};
use serde::Serialize;

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
        exclude_tables: args.exclude_table.clone(),
        exclude_schemas: args.exclude_schema.clone(),
        sections: args.section.clone(),
        schema_only: args.schema_only,
        data_only: args.data_only,
        no_owner: args.no_owner,
        no_privileges: args.no_privileges,
        no_tablespaces: args.no_tablespaces,
        clean: args.clean,
        replace: args.replace,
        disable_triggers: args.disable_triggers,
        globals: args.globals,
        role_map: args.role_map.clone(),
        exit_on_error: args.exit_on_error,
    };
    let stop = stop::token();
    let mut prepared = job.prepare(app).await?;
    if args.dry_run {
        let would_leave_out = prepared.foresee(app, &stop).await?;
        return Ok(dry_run(&prepared, &would_leave_out, json));
    }
    if !args.yes {
        confirm(&prepared)?;
    }
    let progress = Arc::new(RestoreProgress::new(prepared.planned_bytes, json));
    let report = prepared.run(app, Arc::clone(&progress) as _, &stop).await;
    progress.finish();
    let report = report?;
    output::report(&report, json, print);
    Ok(report.exit())
}

pub(crate) fn print(report: &RestoreReport) {
    let but = if report.left_out.is_empty() { "" } else { ", but not all of it" };
    output::line(&format!(
        "backup {} of {} (database {}, PostgreSQL {}) is restored into {}{but}",
        report.backup, report.source, report.database, report.server_version, report.target
    ));
    output::fields(&[
        ("entries", format!("{} restored, {} not wanted", report.entries, report.entries_unwanted)),
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
    if let (Some(comparison), Some(replaced)) = (&report.comparison, &report.replaced) {
        print_replaced(comparison, replaced);
    }
    for warning in &report.warnings {
        output::warning(warning);
    }
    print_left_out(&report.left_out, report.rows_left_out);
}

/// What was left out, each refusal with what fell with it.
fn print_left_out(left_out: &[LeftOut], rows: u64) {
    if left_out.is_empty() {
        return;
    }
    let counted =
        |number: u64, what: &str| format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" });
    let lost = if rows == 0 { String::new() } else { format!(", with {}", counted(rows, "row")) };
    output::line(&format!("LEFT OUT: {}{lost}", counted(left_out.len() as u64, "object")));
    for one in left_out {
        let rows = if one.rows == 0 { String::new() } else { format!(": {} lost", counted(one.rows, "row")) };
        output::line(&format!("{}{rows}", one.object));
        output::line(&format!("  because: {}", one.reason));
        if one.because_of.is_none() {
            if let Some(statement) = &one.statement {
                output::line(&format!("  statement: {statement}"));
            }
            output::line(&format!("  cure: {}", one.cure));
        }
        let mut lines = one.repeat.lines();
        output::line(&format!("  repeat: {}", lines.next().unwrap_or_default()));
        lines.for_each(|line| output::line(&format!("    {line}")));
    }
}

fn print_replaced(comparison: &Comparison, replaced: &Replaced) {
    output::fields(&[
        (
            "compared",
            format!(
                "{} definitions, {} rows in {} tables, in {}",
                count(comparison.definitions as u64),
                count(comparison.rows),
                comparison.tables,
                duration(replaced.compare_seconds)
            ),
        ),
        (
            "replaced",
            format!("in {}; what was there is in {}", duration(replaced.swap_seconds), replaced.former),
        ),
    ]);
    output::line("The way back, for psql in another database of the server:");
    for statement in &replaced.way_back {
        output::line(&format!("  {statement}"));
    }
}

/// What would be done. PostgreSQL does not tell how much room its disks have.
fn dry_run(prepared: &Prepared, would_leave_out: &[WouldLeaveOut], json: bool) -> Exit {
    let plan = Plan {
        backup: prepared.manifest().id.to_string(),
        source: prepared.manifest().source.to_string(),
        origin: prepared.origin(),
        target: prepared.target(),
        entries: prepared.planned_entries,
        bytes: prepared.planned_bytes,
        free_bytes: None,
        would_leave_out,
        warnings: &prepared.warnings,
    };
    output::report(&plan, json, |plan| {
        output::line(&format!(
            "backup {} ({}) would be restored into {}",
            plan.backup, plan.origin, plan.target
        ));
        output::fields(&[
            ("entries", plan.entries.to_string()),
            ("rows", format!("{} as text", output::bytes(plan.bytes))),
            (
                "free space",
                "unknown: PostgreSQL does not tell. Rows and indexes take about what they took".to_owned(),
            ),
        ]);
        for warning in plan.warnings {
            output::warning(warning);
        }
        for one in plan.would_leave_out {
            output::line(&format!("would be left out: {}: {}", one.object, one.reason));
        }
        output::line("nothing was changed");
    });
    if would_leave_out.is_empty() { Exit::Done } else { Exit::LeftOut }
}

#[derive(Serialize)]
struct Plan<'a> {
    backup: String,
    source: String,
    #[serde(skip)]
    origin: String,
    target: String,
    entries: usize,
    bytes: u64,
    /// Always null: the server does not tell.
    free_bytes: Option<u64>,
    /// What the server would not take, as far as its definitions tell.
    would_leave_out: &'a [WouldLeaveOut],
    warnings: &'a [String],
}

/// Lets the user type the name of the database that loses its objects, or its place.
fn confirm(prepared: &Prepared) -> Result<()> {
    let Some(database) = prepared.database_at_stake() else { return Ok(()) };
    let refused = |message: &str| {
        Err(Error::new(ErrorKind::Usage, message.to_owned())
            .on(format!("database {}", prepared.target()))
            .hint("Type the name of the database when asked, or give --yes."))
    };
    if !std::io::stdin().is_terminal() {
        return refused(if prepared.replaces() {
            "--replace would put another database in its place, and there is nobody to ask"
        } else {
            "--clean would drop objects, and there is nobody to ask"
        });
    }
    for warning in &prepared.warnings {
        output::warning(warning);
    }
    let what = if prepared.replaces() {
        let backup = prepared.manifest().id;
        format!(
            "{} is replaced by backup {backup} ({}), and kept under another name. Its sessions are ended.",
            prepared.target(),
            prepared.origin()
        )
    } else {
        let (target, present) = (prepared.target(), prepared.present);
        let (backup, origin) = (prepared.manifest().id, prepared.origin());
        format!(
            "{target} has {present} objects, and --clean drops those that backup {backup} ({origin}) holds."
        )
    };
    output::ask(&format!("{what} Type its name to go on: "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok();
    if answer.trim() == database { Ok(()) } else { refused("the name was not typed, so nothing was changed") }
}
