//! Tries the places of a target one after the other until a session is open.
//!
//! Order and rules follow libpq (manual, chapter 34.1.1.3): every address of every host in turn; a server that was
//! reached and refuses the login ends the search, because the next host would hardly differ. A TLS failure goes on to
//! the next host, where libpq stops.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::config::SslNegotiation;
use tokio_postgres::error::SqlState;

use super::dial::{Dial, Place};
use super::error::{Error, ErrorKind, Failure};
use super::lifetime::{self, Canceller};
use super::target::{Endpoint, SessionAttributes, SslMode, Target};
use super::tls::{self, Tls};
use super::wire::{AboveTls, BeforeTls, CopyTag, Wire};
use super::{Connection, classify, passfile, query};

/// The `client_encoding` under which a server converts nothing. The driver asks for UTF8, and a database in an encoding
/// that cannot be converted to that (`MULE_INTERNAL`) lets nobody in who asks for it (`InitializeClientEncoding` in
/// `mbutils.c`).
const NO_CONVERSION: &str = "SQL_ASCII";

/// Opens a session, or says for every place why not.
pub(super) async fn open(target: &Target) -> Result<Connection, Error> {
    let settings = target.tls.clone();
    let tls = tokio::task::spawn_blocking(move || tls::client(&settings))
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(|cause| {
            let hint = "Name readable PEM files with sslrootcert, sslcert and sslkey, or leave them out.";
            Error::new(ErrorKind::Tls, format!("TLS settings: {cause}"), hint)
        })?;
    let wishes: &[SessionAttributes] = match target.session_attributes {
        SessionAttributes::PreferStandby => &[SessionAttributes::Standby, SessionAttributes::Any],
        ref one => std::slice::from_ref(one),
    };
    let mut failures = Vec::new();
    for wish in wishes {
        // Of two rounds, the second says everything that the first did.
        failures.clear();
        for endpoint in &target.endpoints {
            let attempt = Attempt { target, tls: &tls, endpoint, wish: *wish };
            match attempt.every_address(&mut failures).await {
                Some(connection) => return Ok(connection),
                None if failures.last().is_some_and(|failure| failure.kind.is_final()) => {
                    return Err(Error::from_failures(target, failures));
                }
                None => {}
            }
        }
    }
    Err(Error::from_failures(target, failures))
}

struct Attempt<'a> {
    target: &'a Target,
    tls: &'a Tls,
    endpoint: &'a Endpoint,
    wish: SessionAttributes,
}

/// One way to reach an endpoint.
enum Address {
    Socket,
    Tcp(IpAddr),
}

