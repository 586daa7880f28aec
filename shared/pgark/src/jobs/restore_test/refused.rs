//! Whether a restore that a server refused says something of the backup. Pure.
//!
//! A backup whose rows or definitions the server itself refuses cannot be restored by anybody, and its test has failed. A
//! server that lacks something (an extension, a role, a locale, room, rights) or is of another version refuses good
//! backups too: that says nothing. In doubt it says nothing, and the test is incomplete.

use super::report::TargetKind;
use crate::error::{Error, ErrorKind};
use crate::repository::BackupRef;

/// What comes from the machine, and not from the backup: shared libraries, ICU, dictionaries.
const OF_THE_MACHINE: [&str; 5] =
    ["EXTENSION ", "COLLATION ", "PROCEDURAL LANGUAGE ", "TEXT SEARCH ", "ACCESS METHOD "];

/// The error of a restore into a server, which may be of another major version.
pub(super) fn judged(error: Error, backup: &BackupRef, kind: TargetKind, same_major: bool) -> Error {
    if error.kind() == ErrorKind::Stopped
        || error.kind() == ErrorKind::Archive(pg_archive::ErrorKind::Stopped)
    {
        return error.hint("The scratch database is dropped. Run it again.");
    }
    if !says_of_backup(&error, kind, same_major) {
        return error;
    }
    let failed = Error::new(ErrorKind::RestoreTestFailed, format!("does not restore: {error}"))
        .on(format!("backup {backup}"))
        .hint(
            "The server refuses what the backup holds, so a recovery would stop here too. Repair the original so that it \
             can be restored, back up again, and test that; `pgark restore` brings what can be brought of this one.",
        );
    match error.detail_text() {
        Some(detail) => failed.detail(detail),
        None => failed,
    }
}

fn says_of_backup(error: &Error, kind: TargetKind, same_major: bool) -> bool {
    use pg_archive::ErrorKind::{Permission, Statement};
    let (ErrorKind::Archive(Statement | Permission), Some(code)) = (error.kind(), error.sqlstate()) else {
        return false;
    };
    if error.object().is_some_and(|object| OF_THE_MACHINE.iter().any(|desc| object.starts_with(desc))) {
        return false;
    }
    match code.get(..2).unwrap_or_default() {
        // Rows that do not fit their own columns and constraints, and what functions of the database raise.
        "21" | "22" | "23" | "P0" => true,
        // Stack depth is a setting of the server.
        "54" => code != "54001",
        // Somebody's server has other roles, and what they may do.
        "42" if kind == TargetKind::Server => same_major && !["42501", "42704"].contains(&code),
        "0A" | "2B" | "3F" | "42" | "44" => same_major,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: pg_archive::ErrorKind, object: &str, code: &'static str) -> Error {
        Error::new(ErrorKind::Archive(kind), "refused")
            .on(object)
            .because(pg_archive::session::Refusal::of(code))
    }

    #[test]
    fn what_the_server_lacks_says_nothing_of_the_backup() {
        use pg_archive::ErrorKind::{ConnectionLost, Permission, Statement};
        let (own, named) = (TargetKind::Embedded, TargetKind::Server);
        for (kind, object, code, target, same_major, says) in [
            (Statement, "TABLE DATA public.t", "23514", own, true, true),
            (Statement, "TABLE DATA public.t", "22P02", named, false, true),
            (Statement, "TABLE DATA public.t", "P0001", own, true, true),
            (Statement, "TABLE DATA public.t", "53100", own, true, false),
            (Statement, "TABLE DATA public.t", "57014", own, true, false),
            (Statement, "TABLE DATA public.t", "40P01", own, true, false),
            (Statement, "INDEX public.i", "42883", own, true, true),
            (Statement, "INDEX public.i", "42883", own, false, false),
            (Statement, "INDEX public.i", "54000", own, true, true),
            (Statement, "POLICY public.t p", "42704", named, true, false),
            (Statement, "POLICY public.t p", "42704", own, true, true),
            (Statement, "EXTENSION postgis", "0A000", own, true, false),
            (Statement, "COLLATION public.c", "22023", own, true, false),
            (Statement, "FUNCTION public.f()", "58P01", own, true, false),
            (Permission, "MATERIALIZED VIEW DATA public.m", "42501", own, true, true),
            (Permission, "SCHEMA s", "42501", named, true, false),
            (ConnectionLost, "TABLE DATA public.t", "57P01", own, true, false),
        ] {
            assert_eq!(
                says_of_backup(&error(kind, object, code), target, same_major),
                says,
                "{object} {code} {target:?} {same_major}"
            );
        }
    }
}
