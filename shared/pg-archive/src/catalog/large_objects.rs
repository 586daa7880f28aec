//! Large objects: their metadata, owners, grants and comments, and the entries of their data.
//!
//! Each has an entry of its own, as in `pg_dump` up to 16, because archives of head version 1.14 know no other way.
//! Their data is not `pg_dump`'s one file per large object, but files that hold many as SQL text ([`data`]).
//!
//! Data entries are called `BLOB COMMENTS`. `pg_restore` feeds the file of such an entry to the server as SQL, in
//! every version, whole or with `--data-only`, serial or with `-j` (`restore_toc_entry` in
//! `pg_backup_archiver.c`). It does the same for `TABLE DATA` without a COPY statement, but that takes the entry's
//! tag for a table: `--disable-triggers` alters it, `-t` can select it.
//!
//! They depend on nothing. The entries that create the large objects are `PRE_DATA`, and all of those are restored
//! before the first `DATA` entry, also with `-j` (`restore_toc_entries_prefork`). A dependency on each of hundreds of
//! thousands would cost much and add nothing.

use crate::Result;
use crate::catalog::grants::Grants;
use crate::catalog::{Address, Catalog, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::session::Session;
use crate::toc::Section;

pub mod data;

/// The part of `pg_largeobject` that one data file is cut for.
pub(crate) const CHUNK_BYTES: u64 = 256 << 20;

/// A large object (`pg_largeobject_metadata`). There can be very many, and it is no more than its OID, its owner
/// and its privileges, which every object has.
#[derive(Clone, Debug, Default)]
pub struct LargeObject {}

/// The data of the large objects in a range of OIDs, in a file of its own.
#[derive(Clone, Debug, Default)]
pub struct LargeObjectData {
    /// Number of the file, from 1.
    pub number: u32,
    /// The lowest OID.
    pub first_oid: u32,
    /// The highest OID.
    pub last_oid: u32,
}

impl LargeObjectData {
    /// The name of the file inside the archive. It has no slash: `pg_restore` from 15.20 on refuses one (`invalid
    /// file name in archive`).
    pub fn file_name(&self) -> String {
        format!("large-objects-{:05}.dat", self.number)
    }

    /// The COPY statement whose rows [`data::DataWriter`] takes.
    pub fn copy_statement(&self) -> String {
        let Self { first_oid, last_oid, .. } = self;
        format!(
            "COPY (SELECT loid, pageno, data FROM pg_catalog.pg_largeobject \
             WHERE loid BETWEEN {first_oid} AND {last_oid} ORDER BY loid, pageno) TO STDOUT"
        )
    }
}

/// Reads all large objects (`getBlobs`). They count as data.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    if !catalog.selection.data {
        return Ok(());
    }
    let rows = session
        .rows(
            "SELECT oid, lomowner, lomacl, \
             CASE WHEN lomacl IS NULL THEN '' ELSE pg_catalog.acldefault('L', lomowner)::pg_catalog.text END \
                 AS acldefault \
             FROM pg_catalog.pg_largeobject_metadata ORDER BY oid",
        )
        .await?;
    let mut oids: Vec<u32> = Vec::with_capacity(rows.len());
    for row in rows {
        let oid = row.number("oid")?;
        let address = Address::new(class::LARGEOBJECT, oid);
        let mut object = Object::new(address, row.text("oid")?, Kind::LargeObject(LargeObject {}));
        catalog.role(row.number("lomowner")?)?.clone_into(&mut object.owner);
        object.grants = Grants { acl: row.optional_string("lomacl")?, default: row.string("acldefault")? };
        object.parts = object.parts.with(Parts::DATA);
        if object.grants.acl.is_some() {
            object.parts = object.parts.with(Parts::GRANTS);
        }
        object.dump = Parts::ALL;
        catalog.add(object);
        oids.push(oid);
    }
    if oids.is_empty() {
        return Ok(());
    }
    let size =
        session.row("SELECT pg_catalog.pg_relation_size('pg_catalog.pg_largeobject') AS bytes").await?;
    for data in chunks(&oids, size.number("bytes")?) {
        let name = format!("{}..{}", data.first_oid, data.last_oid);
        let mut object = Object::new(Address::default(), name, Kind::LargeObjectData(data));
        object.parts = object.parts.with(Parts::DATA);
        object.dump = Parts::ALL;
        catalog.add(object);
    }
    Ok(())
}

/// Cuts the large objects into files of the same count. How large each is nobody knows without reading the whole
/// of `pg_largeobject`, so the sizes are even only on average.
fn chunks(oids: &[u32], bytes: u64) -> impl Iterator<Item = LargeObjectData> {
    let files = usize::try_from(bytes.div_ceil(CHUNK_BYTES)).unwrap_or(usize::MAX).max(1);
    (1..).zip(oids.chunks(oids.len().div_ceil(files).max(1))).map(|(number, chunk)| LargeObjectData {
        number,
        first_oid: chunk[0],
        last_oid: chunk[chunk.len() - 1],
    })
}

/// Writes a large object's entries (`dumpBlob` in 15).
pub fn emit(out: &mut Emitter<'_>, object: &Object, _large: &LargeObject) -> Result<()> {
    let oid = object.name.as_str();
    if object.dumps(Parts::DEFINITION) {
        let definition = Definition {
            tag: oid.to_owned(),
            desc: "BLOB",
            section: Section::PreData,
            create: format!("SELECT pg_catalog.lo_create('{oid}');\n"),
            drop: format!("SELECT pg_catalog.lo_unlink('{oid}');\n"),
        };
        out.define(object, definition);
    }
    out.describe(object, "LARGE OBJECT", oid);
    out.grants(object, "LARGE OBJECT", oid);
    Ok(())
}

/// Writes the entry of the data of a range of large objects.
pub fn emit_data(out: &mut Emitter<'_>, object: &Object, data: &LargeObjectData) -> Result<()> {
    if object.dumps(Parts::DATA) {
        let definition = Definition {
            tag: object.name.clone(),
            desc: "BLOB COMMENTS",
            section: Section::Data,
            create: String::new(),
            drop: String::new(),
        };
        out.define(object, definition).data_file = Some(data.file_name());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_large_object_is_in_one_file() {
        for (count, bytes, files) in [
            (1, 0, 1),
            (1, u64::MAX, 1),
            (10, CHUNK_BYTES, 1),
            (10, CHUNK_BYTES + 1, 2),
            (7, 3 * CHUNK_BYTES, 3),
        ] {
            let oids: Vec<u32> = (1..=count).map(|oid| oid * 3).collect();
            let chunks: Vec<_> = chunks(&oids, bytes).collect();
            assert_eq!(chunks.len(), files, "{count} of {bytes} bytes");
            for oid in &oids {
                let holds = |chunk: &&LargeObjectData| chunk.first_oid <= *oid && *oid <= chunk.last_oid;
                assert_eq!(chunks.iter().filter(holds).count(), 1, "{oid}");
            }
        }
    }
}
