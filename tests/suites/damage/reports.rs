//! What verify reports, keeps and answers: everything that was found, in all backups, by the real program.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context as _;
use pgark::jobs::verify::{Level, SourceReport, Verify};
use pgark_tests::fixtures;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Result;
use super::world::{Copy, World, pgark, server};

/// The reports that a store keeps, ascending by time.
fn kept(copy: &Copy) -> Result<Vec<Value>> {
    let folder = copy.root().join("reports/shop/verify");
    let mut files: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort_unstable();
    files.iter().map(|file| Ok(serde_json::from_slice(&fs::read(file)?)?)).collect()
}

#[test]
fn everything_that_is_wrong_with_any_backup_is_told_at_once() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    let orders = copy.object(0, "public.orders.dat")?;
    let items = copy.object(0, "public.items.dat")?;
    let globals = copy.object(1, "globals.sql")?;
    copy.write(0, &orders, b"other")?;
    fs::remove_file(copy.path(0, &items))?;
    copy.write(1, &globals, &[7; 100])?;
    copy.write(1, "data/stranger", b"?")?;

    let answer = pgark(&["verify", "all", "--json"], &copy.variables())?;
    assert_eq!(answer.code, 3, "{}", answer.text);
    assert_eq!(answer.json["good"], false);
    let report = &answer.json["reports"][0];
    let findings = report["findings"].as_array().context("no findings")?;
    let found: BTreeSet<_> = findings
        .iter()
        .map(|one| {
            (
                one["code"].as_str().unwrap_or_default(),
                one["object"].as_str().unwrap_or_default(),
                one["tables"].to_string(),
            )
        })
        .collect();
    let expected = [
        ("object.damaged", orders.as_str(), r#"["public.orders"]"#.to_owned()),
        ("object.missing", items.as_str(), r#"["public.items"]"#.to_owned()),
        ("object.damaged", globals.as_str(), "[]".to_owned()),
        ("object.unreferenced", "data/stranger", "[]".to_owned()),
    ];
    assert_eq!(found, expected.into(), "{}", answer.text);
    assert_eq!(findings.len(), 4);
    assert_eq!(report["backups"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["level"], "content");
    let [kept] = &kept(&copy)?[..] else { anyhow::bail!("one report is kept") };
    assert_eq!(kept, report, "what is kept is what is said");
    assert!(report["kept_as"].as_str().is_some_and(|key| key.starts_with("reports/shop/verify/")));

    // For people, and the restore of the same backup by the program.
    let people = pgark(&["verify", "all", "--no-report"], &copy.variables())?;
    assert_eq!(people.code, 3);
    for part in ["DAMAGE", "[object.missing]", "affects: table public.items", "hint: "] {
        assert!(people.text.contains(part), "{part}: {}", people.text);
    }
    let target = server()?.create_database("reported")?;
    let id = copy.path(0, "").file_name().context("an id")?.to_string_lossy().into_owned();
    let restored = pgark(&["restore", &id, "--to", &target.url(), "--json"], &copy.variables())?;
    assert_eq!(restored.code, 3, "{}", restored.text);
    assert!(restored.json["error"]["code"].as_str().is_some_and(|code| code.starts_with("object.")));
    Ok(())
}

#[test]
fn a_removed_manifest_is_found_by_its_signature() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    fs::remove_file(copy.path(1, "manifest.json"))?;
    let answer = pgark(&["verify", "all", "--json", "--no-report"], &copy.variables())?;
    let report = &answer.json["reports"][0];
    assert_eq!(
        (answer.code, &report["findings"][0]["code"]),
        (3, &"manifest.missing".into()),
        "{}",
        answer.text
    );
    assert_eq!(report["incomplete"].as_array().map(Vec::len), Some(1));
    // Without a signature it is like any run that failed or is still going on.
    fs::remove_file(copy.path(1, "manifest.json.minisig"))?;
    let answer = pgark(&["verify", "all", "--json", "--no-report"], &copy.variables())?;
    assert_eq!((answer.code, &answer.json["good"]), (0, &true.into()), "{}", answer.text);
    Ok(())
}

/// What cannot be checked is neither good nor damaged.
#[test]
fn what_could_not_be_checked_is_no_success_and_no_damage() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    let without = |name: &str| {
        let mut variables = copy.variables();
        variables.retain(|(known, _)| *known != name);
        variables
    };
    let no_key = without("PGARK_IDENTITY_FILE");
    let stored = pgark(&["verify", "--json", "--no-report"], &no_key)?;
    assert_eq!((stored.code, &stored.json["reports"][0]["level"]), (0, &"stored".into()), "{}", stored.text);
    let content = pgark(&["verify", "--level", "content", "--json", "--no-report"], &no_key)?;
    let report = &content.json["reports"][0];
    assert_eq!(
        (content.code, &report["failures"][0]["code"]),
        (2, &"identity.invalid".into()),
        "{}",
        content.text
    );
    assert_eq!(report["backups"][0]["level"], "stored", "the stored bytes are checked all the same");

    let other = tempfile::tempdir()?;
    let key = other.path().join("key.txt").display().to_string();
    pgark(&["keys", &key], &[])?;
    let mut wrong_key = no_key.clone();
    wrong_key.push(("PGARK_IDENTITY_FILE", key));
    let mismatch = pgark(&["verify", "--json", "--no-report"], &wrong_key)?;
    let report = &mismatch.json["reports"][0];
    assert_eq!(
        (mismatch.code, &report["failures"][0]["code"]),
        (2, &"identity.mismatch".into()),
        "{}",
        mismatch.text
    );
    assert_eq!(report["findings"], Value::Array(vec![]));

    // Damage comes first.
    let items = copy.object(1, "public.items.dat")?;
    fs::remove_file(copy.path(1, &items))?;
    assert_eq!(pgark(&["verify", "--json", "--no-report"], &wrong_key)?.code, 3);

    let empty = tempfile::tempdir()?;
    let nothing = pgark(
        &["verify", "all", "--json"],
        &[("PGARK_STORE", format!("file://{}", empty.path().display()))],
    )?;
    assert_eq!(
        (nothing.code, &nothing.json["error"]["code"]),
        (1, &"backup.missing".into()),
        "{}",
        nothing.text
    );
    for arguments in [&["--sample", "10"][..], &["--sample", "0%"], &["--sample", "10%", "--no-report"]] {
        let usage = pgark(&[&["verify", "--json"][..], arguments].concat(), &copy.variables())?;
        assert_eq!(
            (usage.code, &usage.json["error"]["code"]),
            (2, &"usage.invalid".into()),
            "{}",
            usage.text
        );
    }
    Ok(())
}

