//! Proves that connections lead straight to one server, as a snapshot shared between sessions needs
//! (`pg_export_snapshot`, PostgreSQL manual, chapter 9.27.5).
//!
//! Two things stand in the way and are hard to see: a pooler that lends server sessions for one transaction or one
//! statement only, and an address behind which several servers share the load. Both are recognised by what the
//! server says of itself. No proof of a pooler is possible when it happens to lend every client its own session for
//! the whole test; a pooler in session mode is harmless and passes.

use tokio_postgres::Client;

use super::classify;
use super::error::{Error, ErrorKind};
use super::query::single_row;
use super::target::Target;

/// Which server process answered a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    backend_pid: String,
    postmaster_start: String,
    in_recovery: bool,
    address: Option<String>,
}

impl ServerIdentity {
    /// Asks the server behind a connection.
    pub async fn read(client: &Client) -> Result<Self, tokio_postgres::Error> {
        // The start is read as the bytes that it is made of: its text, and that of a number made of it, depend on
        // settings, which a database or a role may have of its own.
        let sql = "SELECT pg_catalog.pg_backend_pid(), \
                   pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.pg_postmaster_start_time()), 'hex'), \
                   pg_catalog.pg_is_in_recovery(), pg_catalog.host(pg_catalog.inet_server_addr())";
        let mut columns = single_row(client, sql).await?.into_iter();
        let mut next = || columns.next().flatten();
        Ok(Self {
            backend_pid: next().unwrap_or_default(),
            postmaster_start: next().unwrap_or_default(),
            in_recovery: next().as_deref() == Some("t"),
            address: next(),
        })
    }

    /// Whether both answers came from one server. The address does not count: one server may have several.
    pub fn is_same_server(&self, other: &Self) -> bool {
        self.postmaster_start == other.postmaster_start && self.in_recovery == other.in_recovery
    }

    /// Whether both answers came from one session of one server.
    fn is_same_session(&self, other: &Self) -> bool {
        self.is_same_server(other) && self.backend_pid == other.backend_pid
    }

    fn describe(&self) -> String {
        let address = self.address.as_deref().unwrap_or("local socket");
        format!("{address} (a {})", if self.in_recovery { "standby" } else { "primary" })
    }
}

/// Checks two connections made to one target, neither of which is in a transaction. Afterwards neither is.
pub async fn check_direct(target: &Target, first: &Client, second: &Client) -> Result<(), Error> {
    let failed = |error: tokio_postgres::Error| {
        let failure = classify::failure(target.display(), &error);
        let message = format!("cannot tell whether {} is one server: {}", failure.place, failure.cause);
        Error::new(failure.kind, message, "The cause is in the message; the server's log may say more.")
            .with_sqlstate(failure.sqlstate)
    };
    let before = ServerIdentity::read(first).await.map_err(failed)?;
    if let Err(error) = second.batch_execute("BEGIN").await {
        // PgBouncer's words in statement mode.
        let pooled =
            error.as_db_error().is_some_and(|refusal| refusal.message().contains("statement pooling"));
        return Err(if pooled { pooler(target, "it refuses transactions") } else { failed(error) });
    }
    // While the transaction holds one server session, the first client must still have its own.
    let during = read_both(second, first).await;
    second.batch_execute("ROLLBACK").await.map_err(failed)?;
    let (held, after) = during.map_err(failed)?;
    // Now every pooled session is idle. A pooler hands out either the one used last, which the second client gets
    // back and then the first one gets too, or the one idle longest, which is the first client's.
    let (again, last) = read_both(second, first).await.map_err(failed)?;
    judge(target, &[before, after, last], &[held, again])
}

/// Asks one connection, then the other.
async fn read_both(
    one: &Client,
    other: &Client,
) -> Result<(ServerIdentity, ServerIdentity), tokio_postgres::Error> {
    Ok((ServerIdentity::read(one).await?, ServerIdentity::read(other).await?))
}

/// Judges what two connections said of themselves in the course of the check.
fn judge(target: &Target, first: &[ServerIdentity], second: &[ServerIdentity]) -> Result<(), Error> {
    for answer in first {
        if second.iter().any(|other| answer.is_same_session(other)) {
            return Err(pooler(
                target,
                &format!("two connections share server process {}", answer.backend_pid),
            ));
        }
    }
    for pair in first.windows(2).chain(second.windows(2)) {
        if !pair[0].is_same_session(&pair[1]) {
            let (from, to) = (&pair[0].backend_pid, &pair[1].backend_pid);
            return Err(pooler(target, &format!("one connection moved from server process {from} to {to}")));
        }
    }
    check_same_server(target, &first[0], &second[0])
}

