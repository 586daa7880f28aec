//! One session of a restore: runs entries on it, one after the other.
//!
//! What fails is not tried again. An error names the entry, and where in its SQL the server stumbled.

use std::sync::Arc;

use tokio_postgres::error::ErrorPosition;

use super::data;
use super::job::Job;
use super::report::LoadedFile;
use super::statements::{self, SessionState};
use crate::archive::ArchiveSource;
use crate::session::Session;
use crate::toc::Entry;
use crate::{Error, ErrorKind, Result};

/// How much of a statement an error quotes.
const QUOTED_CHARS: usize = 200;

/// A session and what it was set to.
pub(super) struct Worker<S> {
    job: Arc<Job<S>>,
    session: Session,
    state: SessionState,
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
    pub(super) async fn run(&mut self, index: usize) -> Result<Option<LoadedFile>> {
        let job = Arc::clone(&self.job);
        let (entry, wanted) = (&job.entries[index], job.wanted[index]);
        let mut sql = self.state.switch_to(entry, &job.settings, &job.options);
        if wanted.definition {
            sql.push_str(&statements::create(entry, &job.options)?);
        }
        if !sql.is_empty() {
            self.execute(entry, &sql).await?;
        }
        match &entry.data_file {
            Some(file) if wanted.data => {
                let empty = statements::empty_new_table(entry, &job.entries, &job.wanted);
                let loaded = data::load(&job, &self.session, entry, file, empty.as_deref()).await;
                loaded.map(Some).map_err(|error| error.on(format!("{} ({file})", entry.label())))
            }
            _ => Ok(None),
        }
    }

    async fn execute(&self, entry: &Entry, sql: &str) -> Result<()> {
        self.session.about(entry.label());
        // What is in these may be a password.
        let quotable = !matches!(entry.desc.as_str(), "USER MAPPING" | "SERVER" | "SUBSCRIPTION");
        let result =
            if quotable { self.session.execute(sql).await } else { self.session.execute_unlogged(sql).await };
        result.map_err(|error| locate(error, if quotable { sql } else { "" }).on(entry.label()))
    }
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
