//! The data of large objects as SQL text: rows of `pg_largeobject` become calls of `lo_put`.
//!
//! A row is a page. Pages that were never written have no row, and get none again. A page shorter than the others
//! is written just as short. A page of no bytes, which `lo_truncate` leaves behind where it lengthens a large
//! object to the start of a page, cannot be written by `lo_put`; it is made again by `lo_truncate64`.
//!
//! `pg_restore` runs each statement in a transaction of its own, so that one for each page would wait for the disk
//! each time. A statement therefore makes many calls. It understands no quotes but `'…'` and `"…"`
//! (`ExecuteSimpleCommands` in `pg_backup_db.c`), and nothing else is used.
//!
//! Sources: `src/backend/storage/large_object/inv_api.c` (`inv_write`, `inv_truncate`), manual chapter "Large
//! Objects".

use std::io::Write as _;

use crate::{Error, ErrorKind, Result};

/// The bytes of large objects after which a statement ends. It arrives as one string of twice the length.
const STATEMENT_BYTES_MAX: u64 = 128 << 10;

/// The calls after which a statement ends; a SELECT takes 1664 expressions at most (`MaxTupleAttributeNumber`).
const STATEMENT_CALLS_MAX: u32 = 1000;

/// `INV_WRITE`, the mode in which a large object is opened for writing (`src/include/libpq/libpq-fs.h`).
const MODE_WRITE: u32 = 0x2_0000;

/// Turns rows into statements.
#[derive(Debug)]
#[must_use = "without a call of finish the last statement has no end and is not restored"]
pub struct DataWriter {
    page_bytes: u64,
    statement: Option<Statement>,
}

/// The statement that is being written.
#[derive(Debug, Default)]
struct Statement {
    bytes: u64,
    calls: u32,
    /// Whether the string of the last call is still open.
    in_string: bool,
    /// Large object and offset at which that string can go on.
    next: Option<(u32, u64)>,
}

impl DataWriter {
    /// A writer for a file, with the server's `block_size`. A page of a large object is a quarter of a block
    /// (`LOBLKSIZE` in `src/include/storage/large_object.h`).
    pub fn new(block_size: u32) -> Self {
        Self { page_bytes: u64::from(block_size) / 4, statement: None }
    }

    /// Appends what writes one page; nothing that `out` held before is looked at. `row` is a row of COPY in text
    /// form, with or without its newline, of
    /// [`copy_statement`](super::LargeObjectData::copy_statement), whose order it needs.
    pub fn row(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let page = Page::parse(row).ok_or_else(|| {
            Error::new(ErrorKind::Catalog, "a row of pg_largeobject is not of the form that COPY writes")
        })?;
        let bytes = page.hex.len() as u64 / 2;
        if bytes > self.page_bytes {
            let message = format!("page {} has {bytes} bytes, not up to {}", page.number, self.page_bytes);
            return Err(Error::new(ErrorKind::Catalog, message)
                .on(format!("large object {}", page.large_object))
                .hint("The server's block_size does not fit its large objects."));
        }
        if self.statement.as_ref().is_some_and(Statement::is_full) {
            self.end_statement(out);
        }
        let statement = self.statement.get_or_insert_default();
        let offset = page.number * self.page_bytes;
        if bytes == 0 {
            statement.truncate(page.large_object, offset, out);
            return Ok(());
        }
        if statement.next != Some((page.large_object, offset)) {
            statement.put(page.large_object, offset, out);
        }
        out.extend_from_slice(page.hex);
        statement.bytes += bytes;
        // Behind a short page is a gap.
        statement.next = (bytes == self.page_bytes).then_some((page.large_object, offset + bytes));
        Ok(())
    }

    /// Ends the last statement.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.end_statement(out);
    }

    fn end_statement(&mut self, out: &mut Vec<u8>) {
        if let Some(mut statement) = self.statement.take() {
            statement.end_string(out);
            out.extend_from_slice(b";\n");
        }
    }
}

impl Statement {
    fn is_full(&self) -> bool {
        self.bytes >= STATEMENT_BYTES_MAX || self.calls >= STATEMENT_CALLS_MAX
    }

    fn put(&mut self, large_object: u32, offset: u64, out: &mut Vec<u8>) {
        self.begin_call(out);
        push(out, format_args!("pg_catalog.lo_put({large_object}, {offset}, '\\x"));
        self.in_string = true;
    }

