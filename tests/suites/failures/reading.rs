//! Backups that are not what was written: whatever was changed in the store, reading says so with exit code 3, names
//! the object, and leaves nothing that looks whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context as _;
use pgark_tests::Postgres;
use serde_json::Value;

use super::Result;
use super::keys::Keys;
use super::place::Place;
use super::program::{Ended, Pgark};
use super::source::Source;

/// A store with one good, encrypted backup, to be damaged in copies.
struct Good {
    place: Place,
    keys: Keys,
}

fn good() -> Result<&'static Good> {
    static GOOD: OnceLock<std::result::Result<Good, String>> = OnceLock::new();
    let made = GOOD.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn make() -> Result<Good> {
    let keys = Keys::new()?;
    let source = Source::with(
        "create table orders as select n, md5(n::text) as body from generate_series(1, 20000) n;
         create table items as select n from generate_series(1, 10) n;",
    )?;
    let place = Place::folder()?;
    let backup = source.backup(&place)?.set("PGARK_ENCRYPTION", "").set("PGARK_RECIPIENTS", &keys.recipient);
    backup.run()?.done()?;
    Ok(Good { place, keys })
}

/// A copy of the good store.
struct Damaged {
    place: Place,
    /// The folder of the backup in it.
    backup: PathBuf,
    identity: String,
}

impl Damaged {
    fn new() -> Result<Self> {
        let good = good()?;
        let Place::Folder(copy) = Place::folder()? else { anyhow::bail!("a folder is a folder") };
        let from = good.place.url().replace("file://", "");
        let copied = std::process::Command::new("cp")
            .args(["-a", "--", &format!("{from}/."), &copy.path().display().to_string()])
            .status()?;
        anyhow::ensure!(copied.success(), "cp: {copied}");
        let manifest = Place::Folder(copy);
        let path = manifest
            .contents()?
            .into_iter()
            .find(|file| file.ends_with("/manifest.json"))
            .context("no manifest")?;
        let backup = Path::new(&path).parent().context("no folder")?.to_owned();
        let identity = good.keys.identity();
        Ok(Self { place: manifest, backup, identity })
    }

    /// A file of the backup whose name has `part` in it.
    fn file(&self, part: &str) -> Result<PathBuf> {
        let files = self.place.contents()?;
        files.into_iter().find(|file| file.contains(part)).map(PathBuf::from).context("no such file")
    }

    fn call(&self, arguments: &[&str]) -> Result<Ended> {
        let mut call = Pgark::new(["--json", "--identity-file", &self.identity, "--jobs", "1"])?
            .set_all(self.place.variables());
        for argument in arguments {
            call = call.with([argument]);
        }
        call.run()
    }

    /// Both ways of reading fail with exit code 3.
    fn is_noticed(&self, code: &str, parts: &[&str]) -> Result {
        let parent = tempfile::tempdir()?;
        let folder = parent.path().join("fetched");
        let fetched = self.call(&["fetch", "latest", &folder.display().to_string()])?;
        fetched.failed(3, code, parts)?;
        assert!(!folder.join("toc.dat").exists(), "pg_restore would take this for an archive: {fetched}");
        self.is_noticed_by_restore(code, parts)
    }

    fn is_noticed_by_restore(&self, code: &str, parts: &[&str]) -> Result {
        let target = Postgres::shared(17)?.create_database("target")?;
        let restored = self.call(&["restore", "latest", "--to", &target.url()])?;
        restored.failed(3, code, parts).map(drop)
    }

    fn edit_manifest(&self, edit: impl FnOnce(&mut Value)) -> Result {
        let path = self.backup.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let before = manifest.clone();
        edit(&mut manifest);
        anyhow::ensure!(manifest != before, "the edit changed nothing");
        Ok(fs::write(&path, serde_json::to_vec_pretty(&manifest)?)?)
    }
}

/// The objects that a test damages: the table of contents and the rows of a table.
const OBJECTS: [&str; 2] = ["toc.dat", "public.orders"];

fn flip(path: &Path, place: impl Fn(usize) -> usize) -> Result {
    let mut bytes = fs::read(path)?;
    let at = place(bytes.len());
    bytes[at] ^= 0x10;
    Ok(fs::write(path, bytes)?)
}

#[test]
fn an_undamaged_copy_is_good() -> Result {
    let copy = Damaged::new()?;
    let target = Postgres::shared(17)?.create_database("target")?;
    copy.call(&["restore", "latest", "--to", &target.url()])?.done()?;
    assert_eq!(target.query("select count(*) from orders")?, "20000");
    Ok(())
}

