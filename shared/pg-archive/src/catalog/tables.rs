//! Tables, views, materialized views, sequences' relations and composite types' relations.

use crate::Result;
use crate::catalog::{Catalog, DumpId, Object};
use crate::emit::Emitter;
use crate::session::Session;

/// A relation with columns (`pg_class`).
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// `relkind`: `r` table, `p` partitioned, `v` view, `m` materialized view, `S` sequence, `f` foreign, `c` composite.
    pub relkind: char,
    /// `relpersistence`: `p`, `u` unlogged, `t`.
    pub persistence: char,
    /// Whether it has indexes (`relhasindex`), triggers (`relhastriggers`), rules (`relhasrules`).
    pub has_indexes: bool,
    /// See `has_indexes`.
    pub has_triggers: bool,
    /// See `has_indexes`.
    pub has_rules: bool,
    /// `relrowsecurity`.
    pub row_security: bool,
    /// `relforcerowsecurity`.
    pub force_row_security: bool,
    /// `relreplident`: `d`, `n`, `f`, `i`.
    pub replica_identity: char,
    /// `relispartition`.
    pub is_partition: bool,
    /// Tablespace; empty for the database's default one.
    pub tablespace: String,
    /// Table access method, of kinds that have one.
    pub access_method: Option<String>,
    /// `reloptions`, an array as text, without `check_option`.
    pub options: Option<String>,
    /// `reloptions` of its TOAST table.
    pub toast_options: Option<String>,
    /// `check_option` of a view.
    pub check_option: Option<String>,
    /// Composite type of a typed table, formatted.
    pub of_type: Option<String>,
    /// Server and options of a foreign table.
    pub foreign: Option<ForeignTable>,
    /// Columns, dropped ones too, by `attnum`; system columns left out.
    pub columns: Vec<Column>,
    /// Direct parents, in the order of inheritance.
    pub parents: Vec<DumpId>,
    /// CHECK constraints (and NOT NULL ones from 18), of this table's own or inherited.
    pub checks: Vec<DumpId>,
    /// `pg_get_partkeydef` of a partitioned table.
    pub partition_key: Option<String>,
    /// `pg_get_expr(relpartbound)` of a partition.
    pub partition_bound: Option<String>,
    /// `pg_get_viewdef` of a view, without the closing semicolon.
    pub view_definition: Option<String>,
    /// Table and column number that own a sequence.
    pub owned_by: Option<(u32, i32)>,
    /// Whether it is the sequence of an identity column.
    pub identity_sequence: bool,
    /// Whether a view is made as a dummy first, because it takes part in a loop.
    pub dummy_view: bool,
    /// Whether a materialized view had to move behind the data.
    pub postponed: bool,
    /// Indexes of it, set when those are read.
    pub indexes: Vec<DumpId>,
    /// Its TABLE DATA object.
    pub data: Option<DumpId>,
    /// Whether a materialized view is populated.
    pub populated: bool,
    /// `pg_relation_size` of the heap in bytes, and of everything with TOAST.
    pub heap_bytes: u64,
    /// See `heap_bytes`.
    pub total_bytes: u64,
    /// `reltuples`, -1 if unknown.
    pub rows_estimate: f64,
    /// The WHERE clause for an extension's configuration table, with the keyword.
    pub filter: Option<String>,
    /// The type of a relation's rows.
    pub row_type: u32,
    /// Whether columns and such are worth reading: it is dumped, or the parent of one that is.
    pub interesting: bool,
}

/// What only a foreign table has.
#[derive(Clone, Debug, Default)]
pub struct ForeignTable {
    /// Name of its server.
    pub server: String,
    /// Options, formatted for OPTIONS (…).
    pub options: String,
}

/// A column (`pg_attribute`).
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// `attnum`.
    pub number: i32,
    /// Name, unquoted.
    pub name: String,
    /// Formatted type.
    pub type_name: String,
    /// OID of the type.
    pub type_oid: u32,
    /// Its collation, qualified and quoted, if that is not the type's own.
    pub collation: Option<String>,
    /// `attisdropped`.
    pub dropped: bool,
    /// `attnotnull`, as a flag of the column (before 18) .
    pub not_null: bool,
    /// `attidentity`: space, `a`, `d`.
    pub identity: char,
    /// `attgenerated`: space, `s`, `v`.
    pub generated: char,
    /// `attislocal`.
    pub local: bool,
    /// Its default or generation expression, an object of its own.
    pub default: Option<DumpId>,
    /// Privileges on it.
    pub acl: Option<String>,
}

/// The attachment of a partition to its table.
#[derive(Clone, Debug)]
pub struct TableAttach {
    /// The partitioned table.
    pub parent: DumpId,
    /// The partition.
    pub partition: DumpId,
}

/// The default of a column (`pg_attrdef`).
#[derive(Clone, Debug)]
pub struct ColumnDefault {
    /// The table.
    pub table: DumpId,
    /// `adnum`.
    pub column: i32,
    /// The expression.
    pub expression: String,
    /// Whether it is set by a statement of its own.
    pub separate: bool,
}

/// Reads all relations.
pub async fn read(_catalog: &mut Catalog, _session: &Session) -> Result<()> {
    Ok(())
}

/// Writes a relation's entries.
pub fn emit(_out: &mut Emitter<'_>, _object: &Object, _table: &Table) -> Result<()> {
    Ok(())
}

/// Writes the attachment of a partition.
pub fn emit_attach(_out: &mut Emitter<'_>, _object: &Object, _attach: &TableAttach) -> Result<()> {
    Ok(())
}

/// Writes a default that is set by a statement of its own.
pub fn emit_default(_out: &mut Emitter<'_>, _object: &Object, _default: &ColumnDefault) -> Result<()> {
    Ok(())
}

/// Writes the entry of a table's rows.
pub fn emit_data(_out: &mut Emitter<'_>, _object: &Object, _table: DumpId) -> Result<()> {
    Ok(())
}

/// Writes the REFRESH of a materialized view.
pub fn emit_refresh(_out: &mut Emitter<'_>, _object: &Object, _view: DumpId) -> Result<()> {
    Ok(())
}
