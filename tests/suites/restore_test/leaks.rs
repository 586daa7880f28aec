//! Values of rows stay in the archive: whatever a server says when it refuses a row, no report, record, alert or output
//! repeats it, but for a person who asks with `-v`.

use std::fs;
use std::path::Path;

use pgark_tests::{Postgres, Receiver};

use crate::world::World;
use crate::{Result, binaries};

/// Letters and digits alone: it must be found however it is quoted.
const VALUE: &str = "secretdiagnosis42";

/// A database whose rows a restore does not take, and how the server says so.
struct Case {
    name: &'static str,
    sql: &'static str,
    /// What the error says instead.
    said: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "check",
        sql: "create function ok(text) returns bool language sql immutable as 'select true';
              alter table patient add check (ok(name));
              create or replace function ok(text) returns bool language sql immutable as 'select false'",
        said: "violates check constraint \"patient_name_check\" (SQLSTATE 23514); COPY patient, line 1",
    },
    Case {
        name: "raise",
        sql: "create function ok(text) returns bool language plpgsql immutable as 'begin return true; end';
              alter table patient add check (ok(name));
              create or replace function ok(text) returns bool language plpgsql immutable as $$
                begin raise exception 'not %', $1 using detail = $1, hint = $1, column = $1, errcode = '23514'; end $$",
        said: "check violation (SQLSTATE 23514); in PL/pgSQL function public.ok(text) line 2 at RAISE; COPY patient, line 1",
    },
    Case {
        name: "cast",
        sql: "create function ok(text) returns bool language sql immutable as 'select true';
              alter table patient add check (ok(name));
              create or replace function ok(text) returns bool language sql immutable as 'select $1::integer > 0'",
        said: "invalid text representation (SQLSTATE 22P02); COPY patient, line 1",
    },
    Case {
        name: "unique",
        sql: "create function key(text) returns text language sql immutable as 'select $1';
              create unique index patient_key on patient (key(name));
              create or replace function key(text) returns text language sql immutable as
                'select ''secret'' || ''diagnosis42''';
              ",
        said: "could not create unique index \"patient_key\" (SQLSTATE 23505)",
    },
    Case {
        name: "regclass",
        sql: "create table secretdiagnosis42 (); create materialized view m as
                select ('public.' || name)::regclass from patient where id = 1;
              drop table secretdiagnosis42",
        said: "undefined table (SQLSTATE 42P01)",
    },
    Case {
        name: "dynamic",
        sql: "create function ok(text) returns bool language plpgsql immutable as 'begin return true; end';
              alter table patient add check (ok(name));
              create or replace function ok(text) returns bool language plpgsql immutable as $$
                begin execute 'select ' || $1; return true; end $$",
        said: "undefined column (SQLSTATE 42703); in PL/pgSQL function public.ok(text) line 2 at EXECUTE; COPY patient, line 1",
    },
];

#[test]
fn no_value_of_a_row_is_told_but_to_who_asks() -> Result {
    let server = Postgres::shared(17)?;
    for Case { name, sql, said } in CASES {
        let world = World::new()?;
        let source = server.create_database(&format!("leak_{name}"))?;
        source.query(
            "create table patient (id integer primary key, name text);
             insert into patient values (1, 'secretdiagnosis42'), (2, 'another')",
        )?;
        source.query(sql)?;
        let told = Receiver::start()?;
        let (webhook, url, on) = (told.url("/hook"), source.url(), server.url("postgres"));
        let copy = format!("leak_{name}_copy");
        let settings: &[(&str, &str)] = &[("PGARK_DATABASE_URL", &url), ("PGARK_WEBHOOK_URL", &webhook)];
        let run = |arguments: &[&str]| -> anyhow::Result<String> {
            let output = world.text(arguments, settings)?;
            let printed = [output.stdout, output.stderr].concat();
            Ok(String::from_utf8_lossy(&printed).into_owned())
        };
        let mut printed = run(&["backup"])?;
        let restores: &[&[&str]] = &[
            &["restore-test", "--on", &on],
            &["restore-test", "--on", &on, "--json"],
            &["restore", "latest", "--to", &on, "--create", &copy],
        ];
        // What the others tell, they read in records and reports.
        let others: &[&[&str]] =
            &[&["verify"], &["health"], &["history"], &["status"], &["report", "--html", "report.html"]];
        for arguments in restores.iter().chain(if *name == "check" { others } else { &[] }) {
            printed.push_str(&run(arguments)?);
        }
        assert!(printed.contains(said), "{name}: {said}\n{printed}");
        assert!(!printed.contains(VALUE), "{name}: {printed}");
        let bodies: Vec<String> = told.received().into_iter().map(|request| request.body).collect();
        assert!(
            bodies.iter().any(|body| body.contains("restore test of") || body.contains("restore-test")),
            "{bodies:?}"
        );
        assert!(!bodies.concat().contains(VALUE), "{name}: {bodies:?}");
        assert_eq!(holding(&world.file("."), VALUE)?, Vec::<String>::new(), "{name}");

        // Whoever asks is told.
        let asked = run(&["restore-test", "--on", &on, "-v"])?;
        assert!(asked.contains(VALUE), "{name}: {asked}");
        assert_eq!(holding(&world.file("."), VALUE)?, Vec::<String>::new(), "{name}");
        server.psql(&format!("drop database if exists {copy}"))?;
    }
    Ok(())
}

/// A warning comes with every row, and the restore test goes on.
#[test]
fn what_functions_say_on_the_way_is_not_logged() -> Result {
    let world = World::new()?;
    let source = Postgres::shared(16)?.create_database("leak_warning")?;
    source.query(
        "create function ok(text) returns bool language plpgsql immutable as $$
           begin raise warning 'looked at %', $1; return true; end $$;
         create table patient (name text check (ok(name)));
         insert into patient values ('secretdiagnosis42')",
    )?;
    let (url, programs) = (source.url(), binaries(16)?);
    let settings: &[(&str, &str)] = &[
        ("PGARK_DATABASE_URL", &url),
        ("PGARK_POSTGRES_BIN", &programs),
        ("RUST_LOG", "pgark=trace,pg_archive=trace"),
    ];
    world.text(&["backup"], settings)?;
    let output = world.text(&["restore-test"], settings)?;
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains("warning (SQLSTATE 01000); in PL/pgSQL function public.ok(text) line 2 at RAISE"),
        "{printed}"
    );
    assert!(!printed.contains(VALUE), "{printed}");
    Ok(())
}

/// The files below a folder that hold a text.
fn holding(folder: &Path, text: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(holding(&path, text)?);
        } else if fs::read(&path)?.windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}
