//! Databases in other encodings than UTF-8, and with other locales than libc's.

use anyhow::Context as _;
use pgark_tests::Postgres;

use crate::text::Text;
use crate::vault::{PgRestore, Vault};
use crate::{Result, Way, bytes};

/// Text in other encodings than UTF-8: LATIN1 is converted on the way and back, and the bytes of a database that never
/// said what they mean are kept. A new database has the encoding of the original.
#[test]
fn other_encodings_come_back() -> Result {
    const MEASURE: &str = "select string_agg(encode(convert_to(t, getdatabaseencoding()), 'hex'), ',' order by id), \
                           getdatabaseencoding() from texts";
    let server = Postgres::shared(16)?;
    for (encoding, bytes) in [("LATIN1", "e9,20e4"), ("SQL_ASCII", "e9,ff80")] {
        let options = format!("encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0");
        let source =
            server.create_database_named(&format!("source_{}", encoding.to_lowercase()), &options)?;
        let texts = bytes.replace(',', "'), ('");
        source.query(&format!(
            "create table texts (id integer generated always as identity, t text);
             insert into texts (t) select convert_from(decode(b, 'hex'), '{encoding}') from (values ('{texts}')) v (b);"
        ))?;
        let before = source.query(MEASURE)?;
        assert_eq!(before, format!("{bytes}|{encoding}"));
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        let restored = Way::Pgark("1").restore(server, &vault)?;
        assert_eq!(restored.query(MEASURE)?, before);
        // pg_restore takes no encoding from an archive, so the database must have it already.
        let name = format!("stock_{}", encoding.to_lowercase());
        let stock = server.create_database_named(&name, &options)?;
        PgRestore::V15.run(server, &stock.url(), &["--jobs", "1"], &vault.fetch()?)?;
        assert_eq!(stock.query(MEASURE)?, before);
    }
    Ok(())
}

/// The name of a LATIN1 database's table is text like any other: an archive has it in UTF-8.
#[test]
fn names_of_other_encodings_come_back() -> Result {
    const MEASURE: &str = "select encode(convert_to(relname, 'LATIN1'), 'hex') from pg_class where relkind = 'r' \
                           and relnamespace = 'public'::regnamespace";
    let server = Postgres::shared(15)?;
    let options = "encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0";
    let source = server.create_database_named("names_latin1", options)?;
    source.query(
        "set client_encoding = 'UTF8';
         create table \"Größe\" (\"Maß\" text default 'é');
         insert into \"Größe\" values (default);
         comment on table \"Größe\" is 'ÿ';",
    )?;
    assert_eq!(source.query(MEASURE)?, "4772f6df65");
    let before = Text::of(&source.url())?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &[])?;
    for way in [Way::Pgark("2"), Way::Stock(PgRestore::V15, "1")] {
        let restored = way.restore(server, &vault)?;
        before.must_equal(&Text::of(&restored.url())?).with_context(|| format!("{way:?}"))?;
    }
    Ok(())
}

/// A SQL_ASCII database may hold any bytes, as rows, names and definitions: all of them come back.
#[test]
fn names_that_are_no_text_come_back() -> Result {
    const SCRIPT: &[u8] = b"create table \"caf\xe9\" (i integer, \"na\xefve\" text default '\xff\xfe');
        insert into \"caf\xe9\" values (1, '\x80');
        create function \"\xff\"() returns integer language sql as 'select 1 -- \xfc';
        create type mood as enum ('ok', 'm\xf6glich');
        create view v as select '\xfc'::text as t;
        comment on table \"caf\xe9\" is '\xfc';
        create table \"d\xc3\xa9j\xc3\xa0\" (\"vu\" text); insert into \"d\xc3\xa9j\xc3\xa0\" values ('\xc3\xa9');
        create role \"r\xf6le_of_ascii\"; alter table \"caf\xe9\" owner to \"r\xf6le_of_ascii\";";
    // Of its own, because the role would be in the way of others.
    let server = &Postgres::start(18)?;
    let options = "encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0";
    let source = server.create_database_named("ascii_names", options)?;
    let before = bytes::run(&source, SCRIPT).and_then(|()| bytes::dump(&source))?;
    let vault = Vault::new()?;
    vault.backup(&source.url(), &["--source", "ascii"])?;
    let restored = Way::Pgark("2").restore(server, &vault)?;
    bytes::must_equal(&before, &bytes::dump(&restored)?)?;
    let stock = server.create_database_named("ascii_stock", options)?;
    PgRestore::V18.run(server, &stock.url(), &["--jobs", "2"], &vault.fetch()?)?;
    bytes::must_equal(&before, &bytes::dump(&stock)?)?;
    // Somebody else's role with such a name is in nobody's way.
    let other = server.create_database("utf8_beside")?;
    other.query("create table t (i integer)")?;
    Vault::new()?.backup(&other.url(), &[])?;
    // By what people read: the bytes of a name that is no text, and the letters of one that is.
    let part = server.create_database_named("ascii_part", options)?;
    vault.run(&["restore", "latest", "--to", &part.url(), "--table", "déjà", "--no-owner"], &[])?;
    assert_eq!(part.query("select count(*) from pg_class where relnamespace = 'public'::regnamespace")?, "1");
    Ok(())
}

/// A new database gets provider, locale and rules of the original, and so sorts as that does.
#[test]
fn locales_of_all_providers_come_back() -> Result {
    const SORTED: &str = "select string_agg(v, ' ' order by v) from words";
    const ICU: &str = "template template0 encoding 'UTF8' locale 'C' locale_provider icu";
    let cases = [
        (13, "template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8'".to_owned()),
        (15, format!("{ICU} icu_locale 'de-u-co-phonebk'")),
        (16, format!("{ICU} icu_locale 'und' icu_rules '&z < a'")),
        (
            17,
            "template template0 encoding 'UTF8' locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
                .to_owned(),
        ),
        (
            18,
            "template template0 locale_provider builtin builtin_locale 'PG_UNICODE_FAST' locale 'C'"
                .to_owned(),
        ),
        (18, format!("{ICU} icu_locale 'sv' icu_rules '&y < ö'")),
    ];
    for (number, (major, options)) in cases.into_iter().enumerate() {
        let context = || format!("PostgreSQL {major}, {options}");
        let server = Postgres::shared(major)?;
        let source = server.create_database_named(&format!("locale_{number}"), &options)?;
        source.query("create table words (v text); insert into words values ('zz'), ('Ä'), ('ad'), ('af'), ('ö'), ('ß')")?;
        let properties = "select encoding, datcollate, datctype, to_json(d)->>'datlocprovider', to_json(d)->>'datlocale',
            to_json(d)->>'daticulocale', to_json(d)->>'daticurules' from pg_database d where datname = current_database()";
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        let restored = Way::Pgark("1").restore(server, &vault).with_context(context)?;
        assert_eq!(restored.query(properties)?, source.query(properties)?, "{}", context());
        assert_eq!(restored.query(SORTED)?, source.query(SORTED)?, "{}", context());
    }
    Ok(())
}
