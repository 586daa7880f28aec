//! `restore --replace`: beside the live database, and then in its place.
//!
//! The steps follow one another, and each leaves a state that the server itself tells, by names and by the comments of
//! `marker`: a run that comes after one that was killed needs nothing else. Until the last step the live database is not
//! touched; the last step is one transaction ([`pg_archive::databases::swap`]).
//!
//! | killed after | on the server | the next run |
//! |---|---|---|
//! | `Create` | a database `NAME_pgark_new_…` without a marker, and empty | drops it and begins anew |
//! | `Mark`, in `Restore` | it is marked as holding a part | drops it and begins anew |
//! | `Compare` | the same; perhaps a second one, `NAME_pgark_again_…`, likewise | the same: who compared is gone |
//! | `MarkReady` | it is marked as ready | goes on with the comparison, if it is of the same backup |
//! | `Swap` | a database `NAME_pgark_old_…`, marked as the former one | says that it is done |

use std::sync::Arc;

use pg_archive::connect::Target;
use pg_archive::databases::{self, Swap};
use pg_archive::quote::{identifier, literal};
use pg_archive::restore::{self, Progress};
use pg_archive::session::Session;
use pg_archive::toc::Entry;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::create::CreateDatabase;
use super::marker::{Marker, State};
use super::state::{stopped, with_state};
use super::{Prepared, RestoreReport};
use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::as_backed_up;
use crate::jobs::compare::{self, Comparison, Difference, read_again};

mod found;

use found::{AGAIN, FORMER, NEW, UNDONE, look, named};

/// What is done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Drops what an interrupted run left.
    TidyUp,
    /// Makes the new database.
    Create,
    /// Writes on it that it is not complete.
    Mark,
    /// Restores into it.
    Restore,
    /// Compares it with the backup.
    Compare,
    /// Writes on it that it is ready.
    MarkReady,
    /// Gives it the live database's name.
    Swap,
}

/// What became of the database that was replaced.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replaced {
    /// What it is called now. It takes no connections.
    pub former: String,
    /// The statements that bring it back, for psql in another database of the server.
    pub way_back: Vec<String>,
    /// How long the comparison took.
    pub compare_seconds: f64,
    /// How long the change of names took, with ending the sessions.
    pub swap_seconds: f64,
}

/// A database that is being replaced.
pub struct Replacing {
    prepared: Prepared,
    live: String,
    /// Where names can be changed from.
    beside: Target,
    /// Holds the lock that keeps a second run away.
    _lock: Session,
    new: String,
    former: String,
    live_comment: Option<String>,
    leftovers: Vec<String>,
    /// Whether an earlier run got it ready, so that it needs no restore.
    is_ready: bool,
    next: Option<Step>,
    done: Option<restore::RestoreReport>,
    comparison: Option<Comparison>,
    compare_seconds: f64,
    swap_seconds: f64,
}

impl Replacing {
    /// Takes the lock, and looks at what is on the server.
    ///
    /// # Errors
    /// When another run is under way, or what is there must be looked at by somebody first.
    pub async fn begin(mut prepared: Prepared, app: &App) -> Result<Self> {
        let live = prepared.target.database().to_owned();
        let (beside, lock) = databases::beside(&prepared.target, &live).await?;
        let key = literal(&format!("pgark restore --replace {live}"));
        let sql = format!(
            "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended({key}, 0)) AS locked"
        );
        if !lock.row(&sql).await?.flag("locked")? {
            return Err(target_error("is being replaced by another run")
                .on(format!("database {live}"))
                .hint("Wait for that run, or end it."));
        }
        let all = databases::all(&lock).await?;
        let backup = prepared.manifest().id;
        let found = look(&live, backup, &all);
        prepared.warnings.extend(found.words);
        if let Some(error) = found.refusal {
            return Err(error.on(format!("database {live}")));
        }
        for name in &found.unmarked {
            let objects = restore::user_objects(&Session::open(&beside.with_database(name)).await?).await?;
            if !objects.is_empty() {
                let message =
                    format!("there is a database {name} that is not marked as ours, and it is not empty");
                return Err(target_error(message)
                    .on(format!("database {live}"))
                    .hint("Look at it, and rename or drop it. Nothing was changed."));
            }
        }
        let stamp = (app.outside.now)().strftime("%Y%m%dt%H%M%Sz").to_string();
        let comment =
            all.iter().find(|database| database.name == live).and_then(|database| database.comment.clone());
        let leftovers: Vec<String> = found.unmarked.into_iter().chain(found.partial).collect();
        Ok(Self {
            new: found.ready.clone().unwrap_or_else(|| named(&live, NEW, &stamp)),
            former: named(&live, FORMER, &stamp),
            // A marker of an earlier restore into it is over now.
            live_comment: comment.and_then(|text| match Marker::read(&text) {
                Some(marker) => marker.comment,
                None => Some(text),
            }),
            next: Some(match (leftovers.is_empty(), found.ready.is_some()) {
                (false, _) => Step::TidyUp,
                (true, true) => Step::Compare,
                (true, false) => Step::Create,
            }),
            leftovers,
            is_ready: found.ready.is_some(),
            prepared,
            live,
            beside,
            _lock: lock,
            done: None,
            comparison: None,
            compare_seconds: 0.0,
            swap_seconds: 0.0,
        })
    }

