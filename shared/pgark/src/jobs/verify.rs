//! Checks backups against their manifests, without a server. Reads everything and changes nothing; what it found is kept
//! in the store as a report.
//!
//! Level `stored` needs no key: each object is there, with the length and SHA-256 of the manifest, and nothing else lies
//! beside it. Level `content` also decrypts and decompresses, reads the table of contents, counts rows and sums
//! fingerprints: what a restore would read. Objects are streamed, so memory is bounded.
//!
//! One thing that is wrong hides no other: everything that is found in any backup is in the report. What could not be
//! checked (no access, no key) is told apart from damage, and is no success either. Which objects a sample takes is
//! decided in `sample`; what a backup is checked for stands in `backup`.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{BackupRef, Filter, ReportKind, SourceName, keys};
use crate::runs::answer::answer;
use crate::runs::{Answer, Job, JobName};
use crate::seal::Identities;
use crate::store::{StoreRead as _, StoreWrite as _};

mod backup;
mod report;
mod sample;
mod structure;

pub use crate::repository::Level;
pub use report::{BackupLine, Finding, Sampled, SourceReport, VerifyReport};
pub use sample::{Cursor, Share};

use backup::Chosen;
use report::{FORMAT_VERSION, Previous};
use sample::Candidate;

/// Reports of runs are looked through for the last one of the same kind; no further back than this.
const REPORTS_LOOKED_AT: usize = 100;
const REPORT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Every backup, as an argument.
const ALL: &str = "all";
const LATEST: &str = "latest";

/// The arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Verify {
    /// `all`, `latest`, an id, or a unique prefix of one.
    pub backup: String,
    /// Only of this source; else the one of the settings, else of every one.
    pub source: Option<SourceName>,
    /// The level; else `content` where it is possible.
    pub level: Option<Level>,
    /// The share of the stored bytes to read, the next ones after those of the run before; else all.
    pub sample: Option<Share>,
    /// Keep no report in the store.
    pub no_report: bool,
}

impl Default for Verify {
    fn default() -> Self {
        Self { backup: LATEST.to_owned(), source: None, level: None, sample: None, no_report: false }
    }
}

/// Hears how far a verification is.
pub trait Progress: Sync {
    /// So many stored bytes more will be read.
    fn planned(&self, _stored_bytes: u64) {}
    /// An object was read.
    fn read(&self, _object: &str, _stored_bytes: u64) {}
}

impl Progress for () {}

/// What all parts of a run share.
struct Run<'a> {
    app: &'a App,
    level: Option<Level>,
    identities: Option<Identities>,
    progress: &'a dyn Progress,
    stop: &'a CancellationToken,
}

