//! Nothing guesses, and what was not done does not look done: the program on a folder with two sources, and on one whose lease
//! is another's.

use std::time::{Duration, SystemTime};

use pgark_tests::Postgres;
use serde_json::json;

use crate::place::Place;
use crate::{Result, pgark};

#[test]
fn latest_of_several_sources_is_refused_and_source_and_database_are_named() -> Result {
    let server = Postgres::shared(16)?;
    let (shop, wiki) = (server.create_database("shop")?, server.create_database("wiki")?);
    shop.load("create table t as select 1 as n")?;
    wiki.load("create table t as select 2 as n")?;
    let place = Place::folder()?;
    let mut ids = Vec::new();
    for (source, database) in [("shop", &shop), ("wiki", &wiki)] {
        let call = pgark(&place, ["backup", "--source", source])?;
        let done = call.set("PGARK_DATABASE_URL", database.url()).run()?.done()?;
        ids.push(done["id"].as_str().unwrap_or_default().to_owned());
    }
    let (url, folder) = (wiki.url(), tempfile::tempdir()?);
    let target = folder.path().join("archive").display().to_string();
    let replace = ["restore", "latest", "--to", &url, "--replace", "--yes"];
    let refused: [&[&str]; 8] = [
        &replace,
        &["show", "latest"],
        &["fetch", "latest", &target],
        &["diff", "latest"],
        &["hold", "latest", "--reason", "x"],
        &["verify"],
        &["restore-test"],
        &["restore-test", "oldest-tested"],
    ];
    for words in refused {
        let mut call = pgark(&place, [words[0]])?;
        for word in &words[1..] {
            call = call.with([*word]);
        }
        // A record of a run needs the name of a source, so these two need a database or a name.
        if ["verify", "restore-test"].contains(&words[0]) {
            call = call.set("PGARK_DATABASE_URL", server.url_as("postgres", "x", "neither"));
        }
        call.run()?.failed(2, "backup.ambiguous", &["shop, wiki", "--source"])?;
    }
    // The one that is named is no guess.
    let named = pgark(&place, ["show", "latest", "--source", "shop"])?.run()?.done()?;
    assert_eq!(named["manifest"]["id"], json!(ids[0]));
    // A database whose name is that of no source here says nothing.
    let own = pgark(&place, ["verify"])?.set("PGARK_DATABASE_URL", shop.url()).run()?;
    own.failed(2, "backup.ambiguous", &["shop, wiki"])?;

    let two = pgark(&place, ["diff", &ids[0], &ids[1]])?.run()?;
    two.failed(2, "usage.invalid", &["two sources", "--across-sources"])?;
    let across = pgark(&place, ["diff", &ids[0], &ids[1], "--across-sources"])?.run()?.done()?;
    assert_eq!((&across["source_before"], &across["source_after"]), (&json!("shop"), &json!("wiki")));

    // Onto the database of the same source, and onto another's: both named, before anything is done.
    let plan = |source: &str| {
        let call = pgark(&place, ["restore", "latest", "--source", source, "--to", &url])?;
        call.with(["--replace", "--dry-run"]).without("--json").run()
    };
    let said = plan("shop")?;
    let text = format!("source shop, database {} of PostgreSQL 16", shop.name());
    assert!(said.code == 0 && said.out.contains(&text), "{said}");
    let foreign = format!("it is of {}, and the target is {}", shop.name(), wiki.name());
    assert!(said.err.contains(&foreign), "{said}");
    let said = plan("wiki")?;
    assert!(said.code == 0 && !said.err.contains("another database"), "{said}");
    let into = server.create_database("empty")?;
    let call = pgark(&place, ["restore", &ids[0], "--to", &into.url()])?;
    let done = call.run()?.done()?;
    assert_eq!((&done["source"], &done["database"]), (&json!("shop"), &json!(shop.name())));
    Ok(())
}

#[test]
fn a_run_that_was_asked_for_and_not_done_exits_with_6() -> Result {
    let database = Postgres::shared(16)?.create_database("shop")?;
    database.load("create table t as select 1 as n")?;
    let place = Place::folder()?;
    let Place::Folder(folder) = &place else { anyhow::bail!("no folder") };
    place.listed()?; // the program is built by now: a term is short
    let leases = folder.path().join("leases/shop/backup");
    std::fs::create_dir_all(&leases)?;
    let lease = |number: u32, seconds: u32, written_ago: Duration| -> Result {
        let made = json!({
            "format_version": "1.0", "kind": "taken", "run": "20261121T020000Z-aaaa", "by": "elsewhere",
            "at": "2026-11-21T02:00:00Z", "seconds": seconds,
        });
        let file = leases.join(format!("{number:08}.json"));
        std::fs::write(&file, made.to_string())?;
        std::fs::File::options().write(true).open(file)?.set_modified(SystemTime::now() - written_ago)?;
        Ok(())
    };
    let backup = || {
        let call = pgark(&place, ["backup", "--source", "shop"])?;
        anyhow::Ok(call.set("PGARK_DATABASE_URL", database.url()))
    };
    lease(1, 120, Duration::ZERO)?;
    let ended = backup()?.run()?;
    assert_eq!(ended.code, 6, "{ended}");
    assert!(
        ended.out.contains("another backup of shop is in progress") && place.listed()?.is_empty(),
        "{ended}"
    );
    let ended = backup()?.with(["--wait", "1ms"]).run()?;
    assert_eq!(ended.code, 6, "{ended}");
    backup()?.with(["--wait", "soon"]).run()?.failed(2, "usage.invalid", &["--wait"])?;
    // The other one was killed: its term runs out in a moment, and whoever waits goes on.
    lease(1, 120, Duration::from_secs(118))?;
    backup()?.with(["--wait", "2m"]).run()?.done()?;
    assert_eq!(place.listed()?.len(), 1);
    // Whoever can write there cannot stop backups for years, nor with what is no lease at all.
    std::fs::remove_dir_all(&leases)?;
    std::fs::create_dir_all(&leases)?;
    lease(1, u32::MAX, Duration::from_secs(121))?;
    std::fs::write(leases.join("00000002.json"), "{")?;
    let ended = backup()?.run()?;
    assert!(ended.err.contains("counts as none"), "{ended}");
    ended.done()?;
    // A slot whose time is far from any is a name like another, and nothing is left behind by it.
    for slot in ["-009999-01-02T01:59:59Z", "9999-12-30T21:00:00Z"] {
        let slot = format!("--slot={slot}");
        backup()?.with([slot.as_str()]).run()?.done()?;
        let again = backup()?.with([slot.as_str()]).run()?;
        assert!(again.code == 0 && again.out.contains("was done by run"), "{again}");
    }
    // A report from the end of time stops neither a prune nor health, and says nothing.
    let reports = folder.path().join("reports/shop/verify");
    std::fs::create_dir_all(&reports)?;
    std::fs::write(reports.join("99991230T215959Z-aaaa.json"), "{}")?;
    std::fs::File::create(reports.join("20261121T215959Z-aaaa.json"))?.set_len(65 << 20)?;
    let prune = pgark(&place, ["prune", "--source", "shop"])?.run()?;
    assert!(prune.code == 0, "{prune}");
    assert!(
        prune.err.contains("dated later than the store saw it") && prune.err.contains("too large"),
        "{prune}"
    );
    let health = pgark(&place, ["health", "--source", "shop", "--quiet"])?.run()?;
    assert!([0, 4].contains(&health.code), "{health}");
    Ok(())
}
