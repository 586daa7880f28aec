//! What a restore left out, as its report has it: with the command or the SQL that repeats just that.

use pg_archive::restore::{self, Again};
use serde::Serialize;

use crate::repository::BackupId;

/// Something that the server did not take, or that could not be made without such a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// How to repeat just this: SQL, or a command.
    pub repeat: String,
    /// How many rows are not in the target because of it.
    pub rows: u64,
}

/// What the server took only under another `search_path` than the archive asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnderSearchPath {
    /// What: `INDEX public.orders_note_idx`.
    pub object: String,
    /// The path, as `SET search_path` takes it.
    pub search_path: String,
}

/// What a restore would leave out, as far as can be told beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WouldLeaveOut {
    /// What.
    pub object: String,
    /// Why: the server's words.
    pub reason: String,
}

impl LeftOut {
    pub(super) fn of(left_out: &restore::LeftOut, backup: BackupId, done: &restore::RestoreReport) -> Self {
        let restore::LeftOut { object, statement, sqlstate, reason, because_of, cure, again, rows } =
            left_out.clone();
        let command = format!("pgark restore {backup} --to URL");
        let repeat = match again {
            Again::Sql(sql) => sql,
            Again::Table(table) => format!("{command} --clean --table {}", for_shell(&table)),
            Again::Rows(table) => {
                let rows = format!("{command} --data-only --table {}", for_shell(&table));
                let label = object.split(" (").next().unwrap_or_default();
                let others = done.files.values().any(|file| file.entry == label);
                // Some of its files are in.
                if others { format!("{rows}    # after: DELETE FROM {table};") } else { rows }
            }
            Again::With(other) => format!("comes with {other}"),
            Again::Fetched => format!(
                "pgark fetch {backup} DIRECTORY, and pg_restore with --use-list and its line of pg_restore --list"
            ),
        };
        Self { object, statement, sqlstate, reason, because_of, cure, repeat, rows }
    }

    /// A statement about the database itself.
    pub(super) fn of_database(label: &str, sql: &str, error: &pg_archive::Error) -> Self {
        Self {
            object: label.to_owned(),
            statement: Some(sql.trim_end().to_owned()),
            sqlstate: error.sqlstate().map(|code| code.code().to_owned()),
            reason: error.message.clone(),
            because_of: None,
            cure: "Say by hand what the database's owner, privileges and settings are to be.".to_owned(),
            repeat: sql.trim_end().to_owned(),
            rows: 0,
        }
    }
}

impl From<&restore::UnderSearchPath> for UnderSearchPath {
    fn from(under: &restore::UnderSearchPath) -> Self {
        Self { object: under.object.clone(), search_path: under.search_path.clone() }
    }
}

/// A word as shells take it.
fn for_shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What a user should know of a second try.
pub(super) fn note_search_paths(under: &[restore::UnderSearchPath]) -> Vec<String> {
    let notes = under.iter().map(|under| {
        format!(
            "{} was restored with search_path {}: a function in it names something without its schema. ALTER FUNCTION … SET \
             search_path at the source makes it safe",
            under.object, under.search_path
        )
    });
    notes.collect()
}
