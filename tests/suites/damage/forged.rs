//! Objects that are not what was dumped although every hash is right: what only level `content` can find. Hashes are made
//! right here as somebody would who knows the format; against whom does it on purpose, only signatures help.

use anyhow::Context as _;
use pgark::jobs::verify::Level;
use pgark::seal::Sha256;
use serde_json::Value;

use super::Result;
use super::world::{Copy, World, found, server};

/// What is changed, in which file of the archive, what verify finds in it, and the code that a restore fails with.
struct Forgery {
    what: &'static str,
    file: &'static str,
    change: fn(&str) -> String,
    finds: &'static str,
    message: &'static str,
    restore: &'static str,
}

const ITEMS: &str = "public.items.dat";
const LARGE: &str = "large-objects-00001.dat";

const FORGERIES: [Forgery; 9] = [
    Forgery {
        what: "one byte of one row is changed",
        file: ITEMS,
        change: |rows| rows.replacen("\titem 7\n", "\titem 9\n", 1),
        finds: "archive.damaged",
        message: "holds 10 rows, but not those",
        restore: "restore.mismatch",
    },
    Forgery {
        what: "one row is dropped",
        file: ITEMS,
        change: |rows| rows.replacen("7\titem 7\n", "", 1),
        finds: "archive.damaged",
        message: "holds 9 rows, but its manifest says 10",
        restore: "restore.mismatch",
    },
    Forgery {
        what: "one row is there twice",
        file: ITEMS,
        change: |rows| rows.replacen("7\titem 7\n", "7\titem 7\n7\titem 7\n", 1),
        finds: "archive.damaged",
        message: "holds 11 rows, but its manifest says 10",
        restore: "restore.mismatch",
    },
    Forgery {
        what: "values are swapped between two rows",
        file: ITEMS,
        change: |rows| rows.replacen("7\titem 7\n8\titem 8\n", "7\titem 8\n8\titem 7\n", 1),
        finds: "archive.damaged",
        message: "holds 10 rows, but not those",
        restore: "restore.mismatch",
    },
    Forgery {
        what: "the end marker is gone",
        file: ITEMS,
        change: |rows| rows.replacen("\\.\n\n\n", "", 1),
        finds: "archive.damaged",
        message: "without the end-of-data marker",
        restore: "archive.damaged",
    },
    Forgery {
        what: "a row follows the end marker",
        file: ITEMS,
        change: |rows| rows.replacen("\\.\n\n\n", "\\.\n11\titem 11\n", 1),
        finds: "archive.damaged",
        message: "goes on behind its end-of-data marker",
        restore: "archive.damaged",
    },
    Forgery {
        what: "a digit of a large object is changed",
        file: LARGE,
        change: |sql| {
            let at = sql.find("'\\x").expect("a page") + 3;
            let digit = if sql[at..].starts_with('0') { "1" } else { "0" };
            format!("{}{digit}{}", &sql[..at], &sql[at + 1..])
        },
        finds: "archive.damaged",
        message: "lines, but not those",
        restore: "restore.mismatch",
    },
    Forgery {
        what: "large objects end in the middle of a statement",
        file: LARGE,
        change: |sql| sql[..sql.len() - 5].to_owned(),
        finds: "archive.damaged",
        message: "ends in the middle of a statement",
        restore: "archive.damaged",
    },
    Forgery {
        what: "roles end in the middle of a statement",
        file: "globals.sql",
        change: |sql| sql[..sql.rfind(';').unwrap_or_default()].to_owned(),
        finds: "archive.damaged",
        message: "ends in the middle of a statement",
        restore: "archive.damaged",
    },
];

/// Changes a file of the first backup, and all that the manifest says of its bytes.
fn forge(copy: &Copy, file: &str, bytes: &[u8]) -> Result {
    let object = copy.object(0, file)?;
    copy.write(0, &object, bytes)?;
    edit_manifest(copy, |manifest| {
        let objects = manifest["objects"].as_array_mut().expect("objects");
        let record = objects.iter_mut().find(|record| record["archive_name"] == file).expect("the object");
        for kind in ["plain", "stored"] {
            record[format!("{kind}_bytes")] = bytes.len().into();
            record[format!("{kind}_sha256")] = Sha256::of(bytes).to_string().into();
        }
    })
}

