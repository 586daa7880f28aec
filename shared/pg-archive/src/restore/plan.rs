//! Turns the entries of an archive into tasks: what waits for what, what is heavy, what must not run side by side.
//!
//! The archive's own dependencies say that an index needs its table, not that it needs the table's rows. So, as
//! `fix_dependencies` does in `pg_backup_archiver.c` but on the safe side of it:
//!
//! - Indexes, primary keys and unique constraints wait for all data files of their table, of its partitions and of
//!   the tables that inherit from it. They start while other tables are still being loaded.
//! - All else behind the data (foreign keys, triggers, rules, policies …) waits for all data: it may act on the rows
//!   of tables that it does not name, such as those of partitions.
//! - Privileges are granted one by one, in the archive's order: `GRANT` by another role than the owner needs grants that
//!   the archive names before it, not as dependencies.
//! - Rows of extensions' configuration tables come before all other rows.
//! - Whatever takes a strong lock on a table does not run beside anything else on this table or its partitions (the
//!   attachment of an index: on its table and on that of the partition), so that sessions neither wait for each other nor deadlock. Building indexes only shares the table.

use std::collections::{HashMap, HashSet};

use super::loading;
use super::options::RestoreOptions;
use super::schedule::{Pass, Task};
use super::select::{Wanted, pass};
use crate::catalog::DumpId;
use crate::quote;
use crate::toc::{Entry, Section};

/// The tasks of a restore. Places are those of the entries; the last two tasks stand for no entry: that all data is loaded,
/// and that all is loaded which may end up in other tables than its own.
pub(super) fn plan(entries: &[Entry], wanted: &[Wanted], options: &RestoreOptions) -> Vec<Task> {
    let runs_first = runs_first(entries);
    let relations = Relations::new(entries);
    let all_data_done = entries.len();
    let configuration = configuration(entries);
    let mut tasks: Vec<Task> = (0..entries.len())
        .map(|index| {
            let empty = !wanted[index].anything();
            if runs_first[index] {
                // In the order of the archive, whatever it says of what comes later.
                let needs = relations.dependencies(&entries[index]).into_iter();
                let needs = needs.filter(|other| *other < index && runs_first[*other]).collect();
                return Task { needs, empty, ..idle_task(Pass::Definitions) };
            }
            let (bytes, rules) = (&options.data_bytes, &relations);
            Task { empty, ..task(entries, index, rules, bytes, all_data_done) }
        })
        .collect();
    for (later, first) in loading::order(entries, &options.foreign_keys) {
        tasks[later].after.push(first);
    }
    for (index, entry) in entries.iter().enumerate() {
        if entry.desc == "TABLE DATA" && !configuration.contains(&index) {
            tasks[index].after.extend(&configuration);
        }
    }
    let data = entries.iter().enumerate().filter(|(_, entry)| entry.section == Section::Data);
    tasks.push(Task { after: data.map(|(index, _)| index).collect(), ..idle_task(Pass::Main) });
    tasks.push(Task { after: relations.loaded_through_root, ..idle_task(Pass::Main) });
    tasks
}

/// Rows of tables that the archive makes by an extension: its configuration. What other rows are checked by may look into
/// it, as PostGIS does into `spatial_ref_sys`. (An archive of rows alone makes no table, and tells nothing.)
fn configuration(entries: &[Entry]) -> Vec<usize> {
    let name = |entry: &Entry| (entry.schema.clone(), entry.tag.clone());
    let made: HashSet<_> = entries.iter().filter(|entry| entry.desc == "TABLE").map(name).collect();
    if !entries.iter().any(|entry| entry.desc == "EXTENSION") {
        return Vec::new();
    }
    let data = entries.iter().enumerate().filter(|(_, entry)| entry.desc == "TABLE DATA");
    data.filter(|(_, entry)| !made.contains(&name(entry))).map(|(index, _)| index).collect()
}

