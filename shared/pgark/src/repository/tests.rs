//! Backups in a folder: what counts as one, and what the read-only jobs say.

use super::manifest::tests::sample;
use super::*;
use crate::jobs::list::List;
use crate::jobs::show::Show;
use crate::signature::{SigningKey, VerificationKeys};
use crate::store::StoreOptions;

async fn repository() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display()).parse().unwrap();
    let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
    (folder, Repository::new(store))
}

fn backup(id: &str, source: &str, tier: Tier) -> BackupRef {
    BackupRef { id: id.parse().unwrap(), tier, source: source.parse().unwrap() }
}

async fn commit(repository: &Repository, backup: &BackupRef) {
    let manifest = sample(backup.id, backup.source.as_str(), backup.tier);
    let json = manifest.to_json().unwrap();
    repository.commit(backup, json, Some(b"signature".to_vec())).await.unwrap();
}

#[tokio::test]
async fn only_what_has_a_manifest_is_a_backup() {
    let (_folder, repository) = repository().await;
    let late = backup("20260122T020000Z-aaaa", "app", Tier::Daily);
    let early = backup("20260120T020000Z-bbbb", "web", Tier::Weekly);
    let failed = backup("20260123T020000Z-cccc", "app", Tier::Daily);
    commit(&repository, &late).await;
    commit(&repository, &early).await;
    let file = ArchiveFile::Table { schema: "public", table: "t", chunk: None };
    let none = Encryption::None;
    let object = repository.create_object(&failed, &file, Compression::default(), &none, None).await.unwrap();
    object.finish().await.unwrap();
    let store = repository.store();
    store.put_small("daily/app/not-a-backup/manifest.json", Bytes::from_static(b"{}")).await.unwrap();
    store.put_small("reports/app/prune/x.json", Bytes::from_static(b"{}")).await.unwrap();

    let found = repository.find(&Filter::default()).await.unwrap();
    assert_eq!(found.complete, [early.clone(), late.clone()], "ascending by time, whatever the tier");
    assert_eq!(found.incomplete, std::slice::from_ref(&failed));
    let web = Filter { source: Some("web".parse().unwrap()), tier: None };
    assert_eq!(repository.list(&web).await.unwrap(), std::slice::from_ref(&early));
    let weekly = Filter { source: None, tier: Some(Tier::Weekly) };
    assert_eq!(repository.list(&weekly).await.unwrap(), [early]);
    let app = Filter { source: Some("app".parse().unwrap()), tier: None };
    assert_eq!(repository.resolve("latest", &app).await.unwrap(), late);
    let either = repository.resolve("latest", &Filter::default()).await.unwrap_err();
    assert_eq!(either.kind(), ErrorKind::BackupAmbiguous);
    let error = repository.resolve("20260123", &Filter::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackupMissing, "a failed run is never found");

    repository.remove(&failed).await.unwrap();
    repository.remove(&late).await.unwrap();
    let found = repository.find(&Filter::default()).await.unwrap();
    assert_eq!((found.complete.len(), found.incomplete.len()), (1, 0));
}

#[tokio::test]
async fn a_backup_is_committed_once() {
    let (_folder, repository) = repository().await;
    let backup = backup("20260122T020000Z-aaaa", "app", Tier::Daily);
    commit(&repository, &backup).await;
    let again = repository.commit(&backup, b"{}".to_vec(), None).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::ObjectExists);
    assert_eq!(repository.load_manifest(&backup).await.unwrap().id, backup.id);
}

#[tokio::test]
async fn a_manifest_in_another_place_is_damage() {
    let (_folder, repository) = repository().await;
    let (here, there) = (
        backup("20260122T020000Z-aaaa", "app", Tier::Daily),
        backup("20260122T020000Z-aaaa", "web", Tier::Daily),
    );
    let json = sample(here.id, "app", Tier::Daily).to_json().unwrap();
    repository.commit(&there, json, None).await.unwrap();
    assert_eq!(repository.load_manifest(&there).await.unwrap_err().kind(), ErrorKind::ManifestDamaged);
    assert_eq!(repository.load_manifest(&here).await.unwrap_err().kind(), ErrorKind::BackupMissing);
}

