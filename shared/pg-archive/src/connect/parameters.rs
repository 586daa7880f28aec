//! Which connection parameters exist, which environment variable stands behind each, and which ones
//! cannot be honoured. Leaves reading text to `conninfo` and `url`, and values to `settings`.
//!
//! Source: `PQconninfoOptions` in PostgreSQL's `src/interfaces/libpq/fe-connect.c`, and the libpq manual,
//! chapters 34.1.2 (parameters) and 34.15 (environment variables). A parameter that would make a
//! connection safer or different is refused when we cannot honour it; it is never skipped.

use std::collections::BTreeMap;

use super::problems::Findings;

/// What becomes of a parameter.
enum Use {
    /// Has an effect.
    Honoured,
    /// Has no effect here and needs none; the comment beside the row says why.
    Ignored,
    /// Asks for something that we do not do: a problem, with this reason.
    Refused(&'static str),
}

const NO_SERVICE: &str = "service files are not supported, so write the parameters out";
const NO_CRL: &str = "certificate revocation lists are not supported";
const NO_KEY_PASSWORD: &str =
    "encrypted client keys are not supported, so store the key without a passphrase";

/// Name, environment variable ("" if none), use.
const PARAMETERS: &[(&str, &str, Use)] = &[
    ("application_name", "PGAPPNAME", Use::Honoured),
    ("channel_binding", "PGCHANNELBINDING", Use::Honoured),
    ("client_encoding", "", Use::Honoured),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Use::Honoured),
    ("dbname", "PGDATABASE", Use::Honoured),
    ("fallback_application_name", "", Use::Honoured),
    // Concern GSSAPI only, which never comes to pass without gssencmode.
    ("gssdelegation", "PGGSSDELEGATION", Use::Ignored),
    ("gssencmode", "PGGSSENCMODE", Use::Honoured),
    ("gsslib", "PGGSSLIB", Use::Ignored),
    ("host", "PGHOST", Use::Honoured),
    ("hostaddr", "PGHOSTADDR", Use::Honoured),
    ("keepalives", "", Use::Honoured),
    ("keepalives_count", "", Use::Honoured),
    ("keepalives_idle", "", Use::Honoured),
    ("keepalives_interval", "", Use::Honoured),
    ("krbsrvname", "PGKRBSRVNAME", Use::Ignored),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", Use::Honoured),
    ("options", "PGOPTIONS", Use::Honoured),
    ("passfile", "PGPASSFILE", Use::Honoured),
    ("password", "PGPASSWORD", Use::Honoured),
    ("port", "PGPORT", Use::Honoured),
    ("replication", "", Use::Refused("replication connections are not supported")),
    ("require_auth", "PGREQUIREAUTH", Use::Refused("choosing authentication methods is not supported")),
    (
        "requirepeer",
        "PGREQUIREPEER",
        Use::Refused("checking the owner of the server process is not supported"),
    ),
    ("service", "PGSERVICE", Use::Refused(NO_SERVICE)),
    ("servicefile", "", Use::Refused(NO_SERVICE)),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Use::Honoured),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Use::Honoured),
    ("sslcert", "PGSSLCERT", Use::Honoured),
    ("sslcertmode", "PGSSLCERTMODE", Use::Honoured),
    // Compression is gone from TLS 1.3, and libpq itself advises against it.
    ("sslcompression", "PGSSLCOMPRESSION", Use::Ignored),
    ("sslcrl", "PGSSLCRL", Use::Refused(NO_CRL)),
    ("sslcrldir", "PGSSLCRLDIR", Use::Refused(NO_CRL)),
    ("sslkey", "PGSSLKEY", Use::Honoured),
    ("sslmode", "PGSSLMODE", Use::Honoured),
    ("sslnegotiation", "PGSSLNEGOTIATION", Use::Honoured),
    ("sslpassword", "", Use::Refused(NO_KEY_PASSWORD)),
    ("sslrootcert", "PGSSLROOTCERT", Use::Honoured),
    ("sslsni", "PGSSLSNI", Use::Honoured),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Use::Honoured),
    ("tcp_user_timeout", "", Use::Honoured),
    ("user", "PGUSER", Use::Honoured),
];

/// Parameter values, from the string first and from the environment where the string is silent.
#[derive(Default)]
pub(super) struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// Takes one parameter from the string; the last one of a name counts, as in libpq.
    pub(super) fn set(&mut self, name: &str, value: String, findings: &mut Findings) {
        match PARAMETERS.iter().find(|row| row.0 == name) {
            Some((_, _, Use::Ignored)) => {}
            Some((_, _, Use::Refused(_))) if value.is_empty() => {}
            Some((_, _, Use::Refused(why))) => findings.add(format!("parameter {name:?}: {why}")),
            Some((known, _, Use::Honoured)) => {
                self.0.insert(known, value);
            }
            None => findings.add(format!("unknown parameter {name:?}")),
        }
    }

    /// Fills what the string left out from the environment. A variable set to nothing counts as not set. To libpq it is
    /// a value (`conninfo_add_defaults`), which comes to the same for host, port, database, user and password
    /// (`pqConnectOptions2`), and makes an error of the others; here a template may set what it does not use.
    pub(super) fn fill(&mut self, environment: &dyn Fn(&str) -> Option<String>, findings: &mut Findings) {
        for (name, variable, usage) in PARAMETERS {
            if variable.is_empty() || self.0.contains_key(name) {
                continue;
            }
            let Some(value) = environment(variable).filter(|value| !value.is_empty()) else { continue };
            match usage {
                Use::Ignored => {}
                Use::Refused(why) => findings.add(format!("environment variable {variable}: {why}")),
                Use::Honoured => {
                    self.0.insert(name, value);
                }
            }
        }
    }

    /// The value of a parameter; an empty one counts as absent, as libpq treats it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The value of a parameter, for one of which nothing is not a value: an `sslmode=` in the string is an error to
    /// libpq, and must not come to mean a weaker connection than somebody meant.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        debug_assert!(PARAMETERS.iter().any(|row| row.0 == name), "{name} is no parameter");
        self.0.get(name).map(String::as_str)
    }
}
