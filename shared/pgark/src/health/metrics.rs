//! The values of metrics that a verdict comes to. Pure. What is not known has no value: an alarm on missing data rings.

use jiff::Timestamp;

use super::Verdict;
use crate::repository::SourceName;
use crate::runs::JobName;
use crate::telemetry::{Data, Datum, Metric};

/// The values of a source at a time.
pub fn of_verdict(source: &SourceName, verdict: &Verdict, now: Timestamp) -> Data {
    let figures = &verdict.figures;
    let flag = |holds: bool| Some(if holds { 1.0 } else { 0.0 });
    #[allow(clippy::cast_precision_loss)] // a number of backups
    let good = Some(figures.good_backups as f64);
    let values = [
        (Metric::Healthy, flag(verdict.healthy)),
        (Metric::GoodBackups, good),
        (Metric::NewestBackupAge, figures.newest_backup_age_seconds),
        (Metric::LastVerifyAge, figures.last_verify_age_seconds),
        (Metric::LastRestoreTestAge, figures.last_restore_test_age_seconds),
        (Metric::SizeAnomaly, flag(figures.size_anomaly)),
        (Metric::AchievedRecoveryPoint, verdict.promises.recovery_point_achieved_seconds),
        (Metric::AchievedRecoveryTime, verdict.promises.recovery_time_achieved_seconds),
    ];
    let values =
        values.into_iter().filter_map(|(metric, value)| Some(Datum { metric, value: value? })).collect();
    Data { at: now, source: source.clone(), job: JobName::Health, values }
}
