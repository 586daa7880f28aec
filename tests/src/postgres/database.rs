//! One test's database, and PostgreSQL's own clients as the yardstick for what is in it.

use std::process::Command;

use anyhow::Context as _;

use super::Postgres;
use crate::{binaries, supervised};

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Postgres,
    name: String,
}

impl<'a> Database<'a> {
    pub(super) fn create(server: &'a Postgres, name: String, options: &str) -> anyhow::Result<Self> {
        server.psql(&format!("create database {} {options}", quoted(&name)))?;
        Ok(Self { server, name })
    }

    /// Its name, unquoted.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on.
    pub fn server(&self) -> &'a Postgres {
        self.server
    }

    /// The superuser's connection URL.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Runs SQL statement by statement; the first error ends it. Returns results as of `psql -At`: a line a row,
    /// `|` between columns.
    pub fn query(&self, sql: &str) -> anyhow::Result<String> {
        psql(&self.url(), sql)
    }

    /// Runs a whole script in one simple-query message, as a driver's batch call does: all of it or nothing.
    pub fn load(&self, script: &str) -> anyhow::Result<()> {
        let mut command = psql_command(&self.url())?;
        supervised::output(command.args(["--command", script]), None).map(drop)
    }

    /// The whole database as the text that `pg_dump` 18 makes of it. Two databases of the same content, in the same
    /// order of rows, have the same text, whatever their names.
    pub fn dump_text(&self) -> anyhow::Result<String> {
        dump_text(&self.url(), &[])
    }

    /// The same without data.
    pub fn schema_text(&self) -> anyhow::Result<String> {
        dump_text(&self.url(), &["--schema-only"])
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // The server ends soon anyway; a test that broke it on purpose should not fail here.
        let _ = self.server.psql(&format!("drop database if exists {} with (force)", quoted(&self.name)));
    }
}

/// What `pg_dump` 18 prints for a database, with further arguments.
pub fn dump_text(url: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = client("pg_dump")?;
    // pg_dump puts a random word into \restrict, unless it is told one.
    command.args(["--restrict-key=pgark", "--dbname", url]).args(arguments);
    let text = supervised::output(&mut command, None)?;
    String::from_utf8(text).context("pg_dump's text is not UTF-8")
}

/// Runs SQL from standard input; the first error ends it.
pub fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let text = supervised::output(&mut psql_command(url)?, Some(sql.as_bytes()))?;
    let text = String::from_utf8(text).context("the result is not UTF-8")?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn psql_command(url: &str) -> anyhow::Result<Command> {
    let mut command = client("psql")?;
    command
        .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--dbname"])
        .arg(url);
    Ok(command)
}

/// A client of PostgreSQL 18 that sees none of the caller's `PG...` variables.
pub fn client(program: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(binaries::postgres_18(program)?);
    for (name, _) in std::env::vars_os() {
        let is_libpq = name.to_str().is_some_and(|name| name.starts_with("PG") && !name.starts_with("PGARK"));
        if is_libpq {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// An SQL identifier (manual, section 4.1.1).
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
