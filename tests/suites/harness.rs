//! The harness proves itself: what the other suites rely on is true here, on this machine.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use pgark_tests::postgres::{MAJORS, PASSWORD, SUPERUSER, client};
use pgark_tests::{
    Direction, Fault, FaultProxy, Ministack, ObjectStore, Postgres, Rie, eventually, fixtures, wait_until,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(20);

type Result = anyhow::Result<()>;

#[test]
fn each_major_starts_answers_and_is_gone_after_drop() -> Result {
    for major in MAJORS {
        let server = Postgres::start(major)?;
        let version: u32 = server.psql("show server_version_num")?.parse()?;
        assert_eq!(version / 10_000, major);
        let (port, folder) = (server.port(), server.socket_folder().to_owned());
        assert!(folder.join("data/PG_VERSION").exists());

        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{major} still listens");
        assert!(!folder.exists(), "{} is left behind", folder.display());
    }
    Ok(())
}

#[test]
fn a_server_does_not_outlive_a_killed_test_process() -> Result {
    // The test binary runs itself: the inner run starts a server, says where, and is killed.
    let mut inner = Command::new(std::env::current_exe()?)
        .args(["--exact", "inner_process_starts_a_server_and_waits", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut printed = std::io::BufReader::new(inner.stdout.take().expect("was piped"));
    let mut line = String::new();
    while !line.starts_with("server ") {
        line.clear();
        let read = std::io::BufRead::read_line(&mut printed, &mut line)?;
        assert_ne!(read, 0, "the inner process ended early");
    }
    let mut words = line.split_whitespace().skip(1);
    let port: u16 = words.next().expect("a port").parse()?;
    let folder = std::path::PathBuf::from(words.next().expect("a folder"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());

    inner.kill()?; // SIGKILL: no destructor runs
    inner.wait()?;
    wait_until(SOON, "the server has stopped", || TcpStream::connect(("127.0.0.1", port)).is_err())?;
    wait_until(SOON, "its folder is removed", || !folder.exists())
}

#[test]
#[ignore = "run by a_server_does_not_outlive_a_killed_test_process"]
fn inner_process_starts_a_server_and_waits() -> Result {
    let server = Postgres::start(18)?;
    println!("server {} {}", server.port(), server.socket_folder().display());
    std::io::stdin().read_line(&mut String::new())?; // for ever: nobody writes
    Ok(())
}

#[test]
fn databases_are_apart_and_need_the_password() -> Result {
    let server = Postgres::shared(18)?;
    let (one, other) = (server.create_database("same")?, server.create_database("same")?);
    one.load("create table t as select 1 as i; insert into t values (2);")?;
    assert_eq!(one.query("select i from t order by i")?, "1\n2");
    assert_eq!(other.query("select to_regclass('t') is null")?, "t");

    let refused = client("psql")?
        .args(["--command", "select 1", "--dbname", &server.url_as(SUPERUSER, "not it", "postgres")])
        .output()?;
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("password authentication failed"), "{message}");
    Ok(())
}

#[test]
fn names_and_passwords_of_any_characters_fit_into_urls() -> Result {
    let server = Postgres::shared(15)?;
    let database = server.create_database_named("a b/c?d#e%f@g:ü\"", "template template0")?;
    let password = "p@ss:w/rd %20?#";
    database.query(&format!("create role \"me@here\" login password '{password}'"))?;
    let output = client("psql")?
        .args(["-At", "--command", "select current_user", "--dbname"])
        .arg(server.url_as("me@here", password, database.name()))
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "me@here\n", "{error}");
    database.query("drop role \"me@here\"")?;
    Ok(())
}

#[test]
fn settings_and_tls_reach_the_server() -> Result {
    let server = Postgres::options(16).setting("wal_level", "logical").tls().start()?;
    assert_eq!(server.psql("show wal_level")?, "logical");
    let authority = server.authority().expect("TLS was asked for");
    let psql = |host: &str| -> anyhow::Result<_> {
        let port = server.port();
        let target = format!("host={host} hostaddr=127.0.0.1 port={port} user={SUPERUSER} dbname=postgres");
        let output = Command::new(pgark_tests::postgres_15("psql")?)
            .env("PGPASSWORD", PASSWORD)
            .env("PGSSLROOTCERT", authority)
            .env("PGSSLMODE", "verify-full")
            .args(["-XAt", "--command", "select ssl from pg_stat_ssl where pid = pg_backend_pid()", &target])
            .output()?;
        Ok((String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    };
    assert_eq!(psql("localhost")?, ("t\n".to_owned(), String::new()));
    let (_, refused) = psql("other.example")?;
    assert!(refused.contains("does not match host name"), "{refused}");
    Ok(())
}

#[test]
fn fixtures_load_everywhere() -> Result {
    for major in MAJORS {
        for (name, script) in [("shop", fixtures::SHOP), ("content", fixtures::CONTENT)] {
            let database = Postgres::shared(major)?.create_database(name)?;
            database.load(script).with_context(|| format!("{name} on {major}"))?;
            let text = database.dump_text()?;
            assert!(text.contains("PostgreSQL database dump complete"), "{name} on {major}");
        }
    }
    Ok(())
}

#[test]
fn two_loads_of_a_fixture_dump_to_the_same_text() -> Result {
    let server = Postgres::shared(18)?;
    for (name, script) in [("shop", fixtures::SHOP), ("content", fixtures::CONTENT)] {
        let (batch, stepwise) = (server.create_database(name)?, server.create_database(name)?);
        batch.load(script)?;
        stepwise.query(script)?;
        let (text, again) = (batch.dump_text()?, stepwise.dump_text()?);
        let difference = text.lines().zip(again.lines()).find(|(one, other)| one != other);
        assert_eq!(difference, None, "{name} differs from load to load");
        assert_eq!(text.len(), again.len(), "{name} differs in length");

        stepwise.query("select lo_unlink(oid) from pg_largeobject_metadata")?;
        assert!(text != stepwise.dump_text()?, "the text of {name} does not show a lost large object");
    }
    Ok(())
}

#[test]
fn the_shop_is_as_large_as_the_demo_says() -> Result {
    let shop = Postgres::shared(18)?.create_database("shop")?;
    shop.load(fixtures::SHOP)?;
    shop.query("analyze")?;
    let estimate = "select sum(reltuples)::int from pg_class where relkind = 'r'
        and relnamespace in ('sales'::regnamespace, 'stock'::regnamespace, '\"Back Office\"'::regnamespace)";
    let rows: u32 = shop.query(estimate)?.parse()?;
    assert!((50_000..100_000).contains(&rows), "{rows} rows");
    Ok(())
}

#[test]
fn the_object_store_keeps_objects_and_checks_signatures() -> Result {
    let store = ObjectStore::shared()?;
    let bucket = store.create_bucket("harness")?;
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    store.put(&bucket, "a/b.bin", &body)?;
    assert_eq!(store.get(&bucket, "a/b.bin")?, body);
    assert_eq!(store.keys(&bucket)?, ["a/b.bin"]);
    assert_eq!(store.unfinished_uploads(&bucket)?, [""; 0]);
    assert_eq!(store.get_unsigned(&bucket, "a/b.bin")?.status, 403);
    store.delete(&bucket, "a/b.bin")?;
    assert!(store.get(&bucket, "a/b.bin").is_err());
    Ok(())
}

#[test]
fn ministack_answers_and_is_gone_after_drop() -> Result {
    let ministack = Ministack::start()?;
    let endpoint = ministack.endpoint().to_owned();
    let answers = || Command::new("curl").args(["-s", &endpoint]).output().is_ok_and(|o| o.status.success());
    assert!(answers());
    drop(ministack);
    assert!(!answers());
    Ok(())
}

/// A Lambda function in shell: it speaks the Runtime API, and returns the event beside a variable.
const FUNCTION: &str = r#"#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
    event=$(curl -s -D headers "$api/next") || exit 1
    id=$(tr -d '\r' <headers | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
    echo "handling one"
    curl -s -o /dev/null "$api/$id/response" -d "{\"event\": $event, \"greeting\": \"$GREETING\"}"
done
"#;

#[test]
fn the_lambda_emulator_invokes_a_binary() -> Result {
    let folder = tempfile::tempdir()?;
    let function = folder.path().join("function");
    fs::write(&function, FUNCTION)?;
    fs::set_permissions(&function, fs::Permissions::from_mode(0o755))?;
    let rie = Rie::start(&function, [("GREETING", "hello".to_owned())])?;
    for n in 1..=2 {
        let answer = rie.invoke(&json!({ "n": n }))?;
        assert_eq!(answer, json!({ "event": { "n": n }, "greeting": "hello" }));
    }
    rie.wait_for_log("handling one")
}

/// A server that sends back what it gets.
async fn echo() -> anyhow::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    Ok(address)
}

#[tokio::test]
async fn the_proxy_passes_cuts_refuses_and_stalls() -> Result {
    let proxy = FaultProxy::start(echo().await?).await?;
    let connect = || tokio::net::TcpStream::connect(proxy.address());

    let mut stream = connect().await?;
    stream.write_all(b"hello").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"hello");

    proxy.set(Fault::CutAfter(Direction::ToClient, 3)).await?;
    stream.write_all(b"again").await?;
    let mut rest = Vec::new();
    let error = stream.read_to_end(&mut rest).await.expect_err("the connection is cut");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(rest, b"aga");
    assert_eq!(proxy.bytes(Direction::ToClient), 8);

    let mut open = connect().await?;
    eventually(SOON, "the second connection is accepted", async || proxy.connections() == 2).await?;
    proxy.set(Fault::Refuse).await?;
    assert_eq!(connect().await.expect_err("nobody listens").kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(open.read_u8().await.is_err());

    proxy.set(Fault::Stall).await?;
    let mut stalled = connect().await?;
    stalled.write_all(b"late!").await?;
    let early = tokio::time::timeout(Duration::from_millis(200), stalled.read_u8()).await;
    assert!(early.is_err(), "a byte passed a stalled proxy");
    proxy.set(Fault::Pass).await?;
    stalled.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"late!");

    // A clean end passes too, in both directions.
    stalled.shutdown().await?;
    assert_eq!(stalled.read(&mut answer).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_cuts_a_copy_of_postgres() -> Result {
    let server = Postgres::shared(17)?;
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into()).await?;
    proxy.set(Fault::CutAfter(Direction::ToClient, 1_000_000)).await?;
    let url = format!("postgresql://{SUPERUSER}:{PASSWORD}@{}/postgres", proxy.address());
    let copy = "copy (select repeat('x', 1000) from generate_series(1, 10000)) to stdout";
    let output = client("psql")?.args(["--command", copy, "--dbname", &url]).output()?;
    assert!(!output.status.success());
    assert_eq!(proxy.bytes(Direction::ToClient), 1_000_000);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("Connection reset") || message.contains("closed the connection"), "{message}");
    Ok(())
}

#[test]
fn waiting_ends_with_what_was_waited_for() {
    let error = wait_until(Duration::from_millis(50), "pigs fly", || false).expect_err("they do not");
    assert!(error.to_string().contains("until pigs fly"), "{error}");
}