/// Edits the manifest of the first backup, and makes its totals right.
fn edit_manifest(copy: &Copy, edit: impl FnOnce(&mut Value)) -> Result {
    let mut manifest: Value = serde_json::from_slice(&copy.read(0, "manifest.json")?)?;
    let before = manifest.clone();
    edit(&mut manifest);
    anyhow::ensure!(manifest != before, "nothing was changed");
    let objects = manifest["objects"].as_array().context("no objects")?.clone();
    for total in ["plain_bytes", "stored_bytes"] {
        manifest["totals"][total] =
            objects.iter().filter_map(|object| object[total].as_u64()).sum::<u64>().into();
    }
    manifest["totals"]["objects"] = objects.len().into();
    copy.write(0, "manifest.json", &serde_json::to_vec_pretty(&manifest)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_that_are_not_the_dumped_ones_are_found_by_their_fingerprints() -> Result {
    for Forgery { what, file, change, finds, message, restore } in FORGERIES {
        let copy = Copy::of(World::plain()?)?;
        let object = copy.object(0, file)?;
        let good = String::from_utf8(copy.read(0, &object)?)?;
        let forged = change(&good);
        assert_ne!(forged, good, "{what}: the forgery changed nothing");
        forge(&copy, file, forged.as_bytes())?;

        let stored = copy.verify(0, Level::Stored).await?;
        assert_eq!(found(&stored), [], "{what}: the hashes are right");
        let content = copy.verify(0, Level::Content).await?;
        assert_eq!(found(&content), [(finds, Some(object.as_str()))], "{what}");
        let finding = &content.findings[0];
        assert!(finding.message.contains(message), "{what}: {finding:?}");
        let tables: &[&str] = if file == ITEMS { &["public.items"] } else { &[] };
        assert_eq!(finding.tables, tables, "{what}");

        let target = server()?.create_database("forged")?;
        let error = copy.restore(0, &target, file == "globals.sql").await.err();
        let error = error.unwrap_or_else(|| panic!("{what}: restored"));
        assert_eq!((error.code(), error.exit() as u8), (restore, 3), "{what}: {error}");
        if file == ITEMS {
            assert!(error.to_string().contains("items"), "{what}: {error}");
            assert_eq!(target.query("select count(*) from public.items")?, "0", "{what}");
        }
    }
    Ok(())
}

/// The table of contents against the manifest, both ways.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_contents_that_does_not_fit_is_found() -> Result {
    let toc = "toc.dat";
    let content = async |copy: &Copy| -> Result<Vec<String>> {
        assert_eq!(found(&copy.verify(0, Level::Stored).await?), []);
        let report = copy.verify(0, Level::Content).await?;
        assert!(report.findings.iter().all(|finding| finding.object.as_deref() == Some(toc)));
        assert!(
            report.findings.iter().all(|finding| finding.code == "archive.damaged"),
            "{:?}",
            report.findings
        );
        Ok(report.findings.iter().map(|finding| finding.message.clone()).collect())
    };
    let cut = Copy::of(World::plain()?)?;
    let bytes = cut.read(0, toc)?;
    forge(&cut, toc, &bytes[..bytes.len() - 1])?;
    assert!(content(&cut).await?[0].starts_with("found "), "{:?}", content(&cut).await?);

    let fewer = Copy::of(World::plain()?)?;
    edit_manifest(&fewer, |manifest| manifest["toc_entries"] = 3.into())?;
    assert!(content(&fewer).await?[0].contains("but its manifest says 3"));

    // The same length, another name: the file of one table is nowhere, and that of another is nobody's.
    let renamed = Copy::of(World::plain()?)?;
    let at = bytes.windows(ITEMS.len()).rposition(|name| name == ITEMS.as_bytes()).context("no items")?;
    let mut bytes = bytes.clone();
    bytes[at..at + ITEMS.len()].copy_from_slice(b"public.itemz.dat");
    forge(&renamed, toc, &bytes)?;
    let messages = content(&renamed).await?;
    assert!(messages[0].contains("names the data file public.itemz.dat"), "{messages:?}");
    assert!(messages[1].contains("no entry for the data file public.items.dat"), "{messages:?}");
    let target = server()?.create_database("forged")?;
    let error = renamed.restore(0, &target, false).await.err().context("restored")?;
    assert_eq!((error.code(), error.exit() as u8), ("archive.damaged", 3), "{error}");
    Ok(())
}
