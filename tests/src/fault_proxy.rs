//! A TCP proxy between a client and a server that breaks the connection when a test says so.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const BUFFER_BYTES: usize = 16 * 1024;
const LISTEN_LIMIT: Duration = Duration::from_secs(10);

/// What the proxy does, from the moment it is told so; open connections included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass.
    Pass,
    /// Nobody listens: new connections are refused, and open ones are reset.
    Refuse,
    /// Connections stay open, but nothing passes. What is sent meanwhile arrives once bytes pass again.
    Stall,
    /// After this many more bytes in this direction, over all connections, every connection is reset. New ones
    /// pass again.
    CutAfter(Direction, u64),
    /// Bytes pass, but wherever the server says the first text, the client reads the second, which must be as long. A
    /// text that is split over two packets stays as it is.
    Rewrite(&'static str, &'static str),
}

/// A direction of travel through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the server to the client: rows, downloads.
    ToClient,
    /// From the client to the server: statements, uploads.
    ToServer,
}

/// A proxy in front of one server. It and its connections end when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and passes everything to `server`.
    pub async fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free TCP port")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            server,
            control: watch::Sender::new(Control { fault: Fault::Pass, resets: 0 }),
            listening: watch::Sender::new(true),
            bytes: [AtomicU64::new(0), AtomicU64::new(0)],
            connections: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, address, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the fault. When this returns, the port refuses connections if and only if that was asked for.
    pub async fn set(&self, fault: Fault) -> anyhow::Result<()> {
        self.state.control.send_modify(|control| {
            control.fault = fault;
            control.resets += u64::from(fault == Fault::Refuse);
        });
        let mut listening = self.state.listening.subscribe();
        let settled = listening.wait_for(|listening| *listening == (fault != Fault::Refuse));
        tokio::time::timeout(LISTEN_LIMIT, settled)
            .await
            .with_context(|| format!("cannot listen on {} again", self.address))??;
        Ok(())
    }

    /// Resets all open connections now; new ones pass.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// How many bytes have passed so far.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.state.bytes[direction as usize].load(Ordering::Relaxed)
    }

    /// How many connections have been accepted so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort(); // takes the connections with it: they are in its JoinSet
    }
}

#[derive(Debug)]
struct State {
    server: SocketAddr,
    control: watch::Sender<Control>,
    listening: watch::Sender<bool>,
    bytes: [AtomicU64; 2],
    connections: AtomicU64,
}

#[derive(Debug)]
struct Control {
    fault: Fault,
    /// Connections made before this number grew are to be reset.
    resets: u64,
}

impl State {
    fn cut(&self) {
        self.control.send_modify(|control| {
            control.fault = Fault::Pass;
            control.resets += 1;
        });
    }

    /// Replaces what is to be replaced.
    fn rewrite(&self, direction: Direction, bytes: &mut [u8]) {
        let Fault::Rewrite(said, read) = self.control.borrow().fault else { return };
        if direction == Direction::ToClient {
            assert_eq!(said.len(), read.len(), "lengths of messages must stay right");
            for at in 0..(bytes.len() + 1).saturating_sub(said.len()) {
                let place = &mut bytes[at..at + said.len()];
                if place == said.as_bytes() {
                    place.copy_from_slice(read.as_bytes());
                }
            }
        }
    }

    /// How many of `bytes` may pass, and whether the cut comes right after them.
    fn admit(&self, direction: Direction, bytes: usize) -> (usize, bool) {
        let mut admitted = (bytes, false);
        self.control.send_if_modified(|control| {
            if let Fault::CutAfter(cut, left) = &mut control.fault
                && *cut == direction
            {
                let allowed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes);
                *left -= allowed as u64;
                admitted = (allowed, *left == 0);
            }
            false // nobody waits for the count
        });
        admitted
    }
}

async fn accept(mut listener: TcpListener, address: SocketAddr, state: Arc<State>) {
    let mut control = state.control.subscribe();
    loop {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    state.connections.fetch_add(1, Ordering::Relaxed);
                    let state = Arc::clone(&state);
                    // Taken here, so that no reset from now on is missed.
                    let resets = state.control.borrow().resets;
                    connections.spawn(relay(client, state, resets));
                },
                _ = control.wait_for(|control| control.fault == Fault::Refuse) => break,
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {} // each has been told to reset
        state.listening.send_replace(false);
        if control.wait_for(|control| control.fault != Fault::Refuse).await.is_err() {
            return;
        }
        // Should the port be taken meanwhile, `set` reports it.
        let Ok(again) = TcpListener::bind(address).await else { return };
        listener = again;
        state.listening.send_replace(true);
    }
}

/// Carries one connection until both sides have finished or one of them, or the test, breaks it.
async fn relay(mut client: TcpStream, state: Arc<State>, resets: u64) {
    let Ok(mut server) = TcpStream::connect(state.server).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut control = state.control.subscribe();
    let broken = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        tokio::select! {
            _ = control.wait_for(|control| control.resets != resets) => true,
            ended = async { tokio::try_join!(
                pump(client_read, server_write, Direction::ToServer, &state, resets),
                pump(server_read, client_write, Direction::ToClient, &state, resets),
            ) } => ended.is_err(),
        }
    };
    if broken {
        // With zero linger, closing sends RST instead of FIN: the peers see a broken connection, not an end. Fails
        // only on a socket that is closed already.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Carries one direction to its end. An error means that the connection is broken, or is to be.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    state: &State,
    resets: u64,
) -> io::Result<()> {
    let mut control = state.control.subscribe();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        let moving = control.wait_for(|control| control.fault != Fault::Stall).await;
        if moving.is_ok_and(|control| control.resets != resets) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if read == 0 {
            return to.shutdown().await;
        }
        state.rewrite(direction, &mut buffer[..read]);
        let (admitted, cut) = state.admit(direction, read);
        to.write_all(&buffer[..admitted]).await?;
        state.bytes[direction as usize].fetch_add(admitted as u64, Ordering::Relaxed);
        if cut {
            state.cut();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}