    /// The step that comes next, if there is one.
    pub fn next(&self) -> Option<Step> {
        self.next
    }

    /// What the new database is called, until it has the live one's name.
    pub fn new_database(&self) -> &str {
        &self.new
    }

    /// Does the next step.
    ///
    /// # Errors
    /// When it fails. The live database is as it was.
    pub async fn step(
        &mut self,
        app: &App,
        progress: Arc<dyn Progress>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let Some(next) = self.next else { return Ok(()) };
        if stop.is_cancelled() {
            return Err(stopped());
        }
        self.next = match next {
            Step::TidyUp => {
                for name in &self.leftovers {
                    drop_database(&self.beside, name).await?;
                }
                Some(if self.is_ready { Step::Compare } else { Step::Create })
            }
            Step::Create => {
                self.create(&self.new).await?;
                Some(Step::Mark)
            }
            Step::Mark => {
                self.mark(app, &self.new, State::Restoring).await?;
                Some(Step::Restore)
            }
            Step::Restore => {
                self.done = Some(self.restore(app, progress, stop).await?);
                Some(Step::Compare)
            }
            Step::Compare => {
                self.compare(app, stop).await?;
                Some(Step::MarkReady)
            }
            Step::MarkReady => {
                self.mark(app, &self.new, State::Ready).await?;
                Some(Step::Swap)
            }
            Step::Swap => {
                self.swap(app).await?;
                None
            }
        };
        Ok(())
    }

    /// All steps. What a failed restore made is dropped again: it would only fill the live database's disk.
    pub(super) async fn run(
        mut self,
        app: &App,
        progress: Arc<dyn Progress>,
        stop: &CancellationToken,
    ) -> Result<RestoreReport> {
        while let Some(step) = self.next {
            if let Err(error) = self.step(app, Arc::clone(&progress), stop).await {
                return Err(self.state_after(step, error).await);
            }
        }
        Ok(self.report(app))
    }

    async fn create(&self, name: &str) -> Result<()> {
        let prepared = &self.prepared;
        let tablespaces = !prepared.options.leave_out.tablespaces;
        let (through, version) = (self.beside.clone(), prepared.version_num);
        let create =
            CreateDatabase::like(prepared.manifest(), &prepared.entries, through, name, version, tablespaces);
        create.run(name).await
    }

    async fn mark(&self, app: &App, name: &str, state: State) -> Result<()> {
        let marker = Marker {
            state,
            backup: self.prepared.manifest().id,
            begun: (app.outside.now)(),
            replaces: Some(self.live.clone()),
            comment: None,
        };
        let session = Session::open(&self.beside).await?;
        Ok(session.execute(&databases::comment(name, Some(&marker.text()))).await?)
    }

    async fn restore(
        &mut self,
        app: &App,
        progress: Arc<dyn Progress>,
        stop: &CancellationToken,
    ) -> Result<restore::RestoreReport> {
        let target = self.beside.with_database(&self.new);
        self.prepared.rehearse(app, &target, stop).await?;
        let Prepared { entries, reader, options, .. } = &self.prepared;
        let done =
            restore::restore(target, entries.clone(), Arc::clone(reader), options.clone(), progress, stop);
        Ok(done.await?)
    }

