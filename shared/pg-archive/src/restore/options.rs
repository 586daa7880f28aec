//! What a caller can ask of a restore.

use std::collections::{BTreeSet, HashMap};

use super::loading::ForeignKey;
use super::present::Present;
use crate::fingerprint::Fingerprint;
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

/// What a caller can ask of a restore. The default is everything, in one session.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// How many sessions work at the same time, once the definitions that data needs are made.
    pub jobs: usize,
    /// Definitions, data, or both.
    pub content: Content,
    /// Sections to restore.
    pub sections: BTreeSet<Section>,
    /// Only objects in these schemas. Patterns of [`NamePattern`](crate::catalog::selection::NamePattern); none means
    /// all.
    pub schemas: Vec<String>,
    /// Only these tables, views and sequences, with all that belongs to them. Patterns, with or without a schema; none
    /// means all.
    pub tables: Vec<String>,
    /// Nothing in these schemas, nor they themselves.
    pub exclude_schemas: Vec<String>,
    /// Not these tables, views and sequences, nor what belongs to them.
    pub exclude_tables: Vec<String>,
    /// What the target has. With it, a part of an archive brings what it needs and the target lacks; without it,
    /// whatever is needed is taken to be there.
    pub present: Option<Present>,
    /// Foreign keys of the target, which rows alone must be loaded in the order of.
    pub foreign_keys: Vec<ForeignKey>,
    /// What to leave as the target has it.
    pub leave_out: LeaveOut,
    /// Whether to drop what the archive holds before making it anew (`pg_restore --clean --if-exists`).
    pub clean: bool,
    /// Sizes of data files in bytes, where known: large ones are loaded first.
    pub data_bytes: HashMap<String, u64>,
    /// What each data file must hold, if the caller knows: any other file or row fails the restore, before the
    /// table's rows are committed.
    pub expected: Option<HashMap<String, Expected>>,
    /// Settings for every session, such as `maintenance_work_mem`.
    pub session_settings: Vec<(String, String)>,
    /// Whether the restore ends at the first object that no try brings. Otherwise it goes on without it, and says so.
    pub exit_on_error: bool,
    /// The file beside the archive that may say what `search_path` roles have.
    pub globals_file: Option<String>,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            jobs: 1,
            content: Content::All,
            sections: [Section::PreData, Section::Data, Section::PostData].into(),
            schemas: Vec::new(),
            tables: Vec::new(),
            exclude_schemas: Vec::new(),
            exclude_tables: Vec::new(),
            present: None,
            foreign_keys: Vec::new(),
            leave_out: LeaveOut::default(),
            clean: false,
            data_bytes: HashMap::new(),
            expected: None,
            session_settings: Vec::new(),
            exit_on_error: true,
            globals_file: None,
        }
    }
}

impl RestoreOptions {
    /// Whether not everything is asked for, but what has some names.
    pub fn is_part(&self) -> bool {
        [&self.schemas, &self.tables, &self.exclude_schemas, &self.exclude_tables]
            .iter()
            .any(|list| !list.is_empty())
    }

    /// Refuses what contradicts itself.
    pub(super) fn check(&self) -> Result<()> {
        let usage = |message: &str| Err(Error::new(ErrorKind::Usage, message));
        if self.jobs == 0 {
            return usage("a restore needs at least one session");
        }
        if self.clean && self.content == Content::Data {
            return usage("a restore of data alone cannot drop definitions first");
        }
        Ok(())
    }
}

/// Which part of each object is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Definitions and data.
    All,
    /// Definitions alone (`--schema-only`).
    Definitions,
    /// Data alone, into definitions that are there (`--data-only`). Triggers fire and constraints are checked.
    Data,
}

/// What a restore leaves as the target has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaveOut {
    /// Owners: everything belongs to the restoring role (`--no-owner`).
    pub owners: bool,
    /// Privileges (`--no-privileges`).
    pub privileges: bool,
    /// Tablespaces: everything goes to the default one (`--no-tablespaces`).
    pub tablespaces: bool,
}

/// What a data file must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Number of rows.
    pub rows: u64,
    /// Sum of their hashes, if it is known ([`Fingerprint::sum`]).
    pub sum: Option<u128>,
}

impl Expected {
    /// Says how the rows of a file differ from this, if they do.
    pub(super) fn difference(self, found: Fingerprint) -> Option<String> {
        if found.rows != self.rows {
            return Some(format!("holds {} rows where {} were dumped", found.rows, self.rows));
        }
        let sum = self.sum.filter(|sum| *sum != found.sum)?;
        let dumped = Fingerprint { rows: self.rows, sum };
        Some(format!("holds {} rows, but not those that were dumped: {found} where {dumped} was", found.rows))
    }
}

impl From<Fingerprint> for Expected {
    fn from(fingerprint: Fingerprint) -> Self {
        Self { rows: fingerprint.rows, sum: Some(fingerprint.sum) }
    }
}
