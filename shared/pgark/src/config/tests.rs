//! Precedence, and that every problem is told at once.

use std::collections::HashMap;

use super::*;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const ALL: Needs = Needs {
    database: true,
    store: true,
    encryption: true,
    signing: true,
    identity: true,
    restore_test: false,
};

fn resolve(
    flags: RawSettings,
    environment: &[(&str, &str)],
    file: Option<&str>,
    needs: Needs,
) -> Result<Settings, Vec<Problem>> {
    let environment: HashMap<_, _> = environment.iter().copied().collect();
    let variable = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    Settings::resolve(Origins { flags, environment: &variable, file, cores: 16 }, needs)
}

fn settings_of(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.setting.as_str()).collect()
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let flags = RawSettings { source: Some("flag".into()), ..RawSettings::default() };
    let environment = [("PGARK_SOURCE", "variable"), ("PGARK_JOBS", "3"), ("PGARK_TIER", "")];
    let file = "source = 'file'\njobs = 5\nlock_timeout = '5m'\ntier = 'weekly'\n";
    let settings = resolve(flags, &environment, Some(file), Needs::default()).unwrap();
    assert_eq!(settings.source.unwrap().as_str(), "flag");
    assert_eq!(settings.jobs.get(), 3);
    assert_eq!(settings.lock_timeout, Duration::from_mins(5));
    assert_eq!(settings.tier, Some(Tier::Weekly), "an empty variable is not set");
}

#[test]
fn defaults() {
    let settings = resolve(RawSettings::default(), &[], None, Needs::default()).unwrap();
    assert_eq!(settings.jobs.get(), 4);
    assert_eq!(settings.compression, Compression::Zstd(1));
    assert_eq!(settings.lock_timeout, Duration::from_secs(30));
    assert_eq!(settings.store().unwrap_err().kind(), ErrorKind::Settings);
}

#[test]
fn every_problem_is_told_at_once() {
    let environment = [
        ("PGARK_SOURCE", "Pröd"),
        ("PGARK_STORE", "/srv/backups"),
        ("PGARK_RECIPIENTS", "age1nonsense"),
        ("PGARK_COMPRESSION", "lz4"),
        ("PGARK_JOBS", "0"),
        ("PGARK_LOCK_TIMEOUT", "30"),
        ("PGARK_TIER", "hourly"),
        ("PGARK_CHUNK_BYTES", "1"),
        ("AWS_ENDPOINT_URL", "localhost:9000"),
    ];
    let file = "sorce = 'x'\ndatabase_url = true\n";
    let problems = resolve(RawSettings::default(), &environment, Some(file), ALL).unwrap_err();
    let mut expected: Vec<_> = environment.iter().map(|(name, _)| *name).collect();
    expected.extend(["pgark.toml", "pgark.toml", "PGARK_DATABASE_URL"]);
    let mut found = settings_of(&problems);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(problems.iter().all(|problem| problem.fix.ends_with('.') && !problem.message.ends_with('.')));
    let text = problems::error(&problems).to_string();
    assert!(text.starts_with("12 settings are wrong or missing\n"), "{text}");
    assert!(text.contains("unknown key `sorce`") && text.contains("file:///srv/backups"), "{text}");
}

#[test]
fn silence_is_no_decision_against_encryption() {
    let problems = resolve(RawSettings::default(), &[], None, Needs { encryption: true, ..Needs::default() })
        .unwrap_err();
    assert_eq!(settings_of(&problems), ["PGARK_RECIPIENTS"]);
    assert!(problems[0].fix.contains("PGARK_ENCRYPTION=none") && problems[0].fix.contains("pgark keys"));

    let none = [("PGARK_ENCRYPTION", "none")];
    let settings = resolve(RawSettings::default(), &none, None, Needs::default()).unwrap();
    assert_eq!(settings.encryption().unwrap(), &Encryption::None);

    let both = [("PGARK_ENCRYPTION", "none"), ("PGARK_RECIPIENTS", RECIPIENT)];
    let problems = resolve(RawSettings::default(), &both, None, Needs::default()).unwrap_err();
    assert_eq!(settings_of(&problems), ["PGARK_ENCRYPTION"]);
}

#[test]
fn recipients_are_validated_one_by_one_and_may_come_as_a_list() {
    let file = format!("recipients = ['{RECIPIENT}', '{RECIPIENT}']\nencryption = 'age'");
    let settings = resolve(RawSettings::default(), &[], Some(&file), Needs::default()).unwrap();
    assert_eq!(settings.encryption().unwrap().recipients(), [RECIPIENT]);

    let secret = "AGE-SECRET-KEY-1QQQQ";
    let mixed = format!("{RECIPIENT},{secret},age1x");
    let problems =
        resolve(RawSettings::default(), &[("PGARK_RECIPIENTS", &mixed)], None, Needs::default()).unwrap_err();
    assert!(problems[0].message.contains("item 2") && problems[0].message.contains("item 3"));
    assert!(!problems[0].message.contains(secret));
}

#[test]
fn secrets_do_not_show() {
    let url = "postgresql://u:hunter2@h/db";
    let environment = [("PGARK_DATABASE_URL", url)];
    let raw = RawSettings { database_url: Some(url.into()), ..RawSettings::default() };
    assert_eq!(format!("{raw:?}"), "RawSettings(set: database_url)");
    let settings = resolve(RawSettings::default(), &environment, None, Needs::default()).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert_eq!(settings.database_url().unwrap().expose(), url);

    let broken = format!("database_url = {url}\n");
    let problems = resolve(RawSettings::default(), &[], Some(&broken), Needs::default()).unwrap_err();
    assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    assert!(problems[0].message.starts_with("line 1 is not TOML"), "{problems:?}");
}

