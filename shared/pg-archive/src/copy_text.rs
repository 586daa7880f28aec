//! Finds the rows in COPY text that comes in chunks, wherever their borders fall, and fingerprints them.
//!
//! In COPY's text format a row ends with a newline, and a newline or a backslash within a value is written with a
//! backslash (manual, COPY, "Text Format"): a raw newline is never inside a row, and a row is never `\.`, which
//! marks the end of a data file. A row is hashed as it passes, so that one of a gigabyte takes no memory here.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::fingerprint::Fingerprint;
use crate::{Error, ErrorKind, Result};

/// The line that ends a data file, and its newline.
const END_MARKER: &[u8] = b"\\.\n";
/// What `pg_dump` writes behind the rows of a table (`dumpTableData_copy` in `pg_dump.c`).
pub const DATA_FILE_END: &[u8] = b"\\.\n\n\n";

/// Reads COPY text chunk by chunk.
#[derive(Default)]
pub struct CopyText {
    fingerprint: Fingerprint,
    /// Hash of a row that the last chunk did not end.
    open_row: Option<Box<Xxh3>>,
    /// How many bytes of the end marker the last chunk ended with, at the start of a row. They are passed on only
    /// when the next chunk shows that they are a row's.
    held: usize,
    ended: bool,
}

/// What one chunk holds of rows, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Bytes that were held back from the chunks before.
    pub held: Bytes,
    /// Bytes of this chunk.
    pub bytes: Bytes,
}

impl CopyText {
    /// Takes the next chunk, and returns what of it belongs to rows: all but the end marker and what follows it.
    pub fn push(&mut self, chunk: &Bytes) -> Result<Rows> {
        if self.ended {
            return only_newlines(chunk).map(|()| Rows::default());
        }
        let mut rows = Rows::default();
        if self.held > 0 {
            let expected = &END_MARKER[self.held..];
            let alike = expected.iter().zip(chunk).take_while(|(marker, byte)| marker == byte).count();
            if alike == expected.len() {
                self.ended = true;
                return only_newlines(&chunk[alike..]).map(|()| rows);
            }
            if alike == chunk.len() {
                self.held += alike;
                return Ok(rows);
            }
            rows.held = Bytes::from_static(&END_MARKER[..self.held]);
            self.open_row.get_or_insert_default().update(&rows.held);
            self.held = 0;
        }
        rows.bytes = chunk.slice(..self.rows_end(chunk)?);
        Ok(rows)
    }

    /// Hashes the rows of a chunk and returns where they end.
    fn rows_end(&mut self, chunk: &[u8]) -> Result<usize> {
        let mut start = 0;
        while let Some(length) = chunk[start..].iter().position(|byte| *byte == b'\n') {
            let (line, next) = (&chunk[start..start + length], start + length + 1);
            if let Some(mut open) = self.open_row.take() {
                open.update(line);
                self.fingerprint.add_hash(open.digest128());
            } else if line == &END_MARKER[..2] {
                self.ended = true;
                return only_newlines(&chunk[next..]).map(|()| start);
            } else {
                self.fingerprint.add_row(line);
            }
            start = next;
        }
        let rest = &chunk[start..];
        if self.open_row.is_none() && END_MARKER.starts_with(rest) {
            self.held = rest.len();
            return Ok(start);
        }
        self.open_row.get_or_insert_default().update(rest);
        Ok(chunk.len())
    }

    /// The rows so far.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The rows of a data file, which must have ended with its end marker: one that did not was cut.
    pub fn finish(self) -> Result<Fingerprint> {
        if self.ended {
            return Ok(self.fingerprint);
        }
        let message = format!("ends after {} rows without the end-of-data marker", self.fingerprint.rows);
        Err(Error::new(ErrorKind::Archive, message).hint("The data file is not whole. Use another backup."))
    }

