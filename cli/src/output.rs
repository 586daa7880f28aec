//! Everything that is printed: reports on standard output, everything else on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)] // this is the place for it

use std::error::Error as StdError;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use pg_archive::raw_text::shown;
use pgark::{Error, ErrorKind, Exit};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// Warnings are shown; more with `-v`, or as `RUST_LOG` says.
pub(crate) fn init_logging(verbose: u8) {
    let default = match verbose {
        0 => "warn,aws_config=error",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(verbose > 0)
        .init();
}

/// Prints the report of a job as one JSON document.
pub(crate) fn json(report: &impl Serialize) {
    match serde_json::to_string_pretty(report) {
        Ok(text) => write_out(&format!("{text}\n")),
        Err(error) => eprintln!("error: the report cannot be written as JSON: {error}"),
    }
}

/// Gives the report of a job to whoever asked: one JSON document for programs, text for people.
pub(crate) fn report<R: Serialize>(report: &R, as_json: bool, print: impl FnOnce(&R)) {
    if as_json { json(report) } else { print(report) }
}

/// A reader that went away, as `head` does, is no failure.
fn write_out(text: &str) {
    let _ = std::io::stdout().write_all(shown(text).as_bytes());
}

/// Prints a line.
pub(crate) fn line(text: &str) {
    write_out(&format!("{text}\n"));
}

/// Prints named values, one a line.
pub(crate) fn fields(fields: &[(&str, String)]) {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        line(&format!("  {name:width$}  {value}"));
    }
}

/// Prints a table: the first row is the head; columns of numbers need not be told apart, sizes speak for themselves.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) {
    let widths: Vec<usize> =
        (0..N).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        line(cells.join("  ").trim_end());
    }
}

/// Prints a warning.
pub(crate) fn warning(text: &str) {
    eprintln!("warning: {}", shown(text));
}

/// Prints a remark.
pub(crate) fn note(text: &str) {
    eprintln!("note: {}", shown(text));
}

/// Asks a question; the answer is typed behind it.
pub(crate) fn ask(text: &str) {
    eprint!("{}", shown(text));
    let _ = std::io::stderr().flush();
}

/// Reports a failed command: what failed, on what, why, what to do, and the stable code. The server's words that may hold
/// values of rows are for a person who asked with `-v`, and no part of the JSON, which goes into pipelines and logs.
pub(crate) fn failure(error: &Error, as_json: bool, verbose: bool) -> ExitCode {
    let causes = causes(error);
    if as_json {
        json(&serde_json::json!({ "error": {
            "code": error.code(),
            "object": error.object(),
            "message": error.message(),
            "causes": causes,
            "hint": error.hint_text(),
        }}));
    } else {
        eprintln!("error: {} [{}]", shown(&error.to_string()), error.code());
        for cause in causes {
            eprintln!("  because: {}", shown(&cause));
        }
        match error.detail_text() {
            Some(detail) if verbose => detail.lines().for_each(|line| eprintln!("  server: {}", plain(line))),
            Some(_) => eprintln!("  server: said more, which may hold values of rows; -v shows it"),
            None => {}
        }
        if let Some(hint) = error.hint_text() {
            eprintln!("  hint: {}", shown(hint));
        }
    }
    ExitCode::from(error.exit() as u8)
}

/// Without what moves a terminal's cursor or changes its state: a row can hold any bytes.
fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The errors underneath, without those that repeat what was said.
fn causes(error: &Error) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.push_str(&text);
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

/// Reports a command line that cannot be understood, or prints the help that was asked for.
pub(crate) fn usage(error: &clap::Error, as_json: bool) -> ExitCode {
    if error.use_stderr() && as_json {
        let text = error.render().to_string();
        let message = text.trim().trim_start_matches("error: ");
        let usage = Error::new(ErrorKind::Usage, message).hint("See pgark --help.");
        return failure(&usage, true, false);
    }
    let _ = error.print();
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    ExitCode::from(exit as u8)
}

/// `1,234,567`
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// `1.25 MiB`
pub(crate) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// `1.23 USD`, or `0.0123 USD` for what is less than one.
pub(crate) fn usd(amount: f64) -> String {
    match amount {
        1.0.. => format!("{amount:.2} USD"),
        0.0001.. => format!("{amount:.4} USD"),
        _ if amount > 0.0 => "< 0.0001 USD".to_owned(),
        _ => "0 USD".to_owned(),
    }
}

/// How long ago something was: `3h`, `12d`.
pub(crate) fn ago(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a span of time, in whole minutes
    let minutes = (seconds.max(0.0) / 60.0) as u64;
    match minutes {
        0..60 => format!("{minutes}m"),
        60..2880 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1440),
    }
}

/// `1.2 s`, `3m 20s`, `26h 5m`, or `8d 3h`
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a span of time, in whole seconds
    let whole = seconds as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, ..) if hours >= 48 => format!("{}d {}h", hours / 24, hours % 24),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}
