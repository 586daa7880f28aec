//! Real PostgreSQL servers, 13 to 18, on a free port of 127.0.0.1, started in a fraction of a second from a prepared
//! data folder. Durability is off: whatever happens, the folder is thrown away.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let server = pgark_tests::Postgres::shared(17)?;
//! let shop = server.create_database("shop")?;
//! shop.load(pgark_tests::fixtures::SHOP)?;
//! assert_eq!(shop.query("select count(*) > 0 from sales.customers")?, "t");
//! # Ok(())
//! # }
//! ```

mod database;
mod regression;
mod template;
mod tls;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};

pub use database::{Database, client, dump_text, psql};
pub use regression::RegressionDatabase;

use crate::account::ServerAccount;
use crate::supervised::{self, Supervised, free_ports, unique_number};
use crate::{binaries, places};

/// The major versions that pgark supports; each has a server here.
pub const MAJORS: [u32; 6] = [13, 14, 15, 16, 17, 18];
/// The superuser of every server started here.
pub const SUPERUSER: &str = "postgres";
/// The superuser's password: connections need one, as they do everywhere else.
pub const PASSWORD: &str = "harness";

const START_LIMIT: Duration = Duration::from_mins(1);
/// Between choosing a free port and listening on it, another process may take it.
const START_ATTEMPTS: u32 = 3;

/// What a server should be like; [`Options::start`] starts it.
#[derive(Debug, Clone)]
pub struct Options {
    major: u32,
    debian: bool,
    settings: Vec<(String, String)>,
    locales: Vec<String>,
    tls: bool,
}

impl Options {
    /// Adds a setting of postgresql.conf. One given later wins.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The server has these locales, such as `es_AR`, in UTF-8, whether or not the machine has them.
    #[must_use]
    pub fn locales(mut self, names: &[&str]) -> Self {
        self.locales.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// The server offers TLS, with a certificate for `localhost` and 127.0.0.1 from an authority of its own.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts the server and waits until it takes connections.
    pub fn start(&self) -> anyhow::Result<Postgres> {
        for _ in 1..START_ATTEMPTS {
            match self.try_start() {
                Err(error) if format!("{error:#}").contains("Address already in use") => {}
                result => return result,
            }
        }
        self.try_start()
    }

    fn try_start(&self) -> anyhow::Result<Postgres> {
        let account = ServerAccount::get()?;
        let binaries = if self.debian { debian_binaries()? } else { server_binaries(self.major)? };
        let folder = places::scratch()?;
        let data = folder.path().join("data");
        template::copy(&binaries, account, &data)?;
        let certificates = if self.tls { Some(tls::issue(folder.path(), account)?) } else { None };
        let [port] = free_ports()?;
        let path = folder.path().to_owned();

        let mut command = account.command(&binaries.join("postgres"));
        if !self.locales.is_empty() {
            command.env("LOCPATH", locales(folder.path(), &self.locales)?);
        }
        command.arg("-D").arg(&data).current_dir(&path);
        let mut setting = |name: &str, value: &str| {
            command.args(["-c", &format!("{name}={value}")]);
        };
        setting("listen_addresses", "127.0.0.1");
        setting("port", &port.to_string());
        setting("unix_socket_directories", &path.to_string_lossy());
        for (name, value) in FAST {
            setting(name, value);
        }
        if let Some(certificates) = &certificates {
            setting("ssl", "on");
            setting("ssl_cert_file", &certificates.certificate.to_string_lossy());
            setting("ssl_key_file", &certificates.key.to_string_lossy());
        }
        for (name, value) in &self.settings {
            setting(name, value);
        }

        // SIGQUIT is "immediate shutdown": no checkpoint, but shared memory is given back.
        let mut process = Supervised::start(&format!("postgres-{}", self.major), "QUIT", folder, &command)?;
        let mut ready = database::client("pg_isready")?;
        ready.args(["--quiet", "--host=127.0.0.1", &format!("--port={port}")]);
        process.wait_until_ready(START_LIMIT, || ready.status().is_ok_and(|status| status.success()))?;
        Ok(Postgres {
            major: self.major,
            port,
            folder: path,
            authority: certificates.map(|certificates| certificates.authority),
            process,
        })
    }
}

const FAST: [(&str, &str); 5] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "64MB"),
    ("max_connections", "100"),
];

