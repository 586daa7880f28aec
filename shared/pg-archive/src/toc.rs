//! The table of contents of an archive: what `toc.dat` holds.
//!
//! Source of the format: PostgreSQL's `src/bin/pg_dump/pg_backup_archiver.c` (`WriteHead`, `WriteToc`).

use crate::catalog::{Address, DumpId};

/// The part of a restore in which an entry belongs (`teSection` in `pg_backup.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// Comments, grants and such: wherever the object goes.
    None,
    /// Definitions that must exist before data can be loaded.
    PreData,
    /// Table rows, sequence values, large objects.
    Data,
    /// Indexes, constraints, triggers, rules.
    PostData,
}

/// One entry of the table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the entry, unique in the archive, above 0.
    pub id: DumpId,
    /// Catalog and OID of the object at the source; zeros for entries that stand for no single object.
    pub address: Address,
    /// Name for people and for pg_restore's selection switches.
    pub tag: String,
    /// Kind, in pg_dump's words: `TABLE`, `TABLE DATA`, `FK CONSTRAINT` …
    pub desc: String,
    /// Section of the restore.
    pub section: Section,
    /// SQL that creates the object.
    pub definition: Option<String>,
    /// SQL that drops it.
    pub drop_statement: Option<String>,
    /// `COPY … FROM stdin;` of table data.
    pub copy_statement: Option<String>,
    /// Schema, unquoted.
    pub schema: Option<String>,
    /// Tablespace: `None` if the kind has none, empty for the database's default one.
    pub tablespace: Option<String>,
    /// Table access method.
    pub table_access_method: Option<String>,
    /// Owning role, unquoted.
    pub owner: Option<String>,
    /// Entries that must be restored before this one.
    pub dependencies: Vec<DumpId>,
    /// Name of the data file inside the archive, if the entry has one.
    pub data_file: Option<String>,
}
