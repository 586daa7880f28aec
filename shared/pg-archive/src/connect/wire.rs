//! A layer between TLS and the driver, which knows how messages are framed (manual, chapter "Message Formats").
//!
//! The driver takes text for UTF-8 and refuses what is not, and a COPY to the client is over for it with CopyDone. Here
//! text is turned into strings as [`raw_text`](crate::raw_text) defines them, and back into bytes; and CopyDone is
//! held back until the server has said how the COPY ended: by its command tag, which is kept, or by an error, which
//! the driver then gets in its place. All else passes as it is, rows of COPY without being looked at.
//!
//! What is decided stands in [`backend`] and [`frontend`], which do no input or output.

mod backend;
mod frontend;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_util::io::poll_read_buf;

use self::backend::FromServer;
use self::frontend::ToServer;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// The command tag of the last COPY to the client. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CopyTag(Arc<Mutex<Option<String>>>);

impl CopyTag {
    /// Takes the tag, such as `COPY 1500`; none if the server has not sent one.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, tag: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tag;
    }
}

/// A stream of messages to and from a server.
pub(super) struct Wire<S> {
    inner: S,
    from_server: FromServer,
    to_server: ToServer,
}

impl<S> Wire<S> {
    /// `startup_encoding` is the `client_encoding` to begin with, in place of the driver's.
    pub(super) fn new(inner: S, copy_tag: CopyTag, startup_encoding: Option<&'static str>) -> Self {
        Self { inner, from_server: FromServer::new(copy_tag), to_server: ToServer::new(startup_encoding) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, from_server, .. } = self.get_mut();
        while !from_server.give(buffer)? {
            from_server.incoming.reserve(READ_BYTES);
            if ready!(poll_read_buf(Pin::new(&mut *inner), context, &mut from_server.incoming))? == 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes what was translated.
    fn poll_translated(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let translated: &mut BytesMut = &mut self.to_server.translated;
        while !translated.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, translated))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            translated.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        ready!(wire.poll_translated(context))?;
        match wire.to_server.take(bytes)? {
            frontend::Taken::Translated(taken) => Poll::Ready(Ok(taken)),
            frontend::Taken::Passes(length) => {
                let written = ready!(Pin::new(&mut wire.inner).poll_write(context, &bytes[..length]))?;
                wire.to_server.passed(written);
                Poll::Ready(Ok(written))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        ready!(wire.poll_translated(context))?;
        Pin::new(&mut wire.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        ready!(wire.poll_translated(context))?;
        Pin::new(&mut wire.inner).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Wire<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

/// Puts the layer above TLS, which is negotiated on the bare stream.
pub(super) struct AboveTls<T> {
    pub(super) tls: T,
    pub(super) copy_tag: CopyTag,
    pub(super) startup_encoding: Option<&'static str>,
}

/// A TLS handshake on its way.
type Handshake<S, E> = Pin<Box<dyn Future<Output = Result<Wire<S>, E>> + Send>>;

impl<S, T> TlsConnect<BeforeTls<S>> for AboveTls<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = Wire<T::Stream>;
    type Error = T::Error;
    type Future = Handshake<T::Stream, T::Error>;

    fn connect(self, stream: BeforeTls<S>) -> Self::Future {
        let (BeforeTls::Bare(stream) | BeforeTls::Plain(Wire { inner: stream, .. })) = stream;
        let handshake = self.tls.connect(stream);
        Box::pin(async move { Ok(Wire::new(handshake.await?, self.copy_tag, self.startup_encoding)) })
    }
}

/// What the driver is given: a session in plain text, or a bare stream to negotiate TLS on.
pub(super) enum BeforeTls<S> {
    /// A session without TLS.
    Plain(Wire<S>),
    /// Nothing but the negotiation passes here.
    Bare(S),
}

impl<S: AsyncRead + Unpin> AsyncRead for BeforeTls<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_read(context, buffer),
            Self::Bare(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BeforeTls<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_write(context, bytes),
            Self::Bare(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_flush(context),
            Self::Bare(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_shutdown(context),
            Self::Bare(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A message's length as its head says, the tag not counted.
fn length(head: &[u8]) -> io::Result<usize> {
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let is_possible = (4..=i32::MAX.unsigned_abs()).contains(&length);
    let length = usize::try_from(length).ok().filter(|_| is_possible);
    length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message has an impossible length"))
}

/// A message of a tag, if it has one, and a body.
fn message(tag: Option<u8>, body: &[u8], out: &mut BytesMut) -> io::Result<()> {
    let length = i32::try_from(body.len() + 4)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a message is longer than 2 GiB"))?;
    out.reserve(body.len() + 5);
    out.extend(tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    Ok(())
}

#[cfg(test)]
mod tests;