#[test]
fn a_flipped_bit_is_noticed() -> Result {
    for object in OBJECTS {
        let places: [fn(usize) -> usize; 3] = [|_| 0, |bytes| bytes / 2, |bytes| bytes - 1];
        for place in places {
            let copy = Damaged::new()?;
            flip(&copy.file(object)?, place)?;
            copy.is_noticed("object.damaged", &[object])?;
        }
    }
    Ok(())
}

#[test]
fn a_truncated_or_longer_object_is_noticed() -> Result {
    for object in OBJECTS {
        for change in [-1_i64, 1] {
            let copy = Damaged::new()?;
            let path = copy.file(object)?;
            let bytes = fs::metadata(&path)?.len();
            let file = fs::File::options().write(true).open(&path)?;
            file.set_len(bytes.checked_add_signed(change).context("too short")?)?;
            copy.is_noticed("object.damaged", &[object])?;
        }
    }
    Ok(())
}

#[test]
fn an_object_in_place_of_another_is_noticed() -> Result {
    let copy = Damaged::new()?;
    fs::copy(copy.file("public.items")?, copy.file("public.orders")?)?;
    copy.is_noticed("object.damaged", &["public.orders"])
}

#[test]
fn a_missing_object_is_noticed() -> Result {
    for object in OBJECTS {
        let copy = Damaged::new()?;
        fs::remove_file(copy.file(object)?)?;
        copy.is_noticed("object.missing", &[object, "does not exist"])?;
    }
    Ok(())
}

#[test]
fn a_manifest_that_is_no_manifest_is_noticed() -> Result {
    let copy = Damaged::new()?;
    let path = copy.backup.join("manifest.json");
    let whole = fs::read(&path)?;
    for damaged in [&whole[..whole.len() / 2], b"", b"[]", b"{}"] {
        fs::write(&path, damaged)?;
        copy.is_noticed("manifest.damaged", &["manifest.json"])?;
    }
    Ok(())
}

#[test]
fn an_edited_manifest_is_noticed() -> Result {
    let copy = Damaged::new()?;
    copy.edit_manifest(|manifest| manifest["source"] = "other".into())?;
    copy.is_noticed("manifest.damaged", &["manifest.json"])?;

    // A table's object is not listed: its rows would be missing without a word.
    let copy = Damaged::new()?;
    copy.edit_manifest(|manifest| {
        let objects = manifest["objects"].as_array_mut().expect("objects");
        objects.retain(|object| !is_of_orders(object));
    })?;
    copy.is_noticed("manifest.damaged", &["manifest.json", "totals"])?;

    // The same by somebody who knows about the totals.
    copy.edit_manifest(|manifest| {
        let objects = manifest["objects"].as_array().expect("objects").clone();
        for total in ["plain_bytes", "stored_bytes"] {
            let sum: u64 = objects.iter().filter_map(|object| object[total].as_u64()).sum();
            manifest["totals"][total] = sum.into();
        }
        manifest["totals"]["objects"] = objects.len().into();
    })?;
    copy.is_noticed("manifest.damaged", &["manifest.json", "orders", "does not list"])?;

    // Of the rows, only what a restore compares; then all that is said of them.
    let copy = Damaged::new()?;
    copy.edit_manifest(|manifest| {
        for object in manifest["objects"].as_array_mut().expect("objects") {
            if is_of_orders(object) {
                object["rows"] = 19_999.into();
            }
        }
    })?;
    copy.is_noticed("manifest.damaged", &["manifest.json", "public.orders"])?;
    copy.edit_manifest(|manifest| {
        for table in manifest["tables"].as_array_mut().expect("tables") {
            if table["name"] == "orders" {
                table["rows"] = 19_999.into();
            }
        }
        manifest["totals"]["rows"] = (19_999 + 10).into();
    })?;
    copy.is_noticed_by_restore("restore.mismatch", &["orders", "19999", "20000"])
}

fn is_of_orders(object: &Value) -> bool {
    object["name"].as_str().is_some_and(|name| name.contains("orders"))
}

#[test]
fn a_backup_of_a_newer_pgark_is_refused_and_not_called_damaged() -> Result {
    let copy = Damaged::new()?;
    copy.edit_manifest(|manifest| manifest["format_version"] = "2.0".into())?;
    let fetched = copy.call(&["fetch", "latest", "/no/such/place"])?;
    fetched.failed(1, "manifest.too-new", &["manifest.json", "2.0"])?;
    Ok(())
}
