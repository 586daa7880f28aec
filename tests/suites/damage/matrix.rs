//! Every kind of object x every kind of damage.

use pgark::Exit;
use pgark::jobs::verify::Level;
use pgark::seal::{Compression, Encryption, KeyPair, Sealer};

use super::Result;
use super::world::{Copy, World, found, server};

/// age (age-encryption.org/v1): a header that ends with a line `--- MAC`, a nonce, and chunks with a tag each.
const NONCE_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024 + 16;

/// A kind of object, by the file of the archive that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Signature,
    Toc,
    Globals,
    Data,
    OddData,
    LargeObjects,
}
use Kind::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    FlippedAtStart,
    FlippedInTheMiddle,
    FlippedAtEnd,
    /// At the border of each chunk of age's, the first of which is the end of the header.
    CutAtChunks,
    /// Within the header, and within each chunk.
    CutWithinChunks,
    Emptied,
    Removed,
    /// Replaced by the same object of the other backup.
    OfAnotherBackup,
    /// With another object of the same backup.
    Swapped,
    /// Its bytes twice.
    Doubled,
    /// Replaced by as many bytes that begin as an age file to somebody else's key.
    ToAnotherKey,
}
use Damage::*;

const DAMAGES: [Damage; 11] = [
    FlippedAtStart,
    FlippedInTheMiddle,
    FlippedAtEnd,
    CutAtChunks,
    CutWithinChunks,
    Emptied,
    Removed,
    OfAnotherBackup,
    Swapped,
    Doubled,
    ToAnotherKey,
];

/// What verify finds, at both levels, in the damaged object; and the code that a restore fails with. All of these are
/// found without a key: the levels differ only in what `forged` does.
const fn expected(kind: Kind, damage: Damage) -> (&'static str, &'static str) {
    match (kind, damage) {
        // Without a manifest there is no backup of this id any more.
        (Manifest, Removed) => ("backup.missing", "backup.missing"),
        (Signature, Removed) => ("signature.missing", "signature.missing"),
        (Manifest | Signature, _) => ("signature.invalid", "signature.invalid"),
        (Toc | Globals | Data | OddData | LargeObjects, Removed) => ("object.missing", "object.missing"),
        (Toc | Globals | Data | OddData | LargeObjects, _) => ("object.damaged", "object.damaged"),
    }
}

impl Kind {
    fn archive_name(self) -> Option<&'static str> {
        match self {
            Manifest | Signature => None,
            Toc => Some("toc.dat"),
            Globals => Some("globals.sql"),
            Data => Some("public.orders.dat"),
            OddData => Some("public.=4Fdd=2F=4Eame.dat"),
            LargeObjects => Some("large-objects-00001.dat"),
        }
    }

    /// The name of the object in one of the backups.
    fn object(self, copy: &Copy, backup: usize) -> Result<String> {
        match self.archive_name() {
            None if self == Manifest => Ok("manifest.json".to_owned()),
            None => Ok("manifest.json.minisig".to_owned()),
            Some(archive_name) => copy.object(backup, archive_name),
        }
    }

    fn swapped_with(self) -> Self {
        match self {
            Manifest => Signature,
            Signature => Manifest,
            Toc => Globals,
            Globals => Toc,
            Data => LargeObjects,
            OddData | LargeObjects => Data,
        }
    }

    /// The tables that a finding names.
    fn tables(self) -> &'static [&'static str] {
        match self {
            Data => &["public.orders"],
            OddData => &["public.Odd/Name"],
            _ => &[],
        }
    }

    /// What people are told is hit.
    fn affects(self) -> &'static str {
        match self {
            Manifest | Signature => "the whole backup",
            Toc => "every table",
            Globals => "roles and settings",
            Data => "table public.orders",
            OddData => "table public.Odd/Name",
            LargeObjects => "large objects",
        }
    }
}

