//! What reports of verifications and restore tests say of backups.
//!
//! The newest report that could tell decides. A report tells of damage if it found some; that a backup is sound it tells
//! only if it looked at the whole of it, and as deep as the one that found something: a sample without findings, or a look
//! at stored bytes, takes back nothing that a restore test found.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use serde::Deserialize;

use super::Damage;
use crate::error::{ErrorKind, Result};
use crate::repository::proof::Look;
use crate::repository::{BackupId, BackupRef, ReportKind, Repository, SourceName};
use crate::retention::{CLOCK_SKEW_MAX, later};

/// Reports may be large, so few are in memory at a time.
const REPORTS_IN_FLIGHT: usize = 4;
/// Nobody has more in years; whoever fills the store with reports is not to keep a prune busy for ever.
const REPORTS_READ_MAX: usize = 2000;

/// How deep a look goes: the levels of `verify`, and a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Depth {
    Stored,
    Content,
    Restored,
}

/// What a report says of one backup.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    backup: BackupId,
    depth: Depth,
    /// What is wrong; none if the whole of it was looked at and nothing was found.
    damage: Option<String>,
}

/// An object that nobody listed takes nothing away from a backup.
const STRANGER: ErrorKind = ErrorKind::ObjectUnreferenced;

impl Repository {
    /// Which of a source's backups are damaged, and how.
    pub(super) async fn damage(&self, source: &SourceName, backups: &[&BackupRef]) -> Result<Damage> {
        let mut reports = Vec::new();
        for kind in [ReportKind::Verify, ReportKind::RestoreTest] {
            reports.extend(self.reports(source, kind).await?.into_iter().map(|id| (id, kind)));
        }
        // The newest first: once everything is known of every backup, older ones say nothing new.
        reports.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
        if reports.len() > REPORTS_READ_MAX {
            tracing::warn!(%source, reports = reports.len(), "only the newest {REPORTS_READ_MAX} reports are read");
            reports.truncate(REPORTS_READ_MAX);
        }
        let read = stream::iter(reports)
            .map(|(id, kind)| async move { (id, self.statements(source, kind, id).await) })
            .buffered(REPORTS_IN_FLIGHT);
        let mut read = std::pin::pin!(read);
        let mut ledger = Ledger::new(backups.iter().map(|backup| backup.id));
        while let Some((id, statements)) = read.next().await {
            if ledger.is_settled_before(id) {
                break;
            }
            for statement in statements? {
                ledger.hear(statement);
            }
        }
        Ok(ledger.damage)
    }

    /// What a report says. One that cannot be understood says nothing.
    async fn statements(
        &self,
        source: &SourceName,
        kind: ReportKind,
        id: BackupId,
    ) -> Result<Vec<Statement>> {
        let json = match self.read_report(source, kind, id).await {
            // A lifecycle rule may take reports away while they are read.
            Err(error) if error.kind() == ErrorKind::ObjectMissing => return Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::ObjectTooLarge => {
                tracing::warn!(%error, report = %id, "a report is too large, and does not count");
                return Ok(Vec::new());
            }
            json => json?,
        };
        let said = match kind {
            ReportKind::RestoreTest => serde_json::from_slice::<RestoreTested>(&json).map(|r| r.statements()),
            _ => serde_json::from_slice::<Verified>(&json).map(|report| report.statements(id)),
        };
        Ok(said.unwrap_or_else(|error| {
            tracing::warn!(%error, report = %id, "a report cannot be understood, and does not count");
            Vec::new()
        }))
    }
}

/// What is known so far, of reports that are heard with the newest first.
#[derive(Debug)]
struct Ledger {
    /// How deep a newer report looked that found the backup whole; only of backups of which more is to be learned.
    open: BTreeMap<BackupId, Option<Depth>>,
    damage: Damage,
}

impl Ledger {
    fn new(backups: impl Iterator<Item = BackupId>) -> Self {
        Self { open: backups.map(|backup| (backup, None)).collect(), damage: Damage::new() }
    }

