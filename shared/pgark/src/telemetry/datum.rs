//! One value of one metric, and which values a run comes to. Pure.

use jiff::Timestamp;

use super::catalogue::{Dimension, Metric};
use crate::repository::SourceName;
use crate::runs::{JobName, Outcome, RunRecord};

/// One value of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datum {
    /// Of which metric.
    pub metric: Metric,
    /// The value, in the metric's unit.
    pub value: f64,
}

/// Values that belong together: of one run, or of one source at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// When: the end of the run, or the look at the source.
    pub at: Timestamp,
    /// The source.
    pub source: SourceName,
    /// The job.
    pub job: JobName,
    /// The values, all of metrics of the same subject.
    pub values: Vec<Datum>,
}

impl Data {
    /// The value of a dimension.
    pub fn dimension(&self, dimension: Dimension) -> &str {
        match dimension {
            Dimension::Job => self.job.as_str(),
            Dimension::Source => self.source.as_str(),
        }
    }
}

/// Counts of bytes and rows as CloudWatch takes them: doubles, exact up to 2^53.
#[allow(clippy::cast_precision_loss)] // 9 PB are far beyond what is measured here
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// The values of a run that has ended; none of one that has not.
pub fn of_run(run: &RunRecord) -> Option<Data> {
    let (outcome, at) = (run.outcome?, run.finished_at?);
    let flag = |holds: bool| Some(if holds { 1.0 } else { 0.0 });
    let skipped = outcome == Outcome::Skipped;
    let failed = matches!(outcome, Outcome::Failed | Outcome::Damaged);
    let figures = run.figures;
    let backup_made = run.job == JobName::Backup && !failed;
    let ratio = match (figures.plain_bytes, figures.stored_bytes) {
        (Some(plain), Some(stored)) if backup_made && stored > 0 => Some(number(plain) / number(stored)),
        _ => None,
    };
    // A plan of deletions is not a deletion, but only the applied ones are counted as deleted by prune's record.
    let values = if skipped {
        vec![(Metric::RunSkipped, flag(true))]
    } else {
        vec![
            (Metric::RunSuccess, flag(!failed)),
            (Metric::RunFailure, flag(failed)),
            (Metric::RunSkipped, flag(false)),
            (Metric::RunDuration, run.seconds()),
            (Metric::PlainBytes, figures.plain_bytes.map(number)),
            (Metric::StoredBytes, figures.stored_bytes.map(number)),
            (Metric::Rows, figures.rows.map(number)),
            (Metric::CompressionRatio, ratio),
            (Metric::Findings, figures.findings.map(number)),
            (Metric::RestoreTime, figures.recovery_seconds),
            (Metric::BackupsDeleted, figures.deleted.map(number)),
            (
                Metric::EstimatedStorageCost,
                run.cost.map(|cost| cost.storage_month_usd).filter(|_| backup_made),
            ),
            (Metric::EstimatedRunCost, run.cost.map(|cost| cost.requests_usd + cost.compute_usd)),
        ]
    };
    let values = values.into_iter().filter_map(|(metric, value)| Some(Datum { metric, value: value? }));
    Some(Data { at, source: run.source.clone(), job: run.job, values: values.collect() })
}
