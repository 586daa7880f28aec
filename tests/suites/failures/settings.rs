//! Bad settings and bad arguments: one message with all that is wrong and its cure, exit code 2, nothing written.

use std::fs;

use pgark_tests::fixtures;
use serde_json::json;

use super::Result;
use super::keys::Keys;
use super::place::Place;
use super::program::Pgark;
use super::source::{Source, backup_through};

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// What a test sets, and what the message must say.
struct Case {
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    config: &'static str,
    said: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        arguments: &[],
        variables: &[("PGARK_STORE", "")],
        config: "",
        said: &["1 setting", "PGARK_STORE: is not set", "s3://bucket/prefix or file:///folder"],
    },
    Case {
        arguments: &[],
        variables: &[("PGARK_DATABASE_URL", "")],
        config: "",
        said: &["1 setting", "PGARK_DATABASE_URL: is not set", "postgresql://user:password@host/database"],
    },
    Case {
        arguments: &["--store", "ftp://hunter2@host/x"],
        variables: &[],
        config: "",
        said: &["1 setting", "PGARK_STORE", "`ftp://` is no known kind of store", "Give s3://"],
    },
    Case {
        arguments: &["--store", "/srv/backups"],
        variables: &[],
        config: "",
        said: &["1 setting", "write file:///srv/backups"],
    },
    Case {
        arguments: &["--store", "s3://AKIA:hunter2@bucket"],
        variables: &[],
        config: "",
        said: &["1 setting", "credentials go into the AWS variables"],
    },
    Case {
        arguments: &[],
        variables: &[("PGARK_RECIPIENTS", "age1notakey,ssh-ed25519 AAAA")],
        config: "",
        said: &["1 setting", "PGARK_RECIPIENTS: item 1: not an age", "item 2", "pgark keys"],
    },
    Case {
        arguments: &[],
        // Somebody confused the two halves of the pair: the secret half is not repeated.
        variables: &[("PGARK_RECIPIENTS", "AGE-SECRET-KEY-1HUNTER2")],
        config: "",
        said: &["1 setting", "PGARK_RECIPIENTS", "this is a secret key, not a recipient"],
    },
    Case {
        arguments: &[],
        variables: &[("PGARK_ENCRYPTION", "none")],
        config: "",
        said: &["1 setting", "PGARK_ENCRYPTION: is none although PGARK_RECIPIENTS is set", "Unset one"],
    },
    Case {
        arguments: &[],
        variables: &[("PGARK_RECIPIENTS", "")],
        config: "",
        said: &["1 setting", "PGARK_RECIPIENTS: is not set", "PGARK_ENCRYPTION=none"],
    },
    Case {
        arguments: &["--jobs", "0"],
        variables: &[],
        config: "",
        said: &["1 setting", "PGARK_JOBS", "from 1 to 64"],
    },
    Case {
        arguments: &["--lock-timeout", "soon"],
        variables: &[],
        config: "",
        said: &["1 setting", "PGARK_LOCK_TIMEOUT", "500ms, 30s or 5m"],
    },
    Case {
        arguments: &[],
        variables: &[],
        config: "sotre = \"file:///srv\"\njobs = true",
        said: &["2 settings", "pgark.toml: unknown key `sotre`", "The keys are", "`jobs` has the wrong type"],
    },
    Case {
        arguments: &[],
        variables: &[],
        config: "database_url = \"hunter2",
        said: &["1 setting", "pgark.toml: line 1 is not TOML"],
    },
    Case {
        arguments: &["--tier", "hourly", "--compression", "lzma"],
        variables: &[
            ("PGARK_STORE", "nonsense"),
            ("PGARK_RECIPIENTS", ""),
            ("PGARK_JOBS", "many"),
            ("PGARK_CHUNK_BYTES", "1GB"),
            ("PGARK_SOURCE", "../x"),
            ("AWS_ENDPOINT_URL", "host:9000"),
        ],
        config: "speed = 11",
        said: &[
            "9 settings",
            "PGARK_TIER",
            "PGARK_COMPRESSION",
            "PGARK_STORE",
            "PGARK_RECIPIENTS",
            "PGARK_JOBS",
            "PGARK_CHUNK_BYTES",
            "PGARK_SOURCE",
            "AWS_ENDPOINT_URL",
            "unknown key `speed`",
        ],
    },
];

