//! Tables of sources: what they take from outside, and all that can be wrong with them at once.

use super::*;
use crate::config::{Origins, Problem};
use crate::seal::Compression;

const NEEDS: Needs = Needs { signing: false, ..Needs::BACKUP };

fn resolve(flags: RawSettings, environment: &[(&str, &str)], file: &str) -> Result<Settings, Vec<Problem>> {
    let environment = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    Settings::resolve(Origins { flags, environment: &environment, file: Some(file), cores: 2 }, NEEDS)
}

fn name(text: &str) -> SourceName {
    text.parse().unwrap()
}

const FILE: &str = r#"
store = "file:///backups"
encryption = "none"
compression = "gzip:1"
lock_timeout = "5s"

[[restore_test.assertions]]
name = "there are tables"
sql = "select true"

[sources.shop]
database_url = "postgresql://shop@db/shop"
compression = "zstd:3"

[[sources.shop.restore_test.assertions]]
name = "there are orders"
sql = "select count(*) > 0 from orders"

[sources.crm]
database_secret = "prod/crm"
store = "s3://crm-backups"

[servers.main]
database_url = "postgresql://backup@main/postgres"
databases = ["app_*", "web"]
exclude = ["*_test", "app_?"]
"#;

#[test]
fn a_table_wins_over_variables_and_flags_win_over_it() {
    let environment = [
        ("PGARK_COMPRESSION", "none"),
        ("PGARK_LOCK_TIMEOUT", "7s"),
        ("PGARK_DATABASE_URL", "postgresql://x"),
    ];
    let settings = resolve(RawSettings::default(), &environment, FILE).unwrap();
    let (shop, crm) = (&settings.sources.databases[&name("shop")], &settings.sources.databases[&name("crm")]);
    assert_eq!((shop.compression, crm.compression), (Compression::Zstd(3), Compression::None));
    assert_eq!(shop.lock_timeout.as_secs(), 7);
    assert_eq!(shop.database_url().unwrap().expose(), "postgresql://shop@db/shop");
    // Which database is never taken from outside.
    assert!(crm.database_url().is_err());
    assert_eq!(crm.store().unwrap().to_string(), "s3://crm-backups");
    assert_eq!(shop.store().unwrap().to_string(), "file:///backups");
    assert_eq!(shop.source, Some(name("shop")));
    let names =
        |settings: &Settings| settings.assertions.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(shop), names(crm)), (vec!["there are orders".into()], vec!["there are tables".into()]));

    let flags = RawSettings { compression: Some("zstd:9".to_owned()), ..RawSettings::default() };
    let settings = resolve(flags, &environment, FILE).unwrap();
    assert_eq!(settings.sources.databases[&name("shop")].compression, Compression::Zstd(9));
}

#[test]
fn a_database_that_a_flag_names_is_the_one_that_is_meant() {
    let flags = RawSettings { database_url: Some("postgresql://x@y/z".to_owned()), ..RawSettings::default() };
    assert!(resolve(flags, &[], FILE).unwrap().sources.is_empty());
}

#[test]
fn a_server_says_which_of_its_databases_are_meant() {
    let settings = resolve(RawSettings::default(), &[], FILE).unwrap();
    let server = &settings.sources.servers[&name("main")];
    for (database, reason) in [
        ("app_main", None),
        ("web", None),
        ("app_", None),
        ("app_1", Some("excluded by \"app_?\"")),
        ("app_x_test", Some("excluded by \"*_test\"")),
        ("postgres", Some("not among `databases`")),
        ("Web", Some("not among `databases`")),
    ] {
        assert_eq!(server.wants(database).err().as_deref(), reason, "{database}");
    }
    let found = |source: &str| {
        settings.sources.server_of(&name(source)).map(|(server, _, database)| (server.to_string(), database))
    };
    assert_eq!(found("main.=41pp"), Some(("main".to_owned(), Some("App".to_owned()))));
    assert_eq!(found("main.a.b"), None);
    assert_eq!(found("shop"), None);
    let long = SourceName::of_server(&name("main"), &"Ü".repeat(63));
    assert_eq!(found(long.as_str()), Some(("main".to_owned(), None)));
    assert_eq!(long.as_str().parse(), Ok(long.clone()));
}

