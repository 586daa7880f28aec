//! `pgark`: backs PostgreSQL databases up, lists, fetches and restores the backups.

mod args;
mod commands;
mod demo;
mod html_report;
mod output;
mod progress;
mod sparkline;
mod stop;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nothing was parsed, so nothing says whether --json was given but the arguments themselves.
            let json = std::env::args_os().any(|argument| argument == "--json");
            return output::usage(&error, json);
        }
    };
    output::init_logging(args.global.verbose);
    let (json, verbose) = (args.global.json, args.global.verbose > 0);
    match Box::pin(commands::run(args)).await {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => output::failure(&error, json, verbose),
    }
}
