//! Servers that cannot be reached, or not by us.

use std::net::TcpListener;

use pgark_tests::postgres::{PASSWORD, SUPERUSER};
use pgark_tests::{PoolMode, Pooler};

use super::Result;
use super::place::Place;
use super::source::{Source, backup_through};

#[test]
fn a_server_that_lets_nobody_in_is_named_with_the_cure() -> Result {
    let source = Source::with("create table t ()")?;
    let (port, name) = (source.server().port(), source.name());
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(); // closed again at once
    let wrong = "wr0ng-h0rse";
    let cases = [
        (
            source.server().url_as(SUPERUSER, wrong, name),
            "connect.authentication",
            vec![format!("127.0.0.1:{port}"), name.to_owned(), "pg_hba.conf".to_owned()],
        ),
        (
            format!("postgresql://{SUPERUSER}@127.0.0.1:{port}/{name}"),
            "connect.authentication",
            vec!["No password was given".to_owned(), "PGPASSWORD".to_owned()],
        ),
        (
            format!("postgresql://{SUPERUSER}:{PASSWORD}@no-such-host.invalid/{name}"),
            "connect.unknown_host",
            vec!["no-such-host.invalid".to_owned(), "DNS".to_owned()],
        ),
        (
            format!("postgresql://{SUPERUSER}:{PASSWORD}@127.0.0.1:{closed}/{name}"),
            "connect.refused",
            vec![format!("127.0.0.1:{closed}"), "firewall".to_owned()],
        ),
        (
            source.server().url("no such database"),
            "connect.no_database",
            vec!["\"no such database\" does not exist".to_owned(), "Check the name".to_owned()],
        ),
        (
            source.server().url_as("nobody_at_all", PASSWORD, name),
            "connect.authentication",
            vec!["nobody_at_all".to_owned()],
        ),
        (
            format!("{}?sslmode=require", source.url()),
            "connect.tls",
            vec![format!("127.0.0.1:{port}"), "sslmode".to_owned()],
        ),
    ];
    let place = Place::folder()?;
    for (url, code, parts) in cases {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let backup = || anyhow::Ok(backup_through(&url, &place)?.secret(wrong));
        backup()?.run()?.failed(1, code, &parts)?;
        let for_people = backup()?.without("--json").run()?;
        for_people.failed_for_people(1, code, &parts)?;
        source.is_left_alone()?;
        place.is_untouched()?;
    }
    Ok(())
}

#[test]
fn a_pooler_in_between_is_recognised_with_the_cure() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    for mode in [PoolMode::Transaction, PoolMode::Statement] {
        let pooler = Pooler::start(source.server(), mode)?;
        let place = Place::folder()?;
        let ended = backup_through(&pooler.url(source.name()), &place)?.run()?;
        let parts = ["127.0.0.1", "pooler", "pool_mode = session", "Connect to the server itself"];
        ended.failed(1, "connect.pooler", &parts)?;
        place.is_untouched()?;
    }
    Ok(())
}

#[test]
fn a_pooler_in_session_mode_does_no_harm() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    let pooler = Pooler::start(source.server(), PoolMode::Session)?;
    let place = Place::folder()?;
    backup_through(&pooler.url(source.name()), &place)?.run()?.done()?;
    assert_eq!(place.listed()?.len(), 1);
    Ok(())
}
