//! That reports keep to their schema, and what they come to.

use serde_json::{Value, json};

use super::*;
use crate::error::Exit;
use crate::repository::part::Part;
use crate::signature::SignatureCheck;

fn backup() -> BackupRef {
    BackupRef {
        id: "20260121T020000Z-7k3f".parse().unwrap(),
        tier: crate::repository::Tier::Daily,
        source: "app".parse().unwrap(),
    }
}

fn finding(kind: ErrorKind) -> Finding {
    let part = Part::Table("public".to_owned(), "orders".to_owned());
    let error = Error::new(kind, "is wrong").hint("Do this.").because(std::io::Error::other("a cause"));
    Finding::new(&backup(), Some(("data/public.orders.dat", &part)), &error)
}

/// A report with something in every field.
fn report(found: &[ErrorKind]) -> SourceReport {
    let cursor = Cursor { object: "toc.dat".to_owned(), backup: backup().id };
    let mut report = SourceReport {
        format_version: FORMAT_VERSION,
        pgark_version: "0.1.0",
        source: backup().source,
        started_at: backup().id.time(),
        finished_at: backup().id.time(),
        store: "file:///srv".to_owned(),
        scope: ALL.to_owned(),
        level: Level::Content,
        signature: SignatureCheck::NotChecked,
        sample: Some(Sampled {
            share: "2.5%".parse().unwrap(),
            after: None,
            through: Some(cursor),
            position: 0.25,
        }),
        backups: vec![BackupLine {
            backup: backup().to_string(),
            tier: backup().tier,
            level: Level::Stored,
            objects: 3,
            objects_read: 2,
            stored_bytes_read: 10,
            rows_counted: 7,
            findings: 1,
        }],
        incomplete: vec!["daily/app/20260122T020000Z-7k3f".to_owned()],
        findings: Vec::new(),
        failures: Vec::new(),
        kept_as: Some("reports/app/verify/20260122T020000Z-7k3f.json".to_owned()),
    };
    for kind in found {
        report.add(finding(*kind));
    }
    report
}

#[test]
fn a_report_keeps_to_its_schema_and_the_next_run_can_read_it() {
    let schema = include_str!("../../../../../docs/format/verify.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let full = report(&[ErrorKind::ObjectDamaged, ErrorKind::StoreRefused]);
    let value = serde_json::to_value(&full).unwrap();
    let faults: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    let mut bare = full;
    (bare.sample, bare.kept_as) = (None, None);
    assert!(schema.is_valid(&serde_json::to_value(&bare).unwrap()));
    for field in value.as_object().unwrap().keys() {
        let mut lacking = value.clone();
        lacking.as_object_mut().unwrap().remove(field);
        assert!(!schema.is_valid(&lacking), "{field}");
    }
    for (pointer, wrong) in [
        ("/level", json!("deep")),
        ("/findings/0/tables", json!("public.orders")),
        ("/findings/0/code", json!(3)),
        ("/backups/0/objects", json!(-1)),
        ("/sample/share", json!(10)),
        ("/started_at", json!("yesterday")),
    ] {
        let mut changed: Value = value.clone();
        *changed.pointer_mut(pointer).unwrap() = wrong;
        assert!(!schema.is_valid(&changed), "{pointer}");
    }
    let previous: Previous = serde_json::from_value(value).unwrap();
    assert_eq!((&*previous.scope, previous.level), (ALL, Some(Level::Content)));
    assert_eq!(previous.sample.unwrap().through.unwrap().object, "toc.dat");
    assert_eq!(previous.findings[0].object.as_deref(), Some("data/public.orders.dat"));
}

#[test]
fn damage_comes_before_what_could_not_be_checked_and_both_before_success() {
    use ErrorKind::{Identity, ObjectMissing, StoreRefused};
    for (found, exit, code) in [
        (&[][..], Exit::Done, None),
        (&[StoreRefused], Exit::Failed, Some("verify.incomplete")),
        (&[Identity], Exit::Usage, Some("verify.incomplete")),
        (&[StoreRefused, ObjectMissing], Exit::Damaged, Some("verify.findings")),
    ] {
        let report = VerifyReport::of(vec![report(&[]), report(found)]);
        assert_eq!((report.good, report.exit()), (code.is_none(), exit), "{found:?}");
        let verdict = report.verdict();
        assert_eq!(verdict.as_ref().map(Error::code), code, "{found:?}");
        for part in verdict.iter().flat_map(|_| ["table public.orders", "data/public.orders.dat", "is wrong"])
        {
            assert!(verdict.as_ref().unwrap().to_string().contains(part), "{part}: {verdict:?}");
        }
    }
}

#[test]
fn an_event_with_a_share_that_is_none_is_refused() {
    let error = serde_json::from_value::<Verify>(json!({ "sample": "0%" })).unwrap_err();
    assert!(error.to_string().contains("10%"), "{error}");
}
