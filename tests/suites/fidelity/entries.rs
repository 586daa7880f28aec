//! Two archives' tables of contents, compared entry by entry.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use pg_archive::catalog::DumpId;
use pg_archive::toc::{self, Entry};
use pgark_tests::{postgres, postgres_15};

use super::vault::succeed;

/// The entries of an archive, in order, by a name that is unique in it.
pub(crate) struct Entries {
    named: Vec<(String, Entry)>,
}

/// A stock `pg_dump`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PgDump {
    /// Of PostgreSQL 15, for servers up to 15.
    V15,
    /// Of PostgreSQL 18.
    V18,
}

impl PgDump {
    /// Writes a directory archive of a database.
    pub(crate) fn write(self, url: &str, flags: &[&str], archive: &Path) -> anyhow::Result<()> {
        let mut command = match self {
            Self::V15 => Command::new(postgres_15("pg_dump")?),
            Self::V18 => postgres::client("pg_dump")?,
        };
        command.args(["--format=directory", "--compress=0", "--no-sync", "--dbname", url, "--file"]);
        succeed(command.arg(archive).args(flags)).map(drop)
    }
}

impl Entries {
    /// The entries of a directory archive.
    pub(crate) fn of_archive(folder: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(folder.join("toc.dat"))?;
        let (header, entries) = toc::read::read(&bytes)?;
        let mut seen = HashMap::<String, usize>::new();
        let named = entries.into_iter().map(|entry| {
            // Casts of a type to itself, operators of one name: their labels say no arguments.
            let label = entry.label().replace('\n', "⏎");
            let times = seen.entry(label.clone()).or_default();
            *times += 1;
            let name = if *times == 1 { label } else { format!("{label} ({times})") };
            (name, entry)
        });
        let mut entries = Self { named: named.collect() };
        entries.forget_name(&header.database.context("the archive names no database")?);
        Ok(entries)
    }

    /// The entries that `pg_dump` makes of a database.
    pub(crate) fn of_database(pg_dump: PgDump, url: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("archive");
        pg_dump.write(url, &[], &archive)?;
        Self::of_archive(&archive)
    }

    /// Joins the chunks of a table to the one entry that `pg_dump` has.
    pub(crate) fn with_whole_tables(mut self) -> Self {
        let tables: HashMap<String, DumpId> = self
            .named
            .iter()
            .filter(|(_, entry)| entry.desc == "TABLE")
            .map(|(_, entry)| (entry.label(), entry.id))
            .collect();
        let mut first = HashMap::new();
        let mut joined = HashMap::new();
        let mut in_chunks = HashSet::new();
        self.named.retain(|(_, entry)| {
            let is_first = entry.desc != "TABLE DATA" || !first.contains_key(&entry.label());
            if !is_first {
                in_chunks.insert(entry.label());
            }
            joined.insert(entry.id, *first.entry(entry.label()).or_insert(entry.id));
            is_first
        });
        for (_, entry) in &mut self.named {
            for needed in &mut entry.dependencies {
                *needed = joined.get(needed).copied().unwrap_or(*needed);
            }
            if in_chunks.contains(&entry.label()) {
                // Chunks do not say which table they need. Archives of rows alone refer to one that they do not hold.
                let table = tables.get(&entry.label().replacen("TABLE DATA", "TABLE", 1));
                entry.dependencies.push(table.copied().unwrap_or(DumpId(u32::MAX)));
            }
        }
        self
    }

    /// Takes the database's own name out, so that databases of different names can be compared.
    fn forget_name(&mut self, database: &str) {
        for (name, entry) in &mut self.named {
            if !entry.desc.starts_with("DATABASE") && !entry.tag.starts_with("DATABASE ") {
                continue;
            }
            let sql = entry.definition.iter_mut().chain(&mut entry.drop_statement);
            for text in sql.chain([name]) {
                *text = text.replace(database, "this_database");
            }
        }
    }

    /// Leaves large objects out, which `pg_dump` 17 and later put elsewhere than 15 does.
    pub(crate) fn without_large_objects(mut self) -> Self {
        self.named
            .retain(|(_, entry)| !entry.desc.starts_with("BLOB") && !entry.tag.starts_with("LARGE OBJECT "));
        self
    }

    /// Leaves out how the database is made.
    pub(crate) fn without_database(mut self) -> Self {
        self.named.retain(|(_, entry)| !entry.desc.starts_with("DATABASE"));
        self
    }

    /// How many entries there are.
    pub(crate) fn count(&self) -> usize {
        self.named.len()
    }

    /// What of `theirs` is otherwise here.
    pub(crate) fn differences(&self, theirs: &Self) -> Vec<Difference> {
        let (our_names, their_names) = (self.names(), theirs.names());
        let ours_by_name: BTreeMap<_, _> = self.named.iter().map(|(name, entry)| (name, entry)).collect();
        let mut found = Vec::new();
        for (name, entry) in &theirs.named {
            let Some(our_entry) = ours_by_name.get(name) else {
                found.push(Difference::new(name, Field::Entry, "there", "missing"));
                continue;
            };
            for ((field, their_value), (_, our_value)) in
                fields(entry, &their_names).into_iter().zip(fields(our_entry, &our_names))
            {
                if their_value != our_value {
                    found.push(Difference::new(name, field, &their_value, &our_value));
                }
            }
        }
        let there: BTreeSet<_> = theirs.named.iter().map(|(name, _)| name).collect();
        let more = self.named.iter().filter(|(name, _)| !there.contains(name));
        found.extend(more.map(|(name, _)| Difference::new(name, Field::Entry, "missing", "there")));
        let common_order = |entries: &Self, other: &BTreeSet<&String>| -> Vec<String> {
            entries.named.iter().map(|(name, _)| name).filter(|name| other.contains(name)).cloned().collect()
        };
        let ours: BTreeSet<_> = ours_by_name.into_keys().collect();
        let (our_order, their_order) = (common_order(self, &there), common_order(theirs, &ours));
        if let Some(at) = our_order.iter().zip(&their_order).position(|(one, two)| one != two) {
            found.push(Difference::new(&their_order[at], Field::Order, &their_order[at], &our_order[at]));
        }
        found
    }

