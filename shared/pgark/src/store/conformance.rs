//! The suite that every store must pass: the contract of [`super`], case by case.
//!
//! A failed expectation panics, as in a test. Each case works under its own folder, so that all can run on one store.

#![allow(clippy::unwrap_used, reason = "this is a test, although a feature can export it")]

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{ObjectWriter, Store, StoreRead as _, StoreWrite as _};
use crate::error::ErrorKind;

/// Runs all cases on an empty store.
pub async fn run(store: &Store) {
    small_objects(store).await;
    nothing_is_overwritten(store).await;
    one_of_many_racing_creates_wins(store).await;
    objects_of_many_parts(store).await;
    an_upload_race_has_one_winner(store).await;
    given_up_writers_leave_nothing(store).await;
    ranges(store).await;
    odd_keys(store).await;
    listings(store).await;
    deletions(store).await;
    bad_keys(store).await;
    sizes_are_limited(store).await;
}

/// What a store answers whose bucket or folder does not exist.
pub async fn run_on_missing(store: &Store) {
    let listed = store.list("").unwrap().try_collect::<Vec<_>>().await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::StoreMissing);
    let dirs = store.list_dirs("").await;
    assert_eq!(dirs.unwrap_err().kind(), ErrorKind::StoreMissing);
    let get = store.get("a", None).await;
    assert_eq!(get.err().unwrap().kind(), ErrorKind::StoreMissing);
}

/// The same for writing. Not for `SeaweedFS`, which creates the bucket that an administrator writes to.
pub async fn run_writes_on_missing(store: &Store) {
    let put = store.put_small("a", Bytes::from_static(b"x")).await;
    assert_eq!(put.unwrap_err().kind(), ErrorKind::StoreMissing);
    let mut writer = match store.open_writer("b", None).await {
        Ok(writer) => writer,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::StoreMissing),
    };
    // Whatever notices it first.
    let written = match writer.write(Bytes::from_static(b"x")).await {
        Ok(()) => writer.finish().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert_eq!(written.unwrap_err().kind(), ErrorKind::StoreMissing);
}

