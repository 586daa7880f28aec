//! The order in which rows go into tables that have their foreign keys already. `pg_dump --data-only` orders its
//! archive so (`getTableDataFKConstraints`); here the keys are the target's own, so that any archive can be loaded.
//! Pure, but for [`ForeignKey::read`].

use std::collections::{HashMap, HashSet};

use super::select::Wanted;
use crate::Result;
use crate::session::Session;
use crate::toc::Entry;

/// Schema and name of a table.
type Name = (String, String);

/// A foreign key: schema and name of both tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ForeignKey {
    /// The table that refers.
    pub from: Name,
    /// The table that it refers to.
    pub to: Name,
}

impl ForeignKey {
    /// Reads those of a database. Keys of partitions, and on partitions, have rows of their own in `pg_constraint`.
    ///
    /// # Errors
    /// When the catalogs cannot be read.
    pub async fn read(session: &Session) -> Result<Vec<Self>> {
        let enforced = if session.version_num() >= 180_000 { "AND k.conenforced" } else { "" };
        let sql = format!(
            "SELECT DISTINCT n.nspname AS schema, c.relname AS name, fn.nspname AS to_schema, fc.relname AS to_name \
             FROM pg_catalog.pg_constraint k \
             JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_class fc ON fc.oid = k.confrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = fc.relnamespace \
             WHERE k.contype = 'f' {enforced} ORDER BY 1, 2, 3, 4"
        );
        let rows = session.rows(&sql).await?;
        let keys = rows.iter().map(|row| {
            Ok(Self {
                from: (row.string("schema")?, row.string("name")?),
                to: (row.string("to_schema")?, row.string("to_name")?),
            })
        });
        keys.collect()
    }
}

/// Which data entries wait for which.
pub(super) fn order(entries: &[Entry], keys: &[ForeignKey]) -> Vec<(usize, usize)> {
    let files = files(entries, |_| true);
    let of = |table: &Name| files.get(table).into_iter().flatten().copied();
    let keys = keys.iter().filter(|key| key.from != key.to);
    keys.flat_map(|key| of(&key.from).flat_map(move |later| of(&key.to).map(move |first| (later, first))))
        .collect()
}

/// Tables whose rows wait for each other in a circle, or for rows of their own in another file: no order loads them.
pub(super) fn circular(entries: &[Entry], wanted: &[Wanted], keys: &[ForeignKey]) -> Vec<String> {
    let files = files(entries, |index| wanted[index].data);
    let mut edges: HashSet<(&Name, &Name)> = keys
        .iter()
        .filter(|key| files.contains_key(&key.from) && files.contains_key(&key.to))
        .filter(|key| key.from != key.to || files[&key.from].len() > 1)
        .map(|key| (&key.from, &key.to))
        .collect();
    // What nobody refers to, or refers to nobody, is in no circle.
    loop {
        let before = edges.len();
        let (from, to): (HashSet<_>, HashSet<_>) = edges.iter().copied().unzip();
        edges.retain(|(a, b)| to.contains(a) && from.contains(b));
        if edges.len() == before {
            break;
        }
    }
    let mut tables: Vec<String> =
        edges.iter().map(|((schema, name), _)| format!("{schema}.{name}")).collect();
    tables.sort();
    tables.dedup();
    tables
}

fn files(entries: &[Entry], wanted: impl Fn(usize) -> bool) -> HashMap<Name, Vec<usize>> {
    let mut files: HashMap<Name, Vec<usize>> = HashMap::new();
    for (index, entry) in
        entries.iter().enumerate().filter(|(index, entry)| entry.desc == "TABLE DATA" && wanted(*index))
    {
        files.entry((entry.schema.clone().unwrap_or_default(), entry.tag.clone())).or_default().push(index);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::entry_for_tests;
    use crate::toc::Section;

    fn entries(tables: &[&str]) -> Vec<Entry> {
        let data = tables.iter().zip(1..).map(|(table, id)| Entry {
            schema: Some("s".to_owned()),
            data_file: Some(format!("{id}.dat")),
            ..entry_for_tests(id, "TABLE DATA", table, Section::Data, &[])
        });
        data.collect()
    }

    fn keys(pairs: &[(&str, &str)]) -> Vec<ForeignKey> {
        let table = |name: &str| ("s".to_owned(), name.to_owned());
        pairs.iter().map(|(from, to)| ForeignKey { from: table(from), to: table(to) }).collect()
    }

    #[test]
    fn rows_wait_for_those_that_they_refer_to() {
        // Two chunks of `a`; `x` is not in the archive.
        let order = order(&entries(&["b", "a", "a", "c"]), &keys(&[("b", "a"), ("c", "x"), ("a", "a")]));
        assert_eq!(order, [(0, 1), (0, 2)]);
    }

    #[test]
    fn circles_are_named_and_what_leads_to_them_is_not() {
        for (tables, pairs, expected) in [
            (&["a", "b", "c"][..], &[("a", "b"), ("b", "c")][..], &[][..]),
            (&["a", "b", "c", "d"], &[("a", "b"), ("b", "a"), ("c", "a"), ("b", "d")], &["s.a", "s.b"]),
            (&["a"], &[("a", "a")], &[]),
            (&["a", "a"], &[("a", "a")], &["s.a"]),
            (&["a"], &[("a", "b"), ("b", "a")], &[]),
        ] {
            let entries = entries(tables);
            let wanted = vec![Wanted { definition: false, data: true }; entries.len()];
            assert_eq!(circular(&entries, &wanted, &keys(pairs)), expected, "{tables:?} {pairs:?}");
        }
    }
}
