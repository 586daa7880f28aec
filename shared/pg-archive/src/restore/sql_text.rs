//! Cuts a stream of SQL text into batches of whole statements.
//!
//! Data that is not COPY text (large objects: one `SELECT pg_catalog.lo_put(…);` a line) comes as statements. As in
//! `ExecuteSimpleCommands` of `pg_backup_db.c`, only single and double quotes are understood: no dollar quotes, no
//! comments. A statement must fit in memory, and no more than one batch is held.

use crate::{Error, ErrorKind, Result, raw_text};

/// A batch is sent when it is this long.
const BATCH_BYTES: usize = 1 << 20;
/// No statement of ours comes near; a server takes none above 1 GiB.
const STATEMENT_BYTES_MAX: usize = 1 << 28;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Outside,
    SingleQuoted,
    /// Behind a backslash in single quotes, where backslashes escape.
    Escaped,
    DoubleQuoted,
}

/// Statements that are being read.
pub(crate) struct SqlText {
    standard_conforming_strings: bool,
    buffer: Vec<u8>,
    state: State,
    /// Where the last whole statement in the buffer ends.
    whole: usize,
}

impl SqlText {
    pub(crate) fn new(standard_conforming_strings: bool) -> Self {
        Self { standard_conforming_strings, buffer: Vec::new(), state: State::Outside, whole: 0 }
    }

    /// Takes more text, and returns a batch if there is enough for one.
    pub(crate) fn push(&mut self, text: &[u8]) -> Result<Option<String>> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(text);
        for (offset, byte) in text.iter().enumerate() {
            self.state = match (self.state, byte) {
                (State::Outside, b';') => {
                    self.whole = start + offset + 1;
                    State::Outside
                }
                (State::Outside, b'\'') | (State::Escaped, _) => State::SingleQuoted,
                (State::Outside, b'"') => State::DoubleQuoted,
                (State::SingleQuoted, b'\'') | (State::DoubleQuoted, b'"') => State::Outside,
                (State::SingleQuoted, b'\\') if !self.standard_conforming_strings => State::Escaped,
                (state, _) => state,
            };
        }
        if self.buffer.len() - self.whole > STATEMENT_BYTES_MAX {
            return Err(Error::new(ErrorKind::Archive, "holds a statement longer than 256 MiB"));
        }
        if self.whole < BATCH_BYTES {
            return Ok(None);
        }
        Ok(Some(self.take()))
    }

    /// The last batch, or `None` if there is nothing left.
    pub(crate) fn finish(mut self) -> Result<Option<String>> {
        if !self.buffer[self.whole..].iter().all(u8::is_ascii_whitespace) {
            return Err(Error::new(ErrorKind::Archive, "ends in the middle of a statement"));
        }
        Ok(if self.whole == 0 { None } else { Some(self.take()) })
    }

    fn take(&mut self) -> String {
        let rest = self.buffer.split_off(self.whole);
        let batch = std::mem::replace(&mut self.buffer, rest);
        self.whole = 0;
        raw_text::decode(&batch).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(text: &str, size: usize, standard: bool) -> Result<Vec<String>> {
        let mut sql = SqlText::new(standard);
        let mut batches = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            batches.extend(sql.push(chunk)?);
        }
        batches.extend(sql.finish()?);
        Ok(batches)
    }

    #[test]
    fn small_texts_are_one_batch_and_empty_ones_none() {
        let text = "SELECT 'a;b';\nSELECT \";'\";\nSELECT 'it''s;';\n";
        for size in 1..text.len() {
            assert_eq!(batches(text, size, true).unwrap().concat().trim_end(), text.trim_end());
        }
        assert_eq!(batches("\n\n", 1, true).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn batches_hold_whole_statements() {
        let line = format!("SELECT pg_catalog.lo_put(1, 0, '\\x{}');\n", "ab;".repeat(70_000));
        let text = line.repeat(25);
        let batches = batches(&text, 10_000, true).unwrap();
        assert!(batches.len() > 3 && batches.iter().all(|batch| batch.trim_end().ends_with("');")));
        assert_eq!(batches.concat().trim_end(), text.trim_end());
    }

    #[test]
    fn a_text_that_ends_too_early_is_an_error() {
        for text in ["SELECT 1", "SELECT 1;\nSELECT", "SELECT ';\n", "SELECT \";\n"] {
            assert!(batches(text, 3, true).is_err(), "{text}");
        }
    }

    #[test]
    fn backslashes_escape_only_where_strings_are_not_standard() {
        assert!(batches("SELECT 'a\\';", 1, true).is_ok());
        assert!(batches("SELECT 'a\\';", 1, false).is_err());
        assert!(batches("SELECT 'a\\';';", 1, false).is_ok());
    }
}