async fn read(store: &Store, key: &str) -> Vec<u8> {
    let pieces: Vec<Bytes> = store.get(key, None).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

async fn keys(store: &Store, prefix: &str) -> Vec<String> {
    store.list(prefix).unwrap().map_ok(|object| object.key).try_collect().await.unwrap()
}

/// Bytes that repeat only after a long while.
fn pattern(length: usize, seed: u64) -> Bytes {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

async fn write_all(writer: &mut ObjectWriter, bytes: &Bytes) {
    // Pieces that fit no part evenly.
    for at in (0..bytes.len()).step_by(777_777) {
        writer.write(bytes.slice(at..bytes.len().min(at + 777_777))).await.unwrap();
    }
}

async fn small_objects(store: &Store) {
    for (key, length) in [("small/empty", 0), ("small/one", 1), ("small/some", 100_000)] {
        let bytes = pattern(length, 1);
        let written = store.put_small(key, bytes.clone()).await.unwrap();
        assert_eq!((written.key.as_str(), written.bytes), (key, length as u64));
        assert_eq!(read(store, key).await, bytes, "{key}");
        let info = store.head(key).await.unwrap().unwrap();
        assert_eq!((info.key.as_str(), info.bytes), (key, length as u64));
        assert!(info.modified > jiff::Timestamp::UNIX_EPOCH);
        let listed = store.listed(key).await.unwrap().unwrap();
        assert_eq!((listed.key, listed.bytes), (info.key, info.bytes));
        assert_eq!(store.get_small(key, length).await.unwrap(), bytes);
    }
    assert_eq!(store.head("small/none").await.unwrap(), None);
    for none in ["small/none", "small/on", "small"] {
        assert_eq!(store.listed(none).await.unwrap(), None, "{none} is only the beginning of a key");
    }
    assert_eq!(store.get("small/none", None).await.err().unwrap().kind(), ErrorKind::ObjectMissing);

    let empty = store.open_writer("small/written-empty", None).await.unwrap();
    assert_eq!(empty.finish().await.unwrap().bytes, 0);
    assert!(read(store, "small/written-empty").await.is_empty());
}

async fn nothing_is_overwritten(store: &Store) {
    let first = Bytes::from_static(b"first");
    store.put_small("once/a", first.clone()).await.unwrap();
    let again = store.put_small("once/a", first.clone()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::ObjectExists, "the same bytes are no excuse");
    let mut writer = store.open_writer("once/a", None).await.unwrap();
    writer.write(Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::ObjectExists);
    assert_eq!(read(store, "once/a").await, first);
}

async fn one_of_many_racing_creates_wins(store: &Store) {
    let racers = (0..16_u8).map(|number| async move {
        let bytes = Bytes::from(vec![number; 1000]);
        (number, store.put_small("race/a", bytes).await)
    });
    let results: Vec<_> = stream::iter(racers).buffer_unordered(16).collect().await;
    let (winners, losers): (Vec<_>, Vec<_>) = results.into_iter().partition(|(_, result)| result.is_ok());
    assert_eq!(winners.len(), 1, "exactly one create wins");
    for (_, lost) in losers {
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::ObjectExists);
    }
    assert_eq!(read(store, "race/a").await, vec![winners[0].0; 1000]);
}

const MANY_PARTS: usize = 17 * 1024 * 1024 + 13;

async fn objects_of_many_parts(store: &Store) {
    // Three parts; exactly one part; exactly two; one byte into the second.
    const PART: usize = 8 * 1024 * 1024;
    for (key, length) in
        [("parts/three", MANY_PARTS), ("parts/one", PART), ("parts/two", 2 * PART), ("parts/over", PART + 1)]
    {
        let bytes = pattern(length, 2);
        let mut writer = store.open_writer(key, Some(length as u64)).await.unwrap();
        write_all(&mut writer, &bytes).await;
        assert_eq!(store.head(key).await.unwrap(), None, "{key} is visible before it is finished");
        assert_eq!(writer.finish().await.unwrap().bytes, length as u64);
        assert!(read(store, key).await == bytes, "{key} reads back as other bytes");
    }
    assert!(store.list_unfinished_uploads("parts/").await.unwrap().is_empty());
}

async fn an_upload_race_has_one_winner(store: &Store) {
    let bytes = pattern(9 * 1024 * 1024, 3);
    let mut early = store.open_writer("uploads/a", None).await.unwrap();
    write_all(&mut early, &bytes).await;
    store.put_small("uploads/a", Bytes::from_static(b"won")).await.unwrap();
    assert_eq!(early.finish().await.unwrap_err().kind(), ErrorKind::ObjectExists);
    assert_eq!(read(store, "uploads/a").await, b"won");
    assert!(store.list_unfinished_uploads("uploads/").await.unwrap().is_empty(), "the loser is cleaned up");
}

async fn given_up_writers_leave_nothing(store: &Store) {
    let bytes = pattern(MANY_PARTS, 4);
    for length in [0, 10, MANY_PARTS] {
        let mut writer = store.open_writer("given-up/aborted", None).await.unwrap();
        write_all(&mut writer, &bytes.slice(..length)).await;
        writer.abort().await.unwrap();
    }
    assert!(store.list_unfinished_uploads("given-up/").await.unwrap().is_empty());

    let mut writer = store.open_writer("given-up/dropped", None).await.unwrap();
    write_all(&mut writer, &bytes).await;
    assert_eq!(store.list_unfinished_uploads("given-up/").await.unwrap().len(), 1);
    drop(writer);
    // The abort runs on its own; a minute is far beyond what it takes.
    let gone = async {
        while !store.list_unfinished_uploads("given-up/").await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), gone)
        .await
        .expect("the dropped upload is aborted");
    assert_eq!(keys(store, "given-up/").await, Vec::<String>::new());

    let mut writer = store.open_writer("given-up/by-others", None).await.unwrap();
    write_all(&mut writer, &bytes).await;
    let uploads = store.list_unfinished_uploads("given-up/").await.unwrap();
    assert_eq!(uploads.len(), 1);
    assert!(store.list_unfinished_uploads("given/").await.unwrap().is_empty(), "a prefix is a folder");
    store.abort_upload(&uploads[0]).await.unwrap();
    store.abort_upload(&uploads[0]).await.unwrap();
    assert!(writer.finish().await.is_err(), "an aborted upload cannot be finished");
    assert_eq!(keys(store, "given-up/").await, Vec::<String>::new());
}

async fn ranges(store: &Store) {
    let bytes = pattern(300_000, 5);
    store.put_small("ranges/a", bytes.clone()).await.unwrap();
    for range in [0..1, 0..300_000, 1..299_999, 131_071..131_073, 299_999..300_000, 7..7] {
        let pieces = store.get("ranges/a", Some(range.start..range.end)).await.unwrap();
        let read: Vec<Bytes> = pieces.try_collect().await.unwrap();
        let expected =
            bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        assert!(read.concat() == expected, "{range:?}");
    }
    assert!(store.get("ranges/a", Some(299_999..300_001)).await.is_err(), "a range must lie inside");
    assert!(store.get("ranges/a", Some(300_000..300_001)).await.is_err());
}

