//! What a restore leaves behind: the mark on the target while it is not complete, and the words for it after a failure.

use pg_archive::connect::Target;
use pg_archive::databases;
use pg_archive::quote;
use pg_archive::restore::Content;
use pg_archive::session::Session;
use pg_archive::toc::Section;

use super::Prepared;
use super::create::run_last;
use super::left_out::LeftOut;
use super::marker::{Marker, State};
use crate::error::{Error, ErrorKind, Result};

impl Prepared {
    /// Writes on the target that it is not complete, where the role may: only its owner may.
    pub(super) async fn mark(&self) -> bool {
        let marker = Marker {
            state: State::Restoring,
            backup: self.manifest().id,
            begun: self.started,
            replaces: None,
            comment: self.comment.clone(),
        };
        let written = self.write_comment(&self.target, Some(&marker.text())).await;
        written.map_err(|error| tracing::debug!(%error, "the target was not marked")).is_ok()
    }

    /// Takes the mark off and says what the database itself is like, once all is in it. Returns what the server refused of
    /// that, if the restore goes on without it.
    ///
    /// # Errors
    /// When it cannot be done. The error says that the rest is complete, and the statements that are left.
    pub(super) async fn complete(
        &self,
        marked: bool,
        properties: &[(String, String)],
    ) -> Result<Vec<LeftOut>> {
        let through = self.create.as_ref().map_or(&self.target, |create| &create.through);
        let comment = databases::comment(self.target.database(), self.comment.as_deref());
        let mut left: Vec<(String, String)> = Vec::new();
        if marked {
            left.push((format!("COMMENT DATABASE {}", self.target.database()), comment));
        }
        // A comment of the original comes behind, and takes the mark's place.
        left.extend_from_slice(properties);
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let refused = run_last(through, &left, self.options.exit_on_error).await;
        refused.map_err(|error| {
            let statements: Vec<&str> = left.iter().map(|(_, sql)| sql.trim_end()).collect();
            error.hint(format!(
                "The rows and definitions in {} are complete. What could not be said of the database itself, its comment, \
                 owner, privileges and settings, is for psql in another database of the server: {}",
                self.target(),
                statements.join(" ")
            ))
        })
    }

    async fn write_comment(&self, through: &Target, text: Option<&str>) -> Result<()> {
        Ok(Session::open(through).await?.execute(&databases::comment(self.target.database(), text)).await?)
    }

    /// In which state a failure leaves the target, and how to go on.
    pub(super) fn state_after_failure(&self, marked: bool) -> String {
        let name = quote::identifier(self.target.database());
        let marked = if marked { ", and its comment says so" } else { "" };
        let state = format!("Database {name} now holds a part of the backup{marked}.");
        if self.create.is_some() {
            return format!("{state} To repeat: DROP DATABASE {name}; and the same command again.");
        }
        if self.options.content == Content::Data || !self.options.sections.contains(&Section::PreData) {
            return format!(
                "{state} Files that were loaded stay: empty the tables with TRUNCATE, drop the indexes and constraints \
                 that were made, and run the same command again; it names those with rows."
            );
        }
        let with = if self.options.clean { "" } else { " with --clean" };
        format!("{state} To repeat: the same command again{with}, which drops what the backup holds first.")
    }
}

/// An error with what state it leaves behind.
pub(super) fn with_state(error: Error, state: &str) -> Error {
    let hint = error.hint_text().map_or_else(|| state.to_owned(), |hint| format!("{hint} {state}"));
    error.hint(hint)
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Stopped, "was stopped before it was done")
        .hint("Nothing was changed. Run it again.")
}