/// Where to cut an object, which are several places for some kinds of damage.
fn cuts(bytes: &[u8], damage: Damage) -> Vec<usize> {
    let Some(header) = bytes.windows(5).position(|line| line == b"\n--- ") else {
        // Manifest and signature are not encrypted.
        return match damage {
            CutAtChunks => (1..4).map(|quarter| bytes.len() * quarter / 4).collect(),
            _ => vec![1, bytes.len() - 1],
        };
    };
    let line = bytes[header + 1..].iter().position(|byte| *byte == b'\n').expect("the end of the header");
    let payload = header + 1 + line + 1 + NONCE_BYTES;
    let borders: Vec<usize> = (payload..bytes.len()).step_by(CHUNK_BYTES).collect();
    if damage == CutAtChunks {
        return borders;
    }
    let within = borders.iter().map(|border| (border + bytes.len().min(border + CHUNK_BYTES)) / 2);
    within.chain([header / 2, payload - NONCE_BYTES / 2]).collect()
}

/// Copies of the store, each with this damage.
fn damaged(kind: Kind, damage: Damage) -> Result<Vec<Copy>> {
    let world = World::sealed()?;
    let good = Copy::of(world)?;
    let name = kind.object(&good, 0)?;
    let bytes = good.read(0, &name)?;
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let with = |bytes: &[u8]| -> Result<Copy> {
        let copy = Copy::of(world)?;
        copy.write(0, &name, bytes)?;
        Ok(copy)
    };
    Ok(match damage {
        FlippedAtStart => vec![with(&flipped(0))?],
        FlippedInTheMiddle => vec![with(&flipped(bytes.len() / 2))?],
        FlippedAtEnd => vec![with(&flipped(bytes.len() - 1))?],
        CutAtChunks | CutWithinChunks => {
            cuts(&bytes, damage).into_iter().map(|at| with(&bytes[..at])).collect::<Result<_>>()?
        }
        Emptied => vec![with(b"")?],
        Removed => {
            std::fs::remove_file(good.path(0, &name))?;
            vec![good]
        }
        OfAnotherBackup => vec![with(&good.read(1, &kind.object(&good, 1)?)?)?],
        Swapped => {
            let other = kind.swapped_with().object(&good, 0)?;
            let copy = with(&good.read(0, &other)?)?;
            copy.write(0, &other, &bytes)?;
            vec![copy]
        }
        Doubled => vec![with(&[&bytes[..], &bytes[..]].concat())?],
        ToAnotherKey => vec![with(&of_another_key(bytes.len())?)?],
    })
}

