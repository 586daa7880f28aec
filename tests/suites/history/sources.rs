//! One run over several databases.

use pgark_tests::Postgres;
use pgark_tests::postgres::{Database, client};
use serde_json::Value;

use crate::place::Place;
use crate::{Result, history, pgark};

fn database(name: &str, rows: u32) -> Result<Database<'static>> {
    let database = Postgres::shared(16)?.create_database(name)?;
    database.load(&format!("create table t as select n from generate_series(1, {rows}) n"))?;
    Ok(database)
}

fn line<'a>(document: &'a Value, source: &str) -> &'a Value {
    let lines = document["sources"].as_array().into_iter().flatten();
    lines.into_iter().find(|line| line["source"] == source).unwrap_or(&Value::Null)
}

#[test]
fn one_that_fails_does_not_stop_the_others() -> Result {
    let (one, two) = (database("one", 10)?, database("two", 20)?);
    let file = format!(
        "compression = 'none'\n[sources.a-one]\ndatabase_url = '{}'\n[sources.b-broken]\ndatabase_url = '{}'\n\
         [sources.c-two]\ndatabase_url = '{}'\ncompression = 'zstd:1'\n",
        one.url(),
        one.server().url_as("postgres", "wrong-password", one.name()),
        two.url(),
    );
    for place in Place::both()? {
        let call = |command: &str| {
            Ok::<_, anyhow::Error>(pgark(&place, [command])?.config(&file)?.secret("wrong-password"))
        };
        let ended = call("backup")?.run()?;
        assert_eq!(ended.code, 1, "{ended}");
        let document: Value = serde_json::from_str(&ended.out)?;
        assert_eq!((&document["done"], &document["failed"]), (&2.into(), &1.into()), "{ended}");
        assert_eq!(line(&document, "a-one")["report"]["rows"], 10);
        assert_eq!(line(&document, "c-two")["report"]["rows"], 20);
        assert_eq!(line(&document, "b-broken")["error"]["code"], "connect.authentication", "{ended}");
        assert_eq!(place.listed()?.len(), 2);
        let outcomes: Vec<_> = history(&place)?
            .into_iter()
            .map(|(_, source, outcome)| (source, outcome.unwrap_or_default()))
            .collect();
        let expected = [("a-one", "done"), ("b-broken", "failed"), ("c-two", "done")];
        assert_eq!(outcomes, expected.map(|(source, outcome)| (source.to_owned(), outcome.to_owned())));

        // One by name, and what all of them have is verified and tested for itself.
        let named = call("backup")?.with(["--source", "c-two"]).run()?.done()?;
        assert_eq!((&named["source"], &named["rows"]), (&"c-two".into(), &20.into()));
        call("backup")?.with(["--source", "nobody"]).run()?.failed(
            2,
            "usage.invalid",
            &["a-one, b-broken, c-two"],
        )?;
        let verified = call("verify")?.run()?;
        let document: Value = serde_json::from_str(&verified.out)?;
        assert_eq!(
            (verified.code, &document["done"], &document["failed"]),
            (1, &2.into(), &1.into()),
            "{verified}"
        );
        assert_eq!(line(&document, "b-broken")["error"]["code"], "backup.missing");
        let people = pgark(&place, ["verify"])?.config(&file)?.without("--json").run()?;
        assert!(people.out.contains("FAILED    b-broken"), "{people}");
        assert!(people.out.contains("verify of 3 sources: 2 done, 1 failed, 0 skipped"), "{people}");
    }
    Ok(())
}

#[test]
fn the_databases_of_a_server_are_found_but_for_those_that_are_left_out() -> Result {
    let server = Postgres::start(15)?;
    for sql in [
        "create database app",
        "create database \"App Two\"",
        "create database app_test",
        "create database quiet allow_connections false",
        "create database mould is_template true",
    ] {
        server.psql(sql)?;
    }
    let file = format!(
        "[servers.main]\ndatabase_url = '{}'\nexclude = ['*_test', 'postgres']\n[servers.gone]\n\
         database_url = 'postgresql://postgres:x@127.0.0.1:1/postgres'\n",
        server.url("postgres")
    );
    let place = Place::folder()?;
    let call = |command: &str| pgark(&place, [command])?.config(&file);
    let ended = call("backup")?.run()?;
    assert_eq!(ended.code, 1, "{ended}");
    let document: Value = serde_json::from_str(&ended.out)?;
    let sources: Vec<_> = document["sources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| {
            (line["source"].as_str().unwrap_or_default(), line["outcome"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        sources,
        [("gone", "failed"), ("main.=41pp=20=54wo", "done"), ("main.app", "done")],
        "{ended}"
    );
    let left_out: Vec<_> = document["left_out"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| (one["database"].as_str().unwrap_or_default(), one["reason"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        left_out,
        [
            ("app_test", "excluded by \"*_test\""),
            ("mould", "a template"),
            ("postgres", "excluded by \"postgres\""),
            ("quiet", "it allows no connections"),
            ("template0", "a template"),
            ("template1", "a template"),
        ]
    );
    assert_eq!(line(&document, "main.=41pp=20=54wo")["report"]["database"], "App Two");

    // Whoever needs no server is not kept from its work by one that is gone.
    let verified = call("verify")?.run()?.done()?;
    assert_eq!(verified["done"], 2, "{verified}");
    let one = call("backup")?.with(["--source", "main.app"]).run()?.done()?;
    assert_eq!((&one["source"], &one["database"]), (&"main.app".into(), &"app".into()));
    let in_app = |sql: &str| -> Result {
        let status =
            client("psql")?.args(["-Xq", "--command", sql, "--dbname", &server.url("app")]).status()?;
        anyhow::ensure!(status.success(), "{sql}");
        Ok(())
    };
    in_app("create table t as select n from generate_series(1, 200) n; create table kept as select 1 as n")?;
    let all = call("backup")?.with(["--source", "main"]).run()?.done()?;
    assert_eq!(all["done"], 2, "{all}");

    // A database that is gone and a table that is emptied fail nothing, and run, record and health report them.
    server.psql("drop database \"App Two\"")?;
    in_app("truncate t")?;
    let all = call("backup")?.with(["--source", "main"]).run()?.done()?;
    let gone = line(&all, "main.=41pp=20=54wo");
    let why = "main.=41pp=20=54wo is not found on its server any more";
    assert_eq!((&gone["outcome"], &gone["skipped"]), (&"skipped".into(), &why.into()), "{all}");
    let told =
        |list: &Value, code: &str| list.as_array().into_iter().flatten().any(|found| found["code"] == code);
    let changes = &line(&all, "main.app")["report"]["changes"];
    assert!(
        told(changes, "table.emptied") && changes.to_string().contains("public.t (200 rows before)"),
        "{all}"
    );
    let runs = call("history")?.with(["--job", "backup"]).run()?.done()?;
    let record = |source: &str| {
        let mut runs = runs["runs"].as_array().into_iter().flatten();
        runs.rfind(|run| run["source"] == source).cloned().unwrap_or_default()
    };
    assert_eq!(record("main.=41pp=20=54wo")["error"]["code"], "source.vanished", "{runs}");
    assert!(record("main.app")["warnings"].to_string().contains("table.emptied"), "{runs}");
    for (source, code) in [("main.=41pp=20=54wo", "source.vanished"), ("main.app", "table.emptied")] {
        let ended = call("health")?.with(["--quiet", "--no-report", "--source", source]).run()?;
        let health: Value = serde_json::from_str(&ended.out)?;
        assert!(told(&health["sources"][0]["warnings"], code), "{ended}");
    }
    Ok(())
}