/// Whatever a backup holds and whatever it leaves out, it is good at level `content` when it was just written.
#[test]
fn every_kind_of_backup_is_good_when_it_was_just_written() -> Result {
    let database = server()?.create_database("kinds")?;
    database.query(fixtures::ROLES)?;
    database.query(&fixtures::objects(17))?;
    database.query(fixtures::CONTENT)?;
    let store = tempfile::tempdir()?;
    let mut variables = vec![
        ("PGARK_STORE", format!("file://{}", store.path().display())),
        ("PGARK_DATABASE_URL", database.url()),
        ("PGARK_ENCRYPTION", "none".to_owned()),
        ("PGARK_CHUNK_BYTES", "64KiB".to_owned()),
    ];
    for (codec, flags) in [
        ("zstd", &[][..]),
        ("gzip", &["--schema-only"]),
        ("none", &["--data-only"]),
        ("gzip", &["--exclude-table-data", "*"]),
    ] {
        variables.push(("PGARK_COMPRESSION", codec.to_owned()));
        let answer = pgark(&[&["backup", "--allow-missing", "--json"], flags].concat(), &variables)?;
        assert_eq!(answer.code, 0, "{flags:?}: {}", answer.text);
        let id = answer.json["id"].as_str().context("no id")?;
        let verified = pgark(&["verify", id, "--json"], &variables)?;
        assert_eq!(
            (verified.code, &verified.json["good"]),
            (0, &true.into()),
            "{flags:?}: {}",
            verified.text
        );
        let line = &verified.json["reports"][0]["backups"][0];
        assert_eq!(
            (&line["level"], &line["rows_counted"]),
            (&"content".into(), &answer.json["rows"]),
            "{flags:?}"
        );
    }
    Ok(())
}

/// Runs a sample of all backups.
async fn sample(copy: &Copy) -> Result<SourceReport> {
    let job = Verify {
        backup: "all".to_owned(),
        sample: Some("25%".parse().expect("a share")),
        ..Verify::default()
    };
    let mut report = job.run(&copy.app().await?, &(), &CancellationToken::new()).await?;
    assert_eq!(report.reports.len(), 1);
    Ok(report.reports.remove(0))
}

/// Reports of one second are told apart by chance only, so each run must see that of the one before.
async fn next_second() -> Result {
    let started = jiff::Timestamp::now().as_second();
    pgark_tests::eventually(std::time::Duration::from_secs(5), "the next second", async || {
        jiff::Timestamp::now().as_second() > started
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_come_around_to_every_object_and_remember_damage() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    // The last in the order of names: not in the first sample.
    let toc = copy.object(0, "toc.dat")?;
    copy.write(0, &toc, b"other")?;
    let orders = copy.object(1, "public.orders.dat")?;
    let mut bytes = copy.read(1, &orders)?;
    bytes[1000] ^= 1;
    copy.write(1, &orders, &bytes)?;
    let of_orders = |report: &SourceReport| {
        report
            .findings
            .iter()
            .any(|finding| finding.object.as_ref() == Some(&orders) && finding.code == "object.damaged")
    };
    let (mut seen, mut found_at) = (Vec::new(), None);
    for run in 0..5 {
        let report = Box::pin(sample(&copy)).await?;
        let sampled = report.sample.clone().context("a sample")?;
        assert_eq!(sampled.after, seen.last().cloned(), "run {run} begins where the one before ended");
        let read: usize = report.backups.iter().map(|line| line.objects_read).sum();
        let all: usize = report.backups.iter().map(|line| line.objects).sum();
        assert!(read < all, "run {run} read {read} of {all}");
        // Lengths are looked at in every run, whatever the sample.
        assert!(report.findings.iter().any(|finding| finding.object.as_ref() == Some(&toc)), "run {run}");
        match found_at {
            None if of_orders(&report) => found_at = Some(run),
            None => {}
            Some(first) => assert!(of_orders(&report), "found in run {first}, and forgotten in run {run}"),
        }
        seen.push(sampled.through.context("an end")?);
        next_second().await?;
    }
    assert!(found_at.is_some_and(|run| run < 4), "four runs of 25% come around: {seen:?}");
    assert_eq!(kept(&copy)?.len(), 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_says_so_and_keeps_what_it_found() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    let items = copy.object(0, "public.items.dat")?;
    fs::remove_file(copy.path(0, &items))?;
    let stop = CancellationToken::new();
    stop.cancel();
    let job = Verify { backup: "all".to_owned(), level: Some(Level::Stored), ..Verify::default() };
    let report = job.run(&copy.app().await?, &(), &stop).await?;
    assert_eq!(report.exit(), pgark::Exit::Damaged);
    let report = &report.reports[0];
    assert_eq!((report.findings[0].code, report.failures[0].code), ("object.missing", "stopped"));
    assert_eq!(kept(&copy)?.len(), 1);
    Ok(())
}
