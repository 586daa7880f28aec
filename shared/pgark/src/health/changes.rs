//! What is no longer as it was, from one backup to the next: another server under the same source, tables that are emptied,
//! collapsed or gone though the total stays. Pure.
//!
//! Only the newest backup is held against the one before, so each change is reported once, by the backup that met it and by health
//! until the next one. These are warnings: a table may be emptied on purpose, and a server moved.

use std::collections::{BTreeMap, BTreeSet};

use super::{Code, Finding};
use crate::repository::Manifest;
use crate::repository::manifest::TableRecord;

/// A table that had fewer rows is no news, whatever becomes of it.
const ROWS_NOTICED: u64 = 100;
/// A table that has so many times fewer rows than before has collapsed, if it had this many times [`ROWS_NOTICED`].
const COLLAPSE_FACTOR: u64 = 10;
/// So many tables are named.
const NAMED_MAX: usize = 5;

/// What changed from the backup before to the newest one.
pub fn changes(before: &Manifest, after: &Manifest) -> Vec<Finding> {
    let mut found = servers(before, after);
    if left_out_the_same(before, after) {
        found.extend(tables(&before.tables, &after.tables));
    }
    found
}

fn servers(before: &Manifest, after: &Manifest) -> Vec<Finding> {
    let hint = "Look whether the source still leads to the right server: a wrong host in a variable backs another \
                database up under this name. If it moved, nothing is to be done; the next backup is quiet about it.";
    let mut found = Vec::new();
    let (one, other) = (&before.server.system_identifier, &after.server.system_identifier);
    if let (Some(one), Some(other)) = (one, other)
        && one != other
    {
        let message = format!(
            "{} is of another server than {} before it: system identifier {other}, and it was {one}",
            after.id, before.id
        );
        found.push(Finding { code: Code::ServerChanged, message, hint: hint.to_owned() });
    }
    let major = |manifest: &Manifest| manifest.server.version_num / 10_000;
    if major(after) < major(before) {
        let message = format!(
            "{} is of PostgreSQL {}, and {} before it was of {}",
            after.id, after.server.version, before.id, before.server.version
        );
        found.push(Finding { code: Code::ServerOlder, message, hint: hint.to_owned() });
    }
    found
}

/// Whether the two were asked to leave out the same; if not, the comparison of sizes says so already.
fn left_out_the_same(before: &Manifest, after: &Manifest) -> bool {
    before.options == after.options
}

/// The name with each run of digits as one sign, and whether there was any: `log_2026_01` and `log_2026_02` are of a family,
/// whose members come and go.
fn family(table: &TableRecord) -> Option<String> {
    let mut shape = format!("{}.", table.schema);
    let mut digits = false;
    for c in table.name.chars() {
        if !c.is_ascii_digit() {
            shape.push(c);
        } else if !shape.ends_with('#') {
            shape.push('#');
            digits = true;
        }
    }
    digits.then_some(shape)
}

