//! Reads an archive's data files as a restore does, without a server: what a restore would refuse is refused here.
//!
//! Nothing is kept but what the reader holds between two chunks. Where the bytes come from, and what they should come
//! to, is the caller's business.

use bytes::Bytes;

use crate::Result;
use crate::copy_text::CopyText;
use crate::fingerprint::Fingerprint;
use crate::restore::sql_text::SqlText;

/// A data file that is being read.
pub struct DataFile {
    lines: CopyText,
    /// Large objects are SQL and not COPY text.
    sql: Option<SqlText>,
}

impl DataFile {
    /// Rows of a table.
    pub fn rows() -> Self {
        Self { lines: CopyText::default(), sql: None }
    }

    /// SQL statements, as large objects have them.
    pub fn statements() -> Self {
        Self { lines: CopyText::default(), sql: Some(SqlText::new(true)) }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// When it is not what such a file holds.
    pub fn push(&mut self, chunk: &Bytes) -> Result<()> {
        self.lines.push(chunk)?;
        if let Some(sql) = &mut self.sql {
            sql.push(chunk)?;
        }
        Ok(())
    }

    /// Ends the file: what a restore counts and sums in it.
    ///
    /// # Errors
    /// When it ends too early.
    pub fn finish(self) -> Result<Fingerprint> {
        match self.sql {
            None => self.lines.finish(),
            Some(sql) => {
                sql.finish()?;
                self.lines.finish_unmarked()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut file: DataFile, text: &str) -> Result<Fingerprint> {
        for chunk in text.as_bytes().chunks(3) {
            file.push(&Bytes::copy_from_slice(chunk))?;
        }
        file.finish()
    }

    #[test]
    fn files_are_read_to_their_end_or_refused() {
        assert_eq!(read(DataFile::rows(), "1\ta\n2\tb\n\\.\n\n\n").unwrap().rows, 2);
        assert_eq!(read(DataFile::statements(), "SELECT 1;\nSELECT ';';\n").unwrap().rows, 2);
        for wrong in ["1\ta\n", "1\ta\n\\.\n2\tb\n"] {
            assert!(read(DataFile::rows(), wrong).is_err(), "{wrong}");
        }
        for wrong in ["SELECT 1;\nSELECT ", "SELECT ';\n", "SELECT 1;"] {
            assert!(read(DataFile::statements(), wrong).is_err(), "{wrong}");
        }
    }
}
