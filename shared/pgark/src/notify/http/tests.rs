use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[test]
fn credentials_of_a_url_go_into_a_header() {
    for (url, bare, header) in [
        ("https://hooks.example/a?b=c", "https://hooks.example/a?b=c", None),
        ("https://u:p%40ss@hooks.example:8443/a", "https://hooks.example:8443/a", Some("Basic dTpwQHNz")),
        ("http://token@hooks.example/", "http://hooks.example/", Some("Basic dG9rZW46")),
    ] {
        let (uri, authorization) = address(&Secret::new(url)).unwrap();
        assert_eq!((uri.to_string().as_str(), authorization.as_deref()), (bare, header));
    }
}

/// What the server does with one connection.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16),
    /// Reads the request, and says nothing.
    Silence,
    /// Hangs up at once.
    HangUp,
}

/// A server that follows a script, one line for each connection; requests as they came.
struct Script {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers) = (requests.clone(), answers.to_vec());
        tokio::spawn(async move {
            let mut silent = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                if matches!(answer, Answer::HangUp) {
                    seen.lock().unwrap().push(String::new());
                    continue;
                }
                let request = request(&mut stream).await;
                seen.lock().unwrap().push(request);
                match answer {
                    Answer::Status(status) => {
                        let text = format!(
                            "HTTP/1.1 {status} X\r\nconnection: close\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
                        );
                        stream.write_all(text.as_bytes()).await.unwrap();
                    }
                    _ => silent.push(stream),
                }
            }
            // Whoever hears nothing must not hear a hang-up instead.
            std::future::pending::<()>().await;
            drop(silent);
        });
        Self { port, requests }
    }

    fn url(&self) -> Secret {
        Secret::new(format!("http://u:hunter2@127.0.0.1:{}/hooks/T0/hunter2?x=1", self.port))
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A request with its body, as long as its head says.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

const SHORT: Patience =
    Patience { tries: 3, try_max: Duration::from_millis(300), pause: Duration::from_millis(5) };

fn message() -> Post {
    Post { content_type: "application/json", id: "run-1".to_owned(), body: Bytes::from_static(b"{\"a\":1}") }
}

#[tokio::test]
async fn a_message_arrives_once_with_its_id_and_credentials() {
    let script = Script::start(&[Answer::Status(204)]).await;
    post(&script.url(), &message(), SHORT).await.unwrap();
    let requests = script.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert!(request.starts_with("POST /hooks/T0/hunter2?x=1 HTTP/1.1\r\n"), "{request}");
    for part in [
        "content-type: application/json",
        "idempotency-key: run-1",
        "authorization: Basic dTpodW50ZXIy",
        "{\"a\":1}",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    use Answer::{HangUp, Silence, Status};
    for (answers, requests, outcome) in [
        (&[Status(500), Status(200)][..], 2, Ok(())),
        (&[Status(429), Status(503), Status(202)], 3, Ok(())),
        (&[HangUp, Status(200)], 2, Ok(())),
        (&[Silence, Status(200)], 2, Ok(())),
        (&[Status(500), Status(502), Status(500)], 3, Err("HTTP status 500, in 3 tries")),
        (&[Silence, Silence, Silence], 3, Err("no answer within 0.3 s, in 3 tries")),
        (&[Status(404), Status(200)], 1, Err("HTTP status 404")),
        (&[Status(401), Status(200)], 1, Err("HTTP status 401")),
        (&[Status(301), Status(200)], 1, Err("HTTP status 301, a redirect, which is not followed")),
    ] {
        let script = Script::start(answers).await;
        let done = post(&script.url(), &message(), SHORT).await;
        assert_eq!(done, outcome.map_err(str::to_owned), "{answers:?}");
        assert_eq!(script.requests().len(), requests, "{answers:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_without_the_url() {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = Secret::new(format!("http://u:hunter2@127.0.0.1:{port}/hunter2"));
    let why = post(&url, &message(), SHORT).await.unwrap_err();
    assert!(why.contains("refused") && why.ends_with(", in 3 tries"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
    let why = post(&Secret::new("https://nowhere.invalid/hunter2"), &message(), SHORT).await.unwrap_err();
    assert!(!why.contains("hunter2"), "{why}");
    // A server without TLS where TLS is expected.
    let script = Script::start(&[Answer::HangUp, Answer::HangUp, Answer::HangUp]).await;
    let url = Secret::new(format!("https://127.0.0.1:{}/hunter2", script.port));
    let why = post(&url, &message(), SHORT).await.unwrap_err();
    assert!(!why.contains("hunter2"), "{why}");
}
