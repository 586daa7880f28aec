//! What happens to a connection after it is open: who drives it, why it ended, how a query is cancelled.
//!
//! The driving task ends when the client is dropped or the connection breaks; it is never left behind.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::{AsyncMessage, CancelToken};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::attempt::{seconds, within};
use super::classify;
use super::dial::Dial;
use super::error::{Error, ErrorKind};
use crate::server_words::{Rows, said};

/// How long to wait for the reason after the client learnt that the connection is gone. The task that knows it needs
/// no more than its next turn.
const REASON_TIMEOUT: Duration = Duration::from_secs(5);

/// Learns when and why a connection ended. Cheap to clone.
#[derive(Clone)]
pub struct Closed {
    end: watch::Receiver<Option<End>>,
    place: Arc<str>,
    about: About,
}

/// What the statements are about, for what the server says meanwhile.
type About = Arc<Mutex<Option<String>>>;

/// The error that ended a connection; none if the client was dropped.
type End = Option<Arc<tokio_postgres::Error>>;

/// Spawns the task that moves messages between client and server.
pub(super) fn drive<S, T>(mut driver: tokio_postgres::Connection<S, T>, place: String) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, end) = watch::channel(None);
    let place: Arc<str> = place.into();
    let about = About::default();
    let closed = Closed { end, place: Arc::clone(&place), about: Arc::clone(&about) };
    tokio::spawn(async move {
        let end = loop {
            match poll_fn(|context| driver.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => log(&notice, &place, &about),
                Some(Ok(_)) => {}
                Some(Err(error)) => break Some(Arc::new(error)),
                None => break None,
            }
        };
        drop(driver);
        sender.send_replace(Some(end));
    });
    closed
}

fn log(notice: &DbError, place: &str, about: &About) {
    let message = said(notice, Rows::Read).message;
    let about = about.lock().unwrap_or_else(PoisonError::into_inner);
    let object = about.as_deref();
    if notice.parsed_severity() == Some(Severity::Warning) {
        tracing::warn!(place, object, "server: {message}");
    } else {
        tracing::debug!(place, object, "server: {message}");
    }
}

impl Closed {
    /// Says what the next statements are about: the server's warnings do not name it.
    pub fn about(&self, object: String) {
        *self.about.lock().unwrap_or_else(PoisonError::into_inner) = Some(object);
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits for the end of the connection and returns the error that caused it; none if the client was dropped.
    pub async fn wait(&self) -> Option<Arc<tokio_postgres::Error>> {
        let mut end = self.end.clone();
        // The channel fails only if the runtime dropped the task, which ends the connection as well.
        end.wait_for(Option::is_some).await.ok().and_then(|end| end.clone().flatten())
    }

    /// If the error of a query means that the connection is gone, an error of kind [`ErrorKind::Lost`] that carries
    /// the server's last words, such as `terminating connection due to administrator command`.
    pub async fn explain(&self, error: &tokio_postgres::Error) -> Option<Error> {
        let is_last_word = |code: &SqlState| {
            [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::IDLE_SESSION_TIMEOUT]
                .contains(code)
                || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        };
        let ended_by_query = error.code().is_some_and(is_last_word);
        if !ended_by_query && !error.is_closed() && !self.is_closed() {
            return None;
        }
        let end =
            if ended_by_query { None } else { within(Some(REASON_TIMEOUT), self.wait()).await.flatten() };
        Some(self.error(Some(end.as_deref().unwrap_or(error))))
    }

    /// Waits for the end of the connection, however long that takes, and says why it came.
    pub async fn lost(&self) -> Error {
        let cause = self.wait().await;
        self.error(cause.as_deref())
    }

    fn error(&self, cause: Option<&tokio_postgres::Error>) -> Error {
        let failure =
            cause.filter(|cause| !cause.is_closed()).map(|cause| classify::failure(String::new(), cause));
        let (text, sqlstate) = match failure {
            Some(failure) => (failure.cause, failure.sqlstate),
            None => ("the server closed it without a word".to_owned(), None),
        };
        let hint = "Try again; the server's log says why it ended the connection.";
        Error::new(ErrorKind::Lost, format!("connection to {} lost: {text}", self.place), hint)
            .with_sqlstate(sqlstate)
    }
}

impl std::fmt::Debug for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closed")
            .field("place", &self.place)
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Asks the server to stop what a connection is doing. Cheap to clone.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    dial: Arc<Dial>,
    connector: MakeRustlsConnect,
    place: Arc<str>,
    limit: Option<Duration>,
}

impl Canceller {
    pub(super) fn new(
        token: CancelToken,
        dial: Dial,
        connector: MakeRustlsConnect,
        place: &str,
        limit: Option<Duration>,
    ) -> Self {
        Self { token, dial: Arc::new(dial), connector, place: place.into(), limit }
    }

    /// Sends a cancel request over a connection of its own, encrypted if the session is. The server does not say
    /// whether there was anything to cancel (PostgreSQL manual, chapter 55.2.8).
    pub async fn cancel(&self) -> Result<(), Error> {
        let send = async {
            let unreached = |error| classify::unreached(String::new(), &error);
            let socket = self.dial.open().await.map_err(unreached)?;
            let sent = self.token.cancel_query_raw(socket, self.dial.tls(&self.connector)).await;
            sent.map_err(|error| classify::failure(String::new(), &error))
        };
        let (kind, cause) = match within(self.limit, send).await {
            Some(Ok(())) => return Ok(()),
            Some(Err(failure)) => (failure.kind, failure.cause),
            None => (ErrorKind::Timeout, format!("no answer within {}", seconds(self.limit))),
        };
        let hint = "The query may still be running; ending the session stops it at its next step.";
        Err(Error::new(kind, format!("cannot send a cancel request to {}: {cause}", self.place), hint))
    }
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token holds the session's secret key.
        f.debug_struct("Canceller").field("place", &self.place).finish_non_exhaustive()
    }
}
