//! What indexes, constraints, statistics, triggers and rules share: each is a part of a table.
//!
//! Their queries name the tables they want, because functions such as `pg_get_indexdef` are unsafe on
//! tables which this session has not locked (`getIndexes` in `pg_dump.c` says so). The list of tables is
//! made here, and the table of a row or an object is found here.

use crate::catalog::tables::Table;
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, class};
use crate::emit::Emitter;
use crate::{Error, ErrorKind, Result};

/// The table that an object is part of.
pub(super) struct Owner<'a> {
    /// As an object.
    pub object: &'a Object,
    /// As a table.
    pub table: &'a Table,
    /// `schema.name`, quoted.
    pub qualified: String,
    /// The name alone, quoted.
    pub quoted: String,
    /// `FOREIGN ` for a foreign table: a word of ALTER.
    pub foreign: &'static str,
}

impl Catalog {
    /// The tables that satisfy a condition, as an array literal of their OIDs; nothing if there are none.
    pub(super) fn table_oids(&self, wanted: impl Fn(&Object, &Table) -> bool) -> Option<String> {
        let oids: Vec<String> = self
            .tables()
            .filter(|(object, table)| wanted(object, table))
            .map(|(object, _)| object.address.oid.to_string())
            .collect();
        if oids.is_empty() { None } else { Some(format!("'{{{}}}'::pg_catalog.oid[]", oids.join(","))) }
    }

    /// The table with an OID which a query returned.
    pub(super) fn table_with_oid(&self, oid: u32) -> Result<&Object> {
        let id = self.find(Address::new(class::CLASS, oid)).ok_or_else(|| {
            Error::new(ErrorKind::Catalog, format!("relation with OID {oid} was not read from pg_class"))
                .hint("A table was dropped or created while the catalogs were read. Run the backup again.")
        })?;
        Ok(self.get(id))
    }

    /// The table that an object is part of.
    pub(super) fn owner(&self, table: DumpId) -> Result<Owner<'_>> {
        let object = self.get(table);
        let Kind::Table(table) = &object.kind else {
            return Err(Error::new(ErrorKind::Catalog, "a part of a table hangs on something else")
                .on(self.qualified(object)));
        };
        Ok(Owner {
            object,
            table,
            qualified: self.qualified(object),
            quoted: crate::quote::identifier(&object.name),
            foreign: table.foreign_prefix(),
        })
    }
}

/// An object that is part of a table: in its schema, owned by its owner, wanted as its `dump` says.
pub(super) fn part(table: &Object, address: Address, name: &str, dump: Parts, kind: Kind) -> Object {
    let mut object = Object::new(address, name, kind);
    object.schema = table.schema;
    object.owner.clone_from(&table.owner);
    object.dump = dump;
    object
}

/// The comment on an object whose definition is part of another object's entry, so that it hangs on that.
pub(super) fn describe_within(out: &mut Emitter<'_>, object: &Object, whole: DumpId, kind: &str, name: &str) {
    let mut stand_in = object.clone();
    stand_in.id = whole;
    out.describe(&stand_in, kind, name);
}
