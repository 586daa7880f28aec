//! Signatures as stock minisign makes and checks them, and who refuses what is not signed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use pgark_tests::minisign;
use serde_json::Value;

use super::Result;
use super::world::{Copy, World, pgark, server};

/// Runs stock minisign; returns whether it succeeded, and what it said.
fn stock(folder: &Path, arguments: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(minisign()?).args(arguments).current_dir(folder).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

fn public_key(copy: &Copy) -> Result<String> {
    let found = copy.variables().into_iter().find(|(name, _)| *name == "PGARK_VERIFICATION_KEY");
    Ok(found.context("no verification key")?.1)
}

#[test]
fn stock_minisign_checks_what_we_signed() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    let folder = copy.path(0, "");
    let key = public_key(&copy)?;
    let (good, said) = stock(&folder, &["-Vm", "manifest.json", "-p", &key])?;
    assert!(good && said.contains("Signature and comment signature verified"), "{said}");
    let id = folder.file_name().context("an id")?.to_string_lossy().into_owned();
    assert!(said.contains(&format!("file:daily/shop/{id}/manifest.json")), "the trusted comment: {said}");
    let line = fs::read_to_string(&key)?.lines().last().context("a key")?.to_owned();
    assert!(stock(&folder, &["-Vm", "manifest.json", "-P", &line])?.0, "the key as text, too");

    let mut manifest = copy.read(0, "manifest.json")?;
    let at = manifest.len() / 2;
    manifest[at] ^= 1;
    copy.write(0, "manifest.json", &manifest)?;
    assert!(!stock(&folder, &["-Vm", "manifest.json", "-p", &key])?.0);
    Ok(())
}

/// Keys and signatures of stock minisign are as good as ours.
#[test]
fn we_check_what_stock_minisign_signed() -> Result {
    let keys = tempfile::tempdir()?;
    let (made, said) = stock(keys.path(), &["-G", "-W", "-p", "stock.pub", "-s", "stock.key"])?;
    assert!(made, "{said}");
    let file = |name: &str| keys.path().join(name).display().to_string();

    // Its key signs a backup of ours.
    let database = server()?.create_database("signed")?;
    database.load("create table t as select 1 as one")?;
    let store = tempfile::tempdir()?;
    let variables = |key: &str| {
        vec![
            ("PGARK_STORE", format!("file://{}", store.path().display())),
            ("PGARK_DATABASE_URL", database.url()),
            ("PGARK_ENCRYPTION", "none".to_owned()),
            ("PGARK_VERIFICATION_KEY", key.to_owned()),
            ("PGARK_SIGNING_KEY_FILE", file("stock.key")),
        ]
    };
    let public = fs::read_to_string(file("stock.pub"))?.lines().last().context("a key")?.to_owned();
    let answer = pgark(&["backup", "--json"], &variables(&public))?;
    assert_eq!(answer.code, 0, "{}", answer.text);
    let id = answer.json["signed_by"].as_str().context("signed_by")?;
    // minisign leaves leading zeros away.
    let id = id.trim_start_matches('0');
    assert!(fs::read_to_string(file("stock.pub"))?.contains(id), "{id} is the id in the key's comment");
    assert_eq!(pgark(&["verify"], &variables(&public))?.code, 0);

    // It signs one of our manifests, with a comment of its own.
    let copy = Copy::of(World::sealed()?)?;
    fs::remove_file(copy.path(0, "manifest.json.minisig"))?;
    let folder = copy.path(0, "");
    let (signed, said) =
        stock(&folder, &["-Sm", "manifest.json", "-s", &file("stock.key"), "-t", "by hand"])?;
    assert!(signed, "{said}");
    let ours = public_key(&copy)?;
    let mut variables = copy.variables();
    let id = folder.file_name().context("an id")?.to_string_lossy().into_owned();
    let refused = pgark(&["verify", &id, "--json"], &variables)?;
    assert_eq!(
        (refused.code, &refused.json["reports"][0]["findings"][0]["code"]),
        (3, &"signature.invalid".into())
    );
    variables.retain(|(name, _)| *name != "PGARK_VERIFICATION_KEY");
    variables.push(("PGARK_VERIFICATION_KEY", format!("{ours},{}", file("stock.pub"))));
    let taken = pgark(&["verify", "all", "--json"], &variables)?;
    assert_eq!(taken.code, 0, "both keys are trusted: {}", taken.text);
    Ok(())
}

