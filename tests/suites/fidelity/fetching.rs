//! A fetch that broke off goes on where it was, and keeps only what is whole.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use pgark_tests::Postgres;
use serde_json::{Value, json};

use crate::Result;
use crate::vault::{PgRestore, Vault};

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[test]
fn a_fetch_goes_on_where_it_broke_off() -> Result {
    let server = Postgres::shared(15)?;
    let source = server.create_database("fetching")?;
    source.query(
        "create table a as select i, md5(i::text) from generate_series(1, 20000) i;
         create table b as select i from generate_series(1, 1000) i; create table c as select 1 as i;",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let folder = vault.fetch()?;
    let whole = names(&folder)?;
    assert_eq!(whole, ["globals.sql", "public.a.dat.gz", "public.b.dat.gz", "public.c.dat.gz", "toc.dat"]);
    let fetch = || vault.run(&["fetch", "latest", &folder.to_string_lossy()], &[]);
    let read = |report: &Value| report["stored_bytes"].as_u64().context("bytes");
    let first = fetch()?;
    assert_eq!((&first["files"], &first["files_kept"]), (&json!(5), &json!(4)), "{first}");

    // Not archive any more, half of a file, a changed file, one that is not there, and one that was being written.
    let a = folder.join("public.a.dat.gz");
    let bytes = fs::read(&a)?;
    fs::write(&a, &bytes[..bytes.len() / 2])?;
    let b = folder.join("public.b.dat.gz");
    let mut changed = fs::read(&b)?;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&b, changed)?;
    fs::remove_file(folder.join("public.c.dat.gz"))?;
    fs::write(folder.join("public.c.dat.gz.part"), "half of it")?;
    fs::remove_file(folder.join("toc.dat"))?;
    let resumed = fetch()?;
    assert_eq!(resumed["files_kept"], json!(1), "{resumed}");
    assert!(read(&resumed)? > read(&first)?, "{resumed}");
    assert_eq!(names(&folder)?, whole);
    assert_eq!(fs::read(&a)?, bytes);
    let restored = server.create_database("fetched")?;
    PgRestore::V15.run(server, &restored.url(), &["--jobs=2"], &folder)?;
    assert_eq!(restored.query("select count(*), sum(i) from a")?, "20000|200010000");

    // Another codec, another backup: neither is mixed with what is there.
    let (code, error) =
        vault.refused(&["fetch", "latest", &folder.to_string_lossy(), "--compress", "none"])?;
    assert_eq!((code, &error["code"]), (2, &json!("usage.invalid")), "{error}");
    assert!(error["message"].as_str().unwrap_or_default().contains("which is not of this fetch"), "{error}");
    for (change, part) in [("select 1", "the archive of another backup"), ("drop table c", "is not empty")] {
        source.query(change)?;
        vault.backup(&source.url(), &[])?;
        let (code, error) = vault.refused(&["fetch", "latest", &folder.to_string_lossy()])?;
        assert_eq!((code, &error["code"]), (2, &json!("usage.invalid")), "{error}");
        assert!(error["message"].as_str().unwrap_or_default().contains(part), "{change}: {error}");
    }
    assert_eq!(names(&folder)?, whole, "nothing was touched");
    Ok(())
}
