//! What a backup is called: its tier, its source, its id. Time and randomness are handed in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::retention::Zone;

macro_rules! serde_as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// The name of a backup: UTC to the second, two letters for the part of the second, and two random characters,
/// `20261121T020000Z-hq7k`.
///
/// Ids, and so keys, sort by time: two of one second too, or the `latest` of two quick backups would be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId {
    time: Timestamp,
    tail: [u8; 4],
}

/// RFC 4648 base32 in lower case. Its letters sort as they stand here; its digits, as text, come before them.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LETTERS: usize = 26;
/// Two letters tell so many nanoseconds apart, which is 1.5 milliseconds.
const STEP_NANOSECONDS: usize = 1_000_000_000 / (LETTERS * LETTERS) + 1;
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

impl BackupId {
    /// The id of a backup that starts now; `random` is any random number.
    pub fn new(now: Timestamp, random: u32) -> Self {
        let time = Timestamp::from_second(now.as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
        let step = now.subsec_nanosecond().unsigned_abs() as usize / STEP_NANOSECONDS;
        let random = [0, 5].map(|shift| BASE32[(random >> shift) as usize & 31]);
        Self { time, tail: [BASE32[step / LETTERS], BASE32[step % LETTERS], random[0], random[1]] }
    }

    /// The same tail at another time.
    #[must_use]
    pub(crate) fn at(self, time: Timestamp) -> Self {
        Self { tail: self.tail, ..Self::new(time, 0) }
    }

    /// When the backup started, to the second.
    pub fn time(&self) -> Timestamp {
        self.time
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.time.strftime(TIME_FORMAT))?;
        self.tail.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl FromStr for BackupId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a backup id looks like 20261121T020000Z-hq7k";
        let (time, tail) = text.split_once('-').ok_or(WRONG)?;
        if time.len() != 16 || !time.ends_with('Z') {
            return Err(WRONG);
        }
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", &time[..15]).map_err(|_| WRONG)?;
        let time = time.to_zoned(TimeZone::UTC).map_err(|_| WRONG)?.timestamp();
        let tail: [u8; 4] = tail.as_bytes().try_into().map_err(|_| WRONG)?;
        let id = Self { time, tail };
        // Only the one spelling of an id is one: keys are compared as text.
        if tail.iter().all(|byte| BASE32.contains(byte)) && id.to_string() == text {
            Ok(id)
        } else {
            Err(WRONG)
        }
    }
}

serde_as_text!(BackupId);

/// How long a backup is meant to be kept; the first part of its key, for the lifecycle rules of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Days.
    Daily,
    /// Weeks.
    Weekly,
    /// Months.
    Monthly,
    /// Years.
    Yearly,
}

impl Tier {
    /// All, shortest first.
    pub const ALL: [Self; 4] = [Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly];

    /// As in keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }

    /// The tier of a backup that starts now: the first of a year is yearly, of a month monthly, of a week (from Sunday)
    /// weekly, any other daily. Days are those of the zone.
    ///
    /// `good` are the source's good backups. A backup of a longer tier serves for the shorter ones of its time too, and
    /// what a failed run missed, the next one makes up: if Sunday's failed, Monday's is weekly.
    pub fn for_backup(
        now: Timestamp,
        zone: &Zone,
        good: impl IntoIterator<Item = (Self, Timestamp)>,
    ) -> Self {
        let today = zone.date(now);
        let mut due = Self::Yearly;
        let mut have: Vec<_> = good
            .into_iter()
            .map(|(tier, time)| (tier, zone.date(time)))
            .filter(|(_, date)| *date <= today)
            .collect();
        have.sort_unstable();
        let covered = |tier: Self| {
            have.iter().any(|(of, date)| *of >= tier && tier.period(*date) == tier.period(today))
        };
        while due > Self::Daily && covered(due) {
            due = due.shorter();
        }
        due
    }

