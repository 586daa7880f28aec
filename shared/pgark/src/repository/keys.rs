//! Every key of the stored layout, and how identifiers become parts of keys. No other file spells a key.
//!
//! ```text
//! <tier>/<source>/<backup-id>/manifest.json            written last; manifest.json.minisig beside it
//! <tier>/<source>/<backup-id>/toc.dat[.age]
//! <tier>/<source>/<backup-id>/globals.sql[.zst][.age]
//! <tier>/<source>/<backup-id>/data/<schema>.<table>[-<chunk>].dat[.zst][.age]
//! holds/<source>/<backup-id>/<time>.json             a hold or a release; the newest wins
//! doctor/<time>-<random>                             while `pgark doctor` tries the store
//! reports/<source>/<verify|restore-test|prune|health>/<time>.json
//! alerts/<source>/<time>.json                        what was said of the source's health; the newest is the state
//! runs/<source>/<YYYY-MM>/<run-id>.<job>.start.json    and .end.json; the month of the run's start, UTC
//! leases/<source>/<job>/<8 digits>.json                 counted up
//! ```
//!
//! **Escaping.** Lower-case ASCII letters, digits and `_` stand for themselves; every other byte of the UTF-8 text becomes
//! `=` and two upper-case hexadecimal digits. So two identifiers never share a name, not even on a file system that
//! ignores case; separators cannot occur inside an identifier, so `schema.table-chunk` reads one way only; and no name is
//! `.` or `..`. `=` rather than `%`, because Amazon counts `%` among the characters to avoid in keys ("Naming Amazon S3
//! objects"), while `=` is in every partitioned data set. Names that would grow too long keep their beginning and end in
//! `==` and 128 bits of the SHA-256 of the identifiers; no unshortened name has `==` in it.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{BackupId, SourceName, Tier};
use crate::runs::JobName;
use crate::seal::{Compression, Encryption, Sha256, suffix};

/// With chunk, suffixes and a margin, a file name stays below 200 bytes.
const STEM_BYTES_MAX: usize = 160;

/// The name of a manifest within its backup.
pub const MANIFEST: &str = "manifest.json";
/// The name of a manifest's signature.
pub const SIGNATURE: &str = "manifest.json.minisig";

/// The folder of a tier and source, as a prefix.
pub fn source_prefix(tier: Tier, source: &SourceName) -> String {
    format!("{tier}/{source}/")
}

/// The folder of a tier, as a prefix.
pub fn tier_prefix(tier: Tier) -> String {
    format!("{tier}/")
}

/// The tier of the backup that an object belongs to; `None` if it belongs to none.
pub fn tier_of(key: &str) -> Option<Tier> {
    key.split_once('/').and_then(|(tier, _)| tier.parse().ok())
}

/// The folder of a backup, as a prefix.
pub fn backup_prefix(tier: Tier, source: &SourceName, id: &BackupId) -> String {
    format!("{tier}/{source}/{id}/")
}

/// What a stored report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// Checking stored bytes.
    Verify,
    /// Restoring for real.
    RestoreTest,
    /// Deleting by policy.
    Prune,
    /// Looking for what is missing.
    Health,
}

impl ReportKind {
    /// As in keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::RestoreTest => "restore-test",
            Self::Prune => "prune",
            Self::Health => "health",
        }
    }
}

/// The folder of reports of a kind, as a prefix.
pub fn reports_prefix(source: &SourceName, kind: ReportKind) -> String {
    format!("reports/{source}/{}/", kind.as_str())
}

/// The key of a report. `random` keeps two reports of one second apart.
pub fn report(source: &SourceName, kind: ReportKind, time: Timestamp, random: u32) -> String {
    report_of(source, kind, BackupId::new(time, random))
}

/// The key of a report by its id, which is made like a backup's.
pub fn report_of(source: &SourceName, kind: ReportKind, id: BackupId) -> String {
    format!("{}{id}.json", reports_prefix(source, kind))
}

/// The folder of a source's alerts, as a prefix.
pub fn alerts_prefix(source: &SourceName) -> String {
    format!("alerts/{source}/")
}