fn tables(before: &[TableRecord], after: &[TableRecord]) -> Vec<Finding> {
    let now: BTreeMap<(&str, &str), &TableRecord> =
        after.iter().map(|table| ((table.schema.as_str(), table.name.as_str()), table)).collect();
    let families: BTreeSet<String> = after.iter().filter_map(family).collect();
    let (mut emptied, mut collapsed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for table in before.iter().filter(|table| table.rows >= ROWS_NOTICED) {
        let name = format!("{}.{} ({} rows before", table.schema, table.name, table.rows);
        match now.get(&(table.schema.as_str(), table.name.as_str())) {
            None if family(table).is_some_and(|family| families.contains(&family)) => {}
            None => gone.push(format!("{name})")),
            Some(now) if now.rows == 0 => emptied.push(format!("{name})")),
            Some(now)
                if table.rows >= ROWS_NOTICED * COLLAPSE_FACTOR
                    && now.rows.saturating_mul(COLLAPSE_FACTOR) < table.rows =>
            {
                collapsed.push(format!("{name}, {} now)", now.rows));
            }
            Some(_) => {}
        }
    }
    let hint = "Look whether that is meant: `pgark diff` with the backup before shows what changed. Hold that one with \
                `pgark hold` until you know. The next backup is quiet about it.";
    [
        (Code::TableEmptied, emptied, "emptied"),
        (Code::TableCollapsed, collapsed, "far smaller"),
        (Code::TableGone, gone, "gone"),
    ]
    .into_iter()
    .filter(|(_, names, _)| !names.is_empty())
    .map(|(code, names, what)| Finding {
        code,
        message: format!("{} since the backup before: {}", counted(what, names.len()), listed(&names)),
        hint: hint.to_owned(),
    })
    .collect()
}

fn counted(what: &str, count: usize) -> String {
    match count {
        1 => format!("a table is {what}"),
        count => format!("{count} tables are {what}"),
    }
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Tier;
    use crate::repository::manifest::tests::sample;

    fn table(name: &str, rows: u64) -> TableRecord {
        let mut table =
            sample("20261121T020000Z-aaaa".parse().unwrap(), "shop", Tier::Daily).tables.swap_remove(0);
        (table.name, table.rows) = (name.to_owned(), rows);
        table
    }

    fn manifest(tables: Vec<TableRecord>) -> Manifest {
        let id = "20261121T020000Z-aaaa".parse().unwrap();
        Manifest { tables, ..sample(id, "shop", Tier::Daily) }
    }

    fn found(before: &[(&str, u64)], after: &[(&str, u64)]) -> Vec<(&'static str, String)> {
        let of =
            |tables: &[(&str, u64)]| manifest(tables.iter().map(|(name, rows)| table(name, *rows)).collect());
        changes(&of(before), &of(after)).into_iter().map(|it| (it.code.as_str(), it.message)).collect()
    }

    #[test]
    fn a_table_that_is_emptied_collapsed_or_gone_is_told_although_the_total_stays() {
        let found = found(
            &[("deals", 5000), ("customers", 5000), ("orders", 900), ("small", 99), ("same", 100)],
            &[("deals_saved", 10_000), ("deals", 0), ("customers", 499), ("small", 0), ("same", 100)],
        );
        let schema = table("x", 1).schema;
        let expected = [
            (
                "table.emptied",
                format!("a table is emptied since the backup before: {schema}.deals (5000 rows before)"),
            ),
            (
                "table.collapsed",
                format!(
                    "a table is far smaller since the backup before: {schema}.customers \
                     (5000 rows before, 499 now)"
                ),
            ),
            (
                "table.gone",
                format!("a table is gone since the backup before: {schema}.orders (900 rows before)"),
            ),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_comes_and_goes_by_its_nature_is_no_news() {
        for (before, after) in [
            (vec![("a", 99)], vec![]),
            (vec![("a", 5000)], vec![("a", 500)]),
            (
                vec![("log_2026_01", 5000), ("log_2026_02", 5000)],
                vec![("log_2026_02", 5000), ("log_2026_03", 10)],
            ),
            (vec![], vec![("a", 5000)]),
        ] {
            assert_eq!(found(&before, &after), [], "{before:?}");
        }
        let (before, mut after) = (manifest(vec![table("a", 5000)]), manifest(vec![table("a", 0)]));
        after.options.exclude_table_data = vec!["a".to_owned()];
        assert_eq!(changes(&before, &after), [], "that is what was asked for");
    }

    #[test]
    fn another_server_and_an_older_major_are_told() {
        let (mut before, mut after) = (manifest(Vec::new()), manifest(Vec::new()));
        after.server.system_identifier = Some("2".to_owned());
        assert_eq!(changes(&before, &after), [], "not known of both");
        before.server.system_identifier = Some("1".to_owned());
        (before.server.version_num, after.server.version_num) = (150_020, 130_023);
        let codes: Vec<_> = changes(&before, &after).iter().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, ["server.changed", "server.older"]);
        assert_eq!(changes(&after, &after), []);
    }
}
