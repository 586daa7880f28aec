//! What only a folder does; the common contract is tested in `conformance`.

use jiff::Timestamp;

use super::*;

#[tokio::test]
async fn a_missing_folder_is_not_created() {
    let parent = tempfile::tempdir().unwrap();
    let store = LocalStore::new(parent.path().join("unmounted"));
    let error = store.put_small("a", Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreMissing);
    assert!(error.hint_text().is_some());
    assert!(!parent.path().join("unmounted").exists());
    assert_eq!(store.list_dirs("").await.unwrap_err().kind(), ErrorKind::StoreMissing);
}

#[tokio::test]
async fn a_killed_process_leaves_a_listed_leftover_and_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path());
    let mut writer = store.start("run/data/a").await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    // What a kill leaves: the file, without anyone to remove it.
    let path = writer.temporary.keep().unwrap();
    assert!(path.exists());

    assert!(store.list("").unwrap().next().await.is_none());
    let uploads = store.list_unfinished_uploads("run/").await.unwrap();
    assert_eq!(uploads.len(), 1);
    assert!(uploads[0].key.starts_with("run/data/.pgark-tmp-"));
    store.abort_upload(&uploads[0]).await.unwrap();
    store.abort_upload(&uploads[0]).await.unwrap();
    assert!(!path.exists());
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "emptied folders go too");
}

#[tokio::test]
async fn only_temporary_files_can_be_aborted() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path());
    store.put_small("a", Bytes::from_static(b"x")).await.unwrap();
    for key in ["a", "../.pgark-tmp-x", "b/../.pgark-tmp-x"] {
        let upload =
            UnfinishedUpload { key: key.into(), upload_id: String::new(), started: Timestamp::UNIX_EPOCH };
        assert_eq!(store.abort_upload(&upload).await.unwrap_err().kind(), ErrorKind::ObjectName, "{key}");
    }
    assert!(store.head("a").await.unwrap().is_some());
}

#[test]
fn a_full_disk_and_a_quota_are_told_apart_from_other_failures() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        assert_eq!(failed("cannot write", kind.into()).kind(), ErrorKind::StoreFull);
    }
    assert_eq!(failed("x", io::ErrorKind::ReadOnlyFilesystem.into()).kind(), ErrorKind::StoreRefused);
    assert_eq!(failed("x", io::ErrorKind::BrokenPipe.into()).kind(), ErrorKind::StoreFailed);
}