/// The key of an alert.
pub fn alert(source: &SourceName, id: BackupId) -> String {
    format!("{}{id}.json", alerts_prefix(source))
}

/// The folder of the holds on a source's backups, as a prefix.
pub fn holds_prefix(source: &SourceName) -> String {
    format!("holds/{source}/")
}

/// The folder of the holds on a backup, as a prefix.
pub fn holds_on_prefix(source: &SourceName, backup: BackupId) -> String {
    format!("{}{backup}/", holds_prefix(source))
}

/// The key of a hold, or of the release of one.
pub fn hold(source: &SourceName, backup: BackupId, id: BackupId) -> String {
    format!("{}{id}.json", holds_on_prefix(source, backup))
}

/// The key of the object with which the doctor tries the store.
pub fn doctor(time: Timestamp, random: u64) -> String {
    format!("doctor/{}-{random:016x}", time.strftime("%Y%m%dT%H%M%SZ"))
}

/// Which of the two records of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunState {
    /// Written before the work.
    Start,
    /// Written after it.
    End,
}

impl RunState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
        }
    }
}

/// The folder of all run records, as a prefix.
pub const RUNS: &str = "runs/";

/// The folder of a source's run records, as a prefix.
pub fn runs_prefix(source: &SourceName) -> String {
    format!("{RUNS}{source}/")
}

/// The name of the folder of a month's run records, `2026-11`. Names sort by time.
pub fn run_month(time: Timestamp) -> String {
    time.strftime("%Y-%m").to_string()
}

/// The folder of a month's run records, as a prefix.
pub fn run_month_prefix(source: &SourceName, month: &str) -> String {
    format!("{}{month}/", runs_prefix(source))
}

/// The key of a record of a run.
pub fn run(source: &SourceName, run: BackupId, job: JobName, state: RunState) -> String {
    format!("{}{run}.{job}.{}.json", run_month_prefix(source, &run_month(run.time())), state.as_str())
}

/// Reads the last component of a run record's key; `None` if it is none.
pub fn parse_run(name: &str) -> Option<(BackupId, JobName, RunState)> {
    let mut parts = name.strip_suffix(".json")?.split('.');
    let (run, job, state) = (parts.next()?, parts.next()?, parts.next()?);
    let state = [RunState::Start, RunState::End].into_iter().find(|known| known.as_str() == state)?;
    if parts.next().is_some() {
        return None;
    }
    Some((run.parse().ok()?, job.parse().ok()?, state))
}

/// The folder of the leases of a job, as a prefix.
pub fn leases_prefix(source: &SourceName, job: JobName) -> String {
    format!("leases/{source}/{job}/")
}

/// The key of a lease.
pub fn lease(source: &SourceName, job: JobName, number: u32) -> String {
    format!("{}{number:08}.json", leases_prefix(source, job))
}

/// Reads the last component of a lease's key; `None` if it is none.
pub fn parse_lease(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".json")?;
    if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ArchiveFile<'a> {
    /// The archive's table of contents; stored uncompressed.
    Toc,
    /// Roles, memberships and settings of the cluster.
    Globals,
    /// The rows of a table, or of one chunk of it.
    Table {
        /// The schema.
        schema: &'a str,
        /// The table.
        table: &'a str,
        /// The chunk, if the table is cut.
        chunk: Option<u32>,
    },
    /// A data file by the name it has in the archive, such as `large-objects-00001.dat`: one that pg-archive
    /// made, or that a `Table` was given.
    Data(&'a str),
}