    /// The rows of text that has no end marker, such as a server's answer to COPY. The last row must be whole.
    pub fn finish_unmarked(self) -> Result<Fingerprint> {
        if self.ended || self.held > 0 || self.open_row.is_some() {
            let message = format!("ends in the middle of a line, after {} whole ones", self.fingerprint.rows);
            return Err(Error::new(ErrorKind::Archive, message));
        }
        Ok(self.fingerprint)
    }
}

fn only_newlines(bytes: &[u8]) -> Result<()> {
    if bytes.iter().all(|byte| *byte == b'\n') {
        return Ok(());
    }
    // A server ignores what comes behind the marker, without a word: rows there would be lost.
    Err(Error::new(ErrorKind::Archive, "goes on behind its end-of-data marker")
        .hint("The data file is damaged. Use another backup."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the text in chunks of the given sizes (the last size repeats); returns what was passed on.
    fn feed(text: &[u8], sizes: &[usize]) -> (Result<Vec<u8>>, CopyText) {
        let mut copy = CopyText::default();
        let (mut passed, mut rest, mut turn) = (Vec::new(), text, 0);
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(sizes[turn.min(sizes.len() - 1)].min(rest.len()));
            match copy.push(&Bytes::copy_from_slice(chunk)) {
                Ok(rows) => passed.extend(rows.held.iter().chain(&rows.bytes)),
                Err(error) => return (Err(error), copy),
            }
            (rest, turn) = (later, turn + 1);
        }
        (Ok(passed), copy)
    }

    fn expected(rows: &[&str]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        for row in rows {
            fingerprint.add_row(row.as_bytes());
        }
        fingerprint
    }

    #[test]
    fn rows_are_the_same_wherever_the_chunks_end() {
        for rows in [
            &[][..],
            &[""],
            &["", "", ""],
            &["1\tone"],
            &["\\N", "\\.\\.", "\\\\", "\\\\.", ".", "\\t\\.", "a\\.", "\\.x"],
            &["1\tone\\ntwo", "2\t", "", "3\tthree \\\\"],
        ] {
            let body = rows.iter().flat_map(|row| [row, "\n"]).collect::<String>();
            let text = [body.as_bytes(), DATA_FILE_END].concat();
            for first in 1..=text.len() {
                for other in 1..=text.len() {
                    let (passed, copy) = feed(&text, &[first, other]);
                    assert_eq!(passed.unwrap(), body.as_bytes(), "{rows:?} in chunks of {first}, {other}");
                    assert_eq!(
                        copy.finish().unwrap(),
                        expected(rows),
                        "{rows:?} in chunks of {first}, {other}"
                    );
                }
            }
        }
    }

    #[test]
    fn text_from_a_server_needs_whole_rows_and_no_marker() {
        for size in 1..8 {
            let (passed, copy) = feed(b"1\tone\n\\N\t\\\\.\n", &[size]);
            assert_eq!(passed.unwrap(), b"1\tone\n\\N\t\\\\.\n");
            assert_eq!(copy.finish_unmarked().unwrap(), expected(&["1\tone", "\\N\t\\\\."]));
            let (_, copy) = feed(b"1\tone\n2\t", &[size]);
            assert!(copy.finish_unmarked().is_err());
        }
    }

    #[test]
    fn every_cut_of_a_data_file_is_noticed() {
        let text = [b"1\tone\n2\ttwo\n".as_slice(), DATA_FILE_END].concat();
        let newlines_at_the_end = 2;
        for length in 0..text.len() - newlines_at_the_end {
            let (passed, copy) = feed(&text[..length], &[5]);
            assert!(passed.is_ok());
            assert_eq!(copy.finish().unwrap_err().kind, ErrorKind::Archive, "cut to {length} bytes");
        }
    }

    #[test]
    fn nothing_may_follow_the_marker() {
        for size in 1..20 {
            let (passed, _) = feed(b"1\n\\.\n\n2\n\\.\n\n", &[size]);
            assert!(
                passed.unwrap_err().message.contains("behind its end-of-data marker"),
                "chunks of {size}"
            );
        }
    }
}
