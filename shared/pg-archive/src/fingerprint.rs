//! The fingerprint of a table's rows, which tells whether what was restored is what was dumped.
//!
//! # Definition
//! A row is one line of the output of `COPY … TO STDOUT` in text format, as bytes, in the encoding of the database
//! (backups of format 1.0: in UTF-8, unless the database is `SQL_ASCII`), without the newline that ends it. Each row is hashed with XXH3-128, seed 0 (the number that
//! `XXH3_128bits` returns: `high64 * 2^64 + low64`). The fingerprint is the sum of these numbers modulo 2^128, together
//! with the number of rows. Its text is `xxh3-128-sum:` and the sum in 32 lower-case hexadecimal digits, highest
//! first. No rows make the sum 0.
//!
//! A sum does not depend on the order of the rows, so parts of a table can be read in any order, by several
//! workers, and added up; unlike an exclusive or, it sees a row that is there twice.
//!
//! # What it relies on
//! The text of a value depends on settings of the session that runs COPY. These must be the same on both sides:
//! `TimeZone = 'UTC'`, `DateStyle = 'ISO'`, `IntervalStyle = 'postgres'`, `extra_float_digits = 3`,
//! `bytea_output = 'hex'`, `lc_monetary = 'C'`, `client_encoding`, and the columns must be named in the same order.
//!
//! # What it does not promise
//! It finds accidents, not forgery: XXH3 is no cryptographic hash, and whoever can choose rows can choose a sum.
//! Authenticity is the business of signatures.

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// What the text of a sum starts with.
const PREFIX: &str = "xxh3-128-sum:";

/// The number of rows and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// Number of rows.
    pub rows: u64,
    /// Sum of the rows' hashes modulo 2^128.
    pub sum: u128,
}

impl Fingerprint {
    /// Adds a row: a line of COPY text without its newline.
    pub fn add_row(&mut self, row: &[u8]) {
        self.add_hash(xxhash_rust::xxh3::xxh3_128(row));
    }

    /// Adds a row by its hash.
    pub(crate) fn add_hash(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Adds the rows of another part of the same table.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// A fingerprint from its number of rows and the text of its sum.
    pub fn parse(rows: u64, text: &str) -> Result<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| {
            digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        let sum = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        sum.map(|sum| Self { rows, sum }).ok_or_else(|| {
            Error::new(ErrorKind::Archive, format!("{text:?} is not a fingerprint"))
                .hint(format!("A fingerprint is {PREFIX} and 32 hexadecimal digits in lower case."))
        })
    }
}

/// The text of the sum. The number of rows is not in it: it is written beside it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:032x}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&str]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        for row in rows {
            fingerprint.add_row(row.as_bytes());
        }
        fingerprint
    }

    #[test]
    fn the_hash_is_that_of_the_reference_implementation() {
        // From the reference library: `xxh3_128_hexdigest` of Python's xxhash.
        let long = "x".repeat(300);
        for (row, digest) in [
            ("", "99aa06d3014798d86001c324468d497f"),
            ("1\tone", "bf89842f22de3cec1fb2d57aa9a8b56c"),
            (&long, "125237ea2ad7bc7aa5d1b4607dc83554"),
        ] {
            assert_eq!(of(&[row]).to_string(), format!("{PREFIX}{digest}"));
        }
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let good = of(&["1\tone", "2\ttwo", "3\tthree"]);
        assert_eq!(good, of(&["3\tthree", "1\tone", "2\ttwo"]));
        for (change, rows) in [
            ("one byte changed", &["1\tone", "2\ttwo", "3\tthreE"][..]),
            ("one row less", &["1\tone", "2\ttwo"]),
            ("one row twice", &["1\tone", "2\ttwo", "3\tthree", "3\tthree"]),
            ("two rows twice", &["1\tone", "2\ttwo", "3\tthree", "3\tthree", "3\tthree"]),
            ("values swapped between rows", &["1\ttwo", "2\tone", "3\tthree"]),
            ("another border between columns", &["1\tone", "2\ttwo", "3t\three"]),
        ] {
            assert_ne!(good, of(rows), "{change}");
            assert_ne!(good.sum, of(rows).sum, "{change}");
        }
    }

    #[test]
    fn parts_add_up() {
        let mut parts = of(&["a", "b"]);
        parts.merge(of(&["c"]));
        assert_eq!(parts, of(&["c", "b", "a"]));
        let mut overflowing = Fingerprint { rows: 1, sum: u128::MAX };
        overflowing.merge(Fingerprint { rows: 1, sum: 2 });
        assert_eq!(overflowing, Fingerprint { rows: 2, sum: 1 });
    }

    #[test]
    fn the_text_is_read_back() {
        for fingerprint in [Fingerprint::default(), of(&["a"]), Fingerprint { rows: 9, sum: 15 }] {
            let text = fingerprint.to_string();
            assert_eq!(Fingerprint::parse(fingerprint.rows, &text).unwrap(), fingerprint);
        }
        for bad in [
            "",
            "xxh3-128-sum:",
            "sha256:00",
            &format!("{PREFIX}{}", "A".repeat(32)),
            &format!("{PREFIX}+{}", "1".repeat(31)),
        ] {
            assert!(Fingerprint::parse(0, bad).is_err(), "{bad}");
        }
    }
}