impl ArchiveFile<'_> {
    /// The name inside the archive that `pg_restore` reads: `toc.dat`, `public.orders.dat`. It has no slash, because
    /// `pg_restore` refuses one since the minor releases of November 2026.
    pub fn archive_name(&self) -> String {
        match self {
            Self::Toc => "toc.dat".to_owned(),
            Self::Globals => "globals.sql".to_owned(),
            Self::Table { schema, table, chunk } => {
                let mut name = escape_shortened(&[schema, table], STEM_BYTES_MAX);
                if let Some(chunk) = chunk {
                    let _ = write!(name, "-{chunk:05}");
                }
                name + ".dat"
            }
            Self::Data(name) => (*name).to_owned(),
        }
    }

    /// The codec of this file, when the backup's is the given one: `pg_restore` users read toc.dat as it is.
    pub fn compression(&self, of_backup: Compression) -> Compression {
        match self {
            Self::Toc => Compression::None,
            _ => of_backup,
        }
    }

    /// The name of the object, relative to the backup: the archive name, in a folder if it is data, and what was
    /// done to it.
    pub fn object_name(&self, of_backup: Compression, encryption: &Encryption) -> String {
        let folder = match self {
            Self::Toc | Self::Globals => "",
            Self::Table { .. } | Self::Data(_) => "data/",
        };
        folder.to_owned() + &self.archive_name() + &suffix(self.compression(of_backup), encryption)
    }
}

fn escape_into(name: &mut String, identifier: &str) {
    // PostgreSQL has no empty identifiers; should one come, it must not make a hidden name.
    if identifier.is_empty() {
        name.push('=');
    }
    for byte in identifier.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "={byte:02X}");
        }
    }
}

/// Identifiers escaped and joined by dots, shortened if longer than allowed.
pub(super) fn escape_shortened(identifiers: &[&str], bytes_max: usize) -> String {
    const HASH_DIGITS: usize = 32;
    let mut name = String::new();
    for (number, identifier) in identifiers.iter().enumerate() {
        if number > 0 {
            name.push('.');
        }
        escape_into(&mut name, identifier);
    }
    if name.len() <= bytes_max {
        return name;
    }
    // PostgreSQL has no NUL in identifiers, so it parts them.
    let hash = Sha256::of(identifiers.join("\0").as_bytes()).to_string();
    name.truncate(bytes_max - HASH_DIGITS - 2);
    // Not in the middle of an escape.
    if let Some(at) = name.rfind('=').filter(|at| name.len() - at < 3) {
        name.truncate(at);
    }
    name + "==" + &hash[..HASH_DIGITS]
}

