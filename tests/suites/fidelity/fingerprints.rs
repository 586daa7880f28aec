//! Fingerprints of a database's rows, computed anew from what psql gets, to be compared with a manifest's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use pg_archive::fingerprint::Fingerprint;
use pgark_tests::postgres::client;
use serde_json::Value;

/// The settings that the manifest names, and the empty search path that regclass needs.
fn settings(manifest: &Value) -> anyhow::Result<String> {
    let settings = manifest["server"]["text_settings"].as_object().context("the manifest has no settings")?;
    let set = settings.iter().map(|(name, value)| {
        Ok(format!("set {name} = '{}';\n", value.as_str().context("a setting is no text")?))
    });
    Ok(set.collect::<anyhow::Result<String>>()? + "set search_path = '';\n")
}

/// What a table of a manifest must be the same as.
#[derive(Default)]
struct Wanted {
    /// Statements that print its rows: several for partitions that are loaded through their root.
    copies: Vec<String>,
    fingerprint: Fingerprint,
}

/// Compares a database with a manifest. Returns how many tables were compared.
pub(crate) fn must_match(url: &str, manifest: &Value) -> anyhow::Result<usize> {
    let wanted = wanted(manifest)?;
    let mut script = settings(manifest)?;
    for (number, table) in wanted.values().enumerate() {
        let _ = writeln!(script, "\\echo {}\n{};", marker(number), table.copies.join(";\n"));
    }
    let output = psql(url, &script)?;
    let mut lines = output.split_inclusive(|byte| *byte == b'\n').peekable();
    for (number, (name, table)) in wanted.iter().enumerate() {
        let line = lines.next().unwrap_or_default();
        ensure!(line == format!("{}\n", marker(number)).as_bytes(), "no rows of {name}");
        let mut found = Fingerprint::default();
        let next = format!("{}\n", marker(number + 1));
        while let Some(line) = lines.next_if(|line| *line != next.as_bytes()) {
            found.add_row(line.strip_suffix(b"\n").context("the last line is not whole")?);
        }
        if found != table.fingerprint {
            let (before, rows, now) = (table.fingerprint, found.rows, found);
            bail!("{name}: {} rows ({before}) became {rows} ({now})", before.rows);
        }
    }
    Ok(wanted.len())
}

/// A line that no fixture has as a row.
fn marker(number: usize) -> String {
    format!("======== table number {number} ========")
}

/// By name; tables that are loaded through the root of a partition tree are added up under its name, because only
/// the sum over the tree must come back.
fn wanted(manifest: &Value) -> anyhow::Result<BTreeMap<String, Wanted>> {
    let mut wanted = BTreeMap::<String, Wanted>::new();
    for table in manifest["tables"].as_array().context("the manifest has no tables")? {
        let text = |key: &str| table[key].as_str().with_context(|| format!("a table has no {key}"));
        let columns = table["columns"].as_array().context("a table has no columns")?;
        let columns: Vec<String> = columns.iter().filter_map(Value::as_str).map(quoted).collect();
        let columns = columns.join(", ");
        let rows = table["rows"].as_u64().context("a table has no rows")?;
        let fingerprint = Fingerprint::parse(rows, text("fingerprint")?)?;
        let name = format!("{}.{}", quoted(text("schema")?), quoted(text("name")?));
        let copy = match columns.as_str() {
            "" => format!("copy {name} to stdout"),
            columns => format!("copy {name} ({columns}) to stdout"),
        };
        let added_up = table["loaded_through"].as_str().map_or(name, |root| format!("all through {root}"));
        let sum = wanted.entry(added_up).or_default();
        sum.copies.push(copy);
        sum.fingerprint.merge(fingerprint);
    }
    Ok(wanted)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn psql(url: &str, script: &str) -> anyhow::Result<Vec<u8>> {
    let mut child = client("psql")?
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("was piped")?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(script.as_bytes()));
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "psql failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}
