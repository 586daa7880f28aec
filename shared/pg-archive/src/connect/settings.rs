//! Turns parameters, which are text, into a `Target`: defaults, numbers, choices, and rules between parameters.
//!
//! Source: `connectOptions2` in PostgreSQL's fe-connect.c and the libpq manual, chapter 34.1.2. Where we differ:
//! a connection attempt ends after 30 s by default and keepalives are quick, because nobody watches a function.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

use super::parameters::Parameters;
use super::problems::{Findings, Problems};
use super::secret::Secret;
use super::target::{
    ClientCertificate, Endpoint, Keepalive, Roots, SessionAttributes, SslMode, Target, TlsSettings,
    TlsVersions,
};
use super::{conninfo, url};

const PORT: u16 = 5432;
const CONNECT_TIMEOUT_SECONDS: i32 = 30;
const KEEPALIVE_IDLE_SECONDS: i32 = 60;
const KEEPALIVE_INTERVAL_SECONDS: i32 = 10;
const KEEPALIVE_COUNT: i32 = 6;

/// Socket directories of Debian's and of plain PostgreSQL; libpq knows only the one it was built with.
pub(super) const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Whether a text is a URL of another kind. A password after `password=` may hold what it likes.
fn is_other_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('='))
}

pub(super) fn parse(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Target, Problems> {
    let (mut findings, mut given) = (Findings::default(), Parameters::default());
    let text = text.trim();
    match url::strip_scheme(text) {
        Some(rest) => url::parse(rest, &mut given, &mut findings),
        None if is_other_url(text) => findings.add("a URL must begin with postgres:// or postgresql://"),
        None => conninfo::parse(text, &mut given, &mut findings),
    }
    given.fill(environment, &mut findings);
    let path = |name| environment(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = path("HOME");
    let mut read = Reader { given: &given, findings: &mut findings };
    read.unsupported();

    let endpoints = read.endpoints();
    let user = read.text("user").or_else(|| {
        // The variables that a login sets; asking the system's user database would need unsafe code.
        ["USER", "LOGNAME", "USERNAME"]
            .iter()
            .find_map(|name| environment(name).filter(|user| !user.is_empty()))
    });
    if user.is_none() {
        read.findings.add("no user name: name one in the string or in PGUSER");
    }
    let user = user.unwrap_or_default();
    let target = Target {
        endpoints,
        database: read.text("dbname").unwrap_or_else(|| user.clone()),
        user,
        password: given.get("password").map(Secret::new),
        passwords: None,
        passfile: read.text("passfile").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".pgpass"))),
        connect_timeout: read.connect_timeout(),
        application_name: read
            .text("application_name")
            .or_else(|| read.text("fallback_application_name"))
            .unwrap_or_else(|| "pgark".to_owned()),
        options: read.text("options"),
        keepalive: read.keepalive(),
        tcp_user_timeout: read.positive("tcp_user_timeout", 0).map(|n| Duration::from_millis(n.into())),
        session_attributes: read.session_attributes(),
        channel_binding: read.channel_binding(),
        tls: read.tls(home, path("SSL_CERT_FILE")),
    };
    findings.or(target)
}