impl Case {
    fn call(&self, source: &Source<'_>, place: &Place) -> Result<Pgark> {
        let mut call = source.backup(place)?.set("PGARK_ENCRYPTION", "").set("PGARK_RECIPIENTS", RECIPIENT);
        for (name, value) in self.variables {
            call = call.set(name, *value);
        }
        for argument in self.arguments {
            call = call.with([argument]);
        }
        call.secret("hunter2").secret("HUNTER2").config(self.config)
    }
}

#[test]
fn bad_settings_get_one_message_with_all_that_is_wrong() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    let place = Place::folder()?;
    for case in CASES {
        case.call(&source, &place)?.run()?.failed_with_hints_inside("settings.invalid", case.said)?;
        let for_people = case.call(&source, &place)?.without("--json").run()?;
        for_people.failed_for_people(2, "settings.invalid", case.said)?;
    }
    source.is_left_alone()?;
    place.is_untouched()
}

#[test]
fn a_bad_connection_string_is_explained_without_its_password() -> Result {
    let place = Place::folder()?;
    for (url, parts) in [
        ("postgresql://u:hunter2@host:port/db", &["port"][..]),
        ("postgresql://u:hunter2@host/db?sslmode=maybe&colour=red", &["sslmode", "colour"][..]),
        ("mysql://u:hunter2@host/db", &["connection string"][..]),
    ] {
        let ended = backup_through(url, &place)?.secret("hunter2").run()?;
        ended.failed(2, "settings.invalid", parts)?;
    }
    place.is_untouched()
}

#[test]
fn what_the_command_line_does_not_know_is_refused() -> Result {
    for (arguments, part) in [
        (&["backup", "--sore", "file:///x"][..], "--store"),
        (&["bakcup"][..], "backup"),
        (&["show"][..], "<BACKUP>"),
        (&["backup", "extra"][..], "extra"),
        (&["restore", "latest"][..], "--to"),
    ] {
        for json in [false, true] {
            let mut call = Pgark::new([])?;
            for argument in arguments.iter().copied().chain(json.then_some("--json")) {
                call = call.with([argument]);
            }
            let ended = call.run()?;
            if json {
                ended.failed(2, "usage.invalid", &[part])?;
            } else {
                assert_eq!(ended.code, 2, "{ended}");
                assert!(ended.out.is_empty() && ended.err.contains(part), "{ended}");
            }
        }
    }
    Ok(())
}

#[test]
fn contradictions_of_arguments_are_refused() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    let place = Place::folder()?;
    let backup = || source.backup(&place);
    let ended = backup()?.with(["--schema-only", "--data-only"]).run()?;
    ended.failed(2, "usage.invalid", &["schema only and data only", "one of"])?;
    let ended = backup()?.with(["--exclude-table", "a.b.c.d", "--exclude-schema", "\"x"]).run()?;
    ended.failed(2, "usage.invalid", &["a.b.c.d", "\"x", "NAME or SCHEMA.NAME"])?;
    place.is_untouched()
}

#[test]
fn a_backup_argument_means_one_backup_or_is_refused() -> Result {
    let source = Source::with("create table t as select 1 as i")?;
    let place = Place::folder()?;
    let show = |argument: &str| -> Result<_> {
        Pgark::new(["show", "--json", argument])?.set_all(place.variables()).run()
    };
    show("latest")?.failed(1, "backup.missing", &["there is no backup", "pgark list"])?;
    for _ in 0..2 {
        source.backup(&place)?.run()?.done()?;
    }
    show("")?.failed(2, "usage.invalid", &["BACKUP argument is empty", "latest"])?;
    show("1999")?.failed(1, "backup.missing", &["no backup begins with \"1999\"", "pgark list"])?;
    let ids = place.listed()?;
    show("2")?.failed(2, "backup.ambiguous", &["2 backups begin with \"2\"", ids[0].trim_matches('"')])?;
    show(ids[0].trim_matches('"'))?.done()?;
    Ok(())
}

