//! An HTTP proxy in front of a stand-in for AWS that notes each request: which service, what, on what. Nothing else is
//! changed but that each connection serves one request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Bodies are noted as far as that: what names something is at the beginning.
const BODY_BYTES_NOTED_MAX: usize = 1 << 20;
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// A request, as far as it says what was asked of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The service for which it was signed: `s3`, `secretsmanager`, `sns`, …
    pub service: String,
    /// The HTTP method.
    pub method: String,
    /// The path, as sent.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// The header `x-amz-target`, which names the operation of JSON protocols.
    pub target: String,
    /// The body, or its beginning.
    pub body: String,
}

/// The proxy. It listens until the process ends.
#[derive(Debug)]
pub struct Recorder {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    upstream: OnceLock<u16>,
    requests: Mutex<Vec<Recorded>>,
}

impl Recorder {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let serving = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = serving.clone();
                // A client that goes away in the middle has its own error.
                std::thread::spawn(move || drop(serve(&client, &state)));
            }
        });
        Ok(Self { port, state })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Passes everything to a port of 127.0.0.1; said once.
    pub fn forward_to(&self, port: u16) {
        let _ = self.state.upstream.set(port);
    }

    /// What was asked since the last time.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.state.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(client: &TcpStream, state: &State) -> anyhow::Result<()> {
    let mut from_client = BufReader::new(client);
    let mut to_client = client;
    let mut head = String::new();
    let mut recorded: Option<Recorded> = None;
    let (mut length, mut chunked) = (0_usize, false);
    loop {
        let mut line = String::new();
        if from_client.read_line(&mut line)? == 0 {
            return Ok(()); // closed without a request
        }
        let text = line.trim_end();
        let Some(recorded) = &mut recorded else {
            recorded = Some(request_line(text)?);
            head += &line;
            continue;
        };
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse()?,
            "transfer-encoding" => chunked = value.contains("chunked"),
            "x-amz-target" => value.clone_into(&mut recorded.target),
            "authorization" => recorded.service = service(value).to_owned(),
            "expect" => {
                to_client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                continue;
            }
            "connection" => continue,
            _ => {}
        }
        head += &line;
    }
    let mut recorded = recorded.context("no request")?;
    let mut body = Vec::new();
    if chunked {
        read_chunks(&mut from_client, &mut body)?;
    } else {
        body.resize(length, 0);
        from_client.read_exact(&mut body)?;
    }
    recorded.body = String::from_utf8_lossy(&body[..body.len().min(BODY_BYTES_NOTED_MAX)]).into_owned();
    state.requests.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);

    let port = *state.upstream.get().context("nobody said where to pass requests to")?;
    let mut server = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    server.set_read_timeout(Some(ANSWER_LIMIT))?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    to_client.write_all(&answer)?;
    Ok(())
}

fn request_line(line: &str) -> anyhow::Result<Recorded> {
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { bail!("no request line: {line}") };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Recorded {
        service: String::new(),
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        target: String::new(),
        body: String::new(),
    })
}

/// `AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, …` -> `SERVICE`.
fn service(authorization: &str) -> &str {
    let credential = authorization.split("Credential=").nth(1).unwrap_or_default();
    credential.split('/').nth(3).unwrap_or_default()
}

/// Reads a chunked body, as it came, with its sizes.
fn read_chunks(from: &mut BufReader<&TcpStream>, body: &mut Vec<u8>) -> anyhow::Result<()> {
    loop {
        let start = body.len();
        from.read_until(b'\n', body)?;
        let size = String::from_utf8_lossy(&body[start..]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        let mut chunk = vec![0; size + 2];
        from.read_exact(&mut chunk)?;
        body.extend(chunk);
        if size == 0 {
            return Ok(());
        }
    }
}
