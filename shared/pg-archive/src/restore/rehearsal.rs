//! Tries the definitions of a restore without keeping them: in one transaction that is rolled back.
//!
//! What an older server does not know, what a role may not do, what cannot be dropped because something else hangs on
//! it: no table of rules knows all of that, but the server does, and its definitions are transactional. So each is run
//! behind a savepoint, every refusal is collected, and in the end nothing has changed. No row is loaded.
//!
//! A transaction holds a lock on all that it makes. Where that is more than the server has room for, the rehearsal
//! ends early and says so.

use std::collections::HashSet;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::options::RestoreOptions;
use super::schedule::Pass;
use super::select::{self, Selection, pass};
use super::statements::{self, SessionState};
use crate::connect::Target;
use crate::session::Session;
use crate::toc::settings::Settings;
use crate::toc::{Entry, Section};
use crate::{Error, ErrorKind, Result};

/// What a rehearsal came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// How many definitions were tried.
    pub tried: usize,
    /// What the server refused, each with its reason; what failed only because of those is not listed.
    pub refused: Vec<(String, String)>,
    /// Why not all could be tried, if that is so.
    pub incomplete: Option<String>,
}

/// Tries. `first` is run before, and may fail: roles that the restore is going to make.
///
/// # Errors
/// When the session fails, or a lock cannot be had in time.
pub async fn rehearse(
    target: &Target,
    entries: &[Entry],
    options: &RestoreOptions,
    first: &[String],
    lock_timeout: Duration,
) -> Result<Rehearsal> {
    let selection = select::select(entries, options)?;
    let settings = Settings::of(entries)?;
    let session = Session::open(target).await?;
    session.execute(&statements::session_setup(&settings, &options.session_settings)).await?;
    session
        .execute(&format!(
            "SET client_min_messages = error;\nSET lock_timeout = {};\nBEGIN",
            lock_timeout.as_millis()
        ))
        .await?;
    let mut run = Run { session: &session, rehearsal: Rehearsal::default(), failed: HashSet::new() };
    let result = run.all(entries, options, &settings, &selection, first).await;
    let rehearsal = run.rehearsal;
    // The end of the session would end the transaction too, but later.
    if let Err(error) = session.execute("ROLLBACK").await {
        tracing::debug!(%error, "the rehearsal was not rolled back by a statement");
    }
    result.map(|()| rehearsal)
}

struct Run<'a> {
    session: &'a Session,
    rehearsal: Rehearsal,
    /// Entries that failed.
    failed: HashSet<usize>,
}

impl Run<'_> {
    async fn all(
        &mut self,
        entries: &[Entry],
        options: &RestoreOptions,
        settings: &Settings,
        selection: &Selection,
        first: &[String],
    ) -> Result<()> {
        self.session.execute("SAVEPOINT rehearsal").await?;
        for sql in first {
            self.attempt(sql).await?;
        }
        let wanted = |index: &usize| selection.wanted[*index].anything();
        if options.clean {
            for index in (0..entries.len()).rev().filter(wanted) {
                if let Some(sql) = statements::drop_if_exists(&entries[index]) {
                    self.attempt(&sql).await.map_err(|error| error.on(entries[index].label()))?;
                }
            }
        }
        let mut order: Vec<usize> = (0..entries.len())
            .filter(|index| selection.wanted[*index].definition && is_tried(&entries[*index]))
            .collect();
        order.sort_by_key(|index| (pass(&entries[*index]), *index));
        for index in order {
            let entry = &entries[index];
            // What the session was set to is undone with a savepoint, so it is always set anew.
            let mut sql = SessionState::default().switch_to(entry, settings, options);
            sql.push_str(&statements::create(entry, options)?);
            self.rehearsal.tried += 1;
            let refusal = self.attempt(&sql).await.map_err(|error| error.on(entry.label()))?;
            let Some(refusal) = refusal else { continue };
            if refusal.sqlstate() == Some(&SqlState::OUT_OF_MEMORY) {
                self.rehearsal.incomplete = Some(refusal.message);
                return Ok(());
            }
            self.refused(entries, index, refusal.message);
        }
        Ok(())
    }

    fn refused(&mut self, entries: &[Entry], index: usize, message: String) {
        let after_another = entries[index]
            .dependencies
            .iter()
            .any(|id| self.failed.iter().any(|failed| entries[*failed].id == *id));
        self.failed.insert(index);
        if !after_another {
            self.rehearsal.refused.push((entries[index].label(), message));
        }
    }

    /// Runs SQL behind the savepoint, and sets the next one. Returns the server's refusal.
    ///
    /// The savepoint is a message of its own: of a message that holds a word which the server does not know, nothing is
    /// run.
    async fn attempt(&self, sql: &str) -> Result<Option<Error>> {
        match self.session.execute_unlogged(sql).await {
            Ok(()) => {
                self.session.execute("RELEASE SAVEPOINT rehearsal; SAVEPOINT rehearsal").await?;
                Ok(None)
            }
            Err(refusal) if matches!(refusal.kind, ErrorKind::Statement | ErrorKind::Permission) => {
                self.session.execute("ROLLBACK TO SAVEPOINT rehearsal").await?;
                Ok(Some(refusal))
            }
            Err(error) => Err(error),
        }
    }
}

/// Definitions alone: no data, and nothing that reads rows.
fn is_tried(entry: &Entry) -> bool {
    let large_object = entry.desc == "BLOB" || entry.tag.starts_with("LARGE OBJECT ");
    entry.section != Section::Data && !large_object && pass(entry) != Pass::Refresh
}