#[test]
fn patterns() {
    for (pattern, name, matches) in [
        ("*", "", true),
        ("*", "a", true),
        ("a*", "a", true),
        ("a*c", "abbc", true),
        ("a*c", "abcb", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("?", "ü", true),
        ("*.*", "a.b", true),
        ("a**b*", "ab", true),
        ("", "a", false),
        ("ab", "abc", false),
    ] {
        assert_eq!(DatabasePattern(pattern.to_owned()).matches(name), matches, "{pattern} {name}");
    }
}

#[test]
fn the_variable_takes_toml_and_json_and_replaces_the_files() {
    let json = r#"{"sources": {"one": {"database_url": "postgresql://a@b/one", "jobs": 3}}, "servers": {"two": {"database_url": "postgresql://a@b/c"}}}"#;
    let toml = "[sources.one]\ndatabase_url = 'postgresql://a@b/one'\njobs = 3\n[servers.two]\ndatabase_url = 'postgresql://a@b/c'";
    for text in [json, toml] {
        let settings = resolve(RawSettings::default(), &[(SOURCES, text)], FILE).unwrap();
        assert_eq!(settings.sources.names(), "one, two.*", "{text}");
        assert_eq!(settings.sources.databases[&name("one")].jobs.get(), 3);
        assert!(settings.sources.servers[&name("two")].wants("anything").is_ok());
    }
    for (text, part) in [
        ("{", "line 1 is not JSON"),
        ("a =", "line 1 is not TOML"),
        ("{}", "names no database"),
        ("[source.one]", "unknown key `source`"),
        (r#"{"sources": []}"#, "sources: is not a table"),
    ] {
        let problems = resolve(RawSettings::default(), &[(SOURCES, text)], FILE).unwrap_err();
        let text = format!("{problems:?}");
        assert!(
            problems.iter().any(|one| format!("{}: {}", one.setting, one.message).contains(part)),
            "{text}"
        );
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_the_sources_name() {
    let file = r#"
        store = "nowhere"
        jobs = 0
        [sources.one]
        encryption = "none"
        tier = "hourly"
        [sources.Two]
        database_url = "postgresql://u:hunter2@h/d"
        source = "three"
        colour = "red"
        [sources]
        four = 4
        [servers.one]
        database_url = "postgresql://h/d"
        encryption = "none"
        databases = []
        exclude = 7
        [servers.a-name-that-is-far-too-long-for-it]
        database_url = "postgresql://h/d"
        encryption = "none"
    "#
    .replace("[sources]\n        four = 4\n", "");
    let problems = resolve(RawSettings::default(), &[], &file).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|one| format!("{}: {}", one.setting, one.message)).collect();
    for expected in [
        "PGARK_STORE: this is no URL",
        "PGARK_JOBS: is not a number",
        "sources.one.database_url: is not set",
        "sources.one.tier: no such tier",
        "sources.Two: is no name for a source",
        "sources.Two: unknown key `colour`",
        "sources.Two.source: is set",
        "sources.Two.recipients: is not set",
        "servers.one.databases: is no list of names",
        "servers.one.exclude: is no list of names",
        "servers.one: is called as one of the sources",
        "servers.a-name-that-is-far-too-long-for-it: is longer than 30 bytes",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:#?}");
    }
    // What is wrong outside of the tables is told once.
    assert_eq!(lines.iter().filter(|line| line.contains("this is no URL")).count(), 1, "{lines:#?}");
    assert_eq!(lines.len(), 12, "{lines:#?}");
    assert!(!format!("{problems:?}").contains("hunter2"));
}