impl Attempt<'_> {
    /// Tries every address of the endpoint, and notes why each one failed.
    async fn every_address(&self, failures: &mut Vec<Failure>) -> Option<Connection> {
        let addresses = match self.addresses().await {
            Ok(addresses) => addresses,
            Err(failure) => {
                failures.push(failure);
                return None;
            }
        };
        let password = match self.password().await {
            Ok(password) => password,
            Err(failure) => {
                failures.push(failure);
                return None;
            }
        };
        for address in addresses {
            match self.one_address(&address, password.as_deref()).await {
                Ok(connection) => return Some(connection),
                Err(failure) => {
                    let last = failure.kind.is_final();
                    failures.push(failure);
                    if last {
                        return None;
                    }
                }
            }
        }
        None
    }

    async fn addresses(&self) -> Result<Vec<Address>, Failure> {
        match self.endpoint {
            Endpoint::Socket { .. } => return Ok(vec![Address::Socket]),
            Endpoint::Host { address: Some(ip), .. } => return Ok(vec![Address::Tcp(*ip)]),
            Endpoint::Host { address: None, .. } => {}
        }
        let name = self.endpoint.name();
        let unknown = |cause: String| failure(self.endpoint.to_string(), ErrorKind::UnknownHost, cause);
        let found = within(
            self.target.connect_timeout,
            tokio::net::lookup_host((name.as_ref(), self.endpoint.port())),
        )
        .await
        .ok_or_else(|| {
            let cause = format!("no answer from DNS within {}", seconds(self.target.connect_timeout));
            failure(self.endpoint.to_string(), ErrorKind::Timeout, cause)
        })?
        .map_err(|error| unknown(format!("unknown host name ({error})")))?;
        let mut seen = BTreeSet::new();
        let addresses: Vec<Address> =
            found.map(|socket| socket.ip()).filter(|ip| seen.insert(*ip)).map(Address::Tcp).collect();
        if addresses.is_empty() {
            Err(unknown("the host name has no address".to_owned()))
        } else {
            Ok(addresses)
        }
    }

    async fn password(&self) -> Result<Option<String>, Failure> {
        let target = self.target;
        if let Some(passwords) = &target.passwords {
            let place = || self.endpoint.to_string();
            // A password that is made here is as good as any to whoever reads it on the way.
            if target.tls.mode < SslMode::Require {
                let hint = "Add sslmode=verify-full (or require) to the connection string.".to_owned();
                let cause = "the password that is made for each connection goes over TLS only".to_owned();
                return Err(Failure { hint: Some(hint), ..failure(place(), ErrorKind::Tls, cause) });
            }
            let made = passwords.0.password(&self.endpoint.name(), self.endpoint.port(), &target.user).await;
            return made.map(Some).map_err(|cause| failure(place(), ErrorKind::Authentication, cause));
        }
        if let Some(password) = &target.password {
            return Ok(Some(password.reveal().to_owned()));
        }
        let Some(file) = target.passfile.as_deref() else { return Ok(None) };
        let key = passfile::Key { endpoint: self.endpoint, database: &target.database, user: &target.user };
        Ok(passfile::look_up(file, &key).await.map(|found| found.reveal().to_owned()))
    }

    /// Connects with TLS, without, or with TLS first and then without, as `sslmode` has it.
    async fn one_address(&self, address: &Address, password: Option<&str>) -> Result<Connection, Failure> {
        let mode = match address {
            // A socket does not leave the machine, and servers offer no TLS there.
            Address::Socket => SslMode::Disable,
            Address::Tcp(_) => self.target.tls.mode,
        };
        if mode == SslMode::Disable {
            return self.session(address, password, false).await;
        }
        let failure = match self.session(address, password, true).await {
            Err(failure) if mode == SslMode::Prefer => failure,
            result => return result,
        };
        if !self.may_go_on_in_plain_text(&failure) {
            return Err(failure);
        }
        tracing::debug!(place = %failure.place, cause = %failure.cause, "sslmode=prefer: trying without TLS");
        self.session(address, password, false).await.map_err(|plain| {
            if failure.cause.ends_with(classify::NO_TLS) {
                return plain;
            }
            Failure { cause: format!("{}, and without TLS: {}", failure.cause, plain.cause), ..failure }
        })
    }

    /// What libpq takes as a reason for the second try of `prefer`: no TLS, a failed handshake, or `pg_hba.conf` that
    /// refuses encrypted sessions. A certificate that was checked and found wanting is none.
    fn may_go_on_in_plain_text(&self, failure: &Failure) -> bool {
        match failure.kind {
            ErrorKind::Tls => !self.tls.verifies || failure.cause.ends_with(classify::NO_TLS),
            ErrorKind::Authentication => {
                failure.sqlstate == Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
            }
            _ => false,
        }
    }

    /// One session, within one time limit from the first packet to the first answer.
    async fn session(
        &self,
        address: &Address,
        password: Option<&str>,
        encrypted: bool,
    ) -> Result<Connection, Failure> {
        let place = match address {
            Address::Tcp(ip) if self.endpoint.name() != ip.to_string() => format!("{} ({ip})", self.endpoint),
            Address::Tcp(_) | Address::Socket => self.endpoint.to_string(),
        };
        let limit = self.target.connect_timeout;
        let start = async {
            let failure = match self.start(&place, address, password, encrypted, None).await {
                Err(failure) if failure.sqlstate == Some(SqlState::FEATURE_NOT_SUPPORTED) => failure,
                result => return result,
            };
            tracing::debug!(%place, cause = %failure.cause, "trying without a conversion of text");
            self.start(&place, address, password, encrypted, Some(NO_CONVERSION)).await
        };
        within(limit, start).await.unwrap_or_else(|| {
            let cause = format!("no answer within {}", seconds(limit));
            Err(failure(place.clone(), ErrorKind::Timeout, cause))
        })
    }

    async fn start(
        &self,
        place: &str,
        address: &Address,
        password: Option<&str>,
        encrypted: bool,
        startup_encoding: Option<&'static str>,
    ) -> Result<Connection, Failure> {
        let failed = |error: &tokio_postgres::Error| classify::failure(place.to_owned(), error);
        let dial = self.dial(address);
        let config = self.config(password, encrypted);
        let socket = dial.open().await.map_err(|error| classify::unreached(place.to_owned(), &error))?;
        let copy_tag = CopyTag::default();
        let stream = if encrypted {
            BeforeTls::Bare(socket)
        } else {
            BeforeTls::Plain(Wire::new(socket, copy_tag.clone(), startup_encoding))
        };
        let tls =
            AboveTls { tls: dial.tls(&self.tls.connector), copy_tag: copy_tag.clone(), startup_encoding };
        let (client, driver) = config.connect_raw(stream, tls).await.map_err(|error| failed(&error))?;
        let closed = lifetime::drive(driver, place.to_owned());
        let probe = "SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.pg_is_in_recovery(), \
                     pg_catalog.current_setting('transaction_read_only'), \
                     pg_catalog.set_config('client_encoding', pg_catalog.getdatabaseencoding(), false)";
        let row = query::single_row(&client, probe).await.map_err(|error| failed(&error))?;
        let column = |n: usize| row.get(n).cloned().flatten().unwrap_or_default();
        let server_version_num = column(0).parse().map_err(|_| {
            let cause = format!("server_version_num is {:?}: not a PostgreSQL server", column(0));
            failure(place.to_owned(), ErrorKind::Other, cause)
        })?;
        let (in_recovery, read_only) = (column(1) == "t", column(2) == "on");
        self.check_wish(place, in_recovery, read_only)?;
        let canceller = Canceller::new(
            client.cancel_token(),
            dial,
            self.tls.connector.clone(),
            place,
            self.target.connect_timeout,
        );
        Ok(Connection {
            client,
            copy_tag,
            canceller,
            closed,
            server_version_num,
            in_recovery,
            encrypted,
            place: place.to_owned(),
        })
    }

    fn check_wish(&self, place: &str, in_recovery: bool, read_only: bool) -> Result<(), Failure> {
        let (fits, cause) = match self.wish {
            SessionAttributes::Any | SessionAttributes::PreferStandby => (true, ""),
            SessionAttributes::ReadWrite => (!in_recovery && !read_only, "the session is read-only"),
            SessionAttributes::ReadOnly => (in_recovery || read_only, "the session is not read-only"),
            SessionAttributes::Primary => (!in_recovery, "the server is in hot standby mode"),
            SessionAttributes::Standby => (in_recovery, "the server is not in hot standby mode"),
        };
        if fits {
            Ok(())
        } else {
            Err(failure(place.to_owned(), ErrorKind::SessionAttributes, cause.to_owned()))
        }
    }

    /// How an address is reached.
    fn dial(&self, address: &Address) -> Dial {
        let place = match (address, self.endpoint) {
            (Address::Tcp(ip), endpoint) => Place::Tcp(SocketAddr::new(*ip, endpoint.port())),
            (Address::Socket, endpoint) => Place::Unix(
                PathBuf::from(endpoint.name().as_ref()).join(format!(".s.PGSQL.{}", endpoint.port())),
            ),
        };
        Dial {
            place,
            host_name: self.endpoint.name().into_owned(),
            keepalive: self.target.keepalive,
            tcp_user_timeout: self.target.tcp_user_timeout,
        }
    }

    /// The driver's settings.
    fn config(&self, password: Option<&str>, encrypted: bool) -> tokio_postgres::Config {
        let target = self.target;
        let mut config = tokio_postgres::Config::new();
        config
            .user(&target.user)
            .dbname(&target.database)
            .application_name(&target.application_name)
            .channel_binding(target.channel_binding)
            .ssl_mode(if encrypted { DriverSslMode::Require } else { DriverSslMode::Disable });
        if encrypted && target.tls.direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        if let Some(password) = password {
            config.password(password);
        }
        if let Some(options) = &target.options {
            config.options(options);
        }
        config
    }
}

fn failure(place: String, kind: ErrorKind, cause: String) -> Failure {
    Failure { place, kind, cause, hint: None, sqlstate: None }
}

/// Runs the future; nothing if the limit passes first.
pub(super) async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

pub(super) fn seconds(limit: Option<Duration>) -> String {
    format!("{} s", limit.unwrap_or_default().as_secs())
}
