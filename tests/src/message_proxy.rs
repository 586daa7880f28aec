//! A TCP proxy between a client and a PostgreSQL server that knows where messages begin (manual, chapter "Message
//! Formats"), and changes what the server says of a COPY. It speaks no TLS, so clients connect with sslmode=disable.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Tag and length.
const HEAD_BYTES: usize = 5;

/// A message of the server: its tag and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its tag: `d` is CopyData, `c` CopyDone, `C` CommandComplete, `E` ErrorResponse.
    pub tag: u8,
    /// What follows its length.
    pub body: Vec<u8>,
}

impl Message {
    /// A message.
    pub fn new(tag: u8, body: &[u8]) -> Self {
        Self { tag, body: body.to_vec() }
    }
}

/// What becomes of a message that belongs to a COPY to the client, given how many rows went before it.
pub type Lie = fn(u64, Message) -> Vec<Message>;

/// A proxy in front of one server. It and its connections end when this is dropped.
#[derive(Debug)]
pub struct MessageProxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl MessageProxy {
    /// Listens on a free port of 127.0.0.1. In each COPY to the client, from the first row to the command's tag, the
    /// messages become what `lie` makes of them.
    pub async fn start(server: SocketAddr, lie: Lie) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free TCP port")?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(relay(client, server, lie));
            }
        });
        Ok(Self { address, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MessageProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(client: TcpStream, server: SocketAddr, lie: Lie) -> anyhow::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_read, mut client_write) = client.into_split();
    let (server_read, mut server_write) = server.into_split();
    let to_server = async move {
        let mut read = client_read;
        tokio::io::copy(&mut read, &mut server_write).await?;
        anyhow::Ok(server_write.shutdown().await?)
    };
    let to_client = async move {
        let mut read = server_read;
        let mut rows = None;
        while let Some(message) = next(&mut read).await? {
            let bytes: Vec<u8> = match (message.tag, &mut rows) {
                (b'H', _) => {
                    rows = Some(0);
                    bytes(&message)
                }
                (tag, Some(count)) => {
                    let said = lie(*count, message);
                    *count += u64::from(tag == b'd');
                    if matches!(tag, b'C' | b'E') {
                        rows = None;
                    }
                    said.iter().flat_map(bytes).collect()
                }
                (_, None) => bytes(&message),
            };
            client_write.write_all(&bytes).await?;
        }
        anyhow::Ok(client_write.shutdown().await?)
    };
    tokio::try_join!(to_server, to_client).map(drop)
}

/// The next message; none at the end.
async fn next(from: &mut OwnedReadHalf) -> anyhow::Result<Option<Message>> {
    let mut head = [0; HEAD_BYTES];
    if from.read_exact(&mut head).await.is_err() {
        return Ok(None);
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut body = vec![0; usize::try_from(length)?.saturating_sub(4)];
    from.read_exact(&mut body).await?;
    Ok(Some(Message { tag: head[0], body }))
}

fn bytes(message: &Message) -> Vec<u8> {
    let length = u32::try_from(message.body.len() + 4).unwrap_or(u32::MAX);
    [&[message.tag][..], &length.to_be_bytes(), &message.body].concat()
}
