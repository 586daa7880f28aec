//! Functions as they are deployed: their real binaries under AWS's runtime interface emulator, invoked with the files of
//! events/, with PostgreSQL, an S3 server and Secrets Manager's stand-in. This file has `backup`; the others have
//! files of their own.
//!
//! `backup` holds public keys only. What it wrote is looked at from outside: the objects in the bucket, and the
//! repository as pgark's library reads it from a copy of them. The emulator measures no memory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pgark_tests::postgres::{Database, client};
use pgark_tests::{
    Direction, Fault, FaultProxy, Ministack, ObjectStore, Postgres, Rie, eventually, fixtures, repository,
    wait_until, workspace_binary,
};
use serde_json::{Value, json};

#[path = "lambda/duplicates.rs"]
mod duplicates;
#[path = "lambda/health_check.rs"]
mod health_check;
#[path = "lambda/lines.rs"]
mod lines;
#[path = "lambda/logs.rs"]
mod logs;
#[path = "lambda/metrics.rs"]
mod metrics;
#[path = "lambda/panics.rs"]
mod panics;
#[path = "lambda/prune.rs"]
mod prune;
#[path = "lambda/restore_test.rs"]
mod restore_test;
#[path = "lambda/verify.rs"]
mod verify;

#[path = "lambda/world.rs"]
mod world;

use world::World;

const SOON: Duration = Duration::from_secs(30);
/// A password that needs every kind of escaping, and that nothing may print.
const PASSWORD: &str = "s3cr:t/p@ss%w rd";

type Result = anyhow::Result<()>;

fn event(name: &str) -> anyhow::Result<Value> {
    let file = repository().join("events/backup").join(format!("{name}.json"));
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

fn shop() -> anyhow::Result<Database<'static>> {
    let shop = Postgres::shared(17)?.create_database("shop")?;
    shop.load(fixtures::SHOP)?;
    shop.query("analyze")?; // a dry run tells the planner's numbers
    Ok(shop)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_invocation_adds_one_backup_to_the_list() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let function = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    let mut expected = Vec::new();
    for name in ["default", "eventbridge-scheduled", "exclusions", "schema-only"] {
        let answer = function.invoke(&event(name)?)?;
        assert_eq!(answer["source"], "shop", "{answer}\n{}", function.log());
        assert_eq!(answer["encrypted"], true, "{answer}");
        assert_eq!(answer["rows"].as_u64() > Some(10_000), name != "schema-only", "{answer}");
        expected.push(answer["id"].as_str().unwrap_or_default().to_owned());
    }

    let copy = world.copy_of_bucket().await?;
    let found = copy.repository.find(&pgark::repository::Filter::default()).await?;
    let mut ids: Vec<_> = found.complete.iter().map(|backup| backup.id.to_string()).collect();
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert_eq!(found.incomplete, []);
    let rows: u64 = shop.query("select count(*) from sales.customers")?.parse()?;
    for (backup, manifest) in copy.repository.load_manifests(&found.complete).await {
        let manifest = manifest?;
        let encryption = manifest.encryption.as_ref().map(|encryption| encryption.recipients.clone());
        assert_eq!(encryption, Some(vec![world.recipient().to_owned()]));
        for object in &manifest.objects {
            let bytes = copy.bytes(&backup.key(&object.name))?;
            assert!(bytes.starts_with(b"age-encryption.org/v1\n"), "{} is not encrypted", object.name);
            assert_eq!(bytes.len() as u64, object.sealed.stored_bytes, "{}", object.name);
        }
        let mut tables = manifest.tables.iter();
        let customers = tables.find(|table| table.schema == "sales" && table.name == "customers");
        let expected = (!manifest.options.schema_only).then_some(rows);
        assert_eq!(customers.map(|table| table.rows), expected);
    }
    assert_eq!(world.unfinished_uploads()?, [""; 0]);
    Ok(())
}

