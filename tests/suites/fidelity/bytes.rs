//! Databases whose text is not UTF-8, byte by byte: scripts, and what pg_dump makes of a database in its own encoding.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use pgark_tests::postgres::{Database, client};

use crate::Result;
use crate::vault::succeed;

/// Runs a script that is in the database's own encoding.
pub(crate) fn run(database: &Database<'_>, script: &[u8]) -> Result {
    let mut psql = client("psql")?;
    // Converts nothing, whatever the database's encoding is.
    psql.env("PGCLIENTENCODING", "SQL_ASCII");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &database.url()]);
    let mut child = psql.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("was piped")?.write_all(script)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "psql failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The lines of pg_dump's text, sorted: rows come in another order from another session.
pub(crate) fn dump(database: &Database<'_>) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut pg_dump = client("pg_dump")?;
    let text = succeed(pg_dump.args(["--restrict-key=pgark", "--dbname", &database.url()]))?.stdout;
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.sort_unstable();
    Ok(lines)
}

/// Fails with the first lines that only one of the two has.
pub(crate) fn must_equal(one: &[Vec<u8>], other: &[Vec<u8>]) -> Result {
    let only = |these: &[Vec<u8>], those: &[Vec<u8>]| {
        let line = these.iter().find(|line| those.binary_search(line).is_err())?;
        Some(line.escape_ascii().to_string().chars().take(300).collect::<String>())
    };
    let (lost, new) = (only(one, other), only(other, one));
    ensure!(one == other, "the text differs\n- {lost:?}\n+ {new:?}");
    Ok(())
}
