//! What comes out of a test, and that the schema in docs/ describes what is written.

use super::*;
use crate::jobs::compare::DifferenceKind;

fn begun() -> RestoreTestReport {
    let repository =
        Repository::new(crate::store::Store::Local(crate::store::local::LocalStore::new("/srv/backups")));
    let id: BackupId = "20261121T020000Z-7k3f".parse().unwrap();
    let backup = BackupRef { id, tier: Tier::Daily, source: "shop".parse().unwrap() };
    RestoreTestReport::begun(&repository, id, id.time(), &backup)
}

fn failed_check() -> Check {
    let difference =
        Difference::new(DifferenceKind::RowCount, "table public.t", "has 2 rows, and 3 were dumped");
    Check::of(CheckName::Rows, 1, "rows", vec![difference])
}

#[test]
fn only_a_test_without_error_and_difference_passes() {
    let damaged = || Error::new(ErrorKind::ObjectDamaged, "is damaged");
    let unreachable = || Error::new(ErrorKind::StoreUnreachable, "no answer");
    for (checks, error, result) in [
        (vec![Check::of(CheckName::Rows, 1, "rows", vec![])], None, TestResult::Passed),
        (vec![Check::skipped(CheckName::Indexes, "no amcheck")], None, TestResult::Passed),
        (vec![failed_check()], None, TestResult::Failed),
        (vec![failed_check()], Some(unreachable()), TestResult::Failed),
        (vec![], Some(damaged()), TestResult::Failed),
        (vec![], Some(unreachable()), TestResult::Incomplete),
    ] {
        let mut report = begun();
        report.checks = checks;
        report.end(report.started_at, error.as_ref());
        assert_eq!(report.result, result, "{report:?}");
        assert_eq!(report.failure().is_some(), result != TestResult::Passed);
    }
}

#[test]
fn the_error_of_a_failed_test_names_the_tables() {
    let mut report = begun();
    report.checks.push(failed_check());
    report.end(report.started_at, None);
    let error = report.failure().unwrap();
    assert_eq!((error.code(), error.exit()), ("restore-test.failed", Exit::Damaged));
    assert!(error.message().contains("table public.t: has 2 rows"), "{error}");
    assert!(error.hint_text().unwrap().contains("reports/shop/restore-test/20261121T020000Z-7k3f.json"));
}

#[test]
fn reports_are_what_the_schema_says() {
    let schema = include_str!("../../../../../../docs/format/restore-test.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let mut full = begun();
    full.checks = vec![failed_check(), Check::skipped(CheckName::Assertions, "there are none")];
    full.restored = Some(Restored { entries: 7, entries_left_out: 4, files: 1, rows: 2 });
    full.target = TestTarget {
        kind: Some(TargetKind::Embedded),
        address: Some("/tmp/pgark-pg-x:5432/postgres".to_owned()),
        server_version: Some("17.6".to_owned()),
        database: Some("pgark_test_20261121t020000z_7k3f".to_owned()),
        dropped: true,
    };
    full.end(full.started_at, None);
    let mut broken_off = begun();
    broken_off
        .end(broken_off.started_at, Some(&Error::new(ErrorKind::Stopped, "was stopped").hint("Again.")));
    for report in [full, broken_off] {
        let json: serde_json::Value = serde_json::from_slice(&report.to_json().unwrap()).unwrap();
        let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{json}");
        assert_eq!(serde_json::from_value::<RestoreTestReport>(json.clone()).unwrap(), report);
        // The schema is strict enough to tell that something is missing, or new.
        let mut less = json.clone();
        less.as_object_mut().unwrap().remove("result");
        assert!(!schema.is_valid(&less));
        let mut more = json;
        more["surprise"] = true.into();
        assert!(!schema.is_valid(&more));
    }
}