#[test]
fn a_service_has_its_own_endpoint_or_that_of_all() {
    let general = ("AWS_ENDPOINT_URL", "http://all:1/");
    let s3 = ("AWS_ENDPOINT_URL_S3", "http://s3:2");
    let secrets = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets:3");
    let (all, two, three) = (Some("http://all:1"), Some("http://s3:2"), Some("http://secrets:3"));
    for (environment, file, expected) in [
        (vec![], None, [None, None]),
        (vec![general], None, [all, all]),
        (vec![s3], None, [two, None]),
        (vec![general, s3], None, [two, all]),
        (vec![secrets, general, s3], None, [two, three]),
        (vec![general], Some("s3_endpoint = 'http://file:4'"), [all, all]),
        (vec![secrets], Some("endpoint = 'http://all:1'"), [all, three]),
    ] {
        let settings = resolve(RawSettings::default(), &environment, file, Needs::default()).unwrap();
        let found = [settings.s3_endpoint.as_deref(), settings.secrets_endpoint.as_deref()];
        assert_eq!(found, expected, "{environment:?} {file:?}");
    }
    let wrong = [("AWS_ENDPOINT_URL_S3", "s3:2"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://a:b@h")];
    let problems = resolve(RawSettings::default(), &wrong, None, Needs::default()).unwrap_err();
    assert_eq!(settings_of(&problems), wrong.map(|(name, _)| name));
}

#[test]
fn the_database_comes_from_a_url_or_a_secret_and_the_nearer_one_wins() {
    let (url, secret) = (("PGARK_DATABASE_URL", "postgresql://h/db"), ("PGARK_DATABASE_SECRET", "prod/db"));
    let needs = Needs { database: true, ..Needs::default() };
    let settings = resolve(RawSettings::default(), &[secret], None, needs).unwrap();
    assert_eq!(settings.database_secret.as_ref().unwrap().id(), "prod/db");
    assert_eq!(settings.database_url().unwrap_err().kind(), ErrorKind::Settings);

    let flags = RawSettings { database_url: Some(url.1.into()), ..RawSettings::default() };
    let settings = resolve(flags, &[secret], Some("database_secret = 'other'"), needs).unwrap();
    assert_eq!(settings.database_url().unwrap().expose(), url.1);
    assert_eq!(settings.database_secret, None);

    let problems = resolve(RawSettings::default(), &[url, secret], None, needs).unwrap_err();
    assert_eq!(settings_of(&problems), ["PGARK_DATABASE_SECRET"]);
    let problems = resolve(RawSettings::default(), &[(secret.0, "a b")], None, needs).unwrap_err();
    assert_eq!(settings_of(&problems), ["PGARK_DATABASE_SECRET"]);
    let problems = resolve(RawSettings::default(), &[], None, needs).unwrap_err();
    assert!(problems[0].fix.contains("PGARK_DATABASE_SECRET"), "{problems:?}");
}

#[test]
fn the_server_for_restore_tests_is_a_url_a_secret_or_our_own() {
    let url = ("PGARK_RESTORE_TEST_URL", "postgresql://u@h/d");
    let secret = ("PGARK_RESTORE_TEST_SECRET", "test/restore");
    let of = |flag: Option<&str>, environment: &[(&str, &str)]| {
        let flags = RawSettings { restore_test_url: flag.map(str::to_owned), ..RawSettings::default() };
        resolve(flags, environment, None, Needs::default())
            .map(|settings| (settings.restore_test_url.is_some(), settings.restore_test_secret.is_some()))
    };
    assert_eq!(of(None, &[]), Ok((false, false)));
    assert_eq!(of(None, &[url]), Ok((true, false)));
    assert_eq!(of(None, &[secret]), Ok((false, true)));
    assert_eq!(of(Some("embedded"), &[url]), Ok((false, false)));
    assert_eq!(of(Some("embedded"), &[secret]), Ok((false, false)));
    assert_eq!(of(Some(url.1), &[secret]), Ok((true, false)));
    assert_eq!(settings_of(&of(None, &[url, secret]).unwrap_err()), ["PGARK_RESTORE_TEST_SECRET"]);
}

#[test]
fn keys_come_from_a_file_or_a_secret_and_only_needed_secrets_are_read() {
    let files = [("PGARK_IDENTITY_FILE", "/i"), ("PGARK_SIGNING_KEY_FILE", "/s")];
    let secrets = [("PGARK_IDENTITY_SECRET", "prod/i"), ("PGARK_SIGNING_KEY_SECRET", "prod/s")];
    let both = [files, secrets].concat();
    let problems = resolve(RawSettings::default(), &both, None, Needs::default()).unwrap_err();
    assert_eq!(settings_of(&problems), ["PGARK_SIGNING_KEY_SECRET", "PGARK_IDENTITY_SECRET"]);

    let settings = resolve(RawSettings::default(), &secrets, None, Needs::default()).unwrap();
    let needed = |needs| settings.secrets(needs).map(SecretReference::id).collect::<Vec<_>>();
    assert_eq!(needed(Needs { database: true, ..Needs::default() }), [""; 0]);
    assert_eq!(needed(Needs { signing: true, ..Needs::default() }), ["prod/s"]);
    assert_eq!(needed(Needs { identity: true, ..Needs::default() }), ["prod/i"]);
    assert_eq!(settings.signing_key().unwrap_err().kind(), ErrorKind::Internal, "it was not read");

    let flags = RawSettings {
        signing_key_file: Some("/nearer".into()),
        identity_file: Some("/nearer".into()),
        ..RawSettings::default()
    };
    let settings = resolve(flags, &secrets, None, Needs::default()).unwrap();
    assert_eq!((settings.signing_key_secret, settings.identity_secret), (None, None));
}
