//! Tries the definitions of a restore without keeping them: in one transaction that is rolled back.
//!
//! What an older server does not know, what a role may not do, what cannot be dropped because something else hangs on
//! it: no table of rules knows all of that, but the server does, and its definitions are transactional. So each is run
//! behind a savepoint, every refusal is collected, and in the end nothing has changed. No row is loaded.
//!
//! A transaction holds a lock on all that it makes. Where that is more than the server has room for, the rehearsal
//! ends early and says so.
//!
//! As in the restore itself, what is not found is looked for under the search path of the source (that of the database:
//! roles have theirs elsewhere), and what was refused is tried again as long as something succeeds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::options::RestoreOptions;
use super::schedule::Pass;
use super::search_path::{SearchPaths, is_not_found};
use super::select::{self, Selection, pass};
use super::statements::{self, SessionState};
use crate::catalog::DumpId;
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
    /// What cannot be dropped, each with something that hangs on it: `view public.v depends on table public.t`.
    pub in_the_way: Vec<(String, String)>,
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
    let mut run = Run {
        session: &session,
        entries,
        options,
        settings: &settings,
        paths: SearchPaths::of(entries, None),
        in_the_way: HashMap::new(),
        refused: BTreeMap::new(),
        tried: 0,
        incomplete: None,
    };
    let result = run.all(&selection, first).await;
    let rehearsal = run.told();
    // The end of the session would end the transaction too, but later.
    if let Err(error) = session.execute("ROLLBACK").await {
        tracing::debug!(%error, "the rehearsal was not rolled back by a statement");
    }
    result.map(|()| rehearsal)
}

struct Run<'a> {
    session: &'a Session,
    entries: &'a [Entry],
    options: &'a RestoreOptions,
    settings: &'a Settings,
    paths: SearchPaths,
    /// What kept entries from being dropped.
    in_the_way: HashMap<usize, Vec<String>>,
    /// Why entries were refused.
    refused: BTreeMap<usize, String>,
    tried: usize,
    incomplete: Option<String>,
}

impl Run<'_> {
    async fn all(&mut self, selection: &Selection, first: &[String]) -> Result<()> {
        self.session.execute("SAVEPOINT rehearsal").await?;
        for sql in first {
            self.attempt(sql).await?;
        }
        if self.options.clean {
            self.drop_all(selection).await?;
        }
        let mut order: Vec<usize> = (0..self.entries.len())
            .filter(|index| selection.wanted[*index].definition && is_tried(&self.entries[*index]))
            .collect();
        order.sort_by_key(|index| (pass(&self.entries[*index]), *index));
        // Again, as long as something more is taken.
        loop {
            for index in &order {
                self.make(*index).await.map_err(|error| error.on(self.entries[*index].label()))?;
                if self.incomplete.is_some() {
                    return Ok(());
                }
            }
            let left: Vec<usize> =
                order.iter().copied().filter(|index| self.refused.contains_key(index)).collect();
            if left.is_empty() || left.len() == order.len() {
                return Ok(());
            }
            order = left;
        }
    }

    /// Drops what is there, and notes what else hangs on it.
    async fn drop_all(&mut self, selection: &Selection) -> Result<()> {
        let wanted = |index: &usize| selection.wanted[*index].anything();
        for index in (0..self.entries.len()).rev().filter(wanted) {
            let entry = &self.entries[index];
            let Some(sql) = statements::drop_if_exists(entry) else { continue };
            let refusal = self.attempt(&sql).await.map_err(|error| error.on(entry.label()))?;
            let dependents = refusal.map(|refusal| dependents(&refusal)).unwrap_or_default();
            if !dependents.is_empty() {
                self.in_the_way.insert(index, dependents);
            }
        }
        Ok(())
    }

    async fn make(&mut self, index: usize) -> Result<()> {
        let entry = &self.entries[index];
        // What the session was set to is undone with a savepoint, so it is always set anew.
        let set_up = SessionState::default().switch_to(entry, self.settings, self.options);
        let create = statements::create(entry, self.options)?;
        if self.refused.remove(&index).is_none() {
            self.tried += 1;
        }
        let Some(refusal) = self.attempt(&format!("{set_up}{create}")).await? else { return Ok(()) };
        if refusal.sqlstate() == Some(&SqlState::OUT_OF_MEMORY) {
            self.incomplete = Some(refusal.message);
            return Ok(());
        }
        if refusal.sqlstate().is_some_and(is_not_found) {
            for path in self.paths.of_entry(entry) {
                let sql = format!("{set_up}SET LOCAL search_path TO {path};\n{create}");
                if self.attempt(&sql).await?.is_none() {
                    let back = self.settings.search_path.as_deref().unwrap_or_default();
                    return self.attempt(back).await.map(drop);
                }
            }
        }
        self.refused.insert(index, refusal.message);
        Ok(())
    }

    /// What it came to: what hangs on what is to be dropped, and what was refused but not only after another.
    fn told(self) -> Rehearsal {
        let failed: HashSet<DumpId> = self.refused.keys().map(|index| self.entries[*index].id).collect();
        let after_another = |entry: &Entry| entry.dependencies.iter().any(|id| failed.contains(id));
        let mut rehearsal =
            Rehearsal { tried: self.tried, incomplete: self.incomplete, ..Rehearsal::default() };
        for (index, message) in self.refused {
            let entry = &self.entries[index];
            match self.in_the_way.get(&index) {
                Some(dependents) => {
                    let names = dependents.iter().map(|line| (entry.label(), line.clone()));
                    rehearsal.in_the_way.extend(names);
                }
                None if after_another(entry) => {}
                None => rehearsal.refused.push((entry.label(), message)),
            }
        }
        rehearsal
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

/// What hangs on something that was to be dropped, in the server's words: `view public.v depends on table public.t`. They
/// name objects alone.
fn dependents(refusal: &Error) -> Vec<String> {
    let server = refusal.driver().and_then(tokio_postgres::Error::as_db_error);
    let Some(server) = server.filter(|server| *server.code() == SqlState::DEPENDENT_OBJECTS_STILL_EXIST)
    else {
        return Vec::new();
    };
    server.detail().unwrap_or_else(|| server.message()).lines().map(str::to_owned).collect()
}

/// Definitions alone: no data, and nothing that reads rows.
fn is_tried(entry: &Entry) -> bool {
    let large_object = entry.desc == "BLOB" || entry.tag.starts_with("LARGE OBJECT ");
    entry.section != Section::Data && !large_object && pass(entry) != Pass::Refresh
}
