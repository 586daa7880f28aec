//! Which kinds of objects the fixtures have, as the table of contents calls them; and that each entry is pg_dump's.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context as _;
use pg_archive::toc;
use pgark_tests::postgres::MAJORS;
use pgark_tests::{Postgres, fixtures};

use crate::accepted::{AcceptedDifferences, Place};
use crate::entries::{Entries, PgDump};
use crate::vault::Vault;
use crate::{Result, load};

/// Every kind of entry that an archive of ours has, with the server version that brought the kind.
///
/// Sources: `.description =` in `src/bin/pg_dump/pg_dump.c` of 15 and 18. What is only there: `pg_largeobject` and
/// `SUBSCRIPTION TABLE` are for `pg_upgrade`, `STATISTICS DATA` is for `--statistics`, and large objects are `BLOB` and
/// `BLOB COMMENTS` here (`docs/decisions/0004-large-objects-as-sql.md`).
const KINDS: &[(&str, u32)] = &[
    ("ACCESS METHOD", 13),
    ("ACL", 13),
    ("AGGREGATE", 13),
    ("BLOB", 13),
    ("BLOB COMMENTS", 13),
    ("CAST", 13),
    ("CHECK CONSTRAINT", 13),
    ("COLLATION", 13),
    ("COMMENT", 13),
    ("CONSTRAINT", 13),
    ("CONVERSION", 13),
    ("DATABASE", 13),
    ("DATABASE PROPERTIES", 13),
    ("DEFAULT", 13),
    ("DEFAULT ACL", 13),
    ("DOMAIN", 13),
    ("ENCODING", 13),
    ("EVENT TRIGGER", 13),
    ("EXTENSION", 13),
    ("FK CONSTRAINT", 13),
    ("FOREIGN DATA WRAPPER", 13),
    ("FOREIGN TABLE", 13),
    ("FUNCTION", 13),
    ("INDEX", 13),
    ("INDEX ATTACH", 13),
    ("MATERIALIZED VIEW", 13),
    ("MATERIALIZED VIEW DATA", 13),
    ("OPERATOR", 13),
    ("OPERATOR CLASS", 13),
    ("OPERATOR FAMILY", 13),
    ("POLICY", 13),
    ("PROCEDURAL LANGUAGE", 13),
    ("PROCEDURE", 13),
    ("PUBLICATION", 13),
    ("PUBLICATION TABLE", 13),
    ("PUBLICATION TABLES IN SCHEMA", 15),
    ("ROW SECURITY", 13),
    ("RULE", 13),
    ("SCHEMA", 13),
    ("SEARCHPATH", 13),
    ("SECURITY LABEL", 13),
    ("SEQUENCE", 13),
    ("SEQUENCE OWNED BY", 13),
    ("SEQUENCE SET", 13),
    ("SERVER", 13),
    ("SHELL TYPE", 13),
    ("STATISTICS", 13),
    ("STDSTRINGS", 13),
    ("SUBSCRIPTION", 13),
    ("TABLE", 13),
    ("TABLE ATTACH", 13),
    ("TABLE DATA", 13),
    ("TEXT SEARCH CONFIGURATION", 13),
    ("TEXT SEARCH DICTIONARY", 13),
    ("TEXT SEARCH PARSER", 13),
    ("TEXT SEARCH TEMPLATE", 13),
    ("TRANSFORM", 13),
    ("TRIGGER", 13),
    ("TYPE", 13),
    ("USER MAPPING", 13),
    ("VIEW", 13),
];

fn the_fixtures_have_every_kind(major: u32, accepted: &mut AcceptedDifferences) -> Result {
    let source = load(Postgres::shared(major)?, &[fixtures::KINDS, fixtures::LABELS])?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let (_, entries) = toc::read::read(&fs::read(vault.fetch()?.join("toc.dat"))?)?;
    let found: BTreeSet<&str> = entries.iter().map(|entry| entry.desc.as_str()).collect();
    let known: BTreeSet<&str> =
        KINDS.iter().filter(|(_, since)| *since <= major).map(|(kind, _)| *kind).collect();
    assert_eq!(found, known, "PostgreSQL {major}");
    let pg_dump = if major <= 15 { PgDump::V15 } else { PgDump::V18 };
    let theirs = Entries::of_database(pg_dump, &source.url())?.without_large_objects();
    let differences = Entries::of_archive(&vault.fetch()?)?.without_large_objects().differences(&theirs);
    accepted.check(&differences).with_context(|| format!("PostgreSQL {major}"))?;
    assert!(theirs.count() > 500, "only {} entries", theirs.count());
    Ok(())
}

/// No server at hand has a label provider, so no label can be set. A restore says so by name.
#[test]
fn labels_without_their_provider_are_named() -> Result {
    let server = Postgres::shared(16)?;
    let source = server.create_database("labelled")?;
    source.query(
        "create table t (i integer); create table u as select 1 as i;
         insert into pg_seclabel (classoid, objoid, objsubid, provider, label)
         values ('pg_class'::regclass, 't'::regclass, 0, 'provider', 'secret');",
    )?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    let restored = server.create_database("restored")?;
    let (code, error) = vault.refused(&["restore", "latest", "--to", &restored.url(), "--exit-on-error"])?;
    assert_eq!(code, 1, "{error}");
    assert_eq!(error["object"], "SECURITY LABEL public.TABLE t");
    assert!(error["message"].to_string().contains("provider"), "{error}");
    Ok(())
}

#[test]
fn the_fixtures_have_every_kind_and_its_entries_are_those_of_pg_dump() -> Result {
    let mut accepted = AcceptedDifferences::read(Place::Fixtures)?;
    for major in MAJORS {
        the_fixtures_have_every_kind(major, &mut accepted)?;
    }
    accepted.all_met()
}
