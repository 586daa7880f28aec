//! Writes a table of contents: the bytes of `toc.dat`.
//!
//! The head always says version 1.14, which `pg_restore` of PostgreSQL 12 to 18 reads, whatever the source's
//! version: what later heads add (batches of large objects, the kind of a relation) this archive does without.
//! Writing cannot fail and touches nothing but memory.

use super::{CalendarTime, Entry, Header, Section};
use crate::raw_text;

/// The version that the head carries (`K_VERS_1_14`).
pub(super) const HEAD_VERSION: [u8; 3] = [1, 14, 0];
/// Bytes of an integer's magnitude.
pub(super) const INT_BYTES: u8 = 4;
/// Bytes of a file offset. Only the custom format holds any.
const OFFSET_BYTES: u8 = 8;
/// `archTar`: the format that the `toc.dat` of a directory carries (`_CloseArchive` in `pg_backup_directory.c`).
pub(super) const FORMAT_IN_DIRECTORY: u8 = 3;
/// Data files are found by their suffix, and compressing them is the caller's business: readers ask this field
/// only whether they were built with zlib, which would be a false alarm for files that are not compressed.
const COMPRESSION_LEVEL: i64 = 0;

/// The bytes of `toc.dat`.
///
/// # Panics
/// If one string is 4 GiB long, or with more than 2^32 entries.
pub fn write(header: &Header, entries: &[Entry]) -> Vec<u8> {
    let mut out = Bytes::default();
    out.header(header);
    out.int(i64::try_from(entries.len()).expect("fewer than 2^32 entries"));
    for entry in entries {
        out.entry(entry);
    }
    out.0
}

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn header(&mut self, header: &Header) {
        self.0.extend(b"PGDMP");
        self.0.extend(HEAD_VERSION);
        self.0.extend([INT_BYTES, OFFSET_BYTES, FORMAT_IN_DIRECTORY]);
        self.int(COMPRESSION_LEVEL);
        let CalendarTime { second, minute, hour, day, month, year, daylight_saving } = header.created;
        for part in [second, minute, hour, day, month - 1, year - 1900, daylight_saving] {
            self.int(part.into());
        }
        self.text(header.database.as_deref());
        self.text(header.server_version.as_deref());
        self.text(header.dumped_by.as_deref());
    }

    fn entry(&mut self, entry: &Entry) {
        self.int(entry.id.0.into());
        self.int(entry.data_file.is_some().into());
        self.text(Some(&entry.address.class.to_string()));
        self.text(Some(&entry.address.oid.to_string()));
        self.text(Some(&entry.tag));
        self.text(Some(&entry.desc));
        self.int(section_number(entry.section));
        self.text(entry.definition.as_deref());
        self.text(entry.drop_statement.as_deref());
        self.text(entry.copy_statement.as_deref());
        self.text(entry.schema.as_deref());
        self.text(entry.tablespace.as_deref());
        self.text(entry.table_access_method.as_deref());
        self.text(entry.owner.as_deref());
        // Was WITH OIDS, which no server since 12 has.
        self.text(Some("false"));
        for dependency in &entry.dependencies {
            self.text(Some(&dependency.0.to_string()));
        }
        self.text(None);
        self.text(Some(entry.data_file.as_deref().unwrap_or_default()));
    }

    /// `WriteInt`: a sign byte, then the magnitude, lowest byte first.
    fn int(&mut self, value: i64) {
        let magnitude = u32::try_from(value.unsigned_abs()).expect("a number below 2^32");
        self.0.push(value.is_negative().into());
        self.0.extend(magnitude.to_le_bytes());
    }

    /// `WriteStr`: the length, then the bytes, in the encoding that the archive names. No string has the length -1; an empty one has 0.
    fn text(&mut self, text: Option<&str>) {
        match text {
            None => self.int(-1),
            Some(text) => {
                let bytes = raw_text::encode(text);
                self.int(i64::try_from(bytes.len()).expect("a string shorter than 4 GiB"));
                self.0.extend_from_slice(&bytes);
            }
        }
    }
}

/// `teSection` in `pg_backup.h`.
pub(super) fn section_number(section: Section) -> i64 {
    match section {
        Section::None => 1,
        Section::PreData => 2,
        Section::Data => 3,
        Section::PostData => 4,
    }
}
