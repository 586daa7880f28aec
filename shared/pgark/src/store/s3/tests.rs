//! Faults that no real server makes on demand, from a server that says what the script has.

use aws_sdk_s3::config::Credentials;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::seal::Sha256;
use crate::store::{Replication, StoreRead as _, StoreWrite as _};

/// A store on a server that gives one answer a connection, in order; its task returns the requests' heads.
pub(crate) async fn scripted(answers: Vec<String>) -> (S3Store, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0, "the client hung up");
            }
            requests.push(String::from_utf8_lossy(&request).to_lowercase());
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
        }
        requests
    });
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .retry_config(retries().with_initial_backoff(Duration::from_millis(1)))
        .timeout_config(timeouts())
        .load()
        .await;
    (S3Store::of(&shared, "bucket", "root", 7, None).unwrap(), server)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse::<usize>().unwrap())
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn refusal(status: &str, code: &str, message: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    answer(status, &format!("Content-Length: {}\r\n", body.len()), &body)
}

/// The body is shorter than announced when the connection breaks.
fn object(status: &str, announced: usize, etag: &str, body: &str) -> String {
    answer(status, &format!("Content-Length: {announced}\r\nETag: \"{etag}\"\r\n"), body)
}

async fn read(store: &S3Store) -> Result<Vec<u8>> {
    Ok(store.get("a", None).await?.try_collect::<Vec<Bytes>>().await?.concat())
}

#[tokio::test]
async fn a_broken_read_goes_on_where_it_broke() {
    let (store, server) = scripted(vec![
        object("200 OK", 10, "v1", "0123"),
        object("206 Partial Content", 6, "v1", "45"),
        object("206 Partial Content", 4, "v1", "6789"),
    ])
    .await;
    assert_eq!(read(&store).await.unwrap(), b"0123456789");
    let requests = server.await.unwrap();
    assert!(requests[0].starts_with("get /bucket/root/a"), "path style, under the prefix: {}", requests[0]);
    for (request, range) in requests[1..].iter().zip(["bytes=4-9", "bytes=6-9"]) {
        assert!(request.contains(&format!("range: {range}")), "{request}");
        assert!(request.contains("if-match: \"v1\""), "{request}");
    }
}

