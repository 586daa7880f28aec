//! What a restore did.

use std::collections::BTreeMap;
use std::time::Duration;

use super::left_out::{LeftOut, UnderSearchPath};
use crate::fingerprint::Fingerprint;

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// How many entries were restored.
    pub entries_done: usize,
    /// How many entries of the archive nobody wanted.
    pub entries_unwanted: usize,
    /// What the server refused, and what could not be made without it; in the order of the archive.
    pub left_out: Vec<LeftOut>,
    /// What came only under the `search_path` of the source.
    pub under_search_path: Vec<UnderSearchPath>,
    /// What each data file held, by its name.
    pub files: BTreeMap<String, LoadedFile>,
    /// How long it took.
    pub times: Times,
}

/// A data file that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    /// Its name inside the archive.
    pub name: String,
    /// The entry that it belongs to: `TABLE DATA public.orders`.
    pub entry: String,
    /// Its rows; the lines, if it holds SQL.
    pub fingerprint: Fingerprint,
    /// Its size in bytes, end marker included.
    pub bytes: u64,
}

impl LoadedFile {
    /// Whether it holds rows of a table, rather than SQL.
    pub fn is_table(&self) -> bool {
        self.entry.starts_with("TABLE DATA ")
    }
}

/// How long the parts of a restore took. They follow one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Dropping what was there.
    pub clean: Duration,
    /// Definitions, up to the data.
    pub pre_data: Duration,
    /// From there until the last data file was in: with it, indexes of tables that were loaded earlier.
    pub data: Duration,
    /// The rest.
    pub post_data: Duration,
}
