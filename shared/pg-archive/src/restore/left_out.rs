//! What a restore left out, in words: why, what to do about it, and how to repeat just that. Pure, but for the server's
//! words, of which only the message is used: its details may quote a row.

use tokio_postgres::error::SqlState;

use super::options::Expected;
use super::select::Wanted;
use super::statements;
use crate::Error;
use crate::quote::qualified;
use crate::toc::Entry;

/// How much of a statement is shown.
const SHOWN_LINES: usize = 2;
const SHOWN_CHARS: usize = 200;

/// Something that a restore left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What: `INDEX public.orders_note_idx`.
    pub object: String,
    /// How the statement begins that the server refused; nothing of one that may hold a password.
    pub statement: Option<String>,
    /// `SQLSTATE` of the refusal.
    pub sqlstate: Option<String>,
    /// Why: the server's words, or what it needs that was left out.
    pub reason: String,
    /// What it needs that was left out, if that is why.
    pub because_of: Option<String>,
    /// What to do about it, in full sentences.
    pub cure: String,
    /// How to repeat just this.
    pub again: Again,
    /// How many rows are not in the target because of it.
    pub rows: u64,
}

/// How to repeat what was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// Run this SQL.
    Sql(String),
    /// Restore this table, by a pattern for it, with all that belongs to it.
    Table(String),
    /// Empty this table and restore its rows alone.
    Rows(String),
    /// It comes with something else.
    With(String),
    /// Its statement may hold a password, and is not shown: restore it from the fetched archive.
    Fetched,
}

/// What was restored only under another `search_path` than the archive asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderSearchPath {
    /// What: `INDEX public.orders_note_idx`.
    pub object: String,
    /// The path, as `SET search_path` takes it.
    pub search_path: String,
}

/// What the server refused.
pub(super) fn refused(entry: &Entry, wanted: Wanted, error: &Error, expected: Option<Expected>) -> LeftOut {
    let sql = if is_secret(entry) { None } else { statement(entry, wanted) };
    let code = error.sqlstate();
    LeftOut {
        object: error.object.clone().unwrap_or_else(|| entry.label()),
        statement: sql.as_deref().map(beginning),
        sqlstate: code.map(|code| code.code().to_owned()),
        reason: error.message.clone(),
        because_of: None,
        cure: cure(code, entry, error.hint.as_deref()),
        again: again(entry, sql),
        rows: rows(wanted, expected),
    }
}

/// What could not be made because of something else.
pub(super) fn fallen(entry: &Entry, wanted: Wanted, needs: &Entry, expected: Option<Expected>) -> LeftOut {
    let sql = if is_secret(entry) { None } else { statement(entry, wanted) };
    let of_table = needs.desc == "TABLE" && comes_with_table(entry, needs);
    LeftOut {
        object: entry.label(),
        statement: sql.as_deref().map(beginning),
        sqlstate: None,
        reason: format!("needs {}, which was left out", needs.label()),
        because_of: Some(needs.label()),
        cure: format!("Bring back {} first.", needs.label()),
        again: if of_table { Again::With(needs.label()) } else { again(entry, sql) },
        rows: rows(wanted, expected),
    }
}

/// Whether `--table` brings it, too.
fn comes_with_table(entry: &Entry, table: &Entry) -> bool {
    match entry.desc.as_str() {
        "FK CONSTRAINT" => entry.schema == table.schema && entry.tag.starts_with(&format!("{} ", table.tag)),
        "VIEW" | "MATERIALIZED VIEW" | "FUNCTION" | "PROCEDURE" | "TABLE" | "TABLE ATTACH" => false,
        _ => true,
    }
}

fn rows(wanted: Wanted, expected: Option<Expected>) -> u64 {
    if wanted.data { expected.map_or(0, |expected| expected.rows) } else { 0 }
}

/// What is in these may be a password.
pub(super) fn is_secret(entry: &Entry) -> bool {
    matches!(entry.desc.as_str(), "USER MAPPING" | "SERVER" | "SUBSCRIPTION")
}

