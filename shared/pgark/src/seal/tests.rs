//! Round trips, and every kind of damage: nothing damaged may read as whole.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::*;
use crate::store::{ByteStream, Store, StoreOptions, StoreRead as _, StoreWrite as _};

fn pair() -> (Encryption, Identities) {
    let pair = KeyPair::generate(jiff::Timestamp::UNIX_EPOCH);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    pair.write_file(&path).unwrap();
    (Encryption::Age(vec![pair.recipient()]), Identities::read(&path).unwrap())
}

/// Text that compresses, with a bit of noise.
fn plain(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut rows = Vec::with_capacity(length + 40);
    while rows.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        rows.extend_from_slice(format!("{state}\tsome text\t\\N\n").as_bytes());
    }
    rows.truncate(length);
    rows
}

fn seal(plain: &[u8], compression: Compression, encryption: &Encryption) -> (Vec<u8>, Sealed) {
    let mut sealer = Sealer::new(compression, encryption).unwrap();
    let mut out = Vec::new();
    for piece in plain.chunks(10_007) {
        sealer.write(piece, &mut out).unwrap();
    }
    let record = sealer.finish(&mut out).unwrap();
    (out, record)
}

fn pieces(stored: &[u8]) -> ByteStream {
    let pieces: Vec<_> = stored.chunks(4_093).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

async fn unseal(
    stored: ByteStream,
    sealed: Sealed,
    compression: Compression,
    identities: Option<&Identities>,
) -> Result<Vec<u8>> {
    let unseal = Unseal { object: "object".into(), sealed, compression, identities: identities.cloned() };
    Ok(unseal.stream(stored).try_collect::<Vec<Bytes>>().await?.concat())
}

const CODECS: [Compression; 3] = [Compression::None, Compression::Gzip(6), Compression::Zstd(1)];

#[tokio::test]
async fn what_was_sealed_comes_back() {
    let (age, identities) = pair();
    for compression in CODECS {
        for (encryption, identities) in [(&Encryption::None, None), (&age, Some(&identities))] {
            // 65,536 is a chunk of age; 131,072 a piece of the reader.
            for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_000] {
                let text = plain(length);
                let (stored, sealed) = seal(&text, compression, encryption);
                assert_eq!(sealed.stored_bytes, stored.len() as u64);
                assert_eq!(sealed.stored_sha256, Sha256::of(&stored));
                assert_eq!((sealed.plain_bytes, sealed.plain_sha256), (length as u64, Sha256::of(&text)));
                let back = unseal(pieces(&stored), sealed, compression, identities).await.unwrap();
                assert!(back == text, "{compression} {length}");
                check_stored("object", pieces(&stored), &sealed).await.unwrap();
            }
        }
    }
}

/// Damage of every kind, at several places. The record stays that of the whole object.
fn mutilations(stored: &[u8]) -> Vec<(String, Vec<u8>)> {
    let length = stored.len();
    let mut found = vec![
        ("nothing left".to_owned(), Vec::new()),
        ("doubled".to_owned(), [stored, stored].concat()),
        ("a byte more".to_owned(), [stored, b"\0"].concat()),
    ];
    for at in [1, length / 3, length / 2, length - 17, length - 8, length - 1] {
        found.push((format!("cut at {at}"), stored[..at].to_vec()));
        let mut flipped = stored.to_vec();
        flipped[at] ^= 0x10;
        found.push((format!("flipped at {at}"), flipped));
    }
    found
}

#[tokio::test]
async fn damage_is_never_read_as_whole() {
    let (age, identities) = pair();
    let text = plain(300_000);
    for compression in CODECS {
        for (encryption, identities) in [(&Encryption::None, None), (&age, Some(&identities))] {
            let (stored, sealed) = seal(&text, compression, encryption);
            for (what, bad) in mutilations(&stored) {
                let error = unseal(pieces(&bad), sealed, compression, identities).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ObjectDamaged, "{compression} {what}: {error}");
                assert_eq!(error.object(), Some("object"));
                let error = check_stored("object", pieces(&bad), &sealed).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ObjectDamaged, "{compression} {what}");
            }
        }
    }
}

/// Whose key opens an object is asked of the object that was written, and of no other.
#[tokio::test]
async fn a_strangers_object_is_damage_and_no_wrong_key() {
    let (age, identities) = pair();
    let (stranger, _) = pair();
    let (stored, sealed) = seal(&plain(300_000), Compression::None, &age);
    let (mut foreign, its_own) = seal(&plain(300_000), Compression::None, &stranger);
    let kind = async |stored: &[u8], sealed| {
        unseal(pieces(stored), sealed, Compression::None, Some(&identities)).await.unwrap_err().kind()
    };
    assert_eq!(kind(&foreign, its_own).await, ErrorKind::IdentityMismatch, "it is what was written");
    foreign.resize(stored.len(), 0);
    assert_eq!(kind(&foreign, sealed).await, ErrorKind::ObjectDamaged);
    assert_eq!(kind(&foreign[..100_000], sealed).await, ErrorKind::ObjectDamaged);
}