#[test]
fn a_dry_run_and_a_refused_event_write_nothing() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let function = world.function([("PGARK_DATABASE_URL", shop.url())])?;
    for name in ["dry-run", "eventbridge-detail"] {
        let answer = function.invoke(&event(name)?)?;
        assert_eq!((&answer["id"], &answer["source"]), (&Value::Null, &json!("shop")), "{answer}");
        assert!(answer["rows"].as_u64() > Some(10_000), "{answer}");
    }
    let answer = function.invoke(&json!({ "dryrun": true }))?;
    assert_eq!(answer["errorType"], "usage.invalid", "{answer}");
    assert!(
        answer["errorMessage"].as_str().unwrap_or_default().contains("unknown field `dryrun`"),
        "{answer}"
    );
    assert_eq!(world.keys()?, [""; 0]);
    Ok(())
}

#[test]
fn a_wrong_password_answers_with_its_code_and_lists_nothing() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let url = shop.server().url_as("postgres", PASSWORD, shop.name());
    let function = world.function([("PGARK_DATABASE_URL", url)])?;
    let answer = function.invoke(&event("default")?)?;
    assert_eq!(answer["errorType"], "connect.authentication", "{answer}");
    let line = world::last_error(&function)?;
    assert_eq!(line["exception_name"], "connect.authentication", "{line}");
    assert_eq!(line["message"], answer["errorMessage"], "{line}");
    world::assert_no_secret_in_log(&function);
    assert_eq!(world.keys()?, [""; 0]);
    Ok(())
}

#[test]
fn missing_settings_fail_the_init_phase_with_one_line() -> Result {
    let function = Rie::start(&workspace_binary("backup")?, [("PGARK_TIER", "hourly".to_owned())])?;
    let answer = function.invoke(&event("default")?)?;
    assert_eq!(answer["errorType"], "settings.invalid", "{answer}\n{}", function.log());
    let line = world::last_error(&function)?;
    let message = line["message"].as_str().unwrap_or_default();
    for part in
        ["4 settings are wrong", "PGARK_DATABASE_URL", "PGARK_STORE", "PGARK_RECIPIENTS", "PGARK_TIER"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(answer["errorMessage"], message);
    Ok(())
}

/// RDS rotates a secret while the function is warm.
#[test]
fn the_secret_is_read_for_each_invocation() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let server = shop.server();
    let role = format!("rotated_{}", shop.name());
    server.psql(&format!("create role {role} login superuser password '{PASSWORD}'"))?;
    let secret = |password: &str| {
        json!({
            "engine": "postgres", "host": server.host(), "port": server.port(),
            "username": role, "password": password, "dbname": shop.name(),
        })
        .to_string()
    };
    let aws = Ministack::shared()?;
    let arn = aws.create_secret("database", &secret("the one before"))?;
    let function = world.function([
        ("PGARK_DATABASE_SECRET", arn.clone()),
        ("AWS_ENDPOINT_URL", aws.endpoint().to_owned()),
        ("AWS_ENDPOINT_URL_S3", ObjectStore::shared()?.endpoint().to_owned()),
    ])?;
    let answer = function.invoke(&event("default")?)?;
    assert_eq!(answer["errorType"], "connect.authentication", "{answer}");
    assert_eq!(world.keys()?, [""; 0]);

    aws.rotate_secret(&arn, &secret(PASSWORD))?;
    let answer = function.invoke(&event("default")?)?;
    assert_eq!(answer["source"], "shop", "{answer}\n{}", function.log());
    aws.rotate_secret(&arn, &server.url_as(&role, PASSWORD, shop.name()))?;
    let answer = function.invoke(&event("dry-run")?)?;
    assert_eq!(answer["source"], "shop", "a plain URL: {answer}");
    assert_eq!(world.keys()?.iter().filter(|key| key.ends_with("/manifest.json")).count(), 1);
    world::assert_no_secret_in_log(&function);
    server.psql(&format!("drop role {role}")).map(drop)
}