#[tokio::test]
async fn two_versions_of_an_object_are_never_spliced() {
    for second in [
        refusal("412 Precondition Failed", "PreconditionFailed", ""),
        // A server that ignores If-Match; and one that ignores the range.
        object("206 Partial Content", 6, "v2", "456789"),
        object("200 OK", 10, "v1", "0123456789"),
    ] {
        let (store, server) = scripted(vec![object("200 OK", 10, "v1", "0123"), second]).await;
        assert_eq!(read(&store).await.unwrap_err().kind(), ErrorKind::ObjectChanged);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn resuming_ends_when_nothing_comes() {
    let mut answers = vec![object("200 OK", 10, "v1", "0123")];
    answers.resize(6, object("206 Partial Content", 6, "v1", ""));
    let (store, server) = scripted(answers).await;
    assert_eq!(read(&store).await.unwrap_err().kind(), ErrorKind::StoreUnreachable);
    assert_eq!(server.await.unwrap().len(), 6);
}

#[tokio::test]
async fn creates_are_conditional_and_carry_two_checksums() {
    let (store, server) = scripted(vec![answer("200 OK", "ETag: \"e\"\r\nContent-Length: 0\r\n", "")]).await;
    store.put_small("a", Bytes::from_static(b"body")).await.unwrap();
    let request = server.await.unwrap().remove(0);
    assert!(request.contains("if-none-match: *"), "{request}");
    assert!(request.contains("x-amz-checksum-crc32c: "), "{request}");
    assert!(request.contains(&format!("x-amz-content-sha256: {}", Sha256::of(b"body"))), "{request}");
    assert!(request.ends_with("\r\n\r\nbody"), "no chunked encoding: {request}");
}

/// "Work done, response lost": the retry meets the object that the first try made.
#[tokio::test]
async fn a_create_whose_answer_was_lost_is_told_from_anothers() {
    for (made_by, ours) in [("0000000000000007-0", true), ("0000000000000008-0", false)] {
        let (store, server) = scripted(vec![
            String::new(),
            refusal("412 Precondition Failed", "PreconditionFailed", ""),
            answer("200 OK", &format!("Content-Length: 4\r\nx-amz-meta-pgark-create: {made_by}\r\n"), ""),
        ])
        .await;
        let put = store.put_small("a", Bytes::from_static(b"body")).await;
        match put {
            Ok(_) => assert!(ours),
            Err(error) => assert!(!ours && error.kind() == ErrorKind::ObjectExists, "{error}"),
        }
        server.await.unwrap();
    }
}

/// The same for a role that may write and list, and not read.
#[tokio::test]
async fn a_create_whose_answer_was_lost_is_told_by_its_length_to_whoever_may_not_read() {
    for (bytes, ours) in [(4, true), (5, false)] {
        let listing = format!(
            "<ListBucketResult><Contents><Key>root/a</Key><Size>{bytes}</Size>\
             <LastModified>2026-11-21T02:00:00Z</LastModified></Contents></ListBucketResult>"
        );
        let (store, server) = scripted(vec![
            String::new(),
            refusal("412 Precondition Failed", "PreconditionFailed", ""),
            answer("403 Forbidden", "Content-Length: 0\r\n", ""),
            answer("200 OK", &format!("Content-Length: {}\r\n", listing.len()), &listing),
        ])
        .await;
        let put = store.put_small("a", Bytes::from_static(b"body")).await;
        match put {
            Ok(_) => assert!(ours),
            Err(error) => assert!(!ours && error.kind() == ErrorKind::ObjectExists, "{error}"),
        }
        let requests = server.await.unwrap();
        assert!(
            requests[3].starts_with("get /bucket/?list-type=2&max-keys=1&prefix=root%2fa"),
            "{}",
            requests[3]
        );
    }
}

#[tokio::test]
async fn a_server_without_checksum_headers_is_spared_them() {
    let refused = "Unsupported header 'x-amz-checksum-crc32c' received for this API call.";
    let stored = answer("200 OK", "ETag: \"e\"\r\nContent-Length: 0\r\n", "");
    let (store, server) =
        scripted(vec![refusal("400 Bad Request", "InvalidArgument", refused), stored.clone(), stored]).await;
    store.put_small("a", Bytes::from_static(b"body")).await.unwrap();
    store.put_small("b", Bytes::from_static(b"body")).await.unwrap();
    let requests = server.await.unwrap();
    assert!(requests[0].contains("checksum"));
    for request in &requests[1..] {
        assert!(!request.contains("checksum"), "{request}");
        assert!(request.contains(&Sha256::of(b"body").to_string()), "{request}");
    }
}

#[tokio::test]
async fn a_server_without_conditional_creates_is_asked_first() {
    let refused = || refusal("501 Not Implemented", "NotImplemented", "A header is not implemented");
    let (store, server) = scripted(vec![
        refused(),
        answer("404 Not Found", "Content-Length: 0\r\n", ""),
        answer("200 OK", "ETag: \"e\"\r\nContent-Length: 0\r\n", ""),
        answer("200 OK", "Content-Length: 4\r\nLast-Modified: Wed, 21 Jan 2026 02:00:00 GMT\r\n", ""),
    ])
    .await;
    store.put_small("a", Bytes::from_static(b"body")).await.unwrap();
    let error = store.put_small("a", Bytes::from_static(b"body")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ObjectExists);
    assert_eq!(server.await.unwrap().len(), 4);
}

#[tokio::test]
async fn throttling_is_retried_a_bounded_number_of_times() {
    let (store, server) = scripted(vec![refusal("503 Slow Down", "SlowDown", "Reduce your rate"); 6]).await;
    let error = store.put_small("a", Bytes::from_static(b"body")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreBusy);
    assert_eq!(error.object(), Some("s3://bucket/root/a"));
    assert_eq!(server.await.unwrap().len(), 6);
}

#[tokio::test]
async fn an_object_tells_whether_it_was_copied() {
    for (header, replication) in [
        ("", Replication::NotCovered),
        ("x-amz-replication-status: PENDING\r\n", Replication::Pending),
        ("x-amz-replication-status: FAILED\r\n", Replication::Failed),
        ("x-amz-replication-status: COMPLETED\r\n", Replication::Done),
        ("x-amz-replication-status: COMPLETE\r\n", Replication::Done),
        ("x-amz-replication-status: REPLICA\r\n", Replication::Done),
    ] {
        let written = "Content-Length: 4\r\nLast-Modified: Wed, 21 Jan 2026 02:00:00 GMT\r\n";
        let (store, server) = scripted(vec![answer("200 OK", &format!("{written}{header}"), "")]).await;
        let at = "2026-01-21T02:00:00Z".parse().unwrap();
        assert_eq!(store.replication_of("a").await.unwrap(), Some((at, replication)), "{header}");
        let requests = server.await.unwrap();
        assert!(requests[0].starts_with("head /bucket/root/a "), "{}", requests[0]);
    }
}

#[tokio::test]
async fn a_copy_that_cannot_be_asked_for_is_an_error_and_not_health() {
    let (store, server) = scripted(vec![
        answer("404 Not Found", "Content-Length: 0\r\n", ""),
        answer("403 Forbidden", "Content-Length: 0\r\n", ""),
        answer("200 OK", "Content-Length: 4\r\nx-amz-replication-status: PARTLY\r\n", ""),
    ])
    .await;
    assert_eq!(store.replication_of("a").await.unwrap(), None);
    let refused = store.replication_of("a").await.unwrap_err();
    assert_eq!((refused.kind(), refused.object()), (ErrorKind::StoreRefused, Some("s3://bucket/root/a")));
    let unknown = store.replication_of("a").await.unwrap_err();
    assert!(unknown.message().contains("\"PARTLY\""), "{unknown}");
    server.await.unwrap();
}

/// A server that ignores the prefix, or a cache that mixes answers up.
#[tokio::test]
async fn a_listing_with_a_foreign_key_is_not_believed() {
    let listing = |inner: &str| {
        let xml = format!("<ListBucketResult>{inner}</ListBucketResult>");
        answer("200 OK", &format!("Content-Length: {}\r\n", xml.len()), &xml)
    };
    let object = |key: &str| {
        format!(
            "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-11-21T02:00:00Z</LastModified></Contents>"
        )
    };
    let folder = |prefix: &str| format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>");
    let (ours, foreign) = (object("root/a/1"), object("root/b/1"));
    let (store, server) = scripted(vec![
        listing(&format!("{ours}{foreign}")),
        listing(&foreign),
        listing(&format!("{}{}", folder("root/a/x/"), folder("root/b/"))),
        listing(&format!("{foreign}{}", folder("root/a/x/"))),
        listing(&object("elsewhere/a/1")),
        listing(&ours),
    ])
    .await;
    let list = async || store.list("a/").unwrap().try_collect::<Vec<_>>().await;
    let errors = [
        list().await.unwrap_err(),
        store.listed("a/1").await.unwrap_err(),
        store.list_dirs("a/").await.unwrap_err(),
        store.list_dirs("a/").await.unwrap_err(),
        list().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::StoreListing, "{error}");
        assert!(["root/b/", "elsewhere/a/1"].iter().any(|key| error.message().contains(key)), "{error}");
    }
    assert_eq!(list().await.unwrap().len(), 1);
    server.await.unwrap();
}

#[tokio::test]
async fn nobody_listening_is_told_as_such() {
    let (store, server) = scripted(vec![]).await;
    server.await.unwrap();
    let error = store.put_small("a", Bytes::from_static(b"body")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnreachable);
    assert!(error.hint_text().unwrap().contains("AWS_ENDPOINT_URL"));
}
