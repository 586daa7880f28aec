//! Keeps psql from running commands that somebody hid in the text of a server.
//!
//! psql takes a backslash at the start of a statement for a command of its own: `\! rm …` runs a program. Every name and
//! value is quoted here, but whoever owns the source may find text that is not (CVE-2025-8714). `\restrict KEY` turns such
//! commands off until `\unrestrict` names the same key, which nobody can know beforehand (`restrict_key` in `pg_dumpall.c`).
//! psql knows the two since the releases of August 2025; an older one prints an error for each and goes on.

use std::fmt::Write as _;

const BEGIN: &str = "\\restrict ";
const END: &str = "\\unrestrict ";

/// What a script needs to know of the session it runs in, as `pg_dumpall` says it.
const SESSION: &str = "SET default_transaction_read_only = off;\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n";

/// A key of letters and digits that cannot be guessed.
pub(super) fn key(random: fn() -> u64) -> String {
    (0..4).fold(String::new(), |mut key, _| {
        let _ = write!(key, "{:016x}", random());
        key
    })
}

/// The statements as a script for psql.
pub(super) fn wrap(statements: &str, key: &str) -> String {
    format!("{BEGIN}{key}\n\n{SESSION}\n{statements}{END}{key}\n")
}

/// The statements of a script: the two commands are psql's, and no server knows them. Scripts of older backups have none.
/// Of a script that was cut, what is left.
pub(super) fn unwrap(script: &str) -> &str {
    parts(script).map_or(script, |(statements, _)| statements)
}

/// Whether the end of a script is missing: the second command names the key of the first.
pub(super) fn is_cut(script: &str) -> bool {
    parts(script).is_some_and(|(_, ends)| !ends)
}

/// The statements between the two commands, and whether the second is there; nothing if the first is not.
fn parts(script: &str) -> Option<(&str, bool)> {
    let (key, rest) = script.strip_prefix(BEGIN)?.split_once('\n')?;
    let rest = rest.trim_end();
    let whole = rest.strip_suffix(key).and_then(|rest| rest.strip_suffix(END));
    Some(whole.map_or((rest, false), |statements| (statements, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_comes_out_again() {
        let key = key(|| 7);
        assert_eq!(key.len(), 64);
        let script = wrap("CREATE ROLE a;\n", &key);
        assert!(script.starts_with(&format!("\\restrict {key}\n")));
        assert!(script.ends_with(&format!("CREATE ROLE a;\n\\unrestrict {key}\n")));
        assert_eq!(unwrap(&script).trim_start(), format!("{SESSION}\nCREATE ROLE a;\n"));
        assert!(!is_cut(&script) && !is_cut("CREATE ROLE a;\n"));
        assert_eq!(unwrap("-- Roles\n\nCREATE ROLE a;\n"), "-- Roles\n\nCREATE ROLE a;\n");
    }

    #[test]
    fn a_script_that_was_cut_shows_it_wherever_it_was_cut() {
        let script = wrap("CREATE ROLE a;\nCREATE ROLE b;\n", "k1");
        for bytes in script.find('\n').unwrap() + 1..script.trim_end().len() {
            assert!(is_cut(&script[..bytes]), "{bytes}");
        }
        assert_eq!(unwrap("\\restrict k\nCREATE ROLE"), "CREATE ROLE");
        assert!(is_cut("\\restrict k\nCREATE ROLE a;\n\\unrestrict other\n"));
    }
}