/// An encrypted backup of the shop, and its keys.
fn encrypted() -> Result<(Place, Keys)> {
    let keys = Keys::new()?;
    let source = Source::with(fixtures::SHOP)?;
    let place = Place::folder()?;
    let backup = source.backup(&place)?.set("PGARK_ENCRYPTION", "").set("PGARK_RECIPIENTS", &keys.recipient);
    assert_eq!(backup.run()?.done()?["encrypted"], json!(true));
    Ok((place, keys))
}

#[test]
fn reading_takes_the_right_identity() -> Result {
    let (place, keys) = encrypted()?;
    keys.another("other.txt")?;
    fs::write(keys.path("empty.txt"), "# nothing\n")?;
    let target = Source::with("")?;
    let url = target.url();
    let out = keys.path("out");
    for command in [&["fetch", "latest", &out][..], &["restore", "latest", "--to", &url][..]] {
        for (file, code, parts) in [
            (None, "identity.invalid", &["no identity file is set", "PGARK_IDENTITY_FILE"][..]),
            (Some("missing.txt"), "identity.invalid", &["cannot read the identity file", "missing.txt"][..]),
            (Some("empty.txt"), "identity.invalid", &["empty.txt", "no secret key", "pgark keys"][..]),
            (Some("other.txt"), "identity.mismatch", &["toc.dat.age", "PGARK_IDENTITY_FILE"][..]),
        ] {
            let mut call = Pgark::new(["--json"])?.set_all(place.variables());
            for argument in command {
                call = call.with([argument]);
            }
            if let Some(file) = file {
                call = call.with(["--identity-file", &keys.path(file)]);
            }
            call.run()?.failed(2, code, parts)?;
        }
    }
    assert!(!fs::exists(&out)?, "something was fetched");
    assert_eq!(target.query("select count(*) from pg_class where oid >= 16384")?, "0");
    Ok(())
}

#[test]
fn nothing_is_written_over_what_is_there() -> Result {
    let (place, keys) = encrypted()?;
    let identity = keys.identity();
    let read = |arguments: &[&str]| -> Result<_> {
        let mut call = Pgark::new(["--json", "--identity-file", &identity])?.set_all(place.variables());
        for argument in arguments {
            call = call.with([argument]);
        }
        call.run()
    };
    let taken = tempfile::tempdir()?;
    fs::write(taken.path().join("mine"), "mine")?;
    let folder = taken.path().display().to_string();
    read(&["fetch", "latest", &folder])?.failed(2, "usage.invalid", &[&folder, "is not empty", "Give a"])?;
    assert_eq!(fs::read_dir(taken.path())?.count(), 1);

    let target = Source::with("create table mine as select 1 as i")?;
    let url = target.url();
    let parts = ["is not empty", "table public.mine", target.name(), "--create NAME", "--clean"];
    read(&["restore", "latest", "--to", &url])?.failed(1, "restore.target", &parts)?;
    let parts = ["--clean would drop objects", "--yes"];
    read(&["restore", "latest", "--to", &url, "--clean"])?.failed(2, "usage.invalid", &parts)?;
    let parts = [target.name(), "exists already", "Give another name"];
    read(&["restore", "latest", "--to", &url, "--create", target.name()])?.failed(
        1,
        "restore.target",
        &parts,
    )?;
    assert_eq!(target.query("select relname from pg_class where oid >= 16384 and relkind = 'r'")?, "mine");

    let ended = Pgark::new(["keys", "--json", &identity])?.run()?;
    ended.failed(1, "keys.file-exists", &[&identity])?;
    Ok(())
}