    /// Whether no report that is as old as this one can tell anything new.
    fn is_settled_before(&self, report: BackupId) -> bool {
        let oldest = self.open.first_key_value();
        oldest.is_none_or(|(oldest, _)| later(report.time(), CLOCK_SKEW_MAX) < oldest.time())
    }

    fn hear(&mut self, Statement { backup, depth, damage }: Statement) {
        let Some(sound) = self.open.get_mut(&backup) else { return };
        match damage {
            Some(damage) if sound.is_none_or(|sound| sound < depth) => {
                self.damage.insert(backup, damage);
                self.open.remove(&backup);
            }
            Some(_) => {}
            None => {
                *sound = (*sound).max(Some(depth));
                if depth == Depth::Restored {
                    self.open.remove(&backup);
                }
            }
        }
    }
}

/// As much of a report of `verify` as is needed.
#[derive(Deserialize)]
struct Verified {
    level: Depth,
    sample: Option<serde::de::IgnoredAny>,
    backups: Vec<Line>,
    findings: Vec<Finding>,
    failures: Vec<Finding>,
}

#[derive(Deserialize)]
struct Line {
    backup: String,
    level: Depth,
    objects: usize,
    objects_read: usize,
    findings: usize,
}

#[derive(Deserialize)]
struct Finding {
    code: String,
    backup: String,
    object: Option<String>,
}

/// The id at the end of a backup's place.
fn id_of(place: &str) -> Option<BackupId> {
    place.rsplit('/').next()?.parse().ok()
}

impl Verified {
    fn statements(&self, report: BackupId) -> Vec<Statement> {
        let mut statements: BTreeMap<BackupId, Statement> = BTreeMap::new();
        for (line, backup) in self.backups.iter().filter_map(|line| Some((line, id_of(&line.backup)?))) {
            let failures = self.failures.iter().filter(|failure| failure.backup == line.backup).count();
            let Line { objects, objects_read, findings, .. } = *line;
            if (Look { objects, objects_read, findings, failures, sampled: self.sample.is_some() }).is_whole()
            {
                statements.insert(backup, Statement { backup, depth: line.level, damage: None });
            }
        }
        for finding in self.findings.iter().filter(|finding| finding.code != STRANGER.code()) {
            let Some(backup) = id_of(&finding.backup) else { continue };
            let object = finding.object.as_deref().unwrap_or(crate::repository::keys::MANIFEST);
            let damage = format!("verify found {} in {object} ({report})", finding.code);
            let statement =
                statements.entry(backup).or_insert(Statement { backup, depth: self.level, damage: None });
            statement.damage.get_or_insert(damage);
        }
        statements.into_values().collect()
    }
}

/// As much of a report of `restore-test` as is needed.
#[derive(Deserialize)]
struct RestoreTested {
    id: BackupId,
    result: Outcome,
    backup: Tested,
    #[serde(default)]
    checks: Vec<Check>,
    error: Option<Failed>,
}

#[derive(Deserialize)]
struct Tested {
    id: BackupId,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    result: Outcome,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Passed,
    Failed,
    Incomplete,
    Skipped,
}

#[derive(Deserialize)]
struct Failed {
    code: String,
}

