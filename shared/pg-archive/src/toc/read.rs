//! Reads a table of contents: `toc.dat` of our own archives, and of `pg_dump -Fd` from PostgreSQL 9.0 to 18.
//!
//! The bytes may be damaged or hostile. Nothing is allocated for what a length or a count promises, only for
//! bytes that are there; every error says at which byte and in which entry it was found.

use std::collections::HashSet;

use super::write::{FORMAT_IN_DIRECTORY, INT_BYTES};
use super::{CalendarTime, Entry, Header, Section};
use crate::catalog::{Address, DumpId};
use crate::{Error, ErrorKind, Result, raw_text};

/// The head versions (minor numbers of 1.x) that are read. 1.12 came with 9.0, 1.16 is 17's and 18's.
const HEAD_MINORS: std::ops::RangeInclusive<u8> = 12..=16;
/// From here on entries name their table access method.
const MINOR_WITH_ACCESS_METHOD: u8 = 14;
/// From here on the head names a compression algorithm in one byte, in place of a level.
const MINOR_WITH_COMPRESSION_BYTE: u8 = 15;
/// From here on entries have the `relkind` of their relation.
const MINOR_WITH_RELKIND: u8 = 16;
/// `archDirectory`.
const FORMAT_DIRECTORY: u8 = 5;

/// The head and the entries of a `toc.dat`.
pub fn read(bytes: &[u8]) -> Result<(Header, Vec<Entry>)> {
    let mut reader = Reader { bytes, at: 0, minor: 0 };
    let header = reader.header().map_err(|error| error.on("toc.dat"))?;
    let count = reader.number::<u32>("the number of entries").map_err(|error| error.on("toc.dat"))?;
    let mut entries = Vec::new();
    let mut ids = HashSet::new();
    for number in 1..=count {
        let entry =
            reader
                .entry()
                .and_then(|entry| {
                    if ids.insert(entry.id) { Ok(entry) } else { Err(reader.damaged("an id used twice")) }
                })
                .map_err(|error| error.on(format!("toc.dat, entry {number} of {count}")))?;
        entries.push(entry);
    }
    if reader.at < bytes.len() {
        return Err(reader.damaged("bytes behind the last entry").on("toc.dat"));
    }
    Ok((header, entries))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    minor: u8,
}

impl<'a> Reader<'a> {
    fn damaged(&self, found: &str) -> Error {
        Error::new(ErrorKind::Archive, format!("found {found} at byte {}", self.at))
            .hint("The table of contents is damaged. Fetch it again, or use another backup.")
    }

    fn header(&mut self) -> Result<Header> {
        if self.take(5)? != b"PGDMP" {
            return Err(self.damaged("no PGDMP at its start"));
        }
        let [major, minor, revision] = [self.byte()?, self.byte()?, self.byte()?];
        if major != 1 || !HEAD_MINORS.contains(&minor) {
            let message =
                format!("its head has version {major}.{minor}-{revision}, and 1.12 to 1.16 are read");
            return Err(Error::new(ErrorKind::Archive, message)
                .hint("Archives of newer releases of pg_dump are restored with their pg_restore."));
        }
        self.minor = minor;
        let int_bytes = self.byte()?;
        let offset_bytes = self.byte()?;
        if int_bytes != INT_BYTES || offset_bytes > 8 {
            return Err(self.damaged("a size of integers that no machine of today writes"));
        }
        let format = self.byte()?;
        if format != FORMAT_IN_DIRECTORY && format != FORMAT_DIRECTORY {
            return Err(self.damaged("an archive that is not in the directory format"));
        }
        if minor < MINOR_WITH_COMPRESSION_BYTE {
            self.int()?;
        } else {
            self.byte()?;
        }
        Ok(Header {
            created: self.time()?,
            database: self.text()?,
            server_version: self.text()?,
            dumped_by: self.text()?,
        })
    }

    fn time(&mut self) -> Result<CalendarTime> {
        let mut parts = [0; 7];
        for part in &mut parts {
            *part = self.number("a part of the creation time")?;
        }
        let [second, minute, hour, day, month, year, daylight_saving]: [i32; 7] = parts;
        let (month, year) = (month.saturating_add(1), year.saturating_add(1900));
        Ok(CalendarTime { second, minute, hour, day, month, year, daylight_saving })
    }

