//! What is looked at in a restored database, one check after the other.

use pg_archive::dump::scan;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::report::{Check, CheckName, CheckResult, RestoreTestReport, TargetKind, seconds_since};
use super::{Content, assertions, indexes};
use crate::config::Assertion;
use crate::error::Result;
use crate::jobs::as_backed_up;
use crate::jobs::compare::{self, Difference, DifferenceKind, Scope};

/// All checks, into the report.
pub(super) async fn all(
    place: &Place,
    content: &Content,
    wanted: &[Assertion],
    report: &mut RestoreTestReport,
    stop: &CancellationToken,
) -> Result<()> {
    let began = (place.app.outside.now)();
    tracing::info!("comparing with the backup");
    let (rows, schema) = Box::pin(comparison(place, content, stop)).await?;
    report.checks.extend([rows, schema]);
    report.times.compare_seconds = seconds_since(&place.app, began);

    let began = (place.app.outside.now)();
    tracing::info!("checking indexes");
    report.checks.push(Box::pin(indexes::check(place, stop)).await?);
    report.times.index_check_seconds = seconds_since(&place.app, began);

    let began = (place.app.outside.now)();
    report.checks.push(assertions::check(place.scratch(), wanted, stop).await?);
    report.times.assertions_seconds = seconds_since(&place.app, began);
    Ok(())
}

/// Reads the database as a backup would, and compares rows and definitions.
async fn comparison(place: &Place, content: &Content, stop: &CancellationToken) -> Result<(Check, Check)> {
    let (from, to) = (content.major(), place.version_num / 10_000);
    let with_roles = place.kind == TargetKind::Embedded;
    let scope = Scope { texts: from == to, owners: with_roles, privileges: with_roles };
    let found = Box::pin(scan(place.scratch(), as_backed_up(&place.app, &content.manifest), &(), stop)).await;
    let found = found.map_err(|error| error.on(format!("database {}", place.scratch().display())))?;
    let reworded = scope.texts && compare::are_reworded(&content.entries, &found.plan.entries, scope);
    let again = if reworded { Some(Box::pin(place.read_again(content, stop)).await?) } else { None };
    let comparison = compare::contents(
        place.app.repository.signature_check(),
        (&content.manifest, &content.entries),
        &found,
        again.as_deref(),
        scope,
    )?;
    let (of_rows, of_schema): (Vec<Difference>, Vec<Difference>) =
        comparison.differences.into_iter().partition(|difference| is_of_rows(difference.code));
    let mut schema = if scope.texts {
        "word for word".to_owned()
    } else {
        format!("by name: PostgreSQL {from} and {to} word definitions differently")
    };
    if comparison.reworded > 0 {
        let count = comparison.reworded;
        schema = format!(
            "{schema}, {count} of them in the words in which PostgreSQL tells them once it has read them"
        );
    }
    if !with_roles {
        schema.push_str("; not owners and privileges, which were not restored");
    }
    let large = match comparison.large_objects {
        0 => String::new(),
        count => format!(", and of {count} large objects"),
    };
    let rows = format!("by number and fingerprint of {} rows, as read again{large}", comparison.rows);
    Ok((
        Check::of(CheckName::Rows, comparison.tables as u64, rows, of_rows),
        Check::of(CheckName::Schema, comparison.definitions as u64, schema, of_schema),
    ))
}

fn is_of_rows(kind: DifferenceKind) -> bool {
    matches!(
        kind,
        DifferenceKind::TableMissing
            | DifferenceKind::TableUnexpected
            | DifferenceKind::RowCount
            | DifferenceKind::RowContent
            | DifferenceKind::LargeObjects
    )
}

impl Check {
    /// A check that was made: it passed if nothing differs.
    pub(super) fn of(
        name: CheckName,
        checked: u64,
        what: impl Into<String>,
        differences: Vec<Difference>,
    ) -> Self {
        let result = if differences.is_empty() { CheckResult::Passed } else { CheckResult::Failed };
        Self { name, result, checked, what: what.into(), differences }
    }

    /// A check that could not be made, or that nobody wants.
    pub(super) fn skipped(name: CheckName, reason: impl Into<String>) -> Self {
        Self { name, result: CheckResult::Skipped, checked: 0, what: reason.into(), differences: Vec::new() }
    }
}
