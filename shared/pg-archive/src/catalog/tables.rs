//! Tables, views, materialized views, sequences' relations and composite types' relations.
//!
//! `tables/read` finds them and decides what is dumped, `tables/lock` locks them, `tables/columns` reads what is in
//! them, `tables/inheritance` works out what a table has from its parents, `tables/create` writes their
//! definitions and `tables/data` the entries of their rows.

use crate::catalog::{DumpId, Object, Parts};
use crate::emit::Emitter;
use crate::{Result, catalog};

mod columns;
mod create;
mod data;
mod data_order;
mod inheritance;
mod lock;
mod read;

pub(super) use columns::keep_names_apart;
pub use create::{emit_attach, emit_default};
pub(crate) use data::{copy_columns, data_columns, load_root};
pub use data::{emit_data, emit_refresh, plan_data};
pub use data_order::{order_by_foreign_keys, order_configuration, order_refreshes};
pub(crate) use lock::{is_out_of_locks, lock_before, locked_names, too_many};
pub use read::read;
pub(super) use read::with_table;

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
    /// Whether it is made below a table that has its columns in their order, and inherits from its parents afterwards:
    /// `INHERITS` would put them in another order.
    pub inherits_later: bool,
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
    /// Whether the role lacks SELECT on it or USAGE on its schema.
    pub unreadable: bool,
    /// The object of its rows, or of a sequence's value.
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
    /// Values of a sequence: what `CREATE SEQUENCE` needs, and where it stands.
    pub sequence: Option<Box<catalog::sequences::Sequence>>,
    /// Whether rows must be loaded through the root of the partition tree (`unsafe_partitions`): hash partitions
    /// on an enum, whose hash depends on OIDs.
    pub unsafe_partitions: bool,
    /// Whether columns and such are worth reading: it is dumped, or the parent of one that is.
    pub interesting: bool,
}

impl Table {
    /// Whether it is locked while it is dumped: if its definition or its rows are. Views, sequences and foreign tables
    /// cannot be locked in this mode by every server; `pg_dump` does not lock them either.
    pub(crate) fn is_locked(&self, object: &Object) -> bool {
        let wanted = Parts::DEFINITION.with(Parts::DATA).with(Parts::POLICY);
        "rp".contains(self.relkind) && object.dump.has(wanted)
    }
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
    /// `attisdropped`.
    pub dropped: bool,
    /// Its NOT NULL constraint.
    pub not_null: Option<NotNull>,
    /// Whether it has a NOT NULL constraint that is not validated; that one is an object of its own.
    pub not_null_invalid: bool,
    /// The comment on its NOT NULL constraint (from 18).
    pub not_null_comment: Option<String>,
    /// Collation, quoted and qualified, if it is not its type's.
    pub collation: Option<String>,
    /// `attstattarget`, if it is not the default.
    pub statistics_target: Option<i32>,
    /// `attstorage`, if it is not its type's.
    pub storage: Option<char>,
    /// `attcompression`: `p`, `l`, or a space.
    pub compression: char,
    /// `attoptions`, formatted for SET (…).
    pub options: String,
    /// `attfdwoptions`, formatted for OPTIONS (…).
    pub foreign_options: String,
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

/// The NOT NULL constraint of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotNull {
    /// Its name, where it is not the one that the server would choose (from 18).
    pub name: Option<String>,
    /// `connoinherit` (from 18).
    pub no_inherit: bool,
    /// Whether the table itself says so, rather than its parents.
    pub local: bool,
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

impl Table {
    /// Whether the column is part of CREATE TABLE (`shouldPrintColumn`): not if dropped, nor if it came from a
    /// parent, except in partitions, which are made alone and attached later.
    pub fn prints(&self, column: &Column) -> bool {
        !column.dropped && (column.local || self.is_partition)
    }

    /// `FOREIGN ` for a foreign table, to be put before TABLE.
    pub fn foreign_prefix(&self) -> &'static str {
        if self.relkind == 'f' { "FOREIGN " } else { "" }
    }

    /// The words for its kind in CREATE and DROP.
    pub fn kind_words(&self) -> &'static str {
        match self.relkind {
            'v' => "VIEW",
            'm' => "MATERIALIZED VIEW",
            'f' => "FOREIGN TABLE",
            'S' => "SEQUENCE",
            _ => "TABLE",
        }
    }
}

/// Writes a relation's entries (`dumpTable`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, table: &Table) -> Result<()> {
    if object.dump.has(Parts::DEFINITION) {
        if table.relkind == 'S' {
            catalog::sequences::emit(out, object, table)?;
        } else {
            create::emit(out, object, table)?;
        }
    }
    let name = crate::quote::identifier(&object.name);
    let word = if table.relkind == 'S' { "SEQUENCE" } else { "TABLE" };
    let entry = out.grants(object, word, &name);
    catalog::grants::emit_columns(out, object, entry);
    Ok(())
}