    /// The descriptor that `lo_open` gives is closed with the transaction.
    fn truncate(&mut self, large_object: u32, offset: u64, out: &mut Vec<u8>) {
        self.begin_call(out);
        push(
            out,
            format_args!(
                "pg_catalog.lo_truncate64(pg_catalog.lo_open({large_object}, {MODE_WRITE}), {offset})"
            ),
        );
        self.next = None;
    }

    fn begin_call(&mut self, out: &mut Vec<u8>) {
        self.end_string(out);
        out.extend_from_slice(if self.calls == 0 { b"SELECT " } else { b",\n  " });
        self.calls += 1;
    }

    fn end_string(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.in_string) {
            out.extend_from_slice(b"')");
        }
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

/// A row of `pg_largeobject`.
struct Page<'a> {
    large_object: u32,
    number: u64,
    /// Its bytes as hexadecimal digits.
    hex: &'a [u8],
}

impl<'a> Page<'a> {
    /// COPY doubles the backslash before the `x` of a bytea.
    fn parse(row: &'a [u8]) -> Option<Self> {
        let row = row.strip_suffix(b"\n").unwrap_or(row);
        let mut columns = row.splitn(3, |byte| *byte == b'\t');
        let large_object = number(columns.next()?)?;
        let page: u32 = number(columns.next()?)?;
        let hex = columns.next()?.strip_prefix(b"\\\\x")?;
        let whole = hex.len().is_multiple_of(2) && hex.iter().all(u8::is_ascii_hexdigit);
        whole.then_some(Self { large_object, number: u64::from(page), hex })
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SQL for rows of a server whose pages have 4 bytes.
    fn sql(rows: &[&str]) -> Result<String> {
        let mut writer = DataWriter::new(16);
        let mut out = Vec::new();
        for row in rows {
            writer.row(row.as_bytes(), &mut out)?;
        }
        writer.finish(&mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn pages_become_calls() {
        for (rows, expected) in [
            (&[][..], ""),
            (&["7\t0\t\\\\x00ff\n"], "SELECT pg_catalog.lo_put(7, 0, '\\x00ff');\n"),
            (&["7\t0\t\\\\x01020304", "7\t1\t\\\\x05"], "SELECT pg_catalog.lo_put(7, 0, '\\x0102030405');\n"),
            (
                &["7\t0\t\\\\x010203", "7\t1\t\\\\x05", "7\t9\t\\\\x06", "8\t10\t\\\\x07"],
                "SELECT pg_catalog.lo_put(7, 0, '\\x010203'),\n  pg_catalog.lo_put(7, 4, '\\x05'),\n  \
                 pg_catalog.lo_put(7, 36, '\\x06'),\n  pg_catalog.lo_put(8, 40, '\\x07');\n",
            ),
            (
                &["7\t2\t\\\\x", "8\t0\t\\\\x01"],
                "SELECT pg_catalog.lo_truncate64(pg_catalog.lo_open(7, 131072), 8),\n  \
                 pg_catalog.lo_put(8, 0, '\\x01');\n",
            ),
        ] {
            assert_eq!(sql(rows).unwrap(), expected);
        }
    }

    #[test]
    fn statements_end_before_they_grow_too_long() {
        let many: Vec<String> = (0..2500).map(|oid| format!("{oid}\t0\t\\\\x01")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(sql(&many).unwrap().matches("SELECT").count(), 3);
        let mut writer = DataWriter::new(1 << 18);
        let mut sql = String::new();
        for page in 0..5 {
            // Each into an empty buffer, because the caller may have sent off what was written before.
            let mut out = Vec::new();
            let row = format!("7\t{page}\t\\\\x{}", "ab".repeat(1 << 16));
            writer.row(row.as_bytes(), &mut out).unwrap();
            sql.push_str(std::str::from_utf8(&out).unwrap());
        }
        let mut out = Vec::new();
        writer.finish(&mut out);
        sql.push_str(std::str::from_utf8(&out).unwrap());
        assert_eq!(sql.matches("SELECT").count(), 3);
        assert!(sql.contains("lo_put(7, 131072, '"));
    }

    #[test]
    fn rows_of_another_form_are_refused() {
        for row in
            ["", "7", "7\t0", "7\t0\t01", "7\t0\t\\x01", "7\t0\t\\\\x0", "7\t0\t\\\\xzz", "x\t0\t\\\\x01"]
        {
            assert!(sql(&[row]).is_err(), "{row}");
        }
        assert!(sql(&["7\t0\t\\\\x0102030405"]).is_err(), "longer than a page");
    }
}