fn statement(entry: &Entry, wanted: Wanted) -> Option<String> {
    let text = if wanted.data && !wanted.definition {
        entry.copy_statement.as_deref()
    } else {
        entry.definition.as_deref()
    };
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The first lines, for people.
fn beginning(sql: &str) -> String {
    let lines: Vec<&str> = sql.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = lines.iter().take(SHOWN_LINES).map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let short: String = shown.chars().take(SHOWN_CHARS).collect();
    if short.len() < shown.len() || lines.len() > SHOWN_LINES { format!("{short} …") } else { short }
}

fn again(entry: &Entry, sql: Option<String>) -> Again {
    let pattern = || pattern(entry);
    match entry.desc.as_str() {
        "TABLE" => Again::Table(pattern()),
        "TABLE DATA" => Again::Rows(pattern()),
        _ if is_secret(entry) || entry.data_file.is_some() => Again::Fetched,
        _ => sql.map_or(Again::Fetched, |sql| {
            let owner = statements::owner_statement(entry).map(|owner| format!("\n{}", owner.trim_end()));
            Again::Sql(format!("{sql}{}", owner.unwrap_or_default()))
        }),
    }
}

/// The table as `--table` takes it: one that is no plain name in quotes.
fn pattern(entry: &Entry) -> String {
    qualified(entry.schema.as_deref().unwrap_or_default(), &entry.tag)
}

fn cure(code: Option<&SqlState>, entry: &Entry, hint: Option<&str>) -> String {
    let is_rows = entry.data_file.is_some();
    let text = match code.map(SqlState::code) {
        Some("42883" | "42P01" | "42704" | "42703" | "3F000") => {
            "A function in it names something without its schema, or what it names is not in the backup. Give the function \
             a path, ALTER FUNCTION … SET search_path = …, at the source too; or make what is missing."
        }
        Some("42P17") => {
            "A function in it is not IMMUTABLE here. Was it altered at the source? What is altered of an extension's own \
             function is in no dump: ALTER FUNCTION … IMMUTABLE."
        }
        Some("23505") => {
            "The rows hold a value twice, as they do at the source if its index is damaged. Remove one of each; REINDEX at \
             the source."
        }
        Some("23503") => "Rows refer to others that are not there. Add these, or remove what refers to them.",
        Some("23514" | "23502") if is_rows => {
            "A row does not satisfy a constraint of its table. Drop the constraint in the target, load the rows, and make \
             it again with NOT VALID."
        }
        Some("23514" | "23502") => "Rows do not satisfy it. Correct them, or make it with NOT VALID.",
        Some("42501") => "Repeat it as a role that may do this.",
        Some("0A000" | "42601") => {
            "This server does not take it. Restore into a version of PostgreSQL that does, or change it by hand."
        }
        Some("40P01" | "40001" | "55P03") => "Sessions were in each other's way, several times. Repeat it.",
        Some("53200") => "Raise max_locks_per_transaction or the memory of the server, and repeat it.",
        Some("57014") => "Somebody, or a timeout of the server, cancelled it. Repeat it.",
        _ => hint.unwrap_or("Change what the server objects to, and repeat it."),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::restore::entry_for_tests;
    use crate::toc::Section;

    fn entry(desc: &str, tag: &str, definition: &str) -> Entry {
        Entry {
            schema: Some("public".to_owned()),
            definition: Some(definition.to_owned()),
            ..entry_for_tests(1, desc, tag, Section::PostData, &[])
        }
    }

    const DEFINITION: Wanted = Wanted { definition: true, data: false };

    #[test]
    fn secrets_are_not_shown() {
        let error = Error::new(ErrorKind::Statement, "no");
        for desc in ["USER MAPPING", "SERVER", "SUBSCRIPTION"] {
            let left =
                refused(&entry(desc, "x", "CREATE x OPTIONS (password 'secret')"), DEFINITION, &error, None);
            assert!(!format!("{left:?}").contains("secret"), "{left:?}");
            assert_eq!(left.again, Again::Fetched);
        }
    }

    #[test]
    fn what_is_repeated_is_a_statement_a_table_or_its_rows() {
        let error = Error::new(ErrorKind::Statement, "no");
        let of =
            |entry: &Entry, wanted| refused(entry, wanted, &error, Some(Expected { rows: 7, sum: None }));
        let index = of(&entry("INDEX", "i", "CREATE INDEX i\n  ON t\n  (a);\n"), DEFINITION);
        assert_eq!(index.again, Again::Sql("CREATE INDEX i\n  ON t\n  (a);".to_owned()));
        assert_eq!((index.statement.as_deref(), index.rows), (Some("CREATE INDEX i ON t …"), 0));
        let table = entry("TABLE", "T", "CREATE TABLE");
        assert_eq!(of(&table, DEFINITION).again, Again::Table("public.\"T\"".to_owned()));
        let data = Entry { data_file: Some("1.dat".to_owned()), ..entry("TABLE DATA", "t", "") };
        let wanted = Wanted { definition: false, data: true };
        let left = of(&data, wanted);
        assert_eq!((left.again, left.rows), (Again::Rows("public.t".to_owned()), 7));
        let left = fallen(&data, wanted, &table, Some(Expected { rows: 7, sum: None }));
        assert_eq!(left.reason, "needs TABLE public.T, which was left out");
        assert_eq!((left.again, left.rows), (Again::With("TABLE public.T".to_owned()), 7));
    }
}