/// Reads an escaped identifier back; `None` if it is not one, or was shortened.
pub fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => bytes.push(byte),
            b'=' => {
                let digit = |b: u8| match b {
                    b'0'..=b'9' => Some(b - b'0'),
                    b'A'..=b'F' => Some(b - b'A' + 10),
                    _ => None,
                };
                bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
            }
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn table(schema: &str, table: &str, chunk: Option<u32>) -> String {
        ArchiveFile::Table { schema, table, chunk }.archive_name()
    }

    #[test]
    fn names_of_run_records_and_leases_read_back() {
        let source = SourceName::of_database("shop");
        let id: BackupId = "20261231T235959Z-7k3f".parse().unwrap();
        let key = run(&source, id, JobName::RestoreTest, RunState::End);
        assert_eq!(key, "runs/shop/2026-12/20261231T235959Z-7k3f.restore-test.end.json");
        let name = key.rsplit('/').next().unwrap();
        assert_eq!(parse_run(name), Some((id, JobName::RestoreTest, RunState::End)));
        for wrong in
            ["", "x.json", "20261231T235959Z-7k3f.backup.json", "20261231T235959Z-7k3f.backup.end.x.json"]
        {
            assert_eq!(parse_run(wrong), None, "{wrong}");
        }
        assert_eq!(lease(&source, JobName::Prune, 42), "leases/shop/prune/00000042.json");
        assert_eq!(parse_lease("00000042.json"), Some(42));
        for wrong in ["42.json", "+0000042.json", "00000042", "000000042.json"] {
            assert_eq!(parse_lease(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_of_files() {
        let age = Encryption::Age(Vec::new());
        let zstd = Compression::Zstd(1);
        for (file, name) in [
            (ArchiveFile::Toc, "toc.dat.age"),
            (ArchiveFile::Globals, "globals.sql.zst.age"),
            (
                ArchiveFile::Table { schema: "public", table: "orders", chunk: None },
                "data/public.orders.dat.zst.age",
            ),
            (
                ArchiveFile::Table { schema: "public", table: "orders", chunk: Some(7) },
                "data/public.orders-00007.dat.zst.age",
            ),
            (
                ArchiveFile::Table { schema: "My.Schema", table: "a-b/ü", chunk: None },
                "data/=4Dy=2E=53chema.a=2Db=2F=C3=BC.dat.zst.age",
            ),
            (ArchiveFile::Data("large-objects-00001.dat"), "data/large-objects-00001.dat.zst.age"),
        ] {
            assert_eq!(file.object_name(zstd, &age), name);
            assert_eq!(file.object_name(zstd, &Encryption::None), name.strip_suffix(".age").unwrap());
        }
        let plain = ArchiveFile::Globals.object_name(Compression::Gzip(6), &Encryption::None);
        assert_eq!(plain, "globals.sql.gz");
    }

    /// A generator that gives the same numbers each time: xorshift64.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % limit as u64).unwrap()
        }

        fn identifier(&mut self) -> String {
            const ODD: [char; 24] = [
                'a', 'b', 'z', '0', '9', '_', 'A', 'Z', '.', '-', '/', '=', '%', ' ', '"', '\'', '\\', '\n',
                '~', 'ü', 'Ü', '表', '🐘', '\u{301}',
            ];
            let limit = if self.below(4) == 0 { 63 } else { 4 };
            let characters = 1 + self.below(limit);
            let mut text = String::new();
            while text.chars().count() < characters && text.len() < 60 {
                text.push(ODD[self.below(ODD.len())]);
            }
            text
        }
    }

    #[test]
    fn any_identifiers_get_safe_and_distinct_names() {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        let mut seen: HashMap<String, (String, String, Option<u32>)> = HashMap::new();
        for _ in 0..50_000 {
            let (schema, name) = (numbers.identifier(), numbers.identifier());
            let chunk = (numbers.below(3) == 0).then(|| u32::try_from(numbers.below(200_000)).unwrap());
            let file = ArchiveFile::Table { schema: &schema, table: &name, chunk };
            let object = file.object_name(Compression::Zstd(1), &Encryption::Age(Vec::new()));
            let component = object.strip_prefix("data/").unwrap();
            assert!(component.len() <= 200 && !component.contains('/'), "{component}");
            assert!(
                component.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-=".contains(&b)),
                "{component}"
            );
            assert!(!component.starts_with('.') && !component.starts_with('-'), "{component}");
            // Distinct on file systems that ignore case, too.
            let identity = (schema.clone(), name.clone(), chunk);
            let before = seen.insert(object.to_lowercase(), identity.clone());
            assert!(before.as_ref().is_none_or(|before| *before == identity), "{before:?} {identity:?}");
        }
    }

    #[test]
    fn unshortened_names_read_back_one_way_only() {
        let mut numbers = Numbers(42);
        let mut read_back = 0;
        for _ in 0..20_000 {
            let (schema, name) = (numbers.identifier(), numbers.identifier());
            let archive_name = table(&schema, &name, Some(3));
            let stem = archive_name.strip_suffix("-00003.dat").unwrap();
            // A shortened name may have lost its dot, and does not read back.
            if stem.contains("==") {
                continue;
            }
            read_back += 1;
            let (left, right) = stem.split_once('.').unwrap();
            assert_eq!((unescape(left), unescape(right)), (Some(schema), Some(name)), "{stem}");
        }
        assert!(read_back > 10_000);
    }

    #[test]
    fn confusable_names_stay_apart() {
        let long_a = "Ä".repeat(31);
        let long_b = format!("{}B", "Ä".repeat(30));
        let names = [
            table("a", "b", None),
            table("a.b", "c", None),
            table("a", "b.c", None),
            table("a", "b-00001", None),
            table("a", "b", Some(1)),
            table("a", "B", None),
            table("a", "=42", None),
            table(".", "..", None),
            table("", "", None),
            table(&long_a, &long_a, None),
            table(&long_a, &long_b, None),
            "large-objects-00001.dat".to_owned(),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name}");
            assert!(!name.contains("..") && !name.contains('/'), "{name}");
        }
    }
}
