//! The table of contents of an archive: what `toc.dat` holds.
//!
//! Source of the format: PostgreSQL's `src/bin/pg_dump/pg_backup_archiver.c` (`WriteHead`, `WriteToc`). The model
//! is here; bytes are made in [`write`](mod@write) and taken apart in [`read`](mod@read); the entries that set up
//! a restoring session are in [`settings`].

use crate::catalog::{Address, DumpId};

pub mod read;
pub mod settings;
pub mod write;

/// What the head of a table of contents says of the archive as a whole. Nothing in it is needed to restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// When the archive was made.
    pub created: CalendarTime,
    /// Name of the database it was made of.
    pub database: Option<String>,
    /// Version of the server it was made from, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub server_version: Option<String>,
    /// Version of the program that made it: `pg_restore -l` prints it behind `Dumped by pg_dump version`.
    pub dumped_by: Option<String>,
}

/// A time as C's `struct tm` has it, without a time zone: readers take it for local time. `pg_dump` writes
/// local time, pgark writes UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CalendarTime {
    /// 0 to 60.
    pub second: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 23.
    pub hour: i32,
    /// Day of the month, from 1.
    pub day: i32,
    /// Month, from 1: one more than in `struct tm`.
    pub month: i32,
    /// Year, such as 2026: 1900 more than in `struct tm`.
    pub year: i32,
    /// Daylight saving time: 1 in force, 0 not, -1 unknown.
    pub daylight_saving: i32,
}

impl CalendarTime {
    /// The UTC time of so many seconds since 1970.
    ///
    /// The calendar repeats every 146,097 days (400 years); years are counted from March, so that a leap day
    /// is the last day of its year.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        const DAYS_PER_ERA: i64 = 146_097;
        const DAYS_FROM_YEAR_0_TO_1970: i64 = 719_468;
        let of_day = seconds.rem_euclid(86_400);
        let days = seconds.div_euclid(86_400) + DAYS_FROM_YEAR_0_TO_1970;
        let day_of_era = days.rem_euclid(DAYS_PER_ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + days.div_euclid(DAYS_PER_ERA) * 400 + i64::from(month <= 2);
        let small = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
        Self {
            second: small(of_day % 60),
            minute: small(of_day / 60 % 60),
            hour: small(of_day / 3_600),
            day: small(day_of_year - (153 * month_from_march + 2) / 5 + 1),
            month: small(month),
            year: small(year),
            daylight_saving: 0,
        }
    }
}

/// The part of a restore in which an entry belongs (`teSection` in `pg_backup.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// Comments, grants and such: wherever the object goes.
    None,
    /// Definitions that must exist before data can be loaded.
    PreData,
    /// Table rows, sequence values, large objects.
    Data,
    /// Indexes, constraints, triggers, rules.
    PostData,
}

/// One entry of the table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the entry, unique in the archive, above 0.
    pub id: DumpId,
    /// Catalog and OID of the object at the source; zeros for entries that stand for no single object.
    pub address: Address,
    /// Name for people and for `pg_restore`'s selection switches.
    pub tag: String,
    /// Kind, in `pg_dump`'s words: `TABLE`, `TABLE DATA`, `FK CONSTRAINT` …
    pub desc: String,
    /// Section of the restore.
    pub section: Section,
    /// SQL that creates the object.
    pub definition: Option<String>,
    /// SQL that drops it.
    pub drop_statement: Option<String>,
    /// `COPY … FROM stdin;` of table data.
    pub copy_statement: Option<String>,
    /// Schema, unquoted.
    pub schema: Option<String>,
    /// Tablespace: `None` if the kind has none, empty for the database's default one.
    pub tablespace: Option<String>,
    /// Table access method.
    pub table_access_method: Option<String>,
    /// Owning role, unquoted.
    pub owner: Option<String>,
    /// Entries that must be restored before this one.
    pub dependencies: Vec<DumpId>,
    /// Name of the data file inside the archive, if the entry has one: without slashes, which newer `pg_restore`s
    /// refuse.
    pub data_file: Option<String>,
}

impl Entry {
    /// The entry as a person would name it: `INDEX public.orders_pkey`.
    pub fn label(&self) -> String {
        match self.schema.as_deref() {
            Some(schema) if !schema.is_empty() => format!("{} {schema}.{}", self.desc, self.tag),
            _ => format!("{} {}", self.desc, self.tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_seconds_become_calendar_time() {
        for (seconds, year, month, day, hour, minute, second) in [
            (0, 1970, 1, 1, 0, 0, 0),
            (-1, 1969, 12, 31, 23, 59, 59),
            (951_782_399, 2000, 2, 28, 23, 59, 59),
            (951_782_400, 2000, 2, 29, 0, 0, 0),
            (1_709_251_200, 2024, 3, 1, 0, 0, 0),
            (4_107_542_400, 2100, 3, 1, 0, 0, 0),
            (1_795_226_400, 2026, 11, 21, 2, 0, 0),
        ] {
            let expected = CalendarTime { second, minute, hour, day, month, year, daylight_saving: 0 };
            assert_eq!(CalendarTime::from_unix_seconds(seconds), expected, "{seconds}");
        }
    }
}
