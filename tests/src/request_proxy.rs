//! An HTTP proxy in front of an S3 server that counts requests, and refuses or swallows those that a test names.
//!
//! One request a connection, and no more of HTTP/1.1 than our client and SeaweedFS speak: bodies have a length. Headers
//! pass as they are, because they are signed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A request, as the proxy sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Counted from 1.
    pub number: u64,
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The body, as far as it is text.
    pub body: String,
}

impl Seen {
    /// Whether it asks for all objects in the folder of a backup.
    pub fn lists_a_backup(&self) -> bool {
        // `…prefix=daily%2Fshop%2F20261121T020000Z-hq7k%2F`
        let prefix = self.target.split(['?', '&']).find_map(|pair| pair.strip_prefix("prefix="));
        let folder = prefix.and_then(|prefix| prefix.strip_suffix("%2F")?.rsplit("%2F").next());
        self.method == "GET"
            && !["uploads", "holds%2F"].iter().any(|other| self.target.contains(other))
            && folder.is_some_and(|name| name.len() == "20261121T020000Z-hq7k".len() && name.contains("Z-"))
    }

    /// Whether it is to delete something.
    pub fn deletes(&self) -> bool {
        self.method == "DELETE" || (self.method == "POST" && self.target.contains("?delete"))
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It passes, and so does its answer.
    Pass,
    /// The server never hears of it: 403, `AccessDenied`.
    Refuse,
    /// The server never hears of it, and no answer comes. [`RequestProxy::swallowed`] tells.
    Swallow,
    /// The server does what it says, but no answer comes. [`RequestProxy::swallowed`] tells.
    SwallowAnswer,
    /// The server never hears of it, and this is answered: a lie. 200, XML.
    Answer(String),
}

type Decide = Box<dyn FnMut(&Seen) -> Fate + Send>;

/// A proxy in front of one server. It and its connections end when this is dropped.
#[derive(Debug)]
pub struct RequestProxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl RequestProxy {
    /// Listens on a free port of 127.0.0.1, and does with each request what `decide` says.
    pub async fn start(
        endpoint: &str,
        decide: impl FnMut(&Seen) -> Fate + Send + 'static,
    ) -> anyhow::Result<Self> {
        let server = endpoint.strip_prefix("http://").context("no http:// address")?.parse()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free TCP port")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            server,
            requests: AtomicU64::new(0),
            decide: Mutex::new(Box::new(decide)),
            swallowed: Notify::new(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// Where clients send their requests to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Waits until a request or an answer was swallowed.
    pub async fn swallowed(&self) {
        self.state.swallowed.notified().await;
    }
}

impl Drop for RequestProxy {
    fn drop(&mut self) {
        self.accepting.abort(); // takes the connections with it: they are in its JoinSet
    }
}

struct State {
    server: SocketAddr,
    requests: AtomicU64,
    decide: Mutex<Decide>,
    swallowed: Notify,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("server", &self.server).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        // A connection that breaks is the client's to notice.
        connections.spawn(async move { drop(serve(client, &state).await) });
    }
}

async fn serve(mut client: TcpStream, state: &State) -> io::Result<()> {
    let Some((head, body)) = read_request(&mut client).await? else { return Ok(()) };
    let mut words = head.split_whitespace().map(str::to_owned);
    let seen = Seen {
        number: state.requests.fetch_add(1, Ordering::SeqCst) + 1,
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let fate = state.decide.lock().map_or(Fate::Pass, |mut decide| decide(&seen));
    match fate {
        Fate::Refuse => client.write_all(&answer("403 Forbidden", ACCESS_DENIED)).await,
        Fate::Answer(xml) => client.write_all(&answer("200 OK", &xml)).await,
        Fate::Swallow => {
            state.swallowed.notify_one();
            std::future::pending().await
        }
        Fate::Pass => {
            let answer = forward(&head, &body, state.server).await?;
            client.write_all(&answer).await
        }
        Fate::SwallowAnswer => {
            forward(&head, &body, state.server).await?;
            state.swallowed.notify_one();
            std::future::pending().await
        }
    }
}

/// Head and body; `None` if the client went away without a word.
async fn read_request(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await? == 0 || bytes.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    let length = head.lines().find_map(header).unwrap_or(0);
    let missing = length.saturating_sub(body.len());
    let mut rest = vec![0; missing];
    client.read_exact(&mut rest).await?;
    body.extend(rest);
    Ok(Some((head, body)))
}

/// The server's whole answer. It closes the connection behind it, because it is told to.
async fn forward(head: &str, body: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let mut to = TcpStream::connect(server).await?;
    let lines = head.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head = lines.collect::<Vec<_>>().join("\r\n") + "\r\nConnection: close\r\n\r\n";
    to.write_all(head.as_bytes()).await?;
    to.write_all(body).await?;
    let mut answer = Vec::new();
    to.read_to_end(&mut answer).await?;
    Ok(answer)
}

const ACCESS_DENIED: &str = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";

fn answer(status: &str, xml: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{xml}",
        xml.len()
    )
    .into_bytes()
}
