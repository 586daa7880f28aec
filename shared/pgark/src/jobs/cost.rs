//! What a month costs, forecast from what the policy keeps, how large the newest backup is, and what the runs of the last
//! month cost.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::history::sources_of;
use crate::app::App;
use crate::cost::forecast::{self, DAYS_A_MONTH, Kept, StorageLine};
use crate::cost::{self, StorageClass};
use crate::error::Result;
use crate::repository::{BackupRef, Filter, SourceName};
use crate::retention::earlier;
use crate::runs::{JobName, RunRecord};
use crate::store::StoreRead as _;

/// Runs so far back tell what runs cost.
const RUNS_LOOKED_AT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The arguments.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Only of this source.
    pub source: Option<SourceName>,
}

/// A forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// The store.
    pub store: String,
    /// The currency of all amounts.
    pub currency: String,
    /// The region of the prices.
    pub region: String,
    /// The day of the prices.
    pub prices_as_of: String,
    /// Each source, by name.
    pub sources: Vec<SourceCost>,
    /// All together, a month.
    pub total_usd: f64,
    /// What to know of it, in full sentences.
    pub notes: Vec<String>,
}

/// What a source costs in a month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceCost {
    /// The source.
    pub source: SourceName,
    /// Bytes of the newest backup, which stands for all.
    pub backup_stored_bytes: u64,
    /// Its objects.
    pub backup_objects: u64,
    /// Backups a month.
    pub backups_a_month: f64,
    /// Storing what the policy keeps once it has been followed for years, by tier and class.
    pub storage: Vec<StorageLine>,
    /// All of it.
    pub storage_usd: f64,
    /// Storing what is in the store now.
    pub stored_now_usd: f64,
    /// Requests, those of lifecycle rules included.
    pub requests_usd: f64,
    /// Memory and time of functions.
    pub compute_usd: f64,
    /// All together.
    pub total_usd: f64,
}

impl Cost {
    /// Runs the job.
    ///
    /// # Errors
    /// When the store fails, or the manifest of the newest backup cannot be read.
    pub async fn run(&self, app: &App) -> Result<CostReport> {
        let now = (app.outside.now)();
        let (mut sources, mut notes) = (Vec::new(), Vec::new());
        for source in sources_of(&app.repository, self.source.as_ref()).await? {
            match Box::pin(of_source(app, &source, now)).await? {
                Some(cost) => sources.push(cost),
                None => notes.push(format!("{source} has no backup yet.")),
            }
        }
        notes.extend(standing_notes(app));
        let prices = cost::prices();
        Ok(CostReport {
            store: app.repository.store().address(),
            currency: prices.currency.clone(),
            region: prices.region.clone(),
            prices_as_of: prices.as_of.to_string(),
            total_usd: sum(sources.iter().map(|source| source.total_usd)),
            sources,
            notes,
        })
    }
}

fn standing_notes(app: &App) -> Vec<String> {
    let mut notes = vec![
        "Estimated by list prices, without free tiers, discounts and taxes; transfer, KMS, metrics, logs and reading \
         from cold classes come on top."
            .to_owned(),
        format!(
            "Objects of at least {} MiB are in their tier's class from day {} on, as the rules of infra/storage.yaml have it; \
             what is deleted earlier than {} days after that is billed so long in GLACIER, {} in DEEP_ARCHIVE.",
            cost::COLD_BYTES_MIN >> 20,
            cost::COLD_AFTER_DAYS,
            cost::prices().days_min(StorageClass::Glacier),
            cost::prices().days_min(StorageClass::DeepArchive),
        ),
    ];
    let elsewhere =
        app.settings.s3_endpoint.is_some() || !app.settings.store().is_ok_and(crate::config::StoreUrl::is_s3);
    if elsewhere {
        notes.push("This store is not Amazon's: the amounts are what it would cost there.".to_owned());
    }
    notes
}

async fn of_source(app: &App, source: &SourceName, now: Timestamp) -> Result<Option<SourceCost>> {
    let backups = app.repository.list(&Filter { source: Some(source.clone()), tier: None }).await?;
    let Some(newest) = backups.last() else { return Ok(None) };
    let manifest = app.repository.load_manifest(newest).await?;
    let objects: Vec<u64> = manifest.objects.iter().map(|object| object.sealed.stored_bytes).collect();
    let runs = app.repository.runs(source, None, Some(earlier(now, RUNS_LOOKED_AT))).await?;
    Ok(Some(forecast_of(app, source, &objects, &kept(&backups, now), &runs.records, now)))
}

fn kept(backups: &[BackupRef], now: Timestamp) -> Vec<Kept> {
    let age_days = |backup: &BackupRef| now.duration_since(backup.id.time()).as_secs_f64() / 86_400.0;
    backups.iter().map(|backup| Kept { tier: backup.tier, age_days: age_days(backup) }).collect()
}

fn forecast_of(
    app: &App,
    source: &SourceName,
    objects: &[u64],
    stored: &[Kept],
    runs: &[RunRecord],
    now: Timestamp,
) -> SourceCost {
    let (prices, classes) = (cost::prices(), app.settings.storage_classes);
    let a_month = runs_to_month(runs, now);
    let made = runs.iter().filter(|run| run.job == JobName::Backup && run.backup.is_some()).count() as u64;
    // Without any record, one a night.
    let backups_a_month = if made == 0 { DAYS_A_MONTH } else { cost::number(made) * a_month };
    let kept = forecast::kept_by(&app.settings.retention.policy, days_between(backups_a_month), now);
    let storage = forecast::storage(prices, classes, &kept, objects);
    let all = |lines: &[StorageLine]| sum(lines.iter().map(|line| line.month_usd));
    let (storage_usd, stored_now_usd) =
        (all(&storage), all(&forecast::storage(prices, classes, stored, objects)));
    let proofs = runs.iter().filter(|run| matches!(run.job, JobName::Verify | JobName::RestoreTest));
    let read: u64 = proofs.filter_map(|run| run.figures.objects).sum();
    let requests_usd = backups_a_month * prices.writing(objects)
        + prices.reading(read) * a_month
        + forecast::transitions(prices, classes, &kept, objects);
    let compute_usd = sum(runs.iter().filter_map(|run| run.cost).map(|cost| cost.compute_usd)) * a_month;
    SourceCost {
        source: source.clone(),
        backup_stored_bytes: objects.iter().sum(),
        backup_objects: objects.len() as u64,
        backups_a_month,
        storage,
        storage_usd,
        stored_now_usd,
        requests_usd,
        compute_usd,
        total_usd: storage_usd + requests_usd + compute_usd,
    }
}

/// The standard sum of nothing is a negative zero, which looks like a debt.
fn sum(amounts: impl Iterator<Item = f64>) -> f64 {
    amounts.fold(0.0, |sum, amount| sum + amount)
}

/// Days between two backups; several a day count as one, because policies keep one of a day.
fn days_between(backups_a_month: f64) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 1 to 31
    let days = (DAYS_A_MONTH / backups_a_month).round().clamp(1.0, 31.0) as u32;
    days
}

/// What runs that were seen come to in a month: they were seen for as long as the first of them is ago, a day at least.
fn runs_to_month(runs: &[RunRecord], now: Timestamp) -> f64 {
    let Some(first) = runs.first() else { return 0.0 };
    let days = (now.duration_since(first.started_at).as_secs_f64() / 86_400.0).clamp(1.0, 30.0);
    DAYS_A_MONTH / days
}
