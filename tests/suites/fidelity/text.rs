//! A database as the text that pg_dump makes of it, to be compared with another's.
//!
//! What is not rows must be the same to the letter. Rows are compared sorted: chunks of a table are loaded side by
//! side, so their order in the heap changes. Rows which are loaded through the root of a partition tree are put
//! together, because which partition they belong to changes with the OIDs of an enum's labels.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::bail;
use pgark_tests::postgres::dump_text;
use pgark_tests::postgres_15;

use crate::vault::succeed;

const ROWS_FOLLOW: &str = " FROM stdin;";

/// The text of a database.
pub(crate) struct Text {
    definitions: Vec<String>,
    /// Rows by their COPY statement.
    rows: BTreeMap<String, Vec<String>>,
}

impl Text {
    /// Dumps a database with pg_dump 18.
    pub(crate) fn of(url: &str) -> anyhow::Result<Self> {
        Self::parse(&dump_text(url, &["--encoding=UTF8"])?)
    }

    /// Dumps a database with pg_dump 15.
    pub(crate) fn by_pg_dump_15(url: &str) -> anyhow::Result<Self> {
        let mut pg_dump = Command::new(postgres_15("pg_dump")?);
        let text = succeed(pg_dump.args(["--restrict-key=pgark", "--dbname", url]))?.stdout;
        Self::parse(std::str::from_utf8(&text)?)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let (mut definitions, mut rows) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            definitions.push(line.to_owned());
            if !line.starts_with("COPY ") {
                continue;
            }
            let mut statement = line.to_owned();
            while !statement.ends_with(ROWS_FOLLOW) {
                let Some(more) = lines.next() else { bail!("{line:?} begins no COPY statement") };
                statement = format!("{statement}\n{more}"); // a name with a newline in it
            }
            let rows = rows.entry(statement).or_default();
            rows.extend(lines.by_ref().take_while(|row| *row != "\\.").map(str::to_owned));
        }
        for rows in rows.values_mut() {
            rows.sort_unstable();
        }
        Ok(Self { definitions, rows })
    }

    /// How many tables have their rows in the text.
    pub(crate) fn tables(&self) -> usize {
        self.rows.len()
    }

    /// How many lines are no rows.
    pub(crate) fn lines(&self) -> usize {
        self.definitions.len()
    }

    /// Fails with the first differences, if there are any.
    pub(crate) fn must_equal(&self, other: &Self) -> anyhow::Result<()> {
        if let Some((at, one, two)) = first_difference(&self.definitions, &other.definitions) {
            let from = at.saturating_sub(8);
            let before = self.definitions[from..at].join("\n");
            bail!("definitions differ in line {at}:\n{before}\n- {one}\n+ {two}");
        }
        for (statement, rows) in &self.rows {
            let others = other.rows.get(statement).map(Vec::as_slice).unwrap_or_default();
            if let Some((_, one, two)) = first_difference(rows, others) {
                let (count, other_count) = (rows.len(), others.len());
                bail!("{statement}: {count} rows became {other_count}\n- {one:.300}\n+ {two:.300}");
            }
        }
        Ok(())
    }
}

/// The first place where two lists differ, and what each has there.
fn first_difference<'a>(one: &'a [String], two: &'a [String]) -> Option<(usize, &'a str, &'a str)> {
    let at = one.iter().zip(two).position(|(one, two)| one != two).unwrap_or(one.len().min(two.len()));
    let line = |lines: &'a [String]| lines.get(at).map_or("(nothing)", String::as_str);
    (one.len() != two.len() || at < one.len()).then(|| (at, line(one), line(two)))
}