/// Every command that reads a backup refuses one that is not signed, or not by a trusted key; `list` marks it.
#[test]
fn nothing_unsigned_is_read_where_a_key_is_set() -> Result {
    let copy = Copy::of(World::plain()?)?;
    let signed = Copy::of(World::sealed()?)?;
    let mut variables = copy.variables();
    variables.push(("PGARK_VERIFICATION_KEY", public_key(&signed)?));
    let target = server()?.create_database("unsigned")?;
    let folder = tempfile::tempdir()?;
    let fetched = folder.path().join("fetched").display().to_string();
    for arguments in [
        vec!["show", "latest", "--json"],
        vec!["fetch", "latest", &fetched, "--json"],
        vec!["restore", "latest", "--to", &target.url(), "--json"],
    ] {
        let answer = pgark(&arguments, &variables)?;
        assert_eq!(
            (answer.code, &answer.json["error"]["code"]),
            (3, &"signature.missing".into()),
            "{}",
            answer.text
        );
    }
    let verified = pgark(&["verify", "latest", "--json"], &variables)?;
    assert_eq!(verified.code, 3, "{}", verified.text);
    assert_eq!(verified.json["reports"][0]["findings"][0]["code"], "signature.missing");
    let listed = pgark(&["list", "--json"], &variables)?.json;
    assert_eq!(listed["backups"], Value::Array(vec![]));
    assert!(
        listed["unreadable"]
            .as_array()
            .is_some_and(|list| list.iter().all(|one| one["code"] == "signature.missing"))
    );
    assert!(!Path::new(&fetched).exists());
    assert_eq!(
        target.query("select count(*) from pg_class where relnamespace = 'public'::regnamespace")?,
        "0"
    );
    Ok(())
}

/// Where no key is set, every output says that signatures were not checked.
#[test]
fn without_a_key_it_is_said_that_signatures_were_not_checked() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    let target = server()?.create_database("unchecked")?;
    let folder = tempfile::tempdir()?;
    for checked in [true, false] {
        let mut variables = copy.variables();
        variables.retain(|(name, _)| checked || *name != "PGARK_VERIFICATION_KEY");
        let fetched = folder.path().join(checked.to_string()).display().to_string();
        let restored = format!("unchecked_{checked}_{}", std::process::id());
        let url = target.url();
        let says = if checked { "verified" } else { "not-checked" };
        for arguments in [
            vec!["list"],
            vec!["show", "latest"],
            vec!["fetch", "latest", &fetched],
            vec!["verify", "latest", "--no-report"],
            vec!["restore", "latest", "--to", &url, "--create", &restored],
        ] {
            let json = pgark(&[&arguments[..], &["--json"]].concat(), &variables)?;
            assert_eq!(json.code, 0, "{arguments:?}: {}", json.text);
            let report = json.json.get("reports").map_or(&json.json, |reports| &reports[0]);
            assert_eq!(report["signature"], says, "{arguments:?}");
            if !matches!(arguments[0], "fetch" | "restore") {
                let people = pgark(&arguments, &variables)?;
                assert_eq!(people.text.contains("not checked"), !checked, "{}", people.text);
            }
        }
        server()?.psql(&format!("drop database {restored}"))?;
    }
    Ok(())
}

/// A manifest with its own good signature, in the folder of another backup.
#[test]
fn a_signed_manifest_is_good_in_its_own_place_only() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    for name in ["manifest.json", "manifest.json.minisig"] {
        copy.write(0, name, &copy.read(1, name)?)?;
    }
    let answer = pgark(&["verify", "all", "--json", "--no-report"], &copy.variables())?;
    let findings = &answer.json["reports"][0]["findings"];
    assert_eq!((answer.code, findings.as_array().map(Vec::len)), (3, Some(1)), "{}", answer.text);
    assert_eq!(findings[0]["code"], "manifest.damaged");
    assert!(
        findings[0]["message"].as_str().unwrap_or_default().starts_with("is the manifest of daily/shop/")
    );
    Ok(())
}

/// Keys that cannot work together are noticed before the database is read.
#[test]
fn a_key_that_cannot_sign_is_noticed_first() -> Result {
    let keys = tempfile::tempdir()?;
    let file = |name: &str| keys.path().join(name).display().to_string();
    for name in ["one.key", "two.key"] {
        assert_eq!(pgark(&["keys", "--signing", &file(name)], &[])?.code, 0);
    }
    let again = pgark(&["keys", "--signing", &file("one.key"), "--json"], &[])?;
    assert_eq!((again.code, &again.json["error"]["code"]), (1, &"keys.file-exists".into()));
    fs::write(file("none.key"), "no\nkey\n")?;
    let store = tempfile::tempdir()?;
    for (signing, verification) in [
        ("one.key", "two.key.pub"),
        ("none.key", "one.key.pub"),
        ("missing", "one.key.pub"),
        ("one.key", "none.key"),
    ] {
        let answer = pgark(
            &["backup", "--json"],
            &[
                ("PGARK_STORE", format!("file://{}", store.path().display())),
                ("PGARK_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none".to_owned()),
                ("PGARK_ENCRYPTION", "none".to_owned()),
                ("PGARK_SIGNING_KEY_FILE", file(signing)),
                ("PGARK_VERIFICATION_KEY", file(verification)),
            ],
        )?;
        assert_eq!(
            (answer.code, &answer.json["error"]["code"]),
            (2, &"signature.key".into()),
            "{signing} {verification}: {}",
            answer.text
        );
        assert!(answer.json["error"]["hint"].is_string(), "{}", answer.text);
    }
    Ok(())
}