/// A signature covers the exact bytes, and those name the place.
#[tokio::test]
async fn with_a_verification_key_only_signed_manifests_in_their_own_place_are_read() {
    let (folder, repository) = repository().await;
    let [ours, other] = [(); 2].map(|()| SigningKey::generate().unwrap());
    let keys = VerificationKeys::read(&ours.public().to_string()).unwrap();
    let checking = repository.clone().signed_by(Some(keys));
    let here = backup("20260122T020000Z-aaaa", "app", Tier::Daily);
    let json = sample(here.id, "app", Tier::Daily).to_json().unwrap();
    let signed = |key: &SigningKey| Some(key.sign(&json, "timestamp:1").unwrap());
    repository.commit(&here, json.clone(), signed(&ours)).await.unwrap();
    assert_eq!(checking.load_manifest(&here).await.unwrap().id, here.id);

    for (id, signature, kind) in [
        ("20260122T020000Z-bbbb", None, ErrorKind::SignatureMissing),
        ("20260122T020000Z-cccc", signed(&other), ErrorKind::SignatureInvalid),
        ("20260122T020000Z-dddd", Some(vec![b'x'; 100_000]), ErrorKind::SignatureInvalid),
        // With its own signature, from the place where it was written.
        ("20260122T020000Z-eeee", signed(&ours), ErrorKind::ManifestDamaged),
    ] {
        let there = backup(id, "app", Tier::Daily);
        repository.commit(&there, json.clone(), signature).await.unwrap();
        let error = checking.load_manifest(&there).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{id}");
        assert!(error.object().unwrap().ends_with("/manifest.json"), "{error}");
    }
    let manifest = folder.path().join(here.key(keys::MANIFEST));
    std::fs::write(manifest, String::from_utf8(json).unwrap().replace("\"rows\": 42", "\"rows\": 43"))
        .unwrap();
    assert_eq!(checking.load_manifest(&here).await.unwrap_err().kind(), ErrorKind::SignatureInvalid);
    let report = List::default().run(&checking, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!((report.backups.len(), report.unreadable.len()), (0, 5), "marked, each with its code");
    assert_eq!(report.signature, SignatureCheck::Verified);
    assert_eq!(
        List::default().run(&repository, Timestamp::UNIX_EPOCH).await.unwrap().signature,
        SignatureCheck::NotChecked
    );
}

/// Whoever sees the manifest must find its signature.
#[tokio::test]
async fn a_signature_that_cannot_be_written_prevents_the_commit() {
    let (_folder, repository) = repository().await;
    let place = backup("20260122T020000Z-aaaa", "app", Tier::Daily);
    let (key, taken) = (place.key(keys::SIGNATURE), Bytes::from_static(b"somebody else's"));
    repository.store().put_small(&key, taken.clone()).await.unwrap();
    let json = sample(place.id, "app", Tier::Daily).to_json().unwrap();
    let error = repository.commit(&place, json, Some(b"signature".to_vec())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ObjectExists);
    assert_eq!(repository.find(&Filter::default()).await.unwrap().complete, []);
    assert_eq!(repository.store().get_small(&key, 100).await.unwrap(), taken);
}

#[tokio::test]
async fn objects_read_back_through_the_repository() {
    let (folder, repository) = repository().await;
    let pair = crate::seal::KeyPair::generate(jiff::Timestamp::UNIX_EPOCH);
    let keys = tempfile::tempdir().unwrap();
    pair.write_file(&keys.path().join("k")).unwrap();
    let identities = Identities::read(&keys.path().join("k")).unwrap();
    let age = Encryption::Age(vec![pair.recipient()]);
    let backup = backup("20260122T020000Z-aaaa", "app", Tier::Daily);
    for encryption in [&Encryption::None, &age] {
        for (file, codec) in [
            (ArchiveFile::Toc, Compression::Zstd(1)),
            (ArchiveFile::Table { schema: "s", table: "t", chunk: Some(1) }, Compression::Gzip(1)),
        ] {
            let mut object = repository.create_object(&backup, &file, codec, encryption, None).await.unwrap();
            object.write(Bytes::from_static(b"rows")).await.unwrap();
            let record = ObjectRecord {
                name: file.object_name(codec, encryption),
                archive_name: file.archive_name(),
                sealed: object.finish().await.unwrap(),
                rows: None,
                fingerprint: None,
            };
            assert!(folder.path().join(backup.key(&record.name)).exists());
            let read =
                repository.open_object(&backup, &record, &Part::Unknown, Some(&identities)).await.unwrap();
            let read: Vec<Bytes> = read.try_collect().await.unwrap();
            assert_eq!(read.concat(), b"rows");
            if *encryption == age {
                let error =
                    repository.open_object(&backup, &record, &Part::Unknown, None).await.err().unwrap();
                assert_eq!(error.kind(), ErrorKind::Identity);
            }
        }
    }
}

#[tokio::test]
async fn list_and_show_report_without_hiding_damage() {
    let (_folder, repository) = repository().await;
    let good = backup("20260122T020000Z-aaaa", "app", Tier::Daily);
    let bad = backup("20260121T020000Z-bbbb", "app", Tier::Daily);
    commit(&repository, &good).await;
    repository.commit(&bad, b"{\"format_version\": \"2.0\"}".to_vec(), None).await.unwrap();

    let report = List::default().run(&repository, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(report.backups.len(), 1);
    assert_eq!((report.backups[0].rows, report.backups[0].duration_seconds), (42, 90));
    assert_eq!(report.unreadable.len(), 1);
    assert_eq!(report.unreadable[0].code, "manifest.too-new");
    assert!(report.unreadable[0].error.contains("20260121T020000Z-bbbb"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["backups"][0]["id"], "20260122T020000Z-aaaa");

    let show: Show = serde_json::from_str(r#"{"backup": "latest"}"#).unwrap();
    let report = show.run(&repository, Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(report.location.ends_with("daily/app/20260122T020000Z-aaaa"), "{}", report.location);
    assert_eq!(report.manifest.server.database, "app");
    let other = Show { backup: "latest".into(), source: Some("web".parse().unwrap()) };
    assert_eq!(
        other.run(&repository, Timestamp::UNIX_EPOCH).await.unwrap_err().kind(),
        ErrorKind::BackupMissing
    );
}