/// Someone who can write to the store can make hashes that fit; the formats themselves must then notice.
#[tokio::test]
async fn truncation_is_noticed_even_if_the_stored_hash_fits() {
    let (age, identities) = pair();
    let text = plain(300_000);
    for (compression, encryption, identities) in [
        (Compression::None, &age, Some(&identities)),
        (Compression::Gzip(6), &Encryption::None, None),
        (Compression::Zstd(1), &Encryption::None, None),
        (Compression::Zstd(1), &age, Some(&identities)),
    ] {
        let (stored, sealed) = seal(&text, compression, encryption);
        for (what, bad) in mutilations(&stored) {
            let mut forged = sealed;
            forged.stored_bytes = bad.len() as u64;
            forged.stored_sha256 = Sha256::of(&bad);
            let error = unseal(pieces(&bad), forged, compression, identities).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ObjectDamaged, "{compression} {what}: {error}");
        }
    }
}

#[tokio::test]
async fn a_record_of_other_plain_bytes_is_noticed() {
    let (stored, sealed) = seal(&plain(200_000), Compression::Zstd(1), &Encryption::None);
    let other = Sha256::of(b"other");
    for wrong in [
        Sealed { plain_bytes: sealed.plain_bytes - 1, ..sealed },
        Sealed { plain_bytes: sealed.plain_bytes + 1, ..sealed },
        Sealed { plain_sha256: other, ..sealed },
        Sealed { stored_sha256: other, ..sealed },
    ] {
        let error = unseal(pieces(&stored), wrong, Compression::Zstd(1), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ObjectDamaged);
    }
}

#[tokio::test]
async fn another_key_is_told_from_damage() {
    let ((encryption, _), (_, other)) = (pair(), pair());
    let (stored, sealed) = seal(b"text", Compression::Zstd(1), &encryption);
    let error = unseal(pieces(&stored), sealed, Compression::Zstd(1), Some(&other)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IdentityMismatch);
    assert!(error.message().contains(&other.recipients()[0].to_string()), "{error}");
    assert!(error.hint_text().unwrap().contains("PGARK_IDENTITY_FILE"));
}

#[tokio::test]
async fn any_recipient_decrypts() {
    let ((Encryption::Age(mut a), key_a), (Encryption::Age(b), key_b)) = (pair(), pair()) else {
        panic!("pairs encrypt")
    };
    a.extend(b);
    let (stored, sealed) = seal(b"text", Compression::None, &Encryption::Age(a));
    for key in [key_a, key_b] {
        assert_eq!(unseal(pieces(&stored), sealed, Compression::None, Some(&key)).await.unwrap(), b"text");
    }
}

#[tokio::test]
async fn a_failure_of_the_store_is_passed_on_as_it_is() {
    let (age, identities) = pair();
    let (stored, sealed) = seal(&plain(300_000), Compression::Zstd(1), &age);
    let broken = pieces(&stored[..stored.len() / 2])
        .chain(stream::iter([Err(Error::new(ErrorKind::StoreUnreachable, "gone"))]))
        .boxed();
    let error = unseal(broken, sealed, Compression::Zstd(1), Some(&identities)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnreachable);
}

#[test]
fn an_unfinished_sealer_makes_no_valid_object() {
    let mut sealer = Sealer::new(Compression::Zstd(1), &Encryption::None).unwrap();
    let mut out = Vec::new();
    sealer.write(&plain(500_000), &mut out).unwrap();
    drop(sealer);
    assert!(zstd::decode_all(out.as_slice()).is_err());
}

async fn folder() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display()).parse().unwrap();
    let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
    (folder, store)
}

async fn writer(store: &Store, key: &str) -> SealedWriter {
    let sealer = Sealer::new(Compression::Zstd(1), &Encryption::None).unwrap();
    SealedWriter::start(sealer, store.open_writer(key, None).await.unwrap())
}

#[tokio::test]
async fn a_sealed_writer_stores_what_it_says() {
    let (_folder, store) = folder().await;
    let text = plain(3_000_000);
    let mut sealing = writer(&store, "a").await;
    // Rows, then one huge value.
    for row in text[..1_000_000].chunks(97) {
        sealing.write(Bytes::copy_from_slice(row)).await.unwrap();
    }
    sealing.write(Bytes::copy_from_slice(&text[1_000_000..])).await.unwrap();
    assert!(store.head("a").await.unwrap().is_none());
    let sealed = sealing.finish().await.unwrap();
    assert_eq!(sealed.plain_sha256, Sha256::of(&text));
    let stored = store.get("a", None).await.unwrap();
    assert!(unseal(stored, sealed, Compression::Zstd(1), None).await.unwrap() == text);
}

#[tokio::test]
async fn a_given_up_sealed_writer_leaves_nothing() {
    let (folder, store) = folder().await;
    let mut sealing = writer(&store, "a").await;
    sealing.write(plain(1_000_000).into()).await.unwrap();
    sealing.abort().await.unwrap();
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());

    let mut sealing = writer(&store, "b").await;
    sealing.write(plain(1_000_000).into()).await.unwrap();
    drop(sealing);
    let empty = async {
        while std::fs::read_dir(folder.path()).unwrap().next().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), empty)
        .await
        .expect("the temporary file is removed");
    assert!(store.head("b").await.unwrap().is_none());
}

#[tokio::test]
async fn the_stores_own_error_reaches_the_caller() {
    let (_folder, store) = folder().await;
    store.put_small("a", Bytes::from_static(b"first")).await.unwrap();
    let mut sealing = writer(&store, "a").await;
    sealing.write(Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(sealing.finish().await.unwrap_err().kind(), ErrorKind::ObjectExists);
}