    const fn shorter(self) -> Self {
        match self {
            Self::Yearly => Self::Monthly,
            Self::Monthly => Self::Weekly,
            Self::Weekly | Self::Daily => Self::Daily,
        }
    }

    /// The first day of the year, month, week or day that a date lies in.
    pub(crate) fn period(self, date: Date) -> Date {
        match self {
            Self::Yearly => date.first_of_year(),
            Self::Monthly => date.first_of_month(),
            Self::Weekly => {
                let days = i64::from(date.weekday().since(Weekday::Sunday));
                date.saturating_sub(jiff::Span::new().days(days))
            }
            Self::Daily => date,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text).ok_or("no such tier")
    }
}

serde_as_text!(Tier);

/// What a backed-up database is called in keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(String);

const SOURCE_BYTES_MAX: usize = 100;
/// A server's name leaves room for that of a database.
pub(crate) const SERVER_BYTES_MAX: usize = 30;

impl SourceName {
    /// The rule, as a sentence.
    pub const RULE: &'static str = "Give a name of at most 100 lower-case letters, digits, `-`, `_`, `.` and `=` that starts with a letter, a digit, `_` or `=`.";

    /// The name that a database has when no other is set: its own, escaped as identifiers in keys are.
    pub fn of_database(database: &str) -> Self {
        Self(super::keys::escape_shortened(&[database], SOURCE_BYTES_MAX))
    }

    /// The name of a database that was found on a server: `server.database`, the latter escaped.
    pub fn of_server(server: &Self, database: &str) -> Self {
        let database = super::keys::escape_shortened(&[database], SOURCE_BYTES_MAX - SERVER_BYTES_MAX - 1);
        Self(format!("{server}.{database}"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Capitals only as the digits of an escape, which `of_database` makes.
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'=');
        let escape = |at: usize, b: u8| {
            let bytes = text.as_bytes();
            matches!(b, b'A'..=b'F')
                && (bytes[at.saturating_sub(1)] == b'=' || bytes[at.saturating_sub(2)] == b'=')
        };
        let wrong = text.is_empty()
            || text.len() > SOURCE_BYTES_MAX
            || text.starts_with(['-', '.'])
            || !text.bytes().enumerate().all(|(at, b)| allowed(b) || escape(at, b));
        if wrong { Err("is no name for a source") } else { Ok(Self(text.to_owned())) }
    }
}

serde_as_text!(SourceName);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn ids_have_one_spelling_and_sort_by_time() {
        let id = BackupId::new(at("2026-01-21T02:00:00.9Z"), 0b00101_01101_01010_11111);
        assert_eq!(id.to_string(), "20260121T020000Z-xk7k");
        assert_eq!("20260121T020000Z-xk7k".parse(), Ok(id));
        assert_eq!(id.time(), at("2026-01-21T02:00:00Z"));
        let later = BackupId::new(at("2026-01-21T02:00:01Z"), 0);
        assert!(id < later && id.to_string() < later.to_string());
        for wrong in [
            "",
            "20260121T020000Z",
            "20260121T020000Z-7kn",
            "20260121T020000Z-7knff",
            "20260121T020000Z-7KNF",
            "20260121T020000Z-7kn1",
            "20260121t020000z-7knf",
            "20261321T020000Z-7knf",
            "20260121T250000Z-7knf",
            "+0260121T020000Z-7knf",
            "2026012ßT020000-7knf",
            "20260121T020000Z-../",
        ] {
            assert!(wrong.parse::<BackupId>().is_err(), "{wrong}");
        }
    }

