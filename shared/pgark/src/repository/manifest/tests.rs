//! That manifests keep to their schema, and that bad ones are refused.

use serde_json::{Value, json};

use super::*;
use crate::seal::Sha256;

/// A manifest with something in every field.
pub(crate) fn sample(id: BackupId, source: &str, tier: Tier) -> Manifest {
    let name = "data/public.orders.dat.zst.age";
    let sealed = Sealed {
        stored_bytes: 300,
        stored_sha256: Sha256::of(b"stored"),
        plain_bytes: 1000,
        plain_sha256: Sha256::of(b"plain"),
    };
    let object = |name: &str, archive_name: &str, rows| ObjectRecord {
        name: name.into(),
        archive_name: archive_name.into(),
        sealed,
        rows,
        fingerprint: rows.map(|_| format!("xxh3-128-sum:{:032x}", 255)),
    };
    let tables = vec![TableRecord {
        schema: "public".into(),
        name: "orders".into(),
        rows: 42,
        fingerprint: format!("xxh3-128-sum:{:032x}", 255),
        columns: vec!["id".into(), "note".into()],
        objects: vec![name.into()],
        plain_bytes: 1000,
        loaded_through: Some("public.all_orders".into()),
    }];
    let large = "data/large-objects-00001.dat.zst.age";
    let objects = vec![
        object("toc.dat.age", "toc.dat", None),
        object(name, "public.orders.dat", Some(42)),
        object(large, "large-objects-00001.dat", None),
    ];
    Manifest {
        format_version: FORMAT_VERSION.into(),
        id,
        source: source.parse().unwrap(),
        tier,
        pgark_version: "0.1.0".into(),
        started_at: id.time(),
        snapshot_at: id.time(),
        finished_at: id.time() + jiff::SignedDuration::from_secs(90),
        server: Server {
            version: "17.4".into(),
            version_num: 170_004,
            database: "app".into(),
            encoding: "UTF8".into(),
            text_settings: None,
            collation: Some("C".into()),
            ctype: Some("C".into()),
            locale_provider: Some("libc".into()),
            system_identifier: None,
        },
        snapshot: Snapshot { xids: "10:20:".into(), wal_lsn: Some("0/16B3748".into()) },
        compression: Compression::Zstd(1),
        encryption: Some(EncryptionRecord { scheme: "age-x25519".into(), recipients: vec!["age1x".into()] }),
        options: BackupOptions { exclude_tables: vec!["log_*".into()], ..BackupOptions::default() },
        allow_missing: vec![],
        left_out: vec![],
        toc_entries: 7,
        totals: Totals::of(&tables, &objects),
        tables,
        large_objects: Some(LargeObjectsRecord {
            count: 1,
            fingerprint: "aa".into(),
            objects: vec![large.into()],
            plain_bytes: 1000,
        }),
        objects,
        warnings: vec!["Something to know.".into()],
    }
}

fn manifest() -> Manifest {
    sample("20260121T020000Z-7k3f".parse().unwrap(), "app", Tier::Daily)
}

fn value() -> Value {
    serde_json::from_slice(&manifest().to_json().unwrap()).unwrap()
}

fn refused(change: impl FnOnce(&mut Value)) -> Error {
    let mut changed = value();
    change(&mut changed);
    Manifest::from_json(&serde_json::to_vec(&changed).unwrap()).unwrap_err()
}

fn schema() -> jsonschema::Validator {
    let schema = include_str!("../../../../../docs/format/manifest.schema.json");
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

#[test]
fn a_manifest_keeps_to_its_schema_and_reads_back() {
    let schema = schema();
    let faults: Vec<_> = schema.iter_errors(&value()).map(|error| error.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(Manifest::from_json(&manifest().to_json().unwrap()).unwrap(), manifest());

    let mut bare = manifest();
    bare.encryption = None;
    bare.large_objects = None;
    bare.snapshot.wal_lsn = None;
    assert!(schema.is_valid(&serde_json::to_value(&bare).unwrap()));
}

#[test]
fn the_schema_asks_for_every_field_and_its_form() {
    let schema = schema();
    for field in value().as_object().unwrap().keys() {
        let mut lacking = value();
        lacking.as_object_mut().unwrap().remove(field);
        assert!(!schema.is_valid(&lacking), "{field}");
    }
    for (pointer, wrong) in [
        ("/id", json!("2026")),
        ("/tier", json!("hourly")),
        ("/compression", json!("lz4")),
        ("/objects/0/stored_sha256", json!("abc")),
        ("/objects/0/stored_bytes", json!(-1)),
        ("/tables/0/rows", json!("42")),
    ] {
        let mut changed = value();
        *changed.pointer_mut(pointer).unwrap() = wrong;
        assert!(!schema.is_valid(&changed), "{pointer}");
    }
}

#[test]
fn versions() {
    for newer in ["2.0", "2", "17.3"] {
        let error = refused(|value| value["format_version"] = json!(newer));
        assert_eq!(error.kind(), ErrorKind::ManifestTooNew);
        assert!(error.message().contains(newer) && error.hint_text().is_some());
    }
    for wrong in ["", "0.9", "x", "1.x", "-1.0"] {
        assert_eq!(
            refused(|value| value["format_version"] = json!(wrong)).kind(),
            ErrorKind::ManifestDamaged,
            "{wrong}"
        );
    }
    let mut newer_minor = value();
    newer_minor["format_version"] = json!("1.9");
    newer_minor["something_new"] = json!({"a": 1});
    newer_minor["tables"][0]["something_new"] = json!(true);
    assert!(Manifest::from_json(&serde_json::to_vec(&newer_minor).unwrap()).is_ok());
}

#[test]
fn a_newer_major_version_is_told_before_its_fields_are_looked_at() {
    let error = Manifest::from_json(br#"{"format_version": "2.0"}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestTooNew);
}

#[test]
fn contradictions_are_damage() {
    let whole = manifest().to_json().unwrap();
    for cut in [0, 1, whole.len() / 2, whole.len() - 3] {
        assert_eq!(Manifest::from_json(&whole[..cut]).unwrap_err().kind(), ErrorKind::ManifestDamaged);
    }
    let changes: [(&str, Value); 11] = [
        ("/totals/rows", json!(41)),
        ("/totals/stored_bytes", json!(1)),
        ("/objects/0/name", json!("../../other/toc.dat.age")),
        ("/objects/0/archive_name", json!("/etc/passwd")),
        ("/objects/0/name", json!("data/public.orders.dat.zst.age")),
        ("/tables/0/objects/0", json!("data/gone.dat")),
        ("/id", json!("../x")),
        ("/objects/1/rows", json!(41)),
        ("/objects/1/fingerprint", json!(format!("xxh3-128-sum:{:032x}", 256))),
        ("/tables/0/fingerprint", json!(format!("xxh3-128-sum:{:032x}", 256))),
        ("/tables/0/fingerprint", json!("255")),
    ];
    for (pointer, wrong) in changes {
        let error = refused(|value| *value.pointer_mut(pointer).unwrap() = wrong);
        assert_eq!(error.kind(), ErrorKind::ManifestDamaged, "{pointer}");
    }
}