#[test]
fn a_secret_that_is_missing_or_makes_no_sense_is_told_by_its_code() -> Result {
    let world = World::new()?;
    let aws = Ministack::shared()?;
    for (name, code) in [
        ("no-such-secret".to_owned(), "secret.missing"),
        (aws.create_secret("words", PASSWORD)?, "secret.invalid"),
        (
            aws.create_secret("no-host", &json!({ "username": "u", "password": PASSWORD }).to_string())?,
            "secret.invalid",
        ),
    ] {
        let endpoint = aws.endpoint().to_owned();
        let function = world.function([
            ("PGARK_DATABASE_SECRET", name.clone()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint),
        ])?;
        let answer = function.invoke(&event("default")?)?;
        assert_eq!(answer["errorType"], code, "{answer}\n{}", function.log());
        assert!(answer["errorMessage"].as_str().unwrap_or_default().starts_with(&name), "{answer}");
        world::assert_no_secret_in_log(&function);
    }
    assert_eq!(world.keys()?, [""; 0]);
    Ok(())
}

/// Holds a lock on a table until it is dropped.
struct Locked(Child);

impl Locked {
    fn table(database: &Database<'_>, table: &str) -> anyhow::Result<Self> {
        let mut psql = client("psql")?;
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--dbname", &database.url()]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.as_mut().expect("was piped");
        writeln!(input, "begin; lock table {table} in access exclusive mode; select 'locked';")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("was piped")).read_line(&mut line)?;
        assert_eq!(line, "locked\n");
        Ok(Self(child))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn assert_out_of_time(answer: &Value, function: &Rie) {
    assert_eq!(answer["errorType"], "stopped", "{answer}\n{}", function.log());
    let message = answer["errorMessage"].as_str().unwrap_or_default();
    // The colon: it stopped by itself, having removed what it had begun.
    assert!(message.starts_with("the time of the function was up before the work was done: "), "{answer}");
    assert!(!function.log().contains("Task timed out"), "{}", function.log());
}

#[test]
fn a_lock_that_blocks_for_too_long_is_given_up_before_the_deadline() -> Result {
    let (world, shop) = (World::new()?, shop()?);
    let locked = Locked::table(&shop, "sales.orders")?;
    let function = world.function([
        ("PGARK_DATABASE_URL", shop.url()),
        ("PGARK_LOCK_TIMEOUT", "5m".to_owned()),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "4".to_owned()),
    ])?;
    let started = Instant::now();
    let answer = function.invoke(&event("default")?)?;
    assert_out_of_time(&answer, &function);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(world.keys()?, [""; 0]);
    let waiting = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and application_name = 'pgark'",
        shop.name()
    );
    wait_until(SOON, "nobody waits for the lock", || shop.server().psql(&waiting).is_ok_and(|n| n == "0"))?;

    // The same, warm, process goes on working.
    drop(locked);
    let answer = function.invoke(&event("dry-run")?)?;
    assert_eq!(answer["source"], "shop", "{answer}");
    Ok(())
}

/// The server stops sending in the middle of a table, while its upload is under way.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_mid_table_is_given_up_before_the_deadline() -> Result {
    let world = World::new()?;
    let server = Postgres::shared(17)?;
    let database = server.create_database("large")?;
    // Hexadecimal digits of digests: zstd makes about half of them, so that several parts are uploaded.
    database.query(
        "create table large as select string_agg(md5((n * 200 + m)::text), '') as digits
         from generate_series(1, 12000) n, generate_series(1, 200) m group by n",
    )?;
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into()).await?;
    let url =
        database.url().replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.address().port()));
    let timeout = ("AWS_LAMBDA_FUNCTION_TIMEOUT", "10".to_owned());
    let function = world.function([("PGARK_DATABASE_URL", url), timeout])?;
    let event = event("default")?;
    let (answer, function) = {
        let invoked = tokio::task::spawn_blocking(move || (function.invoke(&event), function));
        eventually(SOON, "an upload is under way", async || {
            world.unfinished_uploads().is_ok_and(|uploads| !uploads.is_empty())
        })
        .await?;
        proxy.set(Fault::Stall).await?;
        invoked.await?
    };
    assert_out_of_time(&answer?, &function);
    assert!(proxy.bytes(Direction::ToClient) > 8 << 20);
    assert_eq!(world.unfinished_uploads()?, [""; 0]);
    assert_eq!(world.keys()?, [""; 0]);
    Ok(())
}
