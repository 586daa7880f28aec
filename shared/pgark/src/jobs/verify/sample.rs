//! Which objects a sample takes: the next ones after those of the run before, so that runs of 10% come around to every
//! object in ten. A pure decision.
//!
//! Objects are taken in the order of their names, and of the backups for one name. So a nightly run over the latest
//! backup comes around to every table, although each night it is another backup.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::repository::BackupId;

/// A share of the stored bytes. Text form: `10%`, `2.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Hundredths of a percent, 1 to 10,000.
    basis_points: u32,
}

impl Share {
    /// How shares are written.
    pub const RULE: &str = "Give a share such as 10% or 2.5%, from 0.01% to 100%.";

    fn of(self, bytes: u64) -> u64 {
        let bytes = u128::from(bytes) * u128::from(self.basis_points);
        u64::try_from(bytes.div_ceil(10_000)).unwrap_or(u64::MAX)
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "is no share";
        let number = text.trim().strip_suffix('%').ok_or(WRONG)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |text: &str, max| (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || !digits(fraction, 2) {
            return Err(WRONG);
        }
        let [whole, fraction]: [u32; 2] =
            [whole.parse().map_err(|_| WRONG)?, format!("{fraction:0<2}").parse().map_err(|_| WRONG)?];
        match whole * 100 + fraction {
            basis_points @ 1..=10_000 => Ok(Self { basis_points }),
            _ => Err(WRONG),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.basis_points / 100, self.basis_points % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, fraction) => write!(f, "{}%", format!("{whole}.{fraction:02}").trim_end_matches('0')),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| de::Error::custom(Self::RULE))
    }
}

/// An object in the order in which samples take them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The object's name within its backup.
    pub object: String,
    /// The backup.
    pub backup: BackupId,
}

/// An object that could be taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) at: Cursor,
    pub(super) stored_bytes: u64,
}

/// The objects to take, in order: those after `after`, and from the start again, until they are the share of all bytes.
/// At least one, if there is one; none twice.
pub(super) fn choose(mut candidates: Vec<Candidate>, after: Option<&Cursor>, share: Share) -> Vec<Candidate> {
    candidates.sort_unstable();
    let wanted = share.of(total(&candidates));
    // Of one backup alone, each night's is another: then the object's name is all that can be gone on behind.
    let is_single = candidates.windows(2).all(|pair| pair[0].at.backup == pair[1].at.backup);
    let is_behind = |at: &Cursor, after: &Cursor| {
        if is_single { at.object <= after.object } else { at <= after }
    };
    let start = after.map_or(0, |after| candidates.partition_point(|one| is_behind(&one.at, after)));
    candidates.rotate_left(start);
    let mut taken = 0;
    let enough = candidates.iter().position(|candidate| {
        taken += candidate.stored_bytes;
        taken >= wanted
    });
    candidates.truncate(enough.map_or(0, |last| last + 1));
    candidates
}

/// Which part of all bytes lies before the end of an object.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(super) fn position(candidates: &[Candidate], through: &Cursor) -> f64 {
    let before = candidates.iter().filter(|candidate| candidate.at <= *through);
    let before: u64 = before.map(|candidate| candidate.stored_bytes).sum();
    (before as f64 / total(candidates).max(1) as f64 * 1e4).round() / 1e4
}

fn total(candidates: &[Candidate]) -> u64 {
    candidates.iter().map(|candidate| candidate.stored_bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn candidate(object: &str, backup: &str, stored_bytes: u64) -> Candidate {
        let backup = format!("2026012{backup}T020000Z-aaaa").parse().unwrap();
        Candidate { at: Cursor { object: object.to_owned(), backup }, stored_bytes }
    }

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    #[test]
    fn shares() {
        for (text, of_a_million) in
            [("10%", 100_000), ("2.5%", 25_000), ("100%", 1_000_000), ("0.01%", 100), ("33.33%", 333_300)]
        {
            assert_eq!(share(text).of(1_000_000), of_a_million);
            assert_eq!(share(text).to_string(), text);
        }
        assert_eq!((share("10%").of(1), share("10%").of(0)), (1, 0));
        for wrong in ["", "10", "%", "0%", "0.00%", "101%", "-1%", "1.234%", "1e1%", "+5%", "5 0%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn runs_come_around_to_every_object() {
        let sizes = [5, 0, 900, 1, 33, 40, 7, 7, 7, 0, 0, 200];
        let all: Vec<Candidate> =
            sizes.iter().enumerate().map(|(n, size)| candidate(&format!("o{n:02}"), "1", *size)).collect();
        for (text, runs) in [("10%", 10), ("25%", 4), ("100%", 1)] {
            let (mut seen, mut after) = (BTreeSet::new(), None);
            for _ in 0..runs {
                let chosen = choose(all.clone(), after.as_ref(), share(text));
                after = chosen.last().map(|last| last.at.clone());
                seen.extend(chosen.into_iter().map(|candidate| candidate.at.object));
            }
            // Objects without bytes at the very end may wait for the next lap.
            assert!(seen.len() >= sizes.len() - 2, "{text}: {seen:?}");
            assert!(all.iter().all(|one| one.stored_bytes == 0 || seen.contains(&one.at.object)), "{text}");
        }
    }

    #[test]
    fn each_night_another_backup_and_the_next_tables() {
        let mut after = None;
        for (night, expected) in [("1", "a"), ("2", "b"), ("3", "c"), ("4", "a")] {
            let backup = ["a", "b", "c"].map(|object| candidate(object, night, 10)).to_vec();
            let chosen = choose(backup, after.as_ref(), share("30%"));
            assert_eq!(chosen.iter().map(|one| one.at.object.as_str()).collect::<Vec<_>>(), [expected]);
            after = chosen.last().map(|last| last.at.clone());
        }
    }

    #[test]
    fn nothing_twice_and_nothing_from_nothing() {
        let all = vec![candidate("a", "1", 1), candidate("a", "2", 1), candidate("b", "1", 1)];
        let end = all[2].at.clone();
        let chosen = choose(all.clone(), Some(&end), share("100%"));
        assert_eq!(chosen, all);
        assert_eq!(choose(Vec::new(), Some(&end), share("10%")), []);
        assert_eq!(choose(vec![candidate("a", "1", 0)], None, share("10%")).len(), 1);
        assert!((position(&all, &all[1].at) - 0.6667).abs() < f64::EPSILON);
    }
}
