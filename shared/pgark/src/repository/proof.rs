//! When a verification counts as a proof that a backup is intact. The one rule for prune, health and whoever shows proofs.
//!
//! A look that failed, was stopped, or read a part proves nothing: neither that a backup is whole, nor that somebody looked
//! in time. The depth of the look is reported beside it: bytes as stored, or down to rows.

use serde::{Deserialize, Serialize};

/// How thoroughly to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The stored bytes; needs no key.
    Stored,
    /// What a restore would read.
    Content,
}

impl Level {
    /// As in settings and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Content => "content",
        }
    }
}

/// What a verification that went well looked at, as its run's record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Looked {
    /// At a part: no proof.
    Part,
    /// At all stored bytes of each backup.
    Stored,
    /// At everything that a restore would read.
    Content,
}

impl Looked {
    /// Of what became of each backup; of several the least.
    pub(crate) fn at_all(looks: impl IntoIterator<Item = (Look, Level)>) -> Option<Self> {
        let depth = |(look, level): (Look, Level)| match level {
            _ if !look.is_proof() => Self::Part,
            Level::Stored => Self::Stored,
            Level::Content => Self::Content,
        };
        looks.into_iter().map(depth).min_by_key(|looked| *looked as u8)
    }

    /// As in records, and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Part => "part",
            Self::Stored => "stored",
            Self::Content => "content",
        }
    }
}

/// How far a verification came with one backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Objects that the manifest lists.
    pub(crate) objects: usize,
    /// Objects that were read to their end.
    pub(crate) objects_read: usize,
    /// What was found damaged in it.
    pub(crate) findings: usize,
    /// What of it could not be checked.
    pub(crate) failures: usize,
    /// Whether only a sample was meant to be read.
    pub(crate) sampled: bool,
}

impl Look {
    /// Whether the whole of the backup was looked at.
    pub(crate) const fn is_whole(self) -> bool {
        !self.sampled && self.failures == 0 && self.objects > 0 && self.objects_read >= self.objects
    }

    /// Whether it proves that the backup is intact, as deep as it looked.
    pub(crate) const fn is_proof(self) -> bool {
        self.is_whole() && self.findings == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_least_counts() {
        let whole = Look { objects: 5, objects_read: 5, findings: 0, failures: 0, sampled: false };
        let sample = Look { sampled: true, ..whole };
        assert_eq!(Looked::at_all([]), None);
        for (looks, expected) in [
            (vec![(whole, Level::Content)], Looked::Content),
            (vec![(whole, Level::Content), (whole, Level::Stored)], Looked::Stored),
            (vec![(whole, Level::Content), (sample, Level::Content)], Looked::Part),
        ] {
            assert_eq!(Looked::at_all(looks), Some(expected));
        }
    }

    #[test]
    fn only_a_whole_look_without_findings_is_a_proof() {
        let whole = Look { objects: 5, objects_read: 5, findings: 0, failures: 0, sampled: false };
        assert!(whole.is_proof());
        for (what, look) in [
            ("a part was read", Look { objects_read: 4, ..whole }),
            ("one could not be checked", Look { failures: 1, ..whole }),
            ("a sample", Look { sampled: true, ..whole }),
            ("nothing was there", Look { objects: 0, objects_read: 0, ..whole }),
            ("damage", Look { findings: 1, ..whole }),
        ] {
            assert!(!look.is_proof(), "{what}");
        }
        assert!(Look { findings: 1, ..whole }.is_whole(), "damage was looked for everywhere");
    }
}