    fn entry(&mut self) -> Result<Entry> {
        let id = match self.number::<i32>("an id")? {
            id @ 1.. => DumpId(id.unsigned_abs()),
            _ => return Err(self.damaged("an id that is not above 0")),
        };
        let has_data = match self.int()? {
            0 => false,
            1 => true,
            _ => return Err(self.damaged("neither 0 nor 1 for whether the entry has data")),
        };
        let address = Address::new(self.decimal()?, self.decimal()?);
        let tag = self.some_text("no tag")?;
        let desc = self.some_text("no kind")?;
        let section = self.section()?;
        let definition = self.text()?;
        let drop_statement = self.text()?;
        let copy_statement = self.text()?;
        let schema = self.text()?;
        let tablespace = self.text()?;
        let table_access_method = if self.minor >= MINOR_WITH_ACCESS_METHOD { self.text()? } else { None };
        if self.minor >= MINOR_WITH_RELKIND {
            self.int()?; // tells views from tables for --no-table-access-method; the kind says as much
        }
        let owner = self.text()?;
        if self.some_text("no word on WITH OIDS")? != "false" {
            return Err(self.damaged("a table WITH OIDS, which no server since PostgreSQL 12 can hold,"));
        }
        let dependencies = self.dependencies()?;
        let data_file = self.data_file(has_data)?;
        Ok(Entry {
            id,
            address,
            tag,
            desc,
            section,
            definition,
            drop_statement,
            copy_statement,
            schema,
            tablespace,
            table_access_method,
            owner,
            dependencies,
            data_file,
        })
    }

    fn section(&mut self) -> Result<Section> {
        match self.int()? {
            1 => Ok(Section::None),
            2 => Ok(Section::PreData),
            3 => Ok(Section::Data),
            4 => Ok(Section::PostData),
            _ => Err(self.damaged("an unknown section")),
        }
    }

    fn dependencies(&mut self) -> Result<Vec<DumpId>> {
        let mut dependencies = Vec::new();
        while let Some(text) = self.text()? {
            let id = text.parse().map_err(|_| self.damaged("a dependency that is no number"))?;
            dependencies.push(DumpId(id));
        }
        Ok(dependencies)
    }

    fn data_file(&mut self, has_data: bool) -> Result<Option<String>> {
        let name = self.some_text("no place for a data file's name")?;
        if has_data == name.is_empty() {
            return Err(self.damaged("a data file's name that contradicts whether the entry has data"));
        }
        // The name becomes a path or a key where the archive lives: it must not lead out of there. pg_restore 15.20
        // refuses any slash ("invalid file name in archive").
        if name.contains(['/', '\\']) || name == "." || name == ".." {
            return Err(self.damaged("a data file's name that is not a plain file name"));
        }
        Ok(has_data.then_some(name))
    }

    fn decimal(&mut self) -> Result<u32> {
        let text = self.some_text("no OID")?;
        text.parse().map_err(|_| self.damaged("an OID that is no number"))
    }

    fn some_text(&mut self, absent: &str) -> Result<String> {
        self.text()?.ok_or_else(|| self.damaged(absent))
    }

    /// `ReadStr`: `None` for the length -1. The bytes are in the encoding that the archive names.
    fn text(&mut self) -> Result<Option<String>> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| self.damaged("a length below -1"))?;
        let bytes = self.take(length)?;
        if bytes.contains(&0) {
            return Err(self.damaged("a zero byte within text"));
        }
        Ok(Some(raw_text::decode(bytes).into_owned()))
    }

    fn number<T: TryFrom<i64>>(&mut self, what: &str) -> Result<T> {
        let value = self.int()?;
        T::try_from(value).map_err(|_| self.damaged(&format!("{value} for {what}")))
    }

    /// `ReadInt`.
    fn int(&mut self) -> Result<i64> {
        let sign = self.byte()?;
        let bytes = self.take(INT_BYTES.into())?;
        let magnitude = bytes.iter().rev().fold(0, |magnitude, byte| magnitude << 8 | i64::from(*byte));
        match sign {
            0 => Ok(magnitude),
            1 => Ok(-magnitude),
            _ => Err(self.damaged("a sign that is neither 0 nor 1")),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(
                self.damaged(&format!("{} bytes where {length} should be", self.bytes.len() - self.at))
            );
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