/// Definitions before data, and what hangs on them as long as nothing behind the data came before it
/// (`restore_toc_entries_prefork`).
fn runs_first(entries: &[Entry]) -> Vec<bool> {
    let mut data_seen = false;
    let runs_first = entries.iter().map(|entry| {
        data_seen |= matches!(entry.section, Section::Data | Section::PostData);
        let early = match entry.section {
            Section::PreData => true,
            Section::None => !data_seen,
            Section::Data | Section::PostData => false,
        };
        early && pass(entry) == Pass::Main
    });
    runs_first.collect()
}

/// Each once.
fn once(mut relations: Vec<usize>) -> Vec<usize> {
    relations.sort_unstable();
    relations.dedup();
    relations
}

fn idle_task(pass: Pass) -> Task {
    Task {
        pass,
        after: Vec::new(),
        needs: Vec::new(),
        weight: 0,
        empty: true,
        exclusive: Vec::new(),
        shared: Vec::new(),
    }
}

fn task(
    entries: &[Entry],
    index: usize,
    relations: &Relations,
    data_bytes: &HashMap<String, u64>,
    all_data_done: usize,
) -> Task {
    let entry = &entries[index];
    let bytes_of = |index: &usize| {
        entries[*index].data_file.as_ref().and_then(|file| data_bytes.get(file)).copied().unwrap_or(0)
    };
    let mut task = idle_task(pass(entry));
    task.after = relations.dependencies(entry);
    // An index can be made on a table whose rows were refused; a view is not refreshed that reads one which was not.
    let is_need = |other: &&usize| {
        let other = &entries[**other];
        match other.desc.as_str() {
            "MATERIALIZED VIEW DATA" => entry.desc == "MATERIALIZED VIEW DATA",
            "SEQUENCE SET" => false,
            _ => other.data_file.is_none(),
        }
    };
    task.needs = task.after.iter().filter(is_need).copied().collect();
    if entry.desc == "TABLE DATA" {
        task.needs.extend(relations.own_table(entry));
    }
    match (entry.section, task.pass) {
        (Section::PostData, Pass::Main) => {
            let family = relations.locked(entries, index);
            let data = relations.data(&family);
            task.weight = data.iter().map(bytes_of).sum();
            if is_early(entry) {
                task.after.extend(data);
                if !relations.loaded_through_root.is_empty() {
                    task.after.push(all_data_done + 1);
                }
            } else {
                task.after.push(all_data_done);
            }
            if entry.desc == "INDEX" { task.shared = family } else { task.exclusive = family }
        }
        // One by one, in their order: a grant by another role needs that role's rights on the schema.
        (_, Pass::Grants) => {}
        (Section::Data, _) => task.weight = bytes_of(&index),
        _ => task.exclusive = relations.touched(entries, index),
    }
    task
}

/// Kinds that act on the rows of their own table and its partitions only.
fn is_early(entry: &Entry) -> bool {
    matches!(entry.desc.as_str(), "INDEX" | "CONSTRAINT" | "INDEX ATTACH" | "STATISTICS")
}

fn is_relation(entry: &Entry) -> bool {
    matches!(entry.desc.as_str(), "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" | "PUBLICATION")
}

/// How the relations of an archive belong together.
struct Relations {
    by_id: HashMap<DumpId, usize>,
    /// Partitions and inheriting tables.
    children: HashMap<usize, Vec<usize>>,
    /// The relations among the dependencies of each entry.
    direct: Vec<Vec<usize>>,
    /// Entries that hold a table's rows.
    data: HashMap<usize, Vec<usize>>,
    /// Entries whose rows may end up in other tables than their own.
    loaded_through_root: Vec<usize>,
    tables: HashMap<(Option<String>, String), usize>,
}