impl RestoreTested {
    fn statements(&self) -> Vec<Statement> {
        let damage = match self.result {
            Outcome::Passed => None,
            Outcome::Incomplete | Outcome::Skipped => return Vec::new(),
            Outcome::Failed => {
                let failed = self.checks.iter().filter(|check| check.result == Outcome::Failed);
                let mut what: Vec<&str> = failed.map(|check| check.name.as_str()).collect();
                what.extend(self.error.as_ref().map(|error| error.code.as_str()));
                Some(format!("its restore test failed: {} ({})", what.join(", "), self.id))
            }
        };
        vec![Statement { backup: self.backup.id, depth: Depth::Restored, damage }]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BACKUP: &str = "20260110T020000Z-aaaa";

    fn verified(level: &str, sample: bool, finding: Option<&str>, failure: bool) -> Verified {
        let place = format!("daily/shop/{BACKUP}");
        let found =
            |code: &str| json!([{ "code": code, "backup": place, "object": "data/a.dat", "tables": [] }]);
        serde_json::from_value(json!({
            "level": level,
            "sample": if sample { json!({ "share": "10%" }) } else { json!(null) },
            "backups": [{
                "backup": place, "tier": "daily", "level": level, "objects": 3, "objects_read": 3, "findings": 0,
            }],
            "findings": finding.map_or(json!([]), found),
            "failures": if failure { found("store.failed") } else { json!([]) },
        }))
        .unwrap()
    }

    fn tested(result: &str) -> RestoreTested {
        serde_json::from_value(json!({
            "id": "20260111T030000Z-bbbb", "result": result, "backup": { "id": BACKUP },
            "checks": [
                { "name": "load", "result": "passed" },
                { "name": "rows", "result": if result == "failed" { "failed" } else { "passed" } },
            ],
            "error": null,
        }))
        .unwrap()
    }

    /// What is known after these reports, the newest first.
    fn damaged(reports: Vec<Vec<Statement>>) -> bool {
        let id: BackupId = BACKUP.parse().unwrap();
        let mut ledger = Ledger::new([id].into_iter());
        reports.into_iter().flatten().for_each(|statement| ledger.hear(statement));
        ledger.damage.contains_key(&id)
    }

    #[test]
    fn the_newest_report_that_could_tell_decides() {
        let id: BackupId = "20260112T030000Z-cccc".parse().unwrap();
        let verify = |level: &str, sample: bool, finding: Option<&str>| {
            verified(level, sample, finding, false).statements(id)
        };
        let damage = Some("object.damaged");
        let test = |result: &str| tested(result).statements();
        for (expected, reports) in [
            (false, vec![]),
            (false, vec![verify("stored", false, None)]),
            (true, vec![verify("stored", false, damage)]),
            (true, vec![verify("stored", true, damage)]),
            // Repaired, and looked at again as deep.
            (false, vec![verify("stored", false, None), verify("stored", false, damage)]),
            (false, vec![verify("content", false, None), verify("stored", false, damage)]),
            (false, vec![test("passed"), verify("content", false, damage)]),
            // Looked at again, but less deep, or not at all of it, or in vain.
            (true, vec![verify("stored", false, None), verify("content", false, damage)]),
            (true, vec![verify("content", false, None), test("failed")]),
            (true, vec![verify("content", true, None), verify("content", false, damage)]),
            (true, vec![test("incomplete"), verify("stored", false, damage)]),
            (
                true,
                vec![verified("stored", false, None, true).statements(id), verify("stored", false, damage)],
            ),
            // Damage is newer than what found none.
            (true, vec![verify("stored", false, damage), test("passed")]),
            (false, vec![verify("stored", false, Some("object.unreferenced"))]),
        ] {
            assert_eq!(damaged(reports), expected, "{expected}");
        }
        let said = tested("failed").statements().remove(0).damage.unwrap();
        assert_eq!(said, "its restore test failed: rows (20260111T030000Z-bbbb)");
    }

    #[test]
    fn a_look_at_a_part_says_nothing() {
        let mut stopped = verified("content", false, None, false);
        assert_eq!(stopped.statements("20260111T010000Z-bbbb".parse().unwrap()).len(), 1);
        stopped.backups[0].objects_read = 2;
        assert_eq!(stopped.statements("20260111T010000Z-bbbb".parse().unwrap()), []);
    }

    #[test]
    fn reports_from_before_the_oldest_open_backup_are_not_read() {
        let id = |text: &str| -> BackupId { text.parse().unwrap() };
        let mut ledger = Ledger::new([id(BACKUP), id("20260210T020000Z-aaaa")].into_iter());
        assert!(!ledger.is_settled_before(id("20260110T013000Z-aaaa")), "clocks differ");
        assert!(ledger.is_settled_before(id("20260110T005959Z-aaaa")));
        tested("passed").statements().into_iter().for_each(|statement| ledger.hear(statement));
        assert!(ledger.is_settled_before(id("20260111T020000Z-aaaa")));
        // Whoever writes reports may date them as he likes.
        for time in ["99991230T210000Z-aaaa", "19700101T000000Z-aaaa"] {
            ledger.is_settled_before(id(time));
        }
    }
}
