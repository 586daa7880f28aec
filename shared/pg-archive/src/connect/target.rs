//! A database to connect to, as data: what a connection string and the environment mean together.
//! Opens nothing and reads no file; `attempt` and `tls` do that when a connection is made.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::password::{PasswordSource, Passwords};
use super::problems::Problems;
use super::secret::Secret;
use super::settings;

/// Where a server listens: one of the places to try, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The directory of a Unix-domain socket. TLS is never used there, as in libpq.
    Socket {
        /// The directory, not the socket file in it.
        directory: PathBuf,
        port: u16,
    },
    /// A host reached over TCP.
    Host {
        /// Name for look-up, the certificate check and the password file.
        name: String,
        /// `hostaddr`: spares the look-up.
        address: Option<IpAddr>,
        port: u16,
    },
}

impl Endpoint {
    /// Host name or socket directory.
    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Socket { directory, .. } => directory.to_string_lossy(),
            Self::Host { name, .. } => Cow::Borrowed(name),
        }
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Socket { port, .. } | Self::Host { port, .. } => *port,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            name if name.contains(':') => write!(f, "[{name}]:{}", self.port()),
            name => write!(f, "{name}:{}", self.port()),
        }
    }
}

/// `sslmode` (libpq manual, chapter 34.19.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    /// Also stands for `allow`.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whose signature makes a server certificate good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// `~/.postgresql/root.crt` if that file exists, else Mozilla's and Amazon RDS's roots.
    Default { home: Option<PathBuf> },
    /// The operating system's.
    System { ssl_cert_file: Option<PathBuf> },
    /// A PEM file.
    File(PathBuf),
}

/// All that TLS needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    pub(super) roots: Roots,
    /// Certificate and key to show to the server.
    pub(super) client: Option<ClientCertificate>,
    pub(super) server_name_indication: bool,
    /// `sslnegotiation=direct` of PostgreSQL 17.
    pub(super) direct: bool,
    pub(super) versions: TlsVersions,
}

/// Versions of TLS to offer; older ones are never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsVersions {
    Both,
    Only12,
    Only13,
}

/// Files of the client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientCertificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// The user named it; the default files need not exist.
    pub(super) named: bool,
}

/// TCP keepalive; `None` leaves a value to the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keepalive {
    pub(super) enabled: bool,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
}

/// `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionAttributes {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// A database to connect to. Safe to print: the password shows in no output, `Debug` included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) passwords: Option<Passwords>,
    pub(super) passfile: Option<PathBuf>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) application_name: String,
    pub(super) options: Option<String>,
    pub(super) keepalive: Keepalive,
    pub(super) tcp_user_timeout: Option<Duration>,
    pub(super) session_attributes: SessionAttributes,
    pub(super) channel_binding: tokio_postgres::config::ChannelBinding,
    pub(super) tls: TlsSettings,
}

impl Target {
    /// Reads a `postgres://` URL or a `key=value` string, filled up from `PG*` variables.
    ///
    /// `environment` looks a variable up; a program passes `|name| std::env::var(name).ok()`.
    pub fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        settings::parse(text, &environment)
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: impl Into<String>) -> Self {
        Self { database: database.into(), ..self.clone() }
    }

    /// The same with another password, such as an IAM token that expires in minutes.
    #[must_use]
    pub fn with_password(&self, password: impl Into<String>) -> Self {
        Self { password: Some(Secret::new(password)), ..self.clone() }
    }

    /// The same with a password that is made for each connection. It goes over TLS only: `sslmode` must ask for it.
    #[must_use]
    pub fn with_passwords(&self, source: Arc<dyn PasswordSource>) -> Self {
        Self { passwords: Some(Passwords(source)), ..self.clone() }
    }

    /// The same under another `application_name`, which the server shows in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(&self, application_name: impl Into<String>) -> Self {
        Self { application_name: application_name.into(), ..self.clone() }
    }

    /// The same with a setting from the first moment of a session on, before login event triggers fire: behind what
    /// `options` says already, so it wins.
    #[must_use]
    pub(crate) fn with_setting(&self, name: &str, value: &str) -> Self {
        let options = self.options.iter().map(String::as_str);
        let setting = format!("-c {name}={value}");
        let options: Vec<&str> = options.chain([setting.as_str()]).collect();
        Self { options: Some(options.join(" ")), ..self.clone() }
    }

    /// Name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Name of the role to log in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the string or the environment gave a password; the password file is read later.
    pub fn is_password_set(&self) -> bool {
        self.password.is_some()
    }

    /// `host:port/database` with every host, safe to print.
    pub fn display(&self) -> String {
        let endpoints: Vec<String> = self.endpoints.iter().map(ToString::to_string).collect();
        format!("{}/{}", endpoints.join(","), self.database)
    }

    /// Whether a host name contains the text; for hints on particular services.
    pub(super) fn any_host(&self, test: impl Fn(&str, u16) -> bool) -> bool {
        self.endpoints.iter().any(|endpoint| test(&endpoint.name(), endpoint.port()))
    }
}
