//! One session of a restore: runs entries on it, one after the other.
//!
//! What the server refuses comes back as data: whether the restore goes on without it is decided elsewhere. Before it is a
//! refusal, sessions that were in each other's way are tried again, and what was not found is looked for under the
//! [`search_path`] of the source. An error names the entry, and where in its SQL the server stumbled.

use std::sync::Arc;

use tokio_postgres::error::{ErrorPosition, SqlState};

use super::data;
use super::job::Job;
use super::left_out::is_secret;
use super::report::LoadedFile;
use super::search_path::is_not_found;
use super::statements::{self, SessionState};
use crate::archive::ArchiveSource;
use crate::session::Session;
use crate::toc::Entry;
use crate::{Error, ErrorKind, Result};

/// How much of a statement an error quotes.
const QUOTED_CHARS: usize = 200;
/// How often a statement is tried that ran into another session's.
const TRIES_MAX: usize = 4;

/// A session and what it was set to.
pub(super) struct Worker<S> {
    job: Arc<Job<S>>,
    session: Session,
    state: SessionState,
}

/// What became of an entry.
pub(super) enum Outcome {
    /// It is restored.
    Done {
        /// What its data file held.
        file: Option<LoadedFile>,
        /// The path that it took, if not the archive's.
        search_path: Option<String>,
    },
    /// The server does not take it, and nothing of it is there.
    Refused(Error),
}

impl<S: ArchiveSource> Worker<S> {
    /// Opens a session and sets it up.
    pub(super) async fn open(job: Arc<Job<S>>) -> Result<Self> {
        let session = Session::open(&job.target).await?;
        job.sessions.add(session.canceller());
        session.execute(&statements::session_setup(&job.settings, &job.options.session_settings)).await?;
        Ok(Self { job, session, state: SessionState::default() })
    }

    /// Drops an entry, if it is there. Returns the server's refusal, which is no failure yet: a constraint of a
    /// partition goes with its table, and in an empty schema nothing can be replaced. If something stays that is
    /// in the way, making it anew fails.
    pub(super) async fn drop(&self, index: usize) -> Result<Option<Error>> {
        let entry = &self.job.entries[index];
        let Some(sql) = statements::drop_if_exists(entry) else {
            return Ok(None);
        };
        match self.execute(entry, &sql).await {
            Err(refusal) if matches!(refusal.kind, ErrorKind::Statement | ErrorKind::Permission) => {
                Ok(Some(refusal))
            }
            result => result.map(|()| None),
        }
    }

    /// Restores what is wanted of an entry.
    ///
    /// # Errors
    /// When the archive is damaged, or the session or the server cannot go on.
    pub(super) async fn run(&mut self, index: usize) -> Result<Outcome> {
        let first = match self.patiently(index, None).await {
            Ok(file) => return Ok(Outcome::Done { file, search_path: None }),
            Err(error) => self.refusal(error).await?,
        };
        if !first.sqlstate().is_some_and(is_not_found) {
            return Ok(Outcome::Refused(first));
        }
        let job = Arc::clone(&self.job);
        let mut last = None;
        for path in job.search_paths().await.of_entry(&job.entries[index]) {
            match self.patiently(index, Some(&path)).await {
                Ok(file) => return Ok(Outcome::Done { file, search_path: Some(path) }),
                Err(error) => last = Some((self.refusal(error).await?, path)),
            }
        }
        Ok(Outcome::Refused(match last {
            // Under the source's path it found what it looks for, and something else is the matter.
            Some((error, path)) if !error.sqlstate().is_some_and(is_not_found) => {
                Error { message: format!("{}; with search_path {path}", error.message), ..error }
            }
            _ => first,
        }))
    }

    /// An error that only says what the server does not take; all others are errors still.
    async fn refusal(&mut self, error: Error) -> Result<Error> {
        if !is_refusal(&error) {
            return Err(error);
        }
        // What the session was set to is undone with the statement.
        self.state = SessionState::default();
        self.session.execute("ROLLBACK").await?;
        Ok(error)
    }