    /// Whatever the random part is: `7` sorts before `a`, and `a` before `z`.
    #[test]
    fn ids_of_one_second_sort_by_time() {
        let randoms = [0, 25, 31, u32::MAX];
        let mut times: Vec<Timestamp> =
            (0..500).map(|n| at("2026-01-21T02:00:00Z") + jiff::SignedDuration::from_millis(2 * n)).collect();
        times.push(at("2026-01-21T02:00:00.999999999Z"));
        for pair in times.windows(2) {
            for (first, second) in randoms.iter().flat_map(|one| randoms.map(|other| (*one, other))) {
                let (before, after) = (BackupId::new(pair[0], first), BackupId::new(pair[1], second));
                assert!(before < after && before.to_string() < after.to_string(), "{before} {after}");
                assert_eq!(after.to_string().parse(), Ok(after));
            }
        }
    }

    #[test]
    fn the_tier_follows_the_calendar_and_makes_up_for_what_was_missed() {
        use Tier::{Daily, Monthly, Weekly, Yearly};

        // 2026-02-01 and 2026-03-01 are Sundays.
        type Case<'a> = (&'a str, &'a [(Tier, &'a str)], Tier);
        let cases: &[Case<'_>] = &[
            ("2026-06-17T02:00:00Z", &[], Yearly),
            (
                "2026-01-01T00:00:00Z",
                &[(Yearly, "2025-01-01T02:00:00Z"), (Daily, "2025-12-31T02:00:00Z")],
                Yearly,
            ),
            ("2026-01-02T02:00:00Z", &[(Yearly, "2026-01-01T02:00:00Z")], Daily),
            ("2026-01-04T02:00:00Z", &[(Yearly, "2026-01-01T02:00:00Z")], Weekly),
            ("2026-02-01T02:00:00Z", &[(Yearly, "2026-01-01T02:00:00Z")], Monthly),
            (
                "2026-02-02T02:00:00Z",
                &[(Yearly, "2026-01-01T02:00:00Z"), (Monthly, "2026-02-01T02:00:00Z")],
                Daily,
            ),
            (
                "2026-02-08T02:00:00Z",
                &[(Yearly, "2026-01-01T02:00:00Z"), (Monthly, "2026-02-01T02:00:00Z")],
                Weekly,
            ),
            // Sunday's failed: Monday's makes it up; a second one that Monday does not.
            (
                "2026-02-09T02:00:00Z",
                &[(Yearly, "2026-01-01T02:00:00Z"), (Monthly, "2026-02-01T02:00:00Z")],
                Weekly,
            ),
            (
                "2026-02-09T14:00:00Z",
                &[
                    (Yearly, "2026-01-01T02:00:00Z"),
                    (Monthly, "2026-02-01T02:00:00Z"),
                    (Weekly, "2026-02-09T02:00:00Z"),
                ],
                Daily,
            ),
            // A daily backup serves for nothing longer.
            (
                "2026-01-05T02:00:00Z",
                &[(Daily, "2026-01-04T02:00:00Z"), (Yearly, "2026-01-01T02:00:00Z")],
                Weekly,
            ),
            // What a wrong clock dated into the future counts for nothing.
            ("2026-01-05T02:00:00Z", &[(Yearly, "2026-12-01T02:00:00Z")], Yearly),
        ];
        for (now, good, tier) in cases {
            let good = good.iter().map(|(tier, time)| (*tier, at(time)));
            assert_eq!(Tier::for_backup(at(now), &Zone::UTC, good), *tier, "{now}");
        }
    }

    #[test]
    fn source_names() {
        for name in ["app", "app-1", "a.b_c", "_x", "0"] {
            assert_eq!(name.parse::<SourceName>().unwrap().as_str(), name);
        }
        for name in ["", ".", "..", "-a", ".a", "App", "a/b", "a b", "ü", "a\n", &"a".repeat(101)] {
            assert!(name.parse::<SourceName>().is_err(), "{name}");
        }
        for database in ["app", "My App", "ü/..", "..", "-", &"Ü".repeat(63)] {
            let name = SourceName::of_database(database);
            assert_eq!(name.as_str().parse::<SourceName>(), Ok(name.clone()), "{name}");
        }
    }
}