    async fn compare(&mut self, app: &App, stop: &CancellationToken) -> Result<()> {
        let started = (app.outside.now)();
        let backup = self.prepared.manifest().id;
        let target = self.beside.with_database(&self.new);
        let pair = compare::read(app, &backup.to_string(), &target, &(), stop).await?;
        // Another major version says the same definitions in other words: there only rows must agree.
        let other_words =
            self.prepared.manifest().server.version_num / 10_000 != self.prepared.version_num / 10_000;
        let again = if !other_words && pair.are_reworded() {
            Some(self.read_again(app, &pair.entries, stop).await?)
        } else {
            None
        };
        let comparison = pair.compare(app, again.as_deref())?;
        self.compare_seconds = (app.outside.now)().duration_since(started).as_secs_f64();
        let (fatal, in_words): (Vec<&Difference>, Vec<&Difference>) = comparison
            .differences
            .iter()
            .partition(|difference| !other_words || difference.code.is_of_content());
        self.prepared.warnings.extend(in_words.iter().map(ToString::to_string));
        if !fatal.is_empty() {
            let fatal: Vec<String> = fatal.iter().map(ToString::to_string).collect();
            let message = format!("is not what the backup holds: {}", fatal.join("; "));
            return Err(Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Mismatch), message)
                .on(format!("database {}", self.new))
                .hint("Use another backup."));
        }
        self.comparison = Some(comparison);
        Ok(())
    }

    /// What this server makes of the backup's definitions when it reads them, in a database that is gone then. Until then
    /// it is marked as any half restored one is, so that the next run drops what a killed one leaves.
    async fn read_again(&self, app: &App, entries: &[Entry], stop: &CancellationToken) -> Result<Vec<Entry>> {
        let stamp = (app.outside.now)().strftime("%Y%m%dt%H%M%Sz").to_string();
        let name = named(&self.live, AGAIN, &stamp);
        self.create(&name).await?;
        self.mark(app, &name, State::Restoring).await?;
        let options = self.prepared.options.clone();
        let target = self.beside.with_database(&name);
        let again = {
            let dump = as_backed_up(app, self.prepared.manifest());
            read_again(&target, entries, options, dump, stop).await
        };
        let dropped = drop_database(&self.beside, &name).await;
        let again = again?;
        dropped?;
        Ok(again)
    }

    async fn swap(&mut self, app: &App) -> Result<()> {
        let started = (app.outside.now)();
        let marker = Marker {
            state: State::Former,
            backup: self.prepared.manifest().id,
            begun: started,
            replaces: Some(self.live.clone()),
            comment: self.live_comment.clone(),
        };
        let swap = Swap {
            live: self.live.clone(),
            new: self.new.clone(),
            former: self.former.clone(),
            former_comment: marker.text(),
            live_comment: self.live_comment.clone(),
        };
        databases::swap(&self.beside, &swap).await?;
        self.swap_seconds = (app.outside.now)().duration_since(started).as_secs_f64();
        Ok(())
    }

    /// Adds to an error in which state it leaves the server.
    async fn state_after(&self, step: Step, error: Error) -> Error {
        let state = match step {
            Step::TidyUp | Step::Create => format!("Database {} is as it was.", self.live),
            Step::Mark | Step::Restore => match drop_database(&self.beside, &self.new).await {
                Ok(()) => {
                    format!("Database {} is as it was, and the half restored one was dropped.", self.live)
                }
                Err(failure) => {
                    tracing::warn!(%failure, "the half restored database was not dropped");
                    format!(
                        "Database {} is as it was. The half restored one is {}: the next run of the same command drops it.",
                        self.live, self.new
                    )
                }
            },
            Step::Compare | Step::MarkReady => format!(
                "Database {} is as it was. The restored one is {}, to be looked at; the next run of the same command \
                 drops it, or goes on with it if it is marked as ready.",
                self.live, self.new
            ),
            Step::Swap => format!(
                "If the names were not changed, database {} is as it was, and {} is ready: the same command again finds \
                 out, and finishes.",
                self.live, self.new
            ),
        };
        with_state(error, &state)
    }

    /// What it came to.
    ///
    /// # Panics
    /// Never.
    pub fn report(mut self, app: &App) -> RestoreReport {
        let replaced = Replaced {
            way_back: way_back(&self.live, &self.former, self.live_comment.as_deref()),
            former: self.former,
            compare_seconds: self.compare_seconds,
            swap_seconds: self.swap_seconds,
        };
        self.prepared.warnings.push(format!(
            "the former database {} takes no connections; once it is not needed any more: DROP DATABASE {};",
            replaced.former,
            identifier(&replaced.former)
        ));
        let report = self.prepared.report(app, &self.done.unwrap_or_default(), 0);
        RestoreReport { comparison: self.comparison, replaced: Some(replaced), ..report }
    }
}

fn target_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Target), message)
}

async fn drop_database(beside: &Target, name: &str) -> Result<()> {
    let session = Session::open(beside).await?;
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
    session.execute(&sql).await.map_err(|error| error.on(format!("database {name}")).into())
}

/// The statements that undo a swap. The sessions are kept out for as long as that takes.
fn way_back(live: &str, former: &str, comment: Option<&str>) -> Vec<String> {
    let undone = former.replace(FORMER, UNDONE);
    let [name, former, undone] = [live, former, &undone].map(identifier);
    vec![
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false;"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {};", literal(live)),
        "BEGIN;".to_owned(),
        format!("ALTER DATABASE {name} RENAME TO {undone};"),
        format!("ALTER DATABASE {former} RENAME TO {name};"),
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true;"),
        databases::comment(live, comment),
        "COMMIT;".to_owned(),
    ]
}