    /// Tries again what ran into another session: those of this restore are kept apart, but a function may lock anything.
    async fn patiently(&mut self, index: usize, path: Option<&str>) -> Result<Option<LoadedFile>> {
        let mut tries = 1;
        loop {
            match self.once(index, path).await {
                Err(error) if tries < TRIES_MAX && is_in_the_way(&error) => {
                    tracing::debug!(%error, tries, "tried again");
                    self.refusal(error).await?;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    async fn once(&mut self, index: usize, path: Option<&str>) -> Result<Option<LoadedFile>> {
        let job = Arc::clone(&self.job);
        let (entry, wanted) = (&job.entries[index], job.wanted[index]);
        let mut sql = self.state.switch_to(entry, &job.settings, &job.options);
        let path = path.map(|path| format!("SET LOCAL search_path TO {path};\n"));
        if wanted.definition {
            sql.push_str(path.as_deref().unwrap_or_default());
            sql.push_str(&statements::create(entry, &job.options)?);
        }
        if !sql.is_empty() {
            self.execute(entry, &sql).await?;
        }
        match &entry.data_file {
            Some(file) if wanted.data => {
                let mut first = path.unwrap_or_default();
                first.extend(statements::empty_new_table(entry, &job.entries, &job.wanted));
                let loaded = data::load(&job, &self.session, entry, file, &first).await;
                loaded.map(Some).map_err(|error| error.on(format!("{} ({file})", entry.label())))
            }
            _ => Ok(None),
        }
    }

    async fn execute(&self, entry: &Entry, sql: &str) -> Result<()> {
        self.session.about(entry.label());
        let quotable = !is_secret(entry);
        let result =
            if quotable { self.session.execute(sql).await } else { self.session.execute_unlogged(sql).await };
        result.map_err(|error| locate(error, if quotable { sql } else { "" }).on(entry.label()))
    }
}

/// Whether the server refused a statement, and could go on with another one. A full disk, a server that became
/// read-only and damaged files of it refuse all that follows too.
fn is_refusal(error: &Error) -> bool {
    let about_statement = matches!(
        error.kind,
        ErrorKind::Statement | ErrorKind::Permission | ErrorKind::LockTimeout | ErrorKind::Cancelled
    );
    let Some(code) = error.sqlstate() else { return false };
    let about_server = [
        SqlState::DISK_FULL,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::DATA_CORRUPTED,
        SqlState::INDEX_CORRUPTED,
    ];
    about_statement && !about_server.contains(code) && !code.code().starts_with("58")
}

fn is_in_the_way(error: &Error) -> bool {
    let codes =
        [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::LOCK_NOT_AVAILABLE];
    error.sqlstate().is_some_and(|code| codes.contains(code))
}

/// Whether a refusal may come to another end once more is there. A value that is too long or there twice stays so.
pub(super) fn may_change(error: &Error) -> bool {
    let stays = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::NOT_NULL_VIOLATION,
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        SqlState::INVALID_TEXT_REPRESENTATION,
        SqlState::BAD_COPY_FILE_FORMAT,
        SqlState::SYNTAX_ERROR,
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    !error.sqlstate().is_some_and(|code| stays.contains(code))
}

/// Adds to a server's error where in the statement it stumbled. Statements of this kind are definitions.
fn locate(mut error: Error, sql: &str) -> Error {
    let position =
        error.driver().and_then(|driver| driver.as_db_error()).and_then(|server| server.position());
    if let Some(ErrorPosition::Original(position)) = position
        && !sql.is_empty()
    {
        let from = sql.chars().skip((*position as usize).saturating_sub(1));
        let near: String = from.take(QUOTED_CHARS).collect();
        error.message = format!("{}; near {:?}", error.message, near.trim_end());
    }
    error
}