async fn odd_keys(store: &Store) {
    let odd = [
        "odd/a b",
        "odd/a%20b",
        "odd/a+b",
        "odd/a&b=c;d,e:f@g",
        "odd/quote\"'`",
        "odd/ünïcode-表-🐘",
        "odd/(brackets)[x]{y}<z>",
        "odd/~tilde!*$#?|^",
        "odd/=4D=C3=BC.orders.dat",
        "odd/ leading",
        "odd/trailing ",
        "odd/.hidden",
        "odd/...",
        "odd/UPPER",
        "odd/deep/er/and/deep/er",
    ];
    for (number, key) in odd.iter().enumerate() {
        let bytes = Bytes::from(format!("content {number}"));
        store.put_small(key, bytes.clone()).await.unwrap();
        assert_eq!(read(store, key).await, bytes, "{key}");
    }
    let mut expected: Vec<_> = odd.iter().map(|key| (*key).to_owned()).collect();
    expected.sort_unstable();
    assert_eq!(keys(store, "odd/").await, expected, "listed as written, in the order of bytes");
    store.delete(&expected).await.unwrap();
    assert!(keys(store, "odd/").await.is_empty());
}

async fn listings(store: &Store) {
    const OBJECTS: usize = 2_345;
    let names: Vec<_> = (0..OBJECTS).map(|number| format!("many/{}/{number:04}", number % 3)).collect();
    let puts = names.iter().map(|key| async move { store.put_small(key, Bytes::new()).await.map(|_| ()) });
    stream::iter(puts).buffer_unordered(32).try_collect::<()>().await.unwrap();
    store.put_small("many-more/a", Bytes::new()).await.unwrap();

    let listed = keys(store, "many/").await;
    assert_eq!(listed.len(), OBJECTS);
    assert!(listed.is_sorted(), "ascending");
    assert_eq!(listed.iter().collect::<HashSet<_>>(), names.iter().collect(), "each once");
    assert_eq!(keys(store, "many/1/").await.len(), 782);
    assert!(keys(store, "none/").await.is_empty());
    assert!(keys(store, "").await.len() > OBJECTS);

    assert_eq!(store.list_dirs("many/").await.unwrap(), ["0", "1", "2"]);
    assert!(store.list_dirs("many/1/").await.unwrap().is_empty(), "objects are no folders");
    assert!(store.list_dirs("none/").await.unwrap().is_empty());
    assert!(store.list_dirs("").await.unwrap().contains(&"many-more".to_owned()));
    store.delete(&listed).await.unwrap();
    assert!(keys(store, "many/").await.is_empty(), "more than one request can delete");
}

async fn deletions(store: &Store) {
    store.put_small("gone/a", Bytes::from_static(b"x")).await.unwrap();
    let keys = ["gone/a".to_owned(), "gone/never-there".to_owned()];
    store.delete(&keys).await.unwrap();
    store.delete(&keys).await.unwrap();
    store.delete(&[]).await.unwrap();
    assert_eq!(store.head("gone/a").await.unwrap(), None);
    store.put_small("gone/a", Bytes::from_static(b"y")).await.unwrap();
    assert_eq!(read(store, "gone/a").await, b"y", "a deleted key can be created again");
}

async fn bad_keys(store: &Store) {
    for key in ["", "/a", "a/", "a//b", "../a", "a/../../b", "a/.", "a\nb", "a\\b"] {
        let put = store.put_small(key, Bytes::new()).await;
        assert_eq!(put.unwrap_err().kind(), ErrorKind::ObjectName, "{key:?}");
        assert_eq!(store.get(key, None).await.err().unwrap().kind(), ErrorKind::ObjectName);
        assert_eq!(store.delete(&[key.to_owned()]).await.unwrap_err().kind(), ErrorKind::ObjectName);
        assert!(store.open_writer(key, None).await.is_err());
    }
    assert!(store.list("../").is_err() && store.list("no-slash").is_err());
}

async fn sizes_are_limited(store: &Store) {
    store.put_small("limit/a", pattern(1001, 6)).await.unwrap();
    let error = store.get_small("limit/a", 1000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ObjectTooLarge);
    // Every error names its object.
    assert!(error.object().unwrap().contains("limit/a"));
}

// The S3 store runs it in tests/suites/store.rs, against a real server.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display()).parse().unwrap();
        run(&Store::open(&url, &StoreOptions::default()).await.unwrap()).await;
        let missing = format!("file://{}/none", folder.path().display()).parse().unwrap();
        let missing = Store::open(&missing, &StoreOptions::default()).await.unwrap();
        run_on_missing(&missing).await;
        run_writes_on_missing(&missing).await;
    }
}
