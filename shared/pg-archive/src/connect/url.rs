//! Reads `postgres://` and `postgresql://` URLs (libpq manual, chapter 34.1.1.2;
//! `conninfo_uri_parse_options` in fe-connect.c).
//!
//! Stricter than libpq in one thing: an `@` that libpq would take for a part of the host or of the
//! database name is a problem, because it is nearly always a password that was not percent-encoded,
//! and connecting would print half of it as a host name.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::parameters::Parameters;
use super::problems::Findings;

const ENCODE: &str = "inside the user name or password write @ as %40 and / as %2F";

/// The URL without its scheme, if it is one.
pub(super) fn strip_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// Reads every part of a URL (without its scheme) into the parameters.
pub(super) fn parse(url: &str, parameters: &mut Parameters, findings: &mut Findings) {
    // Credentials end at the first @, if no slash comes before it: libpq's rule.
    let before_slash = url.split('/').next().unwrap_or_default();
    let (credentials, rest) = match before_slash.find('@') {
        Some(at) => (Some(&url[..at]), &url[at + 1..]),
        None => (None, url),
    };
    let hosts_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (hosts, rest) = rest.split_at(hosts_end);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let database = path.strip_prefix('/').unwrap_or(path);

    if hosts.contains('@') || (credentials.is_none() && database.contains('@')) {
        findings.add(format!("the URL has an @ in an odd place: {ENCODE}"));
        return;
    }
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        set_decoded("user", user, parameters, findings);
        set_decoded("password", password, parameters, findings);
    }
    parse_hosts(hosts, parameters, findings);
    set_decoded("dbname", database, parameters, findings);
    for (number, pair) in query.split('&').enumerate() {
        if !pair.is_empty() {
            parse_pair(number + 1, pair, parameters, findings);
        }
    }
}

/// Splits `host:port,[ipv6]:port,…` into the two lists that the parameters `host` and `port` hold.
fn parse_hosts(text: &str, parameters: &mut Parameters, findings: &mut Findings) {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for (number, entry) in text.split(',').enumerate() {
        let (host, tail) = match entry.strip_prefix('[').map(|inner| inner.split_once(']')) {
            Some(Some((address, tail))) => (address, tail),
            Some(None) => {
                findings.add(format!("host {} opens a [ that no ] closes", number + 1));
                return;
            }
            None => entry.split_at(entry.find(':').unwrap_or(entry.len())),
        };
        let port = tail.strip_prefix(':');
        if (port.is_none() && !tail.is_empty()) || (entry.starts_with('[') && host.is_empty()) {
            findings.add(format!("host {} is not of the form [IPv6-address]:port", number + 1));
            return;
        }
        if port.is_some_and(|port| !port.chars().all(|c| c.is_ascii_digit())) {
            findings.add(format!("the port of host {} is not a number ({ENCODE})", number + 1));
            return;
        }
        hosts.push(host);
        ports.push(port.unwrap_or_default());
    }
    set_decoded("host", &hosts.join(","), parameters, findings);
    let ports = ports.join(",");
    if ports.contains(|c: char| c.is_ascii_digit()) {
        parameters.set("port", ports, findings);
    }
}

/// One `name=value` of the query part.
fn parse_pair(number: usize, pair: &str, parameters: &mut Parameters, findings: &mut Findings) {
    let Some((name, value)) = pair.split_once('=').filter(|(_, value)| !value.contains('=')) else {
        findings.add(format!(
            "query parameter {number} is not of the form name=value (write = inside a value as %3D)"
        ));
        return;
    };
    let place = format!("query parameter {number}");
    let (Some(name), Some(value)) = (decode(&place, name, findings), decode(&place, value, findings)) else {
        return;
    };
    // JDBC's spelling, which libpq takes too.
    if name == "ssl" && value == "true" {
        parameters.set("sslmode", "require".to_owned(), findings);
    } else {
        parameters.set(&name, value, findings);
    }
}

fn set_decoded(name: &'static str, text: &str, parameters: &mut Parameters, findings: &mut Findings) {
    if let Some(value) = decode(name, text, findings).filter(|value| !value.is_empty()) {
        parameters.set(name, value, findings);
    }
}

/// Decodes `%xy`. Unlike the crate that does the work, libpq takes a stray `%` for an error.
fn decode(place: &str, text: &str, findings: &mut Findings) -> Option<String> {
    let valid = text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00"
    });
    if !valid {
        findings.add(format!(
            "{place} has a % that two hexadecimal digits (not 00) do not follow (write % as %25)"
        ));
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok();
    if decoded.is_none() {
        findings.add(format!("{place} is not UTF-8 after percent-decoding"));
    }
    decoded.map(Cow::into_owned)
}
