//! From a database to an archive.
//!
//! [`Dump::plan`] connects, takes one snapshot, locks, reads the catalogs, takes the census and decides what goes into
//! which file; nothing is written. [`Dump::run`] then streams the rows through as many sessions as asked for, all of
//! which see that one snapshot. Whatever fails ends everything: running statements are cancelled, sessions closed,
//! and files that are not complete are given up by their sink.
//!
//! `dump/snapshot` holds the coordinator's session, `dump/files` the pure decision on files, `dump/copy` the streaming.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::catalog::selection::Selection;
use crate::catalog::{Catalog, DumpId, Kind, Server, read, tables};
use crate::census::{self, Census, LeftOut, Missing};
use crate::connect::Target;
use crate::fingerprint::Fingerprint;
use crate::text_settings::TextForm;
use crate::toc::Entry;
use crate::{Error, ErrorKind, Result, emit, globals, order};

mod attempts;
mod copy;
mod files;
mod rights;
mod scan;
mod snapshot;
mod turns;

pub use copy::DumpedFile;
pub use files::{DataFile, Rows};
pub use scan::{Content, scan};
pub use snapshot::Snapshot;

/// What a dump is asked to do.
#[derive(Clone, Debug)]
pub struct DumpOptions {
    /// What to leave out.
    pub selection: Selection,
    /// Sessions that stream data at the same time.
    pub jobs: usize,
    /// Longest wait for any lock.
    pub lock_timeout: Duration,
    /// Tables larger than this on disk are cut into several files, in bytes.
    pub chunk_bytes: u64,
    /// Whether user objects which the archive cannot hold are accepted. They are listed in the plan.
    pub allow_missing: bool,
    /// Whether the hashes of roles' passwords go into the globals.
    pub role_passwords: bool,
    /// The form of all text: a backup's own, or that of one to compare with.
    pub text: TextForm,
    /// Names the data file of a table: schema, table, number of the chunk (from 1) if there are several.
    pub table_file: fn(&str, &str, Option<u32>) -> String,
    /// Random numbers, for the key that keeps psql from taking text of the server for commands of its own.
    pub random: fn() -> u64,
}

/// What is known of a table whose rows go into the archive.
#[derive(Clone, Debug)]
pub struct TablePlan {
    /// Its number in the archive.
    pub id: DumpId,
    /// Schema, unquoted.
    pub schema: String,
    /// Name, unquoted.
    pub name: String,
    /// Columns in the order of its COPY, unquoted.
    pub columns: Vec<String>,
    /// Size of heap and TOAST on disk, in bytes.
    pub bytes: u64,
    /// What the planner thinks it has, if it was ever analyzed.
    pub rows_estimate: Option<u64>,
    /// `schema.name` of the root of the partition tree, unquoted, if the rows must be restored through it.
    pub loaded_through: Option<String>,
    /// Its data files, indexes into [`Plan::files`].
    pub files: Vec<usize>,
}

/// All that is decided before the first row is read.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server and its database.
    pub server: Server,
    /// The snapshot that everything is read in.
    pub snapshot: Snapshot,
    /// The table of contents.
    pub entries: Vec<Entry>,
    /// Roles, memberships, settings and tablespaces as SQL; empty for a dump of data only.
    pub globals: String,
    /// Every data file.
    pub files: Vec<DataFile>,
    /// Every table whose rows are dumped.
    pub tables: Vec<TablePlan>,
    /// How many large objects there are.
    pub large_objects: u64,
    /// User objects that the archive will not hold, accepted by the user.
    pub missing: Vec<Missing>,
    /// User objects that no archive holds, as `pg_dump` leaves them out too.
    pub left_out: Vec<LeftOut>,
    /// What a user should know; what is left out is among it.
    pub warnings: Vec<String>,
}

/// A dump that is planned and holds its snapshot and its locks.
pub struct Dump {
    target: Target,
    options: DumpOptions,
    coordinator: snapshot::Coordinator,
    /// The plan.
    pub plan: Plan,
}

/// What became of a data file, by its index in the plan.
pub type DumpedFiles = HashMap<usize, DumpedFile>;

/// Hears how far a dump is. Called often; must not block.
pub trait Observer: Send + Sync {
    /// A data file was begun.
    fn file_started(&self, _file: &DataFile) {}
    /// Rows were read, with their bytes of COPY text.
    fn rows_read(&self, _rows: u64, _bytes: u64) {}
    /// A data file is complete.
    fn file_finished(&self, _file: &DataFile, _rows: u64, _bytes: u64) {}
}

/// An observer that does not care.
impl Observer for () {}

impl Dump {
    /// Connects and plans. Nothing on the server is changed, nothing is written anywhere.
    ///
    /// # Errors
    /// When the server cannot be reached directly, a lock cannot be had, a right is missing, or objects would be lost.
    pub async fn plan(target: &Target, options: DumpOptions, stop: &CancellationToken) -> Result<Self> {
        let opened = snapshot::Coordinator::open(target, &options.text, options.lock_timeout);
        let mut coordinator = unless_stopped(stop, opened).await?;
        match unless_stopped(stop, attempts::until_whole(&mut coordinator, &options)).await {
            Ok(plan) => Ok(Self { target: target.clone(), options, coordinator, plan }),
            Err(error) => {
                let error = coordinator.explain(error).await;
                coordinator.abort().await;
                Err(error)
            }
        }
    }