    fn names(&self) -> HashMap<u32, &str> {
        self.named.iter().map(|(name, entry)| (entry.id.0, name.as_str())).collect()
    }
}

/// All that an entry says, as text. Absent and empty SQL are the same to `pg_restore`; absent and empty tablespaces
/// are not.
fn fields(entry: &Entry, names: &HashMap<u32, &str>) -> Vec<(Field, String)> {
    let sql = |text: &Option<String>| text.clone().unwrap_or_default();
    let needed: BTreeSet<&str> = entry
        .dependencies
        .iter()
        .map(|id| names.get(&id.0).copied().unwrap_or("nothing in the archive"))
        .collect();
    vec![
        (Field::Section, format!("{:?}", entry.section)),
        (Field::Definition, definition(entry)),
        (Field::Drop, sql(&entry.drop_statement)),
        (Field::Copy, copy(entry)),
        (Field::Owner, format!("{:?}", entry.owner)),
        (Field::Tablespace, format!("{:?}", entry.tablespace)),
        (Field::AccessMethod, format!("{:?}", entry.table_access_method)),
        (Field::Data, entry.data_file.is_some().to_string()),
        (Field::Dependencies, needed.into_iter().collect::<Vec<_>>().join("\n")),
    ]
}

/// The definition. The roles of a policy come in an order that means nothing: pg_dump's is the one in which the server
/// finds them, which changes when any of them is altered. What ours sets behind the search path is not in pg_dump's.
fn definition(entry: &Entry) -> String {
    const OURS: &str = "SET IntervalStyle = 'postgres';\nSET array_nulls = on;\nSET lc_monetary = 'C';\n";
    let text = entry.definition.clone().unwrap_or_default();
    if entry.desc == "SEARCHPATH" {
        text.strip_suffix(OURS).unwrap_or(&text).to_owned()
    } else if entry.desc == "POLICY" {
        sorted_list(&text, " TO ", &[" USING (", " WITH CHECK (", ";"])
    } else {
        text
    }
}

/// The COPY statement. Rows that are loaded through the root of a partition tree have the columns in the root's order,
/// which makes them comparable wherever they come to lie; pg_dump's have them in their partition's.
fn copy(entry: &Entry) -> String {
    let text = entry.copy_statement.clone().unwrap_or_default();
    let through_root =
        entry.definition.as_deref().is_some_and(|sql| sql.starts_with("-- load via partition root"));
    if through_root { sorted_list(&text, " (", &[") FROM stdin;"]) } else { text }
}

/// The text with the list between the two words sorted. Names are not looked into: both words are outside of quotes.
fn sorted_list(text: &str, before: &str, after: &[&str]) -> String {
    // Every other piece lies between double quotes.
    let mut at = 0;
    let mut unquoted = Vec::new();
    for (piece, part) in text.split('"').enumerate() {
        if piece % 2 == 0 {
            unquoted.push((at, part));
        }
        at += part.len() + 1;
    }
    let find = |from: usize, word: &str| {
        unquoted.iter().find_map(|(start, part)| {
            let skip = from.saturating_sub(*start);
            part.get(skip..)?.find(word).map(|found| start + skip + found)
        })
    };
    let Some(from) = find(0, before).map(|at| at + before.len()) else { return text.to_owned() };
    let to = after.iter().filter_map(|word| find(from, word)).min().unwrap_or(text.len());
    let mut items: Vec<&str> = text[from..to].split(", ").collect();
    items.sort_unstable();
    format!("{}{}{}", &text[..from], items.join(", "), &text[to..])
}

/// What of an entry can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Field {
    /// Whether it is there at all.
    Entry,
    Section,
    Definition,
    Drop,
    Copy,
    Owner,
    Tablespace,
    AccessMethod,
    /// Whether it has a data file.
    Data,
    Dependencies,
    /// Its place among the entries that both have.
    Order,
}

/// A difference between two archives.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) entry: String,
    pub(crate) field: Field,
    pub(crate) theirs: String,
    pub(crate) ours: String,
}

impl Difference {
    fn new(entry: &str, field: Field, theirs: &str, ours: &str) -> Self {
        Self { entry: entry.to_owned(), field, theirs: theirs.to_owned(), ours: ours.to_owned() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, field, theirs, ours } = self;
        writeln!(f, "{entry}: {field:?}")?;
        let (their_lines, our_lines): (BTreeSet<_>, BTreeSet<_>) =
            (theirs.lines().collect(), ours.lines().collect());
        for line in theirs.lines().filter(|line| !our_lines.contains(line)) {
            writeln!(f, "  - {line}")?;
        }
        for line in ours.lines().filter(|line| !their_lines.contains(line)) {
            writeln!(f, "  + {line}")?;
        }
        Ok(())
    }
}