/// The first bytes of an age file that nobody here can open. Whoever can write to the store can make one.
fn of_another_key(length: usize) -> Result<Vec<u8>> {
    let recipient = KeyPair::generate(jiff::Timestamp::now()).recipient();
    let mut sealer = Sealer::new(Compression::None, &Encryption::Age(vec![recipient]))?;
    let mut bytes = Vec::new();
    sealer.write(&vec![0; length], &mut bytes)?;
    sealer.finish(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Verify at both levels names code, object and tables, and nothing else.
async fn verify_finds(copy: &Copy, kind: Kind, damage: Damage) -> Result {
    let (code, _) = expected(kind, damage);
    let mut names = vec![kind.object(copy, 0)?];
    if damage == Swapped && kind.archive_name().is_some() {
        names.push(kind.swapped_with().object(copy, 0)?);
    }
    names.sort_unstable();
    for level in [Level::Stored, Level::Content] {
        let case = format!("{kind:?} {damage:?} at level {level:?}");
        let report = match copy.verify(0, level).await {
            Ok(report) => report,
            Err(error) => {
                assert_eq!(error.code(), code, "{case}: {error}");
                assert_ne!(error.exit(), Exit::Done);
                continue;
            }
        };
        assert_eq!(report.failures, [], "{case}");
        let whole = kind.archive_name().is_none();
        let expected: Vec<_> = names.iter().map(|name| (code, (!whole).then_some(name.as_str()))).collect();
        assert_eq!(found(&report), expected, "{case}: {:?}", report.findings);
        let name = kind.object(copy, 0)?;
        let finding = report.findings.iter().find(|finding| whole || finding.object.as_ref() == Some(&name));
        let finding = finding.expect("a finding");
        assert_eq!(
            (&finding.tables[..], &*finding.affects),
            (&kind.tables().iter().map(|table| (*table).to_owned()).collect::<Vec<_>>()[..], kind.affects()),
            "{case}"
        );
        assert!(finding.backup.starts_with("daily/shop/"), "{case}");
    }
    Ok(())
}

/// A restore fails with its code, names the table, and commits nothing out of a damaged object.
async fn restore_refuses(copy: &Copy, kind: Kind, damage: Damage) -> Result {
    let target = server()?.create_database("damaged")?;
    let (_, code) = expected(kind, damage);
    let case = format!("{kind:?} {damage:?}");
    let error =
        copy.restore(0, &target, kind == Globals).await.err().unwrap_or_else(|| panic!("{case}: restored"));
    assert_eq!(error.code(), code, "{case}: {error}");
    let exit = if code == "backup.missing" { Exit::Failed } else { Exit::Damaged };
    assert_eq!(error.exit(), exit, "{case}");
    assert!(error.hint_text().is_some(), "{case}: {error}");
    // Swapped, the other of the two may be read first.
    for table in kind.tables().iter().filter(|_| damage != Swapped) {
        assert!(error.to_string().contains(table), "{case}: {error}");
    }
    let rows = match kind {
        Data => target.query("select count(*) from public.orders")?,
        OddData => target.query("select count(*) from public.\"Odd/Name\"")?,
        LargeObjects => target.query("select count(*) from pg_largeobject")?,
        // Nothing was made at all.
        _ => target.query("select count(*) from pg_class where relnamespace = 'public'::regnamespace")?,
    };
    assert_eq!(rows, "0", "{case}");
    Ok(())
}

async fn every_damage_is_found(kind: Kind) -> Result {
    for damage in DAMAGES {
        for copy in damaged(kind, damage)? {
            verify_finds(&copy, kind, damage).await?;
            restore_refuses(&copy, kind, damage).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_manifest() -> Result {
    every_damage_is_found(Manifest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_signature() -> Result {
    every_damage_is_found(Signature).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_table_of_contents() -> Result {
    every_damage_is_found(Toc).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_globals() -> Result {
    every_damage_is_found(Globals).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_data() -> Result {
    every_damage_is_found(Data).await?;
    every_damage_is_found(OddData).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_large_objects() -> Result {
    every_damage_is_found(LargeObjects).await
}

/// The matrix is worth something only if there are chunks to cut at.
#[test]
fn objects_have_several_chunks() -> Result {
    let copy = Copy::of(World::sealed()?)?;
    for (kind, borders) in [(Toc, 3), (Globals, 1), (Data, 3), (LargeObjects, 3)] {
        let bytes = copy.read(0, &kind.object(&copy, 0)?)?;
        let found = cuts(&bytes, CutAtChunks).len();
        assert!(found >= borders, "{kind:?} has {found} chunks in {} bytes", bytes.len());
    }
    Ok(())
}

/// Nothing is found where nothing is wrong, and a restore works: or the matrix would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_undamaged_copy_is_good() -> Result {
    for world in [World::sealed()?, World::plain()?] {
        let copy = Copy::of(world)?;
        for level in [Level::Stored, Level::Content] {
            let report = copy.verify(0, level).await?;
            assert_eq!((found(&report), &report.failures[..]), (vec![], &[][..]));
            let rows = if level == Level::Content { 9011 } else { 0 };
            let line = &report.backups[0];
            assert_eq!((line.level, line.rows_counted, line.objects_read), (level, rows, line.objects));
        }
        let target = server()?.create_database("undamaged")?;
        assert_eq!(copy.restore(0, &target, false).await?.rows, 9011);
    }
    Ok(())
}