impl Verify {
    /// Runs the job, with a record for each source. Without sources in the settings it runs on those in the store.
    ///
    /// # Errors
    /// As [`run`](Self::run). What happens to one source keeps no other from being verified.
    pub async fn watched(
        &self,
        app: &App,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<Answer<VerifyReport>> {
        let named;
        let app = if let Some(source) = &self.source {
            named = app.naming(source.clone());
            &named
        } else {
            app
        };
        let job = Job { name: JobName::Verify, recorded: !self.no_report };
        let verify = Self { source: None, ..self.clone() };
        if app.settings.source.is_some() || !app.settings.sources.is_empty() {
            return answer(app, job, stop, async |app, stop| verify.run(app, progress, stop).await).await;
        }
        let (mut reports, mut skipped, mut failed) = (Vec::new(), None, None);
        for source in self.sources(app).await? {
            let one = app.for_source(&source).await?;
            match Box::pin(answer(&one, job, stop, async |app, stop| verify.run(app, progress, stop).await))
                .await
            {
                Ok(Answer::One(report)) => reports.extend(report.reports),
                Ok(other) => skipped = Some(other),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        match (failed, skipped) {
            (Some(error), _) => Err(error),
            (None, Some(skipped)) if reports.is_empty() => Ok(skipped),
            (None, _) => Ok(Answer::One(VerifyReport::of(reports))),
        }
    }

    /// The sources in the store whose backups are meant.
    async fn sources(&self, app: &App) -> Result<Vec<SourceName>> {
        Ok(self.backups(app).await?.into_keys().collect())
    }

    /// Runs the job.
    ///
    /// # Errors
    /// When there is nothing to verify, or the settings do not allow it, or the report cannot be kept although nothing
    /// was found. Damage is no error: it is in the report.
    pub async fn run(
        &self,
        app: &App,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<VerifyReport> {
        if self.sample.is_some() && self.no_report {
            return Err(Error::new(
                ErrorKind::Usage,
                "a sample needs its report: it says where the next one begins",
            )
            .hint("Leave one of --sample and --no-report away."));
        }
        let run = Run { app, level: self.level, identities: app.settings.identities()?, progress, stop };
        let mut reports = Vec::new();
        let mut not_kept = None;
        for (source, (complete, incomplete)) in self.backups(app).await? {
            let mut report = self.verify_source(&run, &source, &complete, &incomplete).await?;
            if !self.no_report
                && let Err(error) = keep(app, &mut report).await
            {
                tracing::warn!(%error, "the report of the verification is not kept");
                not_kept = Some(error);
            }
            reports.push(report);
        }
        let report = VerifyReport::of(reports);
        match not_kept {
            Some(error) if report.good => Err(error.hint(
                "The backups are good, but the report could not be kept. Allow writing under reports/, or give \
                 --no-report.",
            )),
            _ => Ok(report),
        }
    }

    /// The backups that are meant, by source.
    async fn backups(&self, app: &App) -> Result<BTreeMap<SourceName, (Vec<BackupRef>, Vec<BackupRef>)>> {
        let source = self.source.clone().or_else(|| app.settings.source.clone());
        let filter = Filter { source, tier: None };
        let mut by_source: BTreeMap<_, (Vec<_>, Vec<_>)> = BTreeMap::new();
        if self.backup != ALL {
            let own = app.source().ok();
            let backup = app.repository.resolve_at(&self.backup, &filter, own.as_ref()).await?;
            by_source.entry(backup.source.clone()).or_default().0.push(backup);
            return Ok(by_source);
        }
        let found = app.repository.find(&filter).await?;
        for backup in found.complete {
            by_source.entry(backup.source.clone()).or_default().0.push(backup);
        }
        for backup in found.incomplete {
            by_source.entry(backup.source.clone()).or_default().1.push(backup);
        }
        if by_source.is_empty() {
            return Err(Error::new(ErrorKind::BackupMissing, "there is no backup")
                .on(app.repository.store().address())
                .hint("`pgark list` shows the backups. A run that did not finish is not one."));
        }
        Ok(by_source)
    }

    async fn verify_source(
        &self,
        run: &Run<'_>,
        source: &SourceName,
        complete: &[BackupRef],
        incomplete: &[BackupRef],
    ) -> Result<SourceReport> {
        let app = run.app;
        let mut report = self.empty_report(run, source, incomplete);
        let sample = match self.sample {
            Some(share) => Some(self.choose(run, &report, complete, share).await?),
            None => None,
        };
        let mut read = HashSet::new();
        for backup in complete {
            let wanted = sample.as_ref().map(|sample| &sample.wanted);
            let checked = backup::verify(run, backup, wanted, &mut report).await;
            report.backups.extend(checked.line);
            read.extend(checked.read.into_iter().map(|object| (backup.id.to_string(), object)));
            if checked.over {
                break;
            }
        }
        for backup in incomplete {
            backup::look_for_manifest(run, backup, &mut report).await;
        }
        report.sample = sample.map(|sample| sample.summary(&read));
        report.finished_at = (app.outside.now)();
        Ok(report)
    }

    fn empty_report(&self, run: &Run<'_>, source: &SourceName, incomplete: &[BackupRef]) -> SourceReport {
        let highest = if run.identities.is_some() { Level::Content } else { Level::Stored };
        let now = (run.app.outside.now)();
        SourceReport {
            format_version: FORMAT_VERSION,
            pgark_version: env!("CARGO_PKG_VERSION"),
            source: source.clone(),
            started_at: now,
            finished_at: now,
            store: run.app.repository.store().address(),
            scope: self.backup.clone(),
            level: self.level.unwrap_or(highest),
            signature: run.app.repository.signature_check(),
            sample: None,
            backups: Vec::new(),
            incomplete: incomplete.iter().map(ToString::to_string).collect(),
            findings: Vec::new(),
            failures: Vec::new(),
            kept_as: None,
        }
    }

    /// Chooses the objects of a sample. Where something was found the time before is looked at again, or a damaged
    /// object would be forgotten until its turn comes.
    async fn choose(
        &self,
        run: &Run<'_>,
        report: &SourceReport,
        backups: &[BackupRef],
        share: Share,
    ) -> Result<Sample> {
        let mut candidates = Vec::new();
        for (backup, manifest) in run.app.repository.load_manifests(backups).await {
            // One that cannot be loaded is told of when it is its turn.
            for object in manifest.iter().flat_map(|manifest| &manifest.objects) {
                let at = Cursor { object: object.name.clone(), backup: backup.id };
                candidates.push(Candidate { at, stored_bytes: object.sealed.stored_bytes });
            }
        }
        let previous = previous(run.app, report).await?.unwrap_or_default();
        let after = previous.sample.and_then(|sample| sample.through);
        let chosen = sample::choose(candidates.clone(), after.as_ref(), share);
        let mut wanted: HashSet<Chosen> =
            chosen.iter().map(|one| (one.at.backup.to_string(), one.at.object.clone())).collect();
        for finding in previous.findings {
            let id = finding.backup.rsplit('/').next().unwrap_or_default().to_owned();
            wanted.extend(finding.object.map(|object| (id, object)));
        }
        Ok(Sample { share, after, chosen, candidates, wanted })
    }
}

/// A sample that is being taken.
struct Sample {
    share: Share,
    after: Option<Cursor>,
    chosen: Vec<Candidate>,
    candidates: Vec<Candidate>,
    wanted: HashSet<Chosen>,
}

impl Sample {
    /// How far it came: a run that was stopped goes on behind the last object before which none is missing.
    fn summary(self, read: &HashSet<Chosen>) -> Sampled {
        let was_read = |one: &&Candidate| read.contains(&(one.at.backup.to_string(), one.at.object.clone()));
        let last = self.chosen.iter().take_while(was_read).last();
        let through = last.map(|last| last.at.clone()).or_else(|| self.after.clone());
        let position = through.as_ref().map_or(0.0, |through| sample::position(&self.candidates, through));
        Sampled { share: self.share, after: self.after, through, position }
    }
}

/// The last report of the same kind of run: the same backups meant, the same level, a sample too.
async fn previous(app: &App, report: &SourceReport) -> Result<Option<Previous>> {
    let store = app.repository.store();
    let prefix = keys::reports_prefix(&report.source, ReportKind::Verify);
    let mut found: Vec<String> = store.list(&prefix)?.map_ok(|object| object.key).try_collect().await?;
    found.sort_unstable();
    for key in found.iter().rev().take(REPORTS_LOOKED_AT) {
        let bytes = store.get_small(key, REPORT_BYTES_MAX).await?;
        match serde_json::from_slice::<Previous>(&bytes) {
            Ok(previous) => {
                let same = previous.scope == report.scope && previous.level == Some(report.level);
                if same && previous.sample.is_some() {
                    return Ok(Some(previous));
                }
            }
            Err(error) => tracing::warn!(%error, key, "a report cannot be read, and is passed over"),
        }
    }
    Ok(None)
}

async fn keep(app: &App, report: &mut SourceReport) -> Result<()> {
    #[allow(clippy::cast_possible_truncation)] // any bits of a random number are random
    let key =
        keys::report(&report.source, ReportKind::Verify, report.started_at, (app.outside.random)() as u32);
    report.kept_as = Some(key.clone());
    let kept = async {
        let mut json = serde_json::to_vec_pretty(report).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write the report as JSON").because(source)
        })?;
        json.push(b'\n');
        app.repository.store().put_small(&key, Bytes::from(json)).await
    };
    match kept.await {
        Ok(_) => Ok(()),
        Err(error) => {
            report.kept_as = None;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