/// A running server. It stops, and its data is removed, when this is dropped or the test process ends.
#[derive(Debug)]
pub struct Postgres {
    major: u32,
    port: u16,
    folder: PathBuf,
    authority: Option<PathBuf>,
    process: Supervised,
}

impl Postgres {
    /// Starts a server of this major version for one test alone: one that stops it, or needs settings of its own.
    pub fn start(major: u32) -> anyhow::Result<Self> {
        Self::options(major).start()
    }

    /// A server with settings of its own.
    pub fn options(major: u32) -> Options {
        Options { major, debian: false, settings: Vec::new(), locales: Vec::new(), tls: false }
    }

    /// Debian's PostgreSQL 15, which has `PostGIS` and `pg_partman`, with settings of its own.
    pub fn debian() -> Options {
        Options { debian: true, ..Self::options(15) }
    }

    /// The server of this major version which all tests of the process share. Started when first asked for.
    pub fn shared(major: u32) -> anyhow::Result<&'static Self> {
        static SERVERS: [OnceLock<Result<Postgres, String>>; MAJORS.len()] =
            [const { OnceLock::new() }; MAJORS.len()];
        let Some(index) = MAJORS.iter().position(|known| *known == major) else {
            bail!("there is no PostgreSQL {major} here, only {MAJORS:?}");
        };
        SERVERS[index]
            .get_or_init(|| Self::start(major).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// The major version, for example 17.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The host it listens on.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The TCP port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket, to be given as a host name.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// With TLS: the certificate of the authority to trust, for `sslrootcert`.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// The superuser's connection URL for a database.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, PASSWORD, database)
    }

    /// A connection URL; every part may hold any character.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let [user, password, database] = [user, password, database].map(percent_encode);
        format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a database whose name starts with `prefix` and that no other test has.
    pub fn create_database(&self, prefix: &str) -> anyhow::Result<Database<'_>> {
        let name = format!("{prefix}_{}_{}", std::process::id(), unique_number());
        Database::create(self, name, "")
    }

    /// Creates a database of exactly this name. `options` is SQL, such as `template template0 encoding 'LATIN1'`.
    pub fn create_database_named(&self, name: &str, options: &str) -> anyhow::Result<Database<'_>> {
        Database::create(self, name.to_owned(), options)
    }

    /// Runs SQL in the maintenance database; the result is unaligned text, as of `psql -At`.
    pub fn psql(&self, sql: &str) -> anyhow::Result<String> {
        database::psql(&self.url("postgres"), sql)
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the server takes connections, for example after a crash that a test caused.
    pub fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let url = self.url("postgres");
        self.process.wait_until_ready(START_LIMIT, || database::psql(&url, "select 1").is_ok())
    }
}

/// Makes locales, and returns the folder that they are in.
fn locales(folder: &Path, names: &[String]) -> anyhow::Result<PathBuf> {
    let folder = folder.join("locales");
    std::fs::create_dir(&folder)?;
    for name in names {
        let mut localedef = Command::new(binaries::on_path("localedef", "libc-bin")?);
        localedef.args(["-i", name, "-f", "UTF-8"]).arg(folder.join(format!("{name}.UTF-8")));
        supervised::output(&mut localedef, None)
            .context("Debian's package locales has the sources of locales")?;
    }
    Ok(folder)
}

/// The folder that holds `initdb` and `postgres` of a major version.
pub fn server_binaries(major: u32) -> anyhow::Result<PathBuf> {
    let server = places::tool(&format!("postgres-{major}"), "bin/postgres")?;
    server.parent().map(Path::to_owned).context("postgres has no folder")
}

/// The folder of Debian's server. The extensions are packages that need it.
fn debian_binaries() -> anyhow::Result<PathBuf> {
    for (package, control) in [("postgis-3", "postgis"), ("partman", "pg_partman")] {
        let control = format!("/usr/share/postgresql/15/extension/{control}.control");
        if !Path::new(&control).is_file() {
            bail!("{control} is missing; install Debian's package postgresql-15-{package}");
        }
    }
    Ok("/usr/lib/postgresql/15/bin".into())
}

/// What may not stand in a URL as it is (RFC 3986, section 2.3 lists what may).
fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // a String takes all that is written to it
        }
    }
    encoded
}

fn openssl() -> anyhow::Result<Command> {
    Ok(Command::new(binaries::on_path("openssl", "openssl")?))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    supervised::output(command, None).map(drop)
}
