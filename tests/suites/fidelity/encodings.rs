//! Every encoding that a server can have, with every code of it: rows, names and definitions come back byte for byte.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use pgark_tests::Postgres;
use pgark_tests::postgres::Database;

use crate::vault::{PgRestore, Vault};
use crate::{Result, Way, bytes};

/// A set of codes: the range of each byte.
type Codes = &'static [(u8, u8)];

/// The codes of an encoding, as its verifier in `wchar.c` takes them; it looks at no more than their form. Each set is
/// a row for each first byte, so that few rows hold all.
fn codes(encoding: &str) -> &'static [Codes] {
    const TWO: Codes = &[(0xA1, 0xFE), (0xA1, 0xFE)];
    match encoding {
        "EUC_JP" | "EUC_JIS_2004" => &[
            &[(0x01, 0x7F)],
            TWO,
            &[(0x8E, 0x8E), (0xA1, 0xDF)],
            &[(0x8F, 0x8F), (0xA1, 0xFE), (0xA1, 0xFE)],
        ],
        "EUC_CN" | "EUC_KR" => &[&[(0x01, 0x7F)], TWO],
        "EUC_TW" => &[&[(0x01, 0x7F)], TWO, &[(0x8E, 0x8E), (0xA1, 0xA7), (0xA1, 0xFE), (0xA1, 0xFE)]],
        "UTF8" => &[
            &[(0x01, 0x7F)],
            &[(0xC2, 0xDF), (0x80, 0xBF)],
            &[(0xE0, 0xE0), (0xA0, 0xBF), (0x80, 0xBF)],
            &[(0xE1, 0xEC), (0x80, 0xBF), (0x80, 0xBF)],
            &[(0xED, 0xED), (0x80, 0x9F), (0x80, 0xBF)],
            &[(0xEE, 0xEF), (0x80, 0xBF), (0x80, 0xBF)],
            &[(0xF0, 0xF0), (0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
            &[(0xF1, 0xF3), (0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
            &[(0xF4, 0xF4), (0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)],
        ],
        // The sets of characters that the manual of Mule assigns to the two- and three-byte private ones.
        "MULE_INTERNAL" => &[
            &[(0x01, 0x7F)],
            &[(0x81, 0x8D), (0xA0, 0xFF)],
            &[(0x90, 0x99), (0xA0, 0xFF), (0xA0, 0xFF)],
            &[(0x9A, 0x9B), (0xA0, 0xEF), (0xA0, 0xFF)],
            &[(0x9C, 0x9C), (0xF0, 0xF4), (0xA0, 0xFF), (0xA0, 0xFF)],
            &[(0x9D, 0x9D), (0xF5, 0xFE), (0xA0, 0xFF), (0xA0, 0xFF)],
        ],
        // One byte each, of which none is refused.
        _ => &[&[(0x01, 0xFF)]],
    }
}

/// A row for each first byte of each set, in which its codes stand one behind the other.
fn rows(encoding: &str) -> String {
    let mut sql = String::from("create table codes (set int, first int, v text);\n");
    for (set, codes) in codes(encoding).iter().enumerate() {
        let byte = |at: usize| format!("lpad(to_hex(b{at}), 2, '0')");
        let code: Vec<String> = (0..codes.len()).map(byte).collect();
        let from =
            codes.iter().enumerate().map(|(at, (low, high))| format!("generate_series({low}, {high}) b{at}"));
        let _ = writeln!(
            sql,
            "insert into codes select {set}, b0, convert_from(decode(string_agg({}, ''), 'hex'), '{encoding}')
             from {} group by b0;",
            code.join(" || "),
            from.collect::<Vec<_>>().join(", ")
        );
    }
    sql
}

/// A table, a column, a default, a comment, a view and an enum that say the encoding's own codes: the highest ones.
fn definitions(encoding: &str) -> Vec<u8> {
    let mut sql = Vec::new();
    for codes in codes(encoding) {
        let high: Vec<u8> = codes.iter().map(|(_, high)| *high).collect();
        let low: Vec<u8> = codes.iter().map(|(low, _)| *low).filter(|byte| *byte != 1).collect();
        let low = if low.len() == codes.len() { low } else { high.clone() };
        let (name, text) = ([&b"t"[..], &low, &high].concat(), [&high[..], &low, &high].concat());
        let statements: [&[&[u8]]; 6] = [
            &[b"create table \"", &name, b"\" (\"", &text, b"\" text default '", &text, b"');\n"],
            &[b"insert into \"", &name, b"\" default values;\n"],
            &[b"comment on table \"", &name, b"\" is '", &text, b"';\n"],
            &[b"create view \"v", &name, b"\" as select '", &text, b"'::text as \"", &name, b"\";\n"],
            &[b"create type \"e", &name, b"\" as enum ('", &text, b"');\n"],
            &[b"create index on \"", &name, b"\" (\"", &text, b"\");\n"],
        ];
        sql.extend(statements.iter().flat_map(|pieces| pieces.concat()));
    }
    sql
}

/// What the rows are, byte by byte.
fn measure(database: &Database<'_>) -> anyhow::Result<String> {
    database.query(
        "set client_encoding = 'SQL_ASCII';
         select count(*), sum(octet_length(v)), md5(string_agg(md5(v), ',' order by set, first)), getdatabaseencoding()
         from codes",
    )
}

fn comes_back(server: &Postgres, encoding: &str) -> Result {
    let options = format!("template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'");
    let name = format!("codes_{}_{}", server.major(), encoding.to_lowercase());
    let source = server.create_database_named(&name, &options)?;
    bytes::run(&source, rows(encoding).as_bytes())?;
    bytes::run(&source, &definitions(encoding))?;
    let (before, text) = (measure(&source)?, bytes::dump(&source)?);
    let vault = Vault::new()?;
    vault.backup(&source.url(), &["--source", "codes"])?;
    let manifest = vault.manifest()?;
    let said = &manifest["server"]["text_settings"]["client_encoding"];
    ensure!(said == encoding, "the manifest says {said}");
    let restored = Way::Pgark("2").restore(server, &vault)?;
    ensure!(measure(&restored)? == before, "the rows differ: {} became {}", before, measure(&restored)?);
    bytes::must_equal(&text, &bytes::dump(&restored)?)?;
    // PostgreSQL's own program takes the archive too.
    let stock = server.create_database_named(&format!("{name}_stock"), &options)?;
    PgRestore::V18.run(server, &stock.url(), &["--jobs", "2"], &vault.fetch()?)?;
    ensure!(measure(&stock)? == before, "pg_restore brings other rows");
    bytes::must_equal(&text, &bytes::dump(&stock)?)
}

/// Every encoding that the server has, on one version.
#[test]
fn every_code_of_every_encoding_comes_back() -> Result {
    let server = Postgres::shared(17)?;
    let names = server.psql(
        "select pg_encoding_to_char(id) from generate_series(0, 60) id
         where pg_char_to_encoding(pg_encoding_to_char(id)) = id
         and pg_encoding_to_char(id) not in ('SJIS', 'BIG5', 'GBK', 'UHC', 'GB18030', 'JOHAB', 'SHIFT_JIS_2004')",
    )?;
    let names: Vec<&str> = names.lines().collect();
    ensure!(names.len() == 35, "the server has {names:?}");
    let (some, others) = names.split_at(names.len() / 2);
    std::thread::scope(|scope| {
        let all = |names: &[&str]| {
            names.iter().try_for_each(|name| comes_back(server, name).with_context(|| (*name).to_owned()))
        };
        let beside = scope.spawn(move || all(some));
        all(others)?;
        beside.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
    })
}

/// The ones that are most often met, on the oldest and the newest version.
#[test]
fn usual_encodings_come_back_on_the_oldest_and_the_newest() -> Result {
    for major in [13, 18] {
        let server = Postgres::shared(major)?;
        for encoding in ["EUC_JP", "WIN1252", "SQL_ASCII", "LATIN1"] {
            comes_back(server, encoding).with_context(|| format!("{encoding} on {major}"))?;
        }
    }
    Ok(())
}
