//! What the documents say is what the code says: error codes, settings, the example settings file, decisions.
//!
//! Only tests live here. They read the documents of the repository as they stand.

use std::collections::BTreeMap;

use crate::config::{Needs, Origins, RawSettings, Settings};
use crate::error::ErrorKind;

const ERRORS: &str = include_str!("../../../docs/errors.md");
const SETTINGS: &str = include_str!("../../../docs/settings.md");
const EXAMPLE: &str = include_str!("../../../pgark.example.toml");

/// The files in which a code is spelled, to find one that no list of kinds names.
const SOURCES: [&str; 3] = [
    include_str!("error.rs"),
    include_str!("../../pg-archive/src/error.rs"),
    include_str!("../../pg-archive/src/connect/error.rs"),
];

/// Every code with its exit code.
fn codes() -> BTreeMap<&'static str, u8> {
    let archive = pg_archive::ErrorKind::ALL.into_iter();
    let connect = pg_archive::connect::ErrorKind::ALL.into_iter().map(pg_archive::ErrorKind::Connect);
    let kinds = ErrorKind::ALL.into_iter().chain(archive.chain(connect).map(ErrorKind::Archive));
    kinds.map(|kind| (kind.code(), kind.exit() as u8)).collect()
}

/// The cells of a table's row; none if the line is no row.
fn cells(line: &str) -> Vec<&str> {
    match line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
        Some(row) => row.split('|').map(str::trim).collect(),
        None => Vec::new(),
    }
}

/// `` `text` `` without its ticks.
fn unticked(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

#[test]
fn every_code_is_documented_with_its_exit_code_and_no_other_is() {
    let mut documented = BTreeMap::new();
    for line in ERRORS.lines() {
        let [code, exit, meaning, cure] = cells(line)[..] else { continue };
        let Some(code) = unticked(code) else { continue };
        assert!(meaning.ends_with('.') && cure.ends_with('.'), "{line}");
        let exit: u8 = exit.parse().unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(documented.insert(code, exit), None, "{code} is there twice");
    }
    assert_eq!(documented, codes());
}

#[test]
fn no_code_is_missing_from_the_lists_of_kinds() {
    let known = codes();
    let mut spelled = 0;
    for line in SOURCES.iter().flat_map(|source| source.lines()) {
        let Some((kind, code)) = line.trim().split_once(" => ") else { continue };
        let code = code.trim_start_matches('(').strip_prefix('"').and_then(|code| code.split_once('"'));
        if let (true, Some((code, _))) = (kind.starts_with("Self::"), code) {
            assert!(known.contains_key(code), "{code} is not in the ALL of its kinds");
            spelled += 1;
        }
    }
    let lists =
        [ErrorKind::ALL.len(), pg_archive::ErrorKind::ALL.len(), pg_archive::connect::ErrorKind::ALL.len()];
    assert_eq!(spelled, lists.iter().sum::<usize>());
}

#[test]
fn the_settings_page_lists_every_setting() {
    let mut documented: Vec<(&str, &str)> = SETTINGS
        .lines()
        .filter_map(|line| match cells(line)[..] {
            [_, variable, key, _] => unticked(key).zip(unticked(variable)),
            _ => None,
        })
        .collect();
    let mut known = RawSettings::NAMES.to_vec();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known);
}

fn resolve(file: &str) -> Settings {
    let needs = Needs { database: true, store: true, encryption: true, ..Needs::default() };
    let origins =
        Origins { flags: RawSettings::default(), environment: &|_| None, file: Some(file), cores: 2 };
    Settings::resolve(origins, needs).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn the_example_file_is_enough_for_a_backup() {
    let settings = resolve(EXAMPLE);
    assert_eq!(settings.encryption().unwrap().recipients().len(), 2);
}

/// A key that is commented out has no blank behind its `#`.
#[test]
fn the_example_file_shows_every_key_as_it_may_be_written() {
    let written = EXAMPLE.lines().filter(|line| !line.starts_with("# "));
    let complete: String =
        written.map(|line| line.strip_prefix('#').unwrap_or(line).to_owned() + "\n").collect();
    // The database and the keys are named in one of two ways.
    for others in [
        [
            "database_url",
            "identity_file",
            "signing_key_file",
            "restore_test_secret",
            "slack_url",
            "webhook_url",
            "ping_url",
        ],
        [
            "database_secret",
            "identity_secret",
            "signing_key_secret",
            "restore_test_url",
            "slack_secret",
            "webhook_secret",
            "ping_secret",
        ],
    ] {
        let one_way =
            others.iter().fold(complete.clone(), |text, key| text.replace(&format!("\n{key} = "), "\n# "));
        assert_eq!(resolve(&one_way).assertions.len(), 1);
    }
    for (key, _) in RawSettings::NAMES {
        let shown =
            complete.lines().filter(|line| line.split_once(" = ").is_some_and(|(left, _)| left == *key));
        assert_eq!(shown.count(), 1, "{key}");
    }
}