impl Relations {
    fn new(entries: &[Entry]) -> Self {
        let by_id = entries.iter().enumerate().map(|(index, entry)| (entry.id, index)).collect();
        let mut relations = Self {
            by_id,
            children: HashMap::new(),
            direct: Vec::new(),
            data: HashMap::new(),
            loaded_through_root: Vec::new(),
            tables: HashMap::new(),
        };
        let direct = entries.iter().map(|entry| {
            relations.dependencies(entry).into_iter().filter(|index| is_relation(&entries[*index])).collect()
        });
        relations.direct = direct.collect();
        let tables = entries.iter().enumerate().filter(|(_, entry)| entry.desc == "TABLE");
        relations.tables =
            tables.map(|(index, entry)| ((entry.schema.clone(), entry.tag.clone()), index)).collect();
        for (index, entry) in entries.iter().enumerate() {
            let tables = relations.dependencies(entry);
            let tables = tables.into_iter().filter(|table| entries[*table].desc == "TABLE");
            match entry.desc.as_str() {
                "TABLE" => {
                    tables.for_each(|parent| relations.children.entry(parent).or_default().push(index));
                }
                // Depends on its table and its partition, and is named after the partition.
                "TABLE ATTACH" => {
                    let partition = relations.own_table(entry);
                    let parents = tables.filter(|table| Some(*table) != partition);
                    parents
                        .for_each(|parent| relations.children.entry(parent).or_default().extend(partition));
                }
                "TABLE DATA" => {
                    let of: HashSet<usize> = tables.chain(relations.own_table(entry)).collect();
                    for table in of {
                        relations.data.entry(table).or_default().push(index);
                    }
                    if is_loaded_through_root(entry) {
                        relations.loaded_through_root.push(index);
                    }
                }
                _ => {}
            }
        }
        relations
    }

    /// The table of an entry's name.
    fn own_table(&self, entry: &Entry) -> Option<usize> {
        self.tables.get(&(entry.schema.clone(), entry.tag.clone())).copied()
    }

    /// The places of the entries that an entry depends on, as far as the archive has them.
    fn dependencies(&self, entry: &Entry) -> Vec<usize> {
        entry.dependencies.iter().filter_map(|id| self.by_id.get(id)).copied().collect()
    }

    /// The relations that a statement locks: those it depends on, and those of the index, trigger or constraint
    /// that it depends on.
    fn touched(&self, entries: &[Entry], index: usize) -> Vec<usize> {
        let mut touched = self.direct[index].clone();
        for dependency in self.dependencies(&entries[index]) {
            if entries[dependency].section == Section::PostData {
                touched.extend(&self.direct[dependency]);
            }
        }
        touched
    }

    /// What a statement behind the data locks. An index of a partition depends on that of the root, but is made on its own
    /// table alone, and an attachment locks the two tables and no other partition: with all of them in each, the plan
    /// would grow with the square of their number.
    fn locked(&self, entries: &[Entry], index: usize) -> Vec<usize> {
        let (direct, desc) = (&self.direct[index], entries[index].desc.as_str());
        match desc {
            "INDEX ATTACH" => once(self.touched(entries, index)),
            "INDEX" | "CONSTRAINT" | "STATISTICS" if !direct.is_empty() => self.family(direct),
            _ => self.family(&self.touched(entries, index)),
        }
    }

    /// Relations with all their partitions and inheriting tables, each once.
    fn family(&self, relations: &[usize]) -> Vec<usize> {
        let mut seen = HashSet::new();
        let mut left = relations.to_vec();
        let mut family = Vec::new();
        while let Some(relation) = left.pop() {
            if seen.insert(relation) {
                family.push(relation);
                left.extend(self.children.get(&relation).into_iter().flatten());
            }
        }
        family
    }

    fn data(&self, relations: &[usize]) -> Vec<usize> {
        relations.iter().filter_map(|relation| self.data.get(relation)).flatten().copied().collect()
    }
}

/// Whether the rows go to another table than the entry's own (`is_load_via_partition_root`).
fn is_loaded_through_root(entry: &Entry) -> bool {
    if entry.definition.as_deref().is_some_and(|text| text.starts_with("-- load via partition root ")) {
        return true;
    }
    let own = format!("COPY {} ", quote::qualified(entry.schema.as_deref().unwrap_or_default(), &entry.tag));
    entry.copy_statement.as_deref().is_some_and(|copy| !copy.is_empty() && !copy.starts_with(&own))
}

#[cfg(test)]
mod tests;
