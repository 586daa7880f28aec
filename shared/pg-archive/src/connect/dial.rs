//! Reaches one address: a socket, with the keepalive that the target asks for.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::either::Either;

use super::target::Keepalive;

/// A connection in plain text.
pub(super) type Socket = Either<TcpStream, UnixStream>;

/// What TLS is negotiated with.
pub(super) type Tls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// Where to connect.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The socket file.
    Unix(PathBuf),
}

/// How to connect, as often as is wanted.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub(super) place: Place,
    /// The name that a certificate must be valid for.
    pub(super) host_name: String,
    pub(super) keepalive: Keepalive,
    pub(super) tcp_user_timeout: Option<Duration>,
}

impl Dial {
    /// Connects.
    pub(super) async fn open(&self) -> io::Result<Socket> {
        let address = match &self.place {
            Place::Unix(file) => return Ok(Either::Right(UnixStream::connect(file).await?)),
            Place::Tcp(address) => address,
        };
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        if self.tcp_user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.tcp_user_timeout)?;
        }
        if self.keepalive.enabled {
            let mut keepalive = TcpKeepalive::new();
            if let Some(idle) = self.keepalive.idle {
                keepalive = keepalive.with_time(idle);
            }
            if let Some(interval) = self.keepalive.interval {
                keepalive = keepalive.with_interval(interval);
            }
            if let Some(count) = self.keepalive.count {
                keepalive = keepalive.with_retries(count);
            }
            socket.set_tcp_keepalive(&keepalive)?;
        }
        Ok(Either::Left(stream))
    }

    /// TLS for the host that is reached.
    pub(super) fn tls(&self, connector: &MakeRustlsConnect) -> Tls {
        let made = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector.clone(), &self.host_name);
        made.unwrap_or_else(|never| match never {})
    }
}