/// Reads typed values and notes what is wrong with them.
struct Reader<'a> {
    given: &'a Parameters,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.given.get(name).map(str::to_owned)
    }

    /// A whole number, as `parse_int_param` reads it: blanks around it are allowed.
    fn integer(&mut self, name: &str, default: i32) -> i32 {
        let Some(text) = self.given.get(name) else { return default };
        text.trim().parse().unwrap_or_else(|_| {
            self.findings.add(format!("{name} is {text:?}, not a whole number"));
            default
        })
    }

    /// A number above zero; zero and less mean "leave it to the system".
    fn positive(&mut self, name: &str, default: i32) -> Option<u32> {
        u32::try_from(self.integer(name, default)).ok().filter(|number| *number > 0)
    }

    fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(text) = self.given.given(name) else { return default };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.findings.add(format!("{name} is {text:?}, not one of {}", words.join(", ")));
        default
    }

    /// Parameters of which only some values can be honoured.
    fn unsupported(&mut self) {
        if self.given.get("gssencmode") == Some("require") {
            self.findings
                .add("gssencmode is \"require\", but GSSAPI encryption is not supported: use TLS (sslmode)");
        } else {
            self.choice("gssencmode", (), &[("disable", ()), ("prefer", ())]);
        }
        self.choice("load_balance_hosts", (), &[("disable", ())]);
        if let Some(encoding) = self.given.get("client_encoding")
            && !["utf8", "utf-8", "unicode", "auto"].contains(&encoding.to_lowercase().as_str())
        {
            self.findings.add(format!("client_encoding is {encoding:?}, but connections always use UTF8"));
        }
    }

    /// Every place to try, in order.
    fn endpoints(&mut self) -> Vec<Endpoint> {
        let split =
            |name| self.given.get(name).map(|list| list.split(',').map(str::trim).collect::<Vec<_>>());
        let (hosts, addresses) = (split("host"), split("hostaddr"));
        let ports = split("port").unwrap_or_default();
        let count = addresses.as_ref().or(hosts.as_ref()).map_or(1, Vec::len);
        if let (Some(hosts), Some(addresses)) = (&hosts, &addresses)
            && hosts.len() != addresses.len()
        {
            self.findings.add(format!("{} host names for {} hostaddr values", hosts.len(), addresses.len()));
        }
        if ports.len() > 1 && ports.len() != count {
            self.findings.add(format!("{} ports for {count} hosts", ports.len()));
        }
        let entries: Vec<[String; 3]> = (0..count)
            .map(|n| {
                let nth = |list: Option<&Vec<&str>>| {
                    list.and_then(|list| list.get(n)).map(ToString::to_string).unwrap_or_default()
                };
                // One port serves every host.
                let port = if ports.len() == 1 { ports[0].to_owned() } else { nth(Some(&ports)) };
                [nth(hosts.as_ref()), nth(addresses.as_ref()), port]
            })
            .collect();
        entries.iter().flat_map(|[host, address, port]| self.endpoint(host, address, port)).collect()
    }

    /// One entry of the host list; an empty one stands for this machine's server.
    fn endpoint(&mut self, host: &str, address: &str, port: &str) -> Vec<Endpoint> {
        let port = match port {
            "" => PORT,
            port => port.parse().ok().filter(|port| *port > 0).unwrap_or_else(|| {
                self.findings.add(format!("port {port:?} is not a number from 1 to 65535"));
                PORT
            }),
        };
        let socket = |directory: &str| Endpoint::Socket { directory: PathBuf::from(directory), port };
        let named = |name: &str, address| Endpoint::Host { name: name.to_owned(), address, port };
        if !address.is_empty() {
            let Ok(ip) = address.parse::<IpAddr>() else {
                self.findings.add(format!("hostaddr {address:?} is not an IP address"));
                return Vec::new();
            };
            return vec![named(if host.is_empty() { address } else { host }, Some(ip))];
        }
        match host {
            "" => {
                SOCKET_DIRECTORIES.iter().map(|dir| socket(dir)).chain([named("localhost", None)]).collect()
            }
            host if host.starts_with('/') => vec![socket(host)],
            host if host.starts_with('@') => {
                self.findings.add("abstract Unix-domain sockets (host beginning with @) are not supported");
                Vec::new()
            }
            host => vec![named(host, None)],
        }
    }

    /// Zero and less wait for ever; one second becomes two, as libpq has it.
    fn connect_timeout(&mut self) -> Option<Duration> {
        let seconds = self.positive("connect_timeout", CONNECT_TIMEOUT_SECONDS)?;
        Some(Duration::from_secs(seconds.max(2).into()))
    }

    fn keepalive(&mut self) -> Keepalive {
        let seconds = |n: u32| Duration::from_secs(n.into());
        Keepalive {
            enabled: self.integer("keepalives", 1) != 0,
            idle: self.positive("keepalives_idle", KEEPALIVE_IDLE_SECONDS).map(seconds),
            interval: self.positive("keepalives_interval", KEEPALIVE_INTERVAL_SECONDS).map(seconds),
            count: self.positive("keepalives_count", KEEPALIVE_COUNT),
        }
    }

    fn session_attributes(&mut self) -> SessionAttributes {
        let choices = [
            ("any", SessionAttributes::Any),
            ("read-write", SessionAttributes::ReadWrite),
            ("read-only", SessionAttributes::ReadOnly),
            ("primary", SessionAttributes::Primary),
            ("standby", SessionAttributes::Standby),
            ("prefer-standby", SessionAttributes::PreferStandby),
        ];
        self.choice("target_session_attrs", SessionAttributes::Any, &choices)
    }

    fn channel_binding(&mut self) -> ChannelBinding {
        let choices = [
            ("disable", ChannelBinding::Disable),
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
        ];
        self.choice("channel_binding", ChannelBinding::Prefer, &choices)
    }

    fn tls(&mut self, home: Option<PathBuf>, ssl_cert_file: Option<PathBuf>) -> TlsSettings {
        let system = self.given.get("sslrootcert") == Some("system");
        let modes = [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Prefer),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ];
        let mode = self.choice("sslmode", if system { SslMode::VerifyFull } else { SslMode::Prefer }, &modes);
        if system && mode != SslMode::VerifyFull {
            self.findings.add("sslrootcert=system needs sslmode=verify-full: anyone can get a certificate that a public authority signed");
        }
        let direct = self.choice("sslnegotiation", false, &[("postgres", false), ("direct", true)]);
        if direct && mode < SslMode::Require {
            self.findings.add("sslnegotiation=direct needs sslmode=require or stronger");
        }
        let versions = self.protocol_versions();
        let client = self.client_certificate(home.as_deref());
        let roots = match self.text("sslrootcert") {
            _ if system => Roots::System { ssl_cert_file },
            Some(file) => Roots::File(file.into()),
            None => Roots::Default { home },
        };
        let server_name_indication = self.integer("sslsni", 1) != 0;
        TlsSettings { mode, roots, client, server_name_indication, direct, versions }
    }

    fn protocol_versions(&mut self) -> TlsVersions {
        let known = [("TLSv1", 10), ("TLSv1.1", 11), ("TLSv1.2", 12), ("TLSv1.3", 13)];
        // Of these alone nothing is a value to libpq: no limit (`sslVerifyProtocolVersion`).
        let mut version = |name, default| match self.given.get(name) {
            Some(_) => self.choice(name, default, &known),
            None => default,
        };
        let (lowest, highest) =
            (version("ssl_min_protocol_version", 12), version("ssl_max_protocol_version", 13));
        if highest < 12 || lowest > highest {
            self.findings
                .add("ssl_min_protocol_version and ssl_max_protocol_version leave neither TLS 1.2 nor 1.3");
        }
        match (lowest, highest) {
            (13, _) => TlsVersions::Only13,
            (_, 13) => TlsVersions::Both,
            _ => TlsVersions::Only12,
        }
    }

    fn client_certificate(&mut self, home: Option<&std::path::Path>) -> Option<ClientCertificate> {
        let modes = [("allow", true), ("disable", false), ("require", true)];
        if !self.choice("sslcertmode", true, &modes) {
            return None;
        }
        let (certificate, key) = (self.text("sslcert"), self.text("sslkey"));
        let file = |given: Option<String>, name| {
            given.map(PathBuf::from).or_else(|| Some(home?.join(".postgresql").join(name)))
        };
        let named = certificate.is_some() || key.is_some();
        let files = file(certificate, "postgresql.crt").zip(file(key, "postgresql.key"));
        if named && files.is_none() {
            self.findings.add("sslcert and sslkey must be given together");
        }
        files.map(|(certificate, key)| ClientCertificate { certificate, key, named })
    }
}