    /// Streams all data files into the sink and ends the snapshot. The table of contents is the caller's to write.
    ///
    /// # Errors
    /// On the first failure of any file; all others are then given up.
    pub async fn run(
        self,
        sink: &impl crate::archive::ArchiveSink,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<DumpedFiles> {
        let run = copy::Run { plan: &self.plan, sink, observer, stop: stop.child_token() };
        match run.all(&self.target, &self.options, &self.coordinator).await {
            Ok(files) => self.coordinator.finish().await.map(|()| files),
            Err(error) => {
                self.coordinator.abort().await;
                Err(error)
            }
        }
    }

    /// Gives the dump up without reading rows.
    pub async fn abandon(self) {
        self.coordinator.abort().await;
    }
}

/// Does something unless the user ends it first.
async fn unless_stopped<T>(stop: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(stopped()),
        result = work => result,
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Stopped, "was stopped before it was done")
        .hint("Nothing of it is kept. Run it again.")
}

/// Plans with the snapshot that there is. The catalog is empty at first, and holds what was read, also if that failed.
async fn plan(
    coordinator: &snapshot::Coordinator,
    options: &DumpOptions,
    catalog: &mut Catalog,
) -> Result<Plan> {
    let session = &coordinator.session;
    read::catalog(catalog, session).await?;
    let counted =
        if options.selection.schema { census::take(catalog, session).await? } else { Census::default() };
    let Census { missing, left_out } = counted;
    tables::plan_data(catalog);
    rights::check(catalog, session, options.allow_missing).await?;
    if !missing.is_empty() && !options.allow_missing {
        return Err(census::refusal(&missing));
    }
    tables::order_configuration(catalog, session).await?;
    if !options.selection.schema {
        tables::order_by_foreign_keys(catalog);
    }
    order::read_dependencies(catalog, session).await?;
    tables::order_refreshes(catalog);
    let sorted = order::sort(catalog)?;
    let mut files = files::plan(catalog, options);
    files::name_uniquely(&files)?;
    let names = files::names_by_object(&files);
    let mut emitted = emit::entries(catalog, &sorted, &names)?.finish()?;
    order::link_entries(catalog, &mut emitted)?;
    files.sort_by(|a, b| b.bytes_estimate.cmp(&a.bytes_estimate).then_with(|| a.name.cmp(&b.name)));
    let tables = table_plans(catalog, &files)?;
    let globals = if options.selection.schema {
        globals::read(session, options.role_passwords, options.random).await?
    } else {
        String::new()
    };
    Ok(Plan {
        server: coordinator.server.clone(),
        snapshot: coordinator.snapshot.clone(),
        entries: emitted.entries,
        globals,
        tables,
        files,
        large_objects: catalog
            .objects()
            .iter()
            .filter(|object| matches!(object.kind, Kind::LargeObject(_)))
            .count() as u64,
        missing,
        warnings: warnings(coordinator, catalog, &left_out),
        left_out,
    })
}

/// What the server is, what the catalogs say, and what is not in the archive.
fn warnings(coordinator: &snapshot::Coordinator, catalog: &Catalog, left_out: &[LeftOut]) -> Vec<String> {
    let all = coordinator.warnings.iter().chain(&catalog.warnings).cloned();
    all.chain(left_out.iter().map(ToString::to_string)).collect()
}

fn table_plans(catalog: &Catalog, files: &[DataFile]) -> Result<Vec<TablePlan>> {
    let mut plans: Vec<TablePlan> = Vec::new();
    let mut by_id: HashMap<DumpId, usize> = HashMap::new();
    for (at, file) in files.iter().enumerate() {
        let Rows::Table { table: id, .. } = file.rows else { continue };
        if let Some(plan) = by_id.get(&id) {
            plans[*plan].files.push(at);
            continue;
        }
        let object = catalog.get(id);
        let Kind::Table(table) = &object.kind else {
            return Err(Error::new(ErrorKind::Catalog, format!("{} has rows but is no table", object.name)));
        };
        by_id.insert(id, plans.len());
        plans.push(TablePlan {
            id,
            schema: catalog.readable(catalog.schema_name(object)).into_owned(),
            name: catalog.readable(&object.name).into_owned(),
            columns: tables::data_columns(catalog, table)
                .into_iter()
                .map(|column| catalog.readable(column).into_owned())
                .collect(),
            bytes: table.total_bytes,
            rows_estimate: rows_estimate(table.rows_estimate),
            loaded_through: tables::load_root(catalog, table).map(|root| {
                let root = catalog.get(root);
                catalog.readable(&format!("{}.{}", catalog.schema_name(root), root.name)).into_owned()
            }),
            files: vec![at],
        });
    }
    plans.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    Ok(plans)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate, checked not to be negative
fn rows_estimate(reltuples: f64) -> Option<u64> {
    (reltuples >= 0.0).then_some(reltuples as u64)
}

/// Rows and fingerprint of a table, from those of its files.
pub fn table_fingerprint(plan: &TablePlan, files: &DumpedFiles) -> Fingerprint {
    let mut sum = Fingerprint::default();
    for file in plan.files.iter().filter_map(|at| files.get(at)) {
        sum.merge(file.fingerprint);
    }
    sum
}