/// Checks that a further connection reached the same server as the first one.
pub fn check_same_server(
    target: &Target,
    first: &ServerIdentity,
    other: &ServerIdentity,
) -> Result<(), Error> {
    if first.is_same_server(other) {
        return Ok(());
    }
    let message = format!(
        "connections to {} end up on different servers: {} and {}",
        target.display(),
        first.describe(),
        other.describe()
    );
    let hint = "Name one server: an instance endpoint instead of a reader or load-balanced one (on Aurora without \
                -ro- in the name). A snapshot is valid on the server that took it only.";
    Err(Error::new(ErrorKind::ReaderEndpoint, message, hint))
}

fn pooler(target: &Target, evidence: &str) -> Error {
    let message =
        format!("{} is a connection pooler in transaction or statement mode: {evidence}", target.display());
    Error::new(ErrorKind::Pooler, message, pooler_hint(target))
}

/// The usual way around the pooler; the exact one where the host name gives the service away.
fn pooler_hint(target: &Target) -> &'static str {
    if target.any_host(|name, port| name.contains(".supabase.") && port == 6543) {
        return "Supabase: use port 5432 (direct connection or session mode) instead of 6543.";
    }
    if target.any_host(|name, _| name.contains("-pooler.")) {
        return "Neon: use the host name without -pooler.";
    }
    if target.any_host(|name, _| name.contains(".proxy-") && name.contains(".rds.")) {
        return "RDS Proxy: use the endpoint of the instance.";
    }
    "Connect to the server itself, or in session mode. Supabase: port 5432 instead of 6543. Neon: the host name \
     without -pooler. PgBouncer: a database with pool_mode = session, or the server behind it. RDS Proxy: the \
     endpoint of the instance."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str) -> Target {
        Target::parse(&format!("postgres://u@{host}/app"), |_| None).unwrap()
    }

    fn session(pid: &str, start: &str) -> ServerIdentity {
        ServerIdentity {
            backend_pid: pid.into(),
            postmaster_start: start.into(),
            in_recovery: false,
            address: Some("192.0.2.1".into()),
        }
    }

    #[test]
    fn answers_are_judged() {
        use ErrorKind::{Pooler, ReaderEndpoint};
        let (one, two, three) = (|| session("1", "10.5"), || session("2", "10.5"), || session("3", "10.5"));
        let standby = || ServerIdentity { in_recovery: true, ..two() };
        let elsewhere = || ServerIdentity { address: Some("::1".into()), ..two() };
        let restarted = || session("1", "20.5");
        let cases = [
            ("two sessions", [one(), one(), one()], [two(), two()], None),
            ("one server with two addresses", [one(), one(), one()], [elsewhere(), elsewhere()], None),
            ("shared at once", [one(), two(), two()], [one(), one()], Some(Pooler)),
            ("shared in the end", [one(), one(), two()], [two(), two()], Some(Pooler)),
            ("first one moved", [one(), three(), three()], [two(), two()], Some(Pooler)),
            ("second one moved", [one(), one(), one()], [two(), three()], Some(Pooler)),
            (
                "other server, same process number",
                [one(), one(), one()],
                [restarted(), restarted()],
                Some(ReaderEndpoint),
            ),
            ("standby", [one(), one(), one()], [standby(), standby()], Some(ReaderEndpoint)),
        ];
        for (case, first, second, expected) in cases {
            let result = judge(&target("h"), &first, &second);
            assert_eq!(result.err().map(|error| error.kind()), expected, "{case}");
        }
    }

    #[test]
    fn hints_name_the_service() {
        let cases = [
            ("aws-0-eu-central-1.pooler.supabase.com:6543", "Supabase: use port 5432"),
            ("ep-cool-name-123-pooler.eu-central-1.aws.neon.tech", "Neon: use"),
            ("app.proxy-abc.eu-central-1.rds.amazonaws.com", "RDS Proxy: use"),
            ("bouncer.internal:6432", "Connect to the server itself"),
        ];
        for (host, start) in cases {
            let error = pooler(&target(host), "evidence");
            assert!(error.hint().starts_with(start), "{host}: {}", error.hint());
        }
    }
}
