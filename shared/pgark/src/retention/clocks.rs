//! Whether the time in a backup's id can be believed. Pure.
//!
//! The id is the word of the machine that made the backup: a clock may be wrong, and whoever may create objects may write
//! any time into it. The time at which the store saw the manifest written is the store's word, and nobody else's. So
//! the two are compared (docs/decisions/0019-no-clock-alone.md).

use jiff::{SignedDuration, Timestamp};

use super::CLOCK_SKEW_MAX;
use crate::repository::BackupId;

/// So much later than its id the store may see a manifest: a backup that takes a day, or a copy that is made every day, and
/// an hour each for the clocks of two machines.
pub const LATE_MAX: SignedDuration = SignedDuration::from_hours(26);

/// What the store's clock says of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dating {
    /// Nothing against it.
    Right,
    /// It was in the store before the time that its id has.
    Ahead,
    /// It came into the store long after the time that its id has, when the store had been in use for a while.
    Late,
}

/// What the store's clock says of each of a source's backups: the id, and when the store saw the manifest.
///
/// In a store that was filled by a copy, everything is late, and nothing is wrong with it. So only what arrives in a store
/// that already had a backup made in time for longer than [`LATE_MAX`] counts as late.
pub fn datings(backups: &[(BackupId, Timestamp)]) -> Vec<Dating> {
    let lag = |(id, stored): &(BackupId, Timestamp)| stored.duration_since(id.time());
    let ahead = |backup: &(BackupId, Timestamp)| lag(backup) < -CLOCK_SKEW_MAX;
    let in_time = |backup: &&(BackupId, Timestamp)| !ahead(backup) && lag(backup) <= LATE_MAX;
    let in_use_since = backups.iter().filter(in_time).map(|(_, stored)| *stored).min();
    let dating = |backup: &(BackupId, Timestamp)| {
        if ahead(backup) {
            return Dating::Ahead;
        }
        let in_use = in_use_since.is_some_and(|since| backup.1.duration_since(since) > LATE_MAX);
        if lag(backup) > LATE_MAX && in_use { Dating::Late } else { Dating::Right }
    };
    backups.iter().map(dating).collect()
}

/// A time so much later, or the last that there is. Times in ids and reports are anybody's word.
pub fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// A time so much earlier, or the first that there is.
pub fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(if by.is_negative() { Timestamp::MAX } else { Timestamp::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Backups by id and by the time at which the store saw them.
    fn judged(backups: &[(&str, &str)]) -> Vec<Dating> {
        let backups: Vec<_> =
            backups.iter().map(|(id, stored)| (BackupId::new(at(id), 0), at(stored))).collect();
        datings(&backups)
    }

    #[test]
    fn the_store_is_believed_before_the_id() {
        use Dating::{Ahead, Late, Right};
        let honest = [
            ("2026-11-20T02:00:00Z", "2026-11-20T02:05:00Z"),
            ("2026-11-21T02:00:00Z", "2026-11-21T02:05:00Z"),
        ];
        let with = |id, stored| judged(&[honest[0], honest[1], (id, stored)])[2];
        assert_eq!(judged(&honest), [Right, Right]);
        // A backup of 25 hours; clocks that differ.
        assert_eq!(with("2026-11-22T02:00:00Z", "2026-11-23T03:00:00Z"), Right);
        assert_eq!(with("2026-11-22T02:00:00Z", "2026-11-22T01:00:00Z"), Right);
        // A clock that was three years ahead stays wrong when that time has come.
        assert_eq!(with("2029-11-22T02:00:00Z", "2026-11-22T02:05:00Z"), Ahead);
        assert_eq!(with("2026-11-22T02:00:00Z", "2026-11-22T00:59:59Z"), Ahead);
        // Dated back, by a clock or by somebody.
        assert_eq!(with("2025-10-17T02:00:00Z", "2026-11-22T02:05:00Z"), Late);
        assert_eq!(with("2026-11-20T12:00:00Z", "2026-11-22T12:00:00Z"), Late);
        // Dated back at once: nothing of a day ago is in the store yet, which could be lost.
        assert_eq!(with("2025-10-17T02:00:00Z", "2026-11-20T02:06:00Z"), Right);
    }

    #[test]
    fn a_copied_store_stays_worth_what_it_was() {
        use Dating::{Late, Right};
        // In whatever order the copy was made, with one that is young enough to look as if it were made there.
        let mut copied = vec![
            ("2026-01-01T02:00:00Z", "2026-11-21T13:00:00Z"),
            ("2026-11-14T02:00:00Z", "2026-11-21T11:00:00Z"),
            ("2026-11-21T02:00:00Z", "2026-11-21T10:00:00Z"),
        ];
        assert_eq!(judged(&copied), [Right; 3]);
        // It goes on, and somebody dates one back.
        copied.push(("2026-11-23T02:00:00Z", "2026-11-23T02:05:00Z"));
        copied.push(("2026-06-01T02:00:00Z", "2026-11-23T02:06:00Z"));
        assert_eq!(judged(&copied), [Right, Right, Right, Right, Late]);
    }

    #[test]
    fn no_time_is_too_far_away() {
        let hour = SignedDuration::from_hours(1);
        assert_eq!(later(Timestamp::MAX, hour), Timestamp::MAX);
        assert_eq!(later(Timestamp::MIN, -hour), Timestamp::MIN);
        assert_eq!(earlier(Timestamp::MIN, hour), Timestamp::MIN);
        assert_eq!(earlier(Timestamp::MAX, -hour), Timestamp::MAX);
        assert_eq!(later(at("2026-11-20T02:00:00Z"), hour), at("2026-11-20T03:00:00Z"));
        let ends = [Timestamp::MIN, Timestamp::MAX].map(|time| (BackupId::new(time, 0), time));
        datings(&ends);
    }
}
