//! Backups that are broken while rows stream: by the server, by the network, by the operator.
//!
//! A truncated dump must never look like a good one. pgdump-aws-lambda's stream ends cleanly when its pg_dump dies, so
//! that the truncated upload completes: every test here would find that.

use std::time::{Duration, Instant};

use pgark_tests::{Direction, Fault, FaultProxy, Postgres, eventually};

use super::place::Place;
use super::program::{Ended, Running};
use super::source::{Source, backup_through};
use super::{Result, SOON};

/// "Quickly" for a program that has sessions to end and objects to remove. A server that is told to cancel needs a
/// moment, and so does a machine on which all tests run at once.
const QUICK: Duration = Duration::from_secs(15);

/// A backup of `public.large` in the midst of its COPY.
fn in_mid_copy(source: &Source<'_>, place: &Place) -> Result<(Running, String)> {
    let running = source.backup(place)?.start()?;
    let worker = source.copying()?;
    place.is_receiving()?;
    Ok((running, worker))
}

fn is_gone(source: &Source<'_>, place: &Place) -> Result {
    source.is_left_alone()?;
    place.is_untouched()
}

#[test]
fn a_terminated_worker_fails_the_backup() -> Result {
    let source = Source::large()?;
    for place in Place::both()? {
        let (running, worker) = in_mid_copy(&source, &place)?;
        assert_eq!(source.query(&format!("select pg_terminate_backend({worker})"))?, "t");
        let ended = running.end()?;
        // Whether the server still gets its last words through depends on how full the line is.
        ended.failed(1, "postgres.connection-lost", &["table public.large", "lost", "the server's log"])?;
        is_gone(&source, &place)?;
    }
    Ok(())
}

#[test]
fn a_cancelled_statement_fails_the_backup() -> Result {
    let source = Source::large()?;
    for place in Place::both()? {
        let (running, worker) = in_mid_copy(&source, &place)?;
        assert_eq!(source.query(&format!("select pg_cancel_backend({worker})"))?, "t");
        let ended = running.end()?;
        ended.failed(1, "postgres.cancelled", &["table public.large", "canceling statement"])?;
        is_gone(&source, &place)?;
    }
    Ok(())
}

#[test]
fn a_terminated_coordinator_fails_the_backup_at_once() -> Result {
    let source = Source::large()?;
    let place = Place::bucket()?;
    let (running, worker) = in_mid_copy(&source, &place)?;
    let coordinator =
        source.session(&format!("a.state like 'idle in transaction%' and a.pid <> {worker}"))?;
    assert_eq!(source.query(&format!("select pg_terminate_backend({coordinator})"))?, "t");
    let ended = running.end()?;
    ended.failed(1, "postgres.connection-lost", &["the session that holds the snapshot", "terminat"])?;
    is_gone(&source, &place)
}

/// All sessions are gone at once, and whichever notices first says so.
fn lost_all_sessions(ended: &Ended) -> Result {
    let failure = ended.failed(1, "postgres.connection-lost", &["lost", "the server's log"])?;
    let sessions = ["table public.large", "the session that holds the snapshot"];
    assert!(sessions.contains(&failure.object.as_str()), "{ended}");
    Ok(())
}

/// A crash ends the connection cleanly as far as TCP can tell, in the midst of the rows.
#[test]
fn a_crash_of_the_server_fails_the_backup() -> Result {
    let mut server = Postgres::start(16)?;
    let place = Place::folder()?;
    {
        let source = Source::large_on(&server)?;
        let (running, worker) = in_mid_copy(&source, &place)?;
        // Only whom the server runs as may kill it, and root; the tests are one or the other.
        std::process::Command::new("kill").args(["-s", "KILL", &worker]).status()?;
        lost_all_sessions(&running.end()?)?;
    }
    server.wait_until_ready()?;
    assert_eq!(server.psql("select count(*) from pg_stat_activity where application_name = 'pgark'")?, "0");
    place.is_untouched()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_network_fails_the_backup() -> Result {
    let source = Source::large()?;
    for place in Place::both()? {
        let proxy = FaultProxy::start(([127, 0, 0, 1], source.server().port()).into()).await?;
        let cut_after = 40_000_000;
        proxy.set(Fault::CutAfter(Direction::ToClient, cut_after)).await?;
        let url = source.url_through(&proxy);
        let ended = backup_through(&url, &place)?.run()?;
        assert!(proxy.bytes(Direction::ToClient) >= cut_after);
        lost_all_sessions(&ended)?;
        is_gone(&source, &place)?;
    }
    Ok(())
}

/// A connection that is silent for ever, and not closed, is found by the operator at the latest.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_network_does_not_hold_up_a_signal() -> Result {
    let source = Source::large()?;
    let place = Place::folder()?;
    let proxy = FaultProxy::start(([127, 0, 0, 1], source.server().port()).into()).await?;
    let url = source.url_through(&proxy);
    let running = backup_through(&url, &place)?.start()?;
    eventually(SOON, "rows flow", async || proxy.bytes(Direction::ToClient) > 20_000_000).await?;
    proxy.set(Fault::Stall).await?;
    stopped_by("TERM", running)?;
    drop(proxy);
    is_gone(&source, &place)
}

fn stopped_by(signal: &str, running: Running) -> Result {
    let sent = Instant::now();
    running.signal(signal)?;
    let ended = running.end()?;
    assert!(sent.elapsed() < QUICK, "{signal}: {ended}");
    ended.failed(1, "stopped", &["was stopped"]).map(drop)
}

#[test]
fn signals_end_the_backup_quickly() -> Result {
    let source = Source::large()?;
    for signal in ["TERM", "INT"] {
        for place in Place::both()? {
            let (running, _) = in_mid_copy(&source, &place)?;
            stopped_by(signal, running)?;
            is_gone(&source, &place)?;
        }
    }
    Ok(())
}
