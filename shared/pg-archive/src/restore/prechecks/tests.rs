//! Which problems are found, and that all of them are.

use super::*;
use crate::restore::entry_for_tests;

fn set(names: &[&str]) -> HashSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn facts() -> Facts {
    Facts {
        version_num: 170_000,
        role: "me".to_owned(),
        roles: set(&["me", "ann"]),
        may_become: set(&["me"]),
        extensions: set(&["plpgsql"]),
        tablespaces: set(&["pg_default"]),
        present: Present::in_new_database(),
        ..Facts::default()
    }
}

fn archive() -> Vec<Entry> {
    let table = Entry {
        schema: Some("public".to_owned()),
        owner: Some("Bob".to_owned()),
        drop_statement: Some("DROP TABLE public.t;\n".to_owned()),
        tablespace: Some("fast".to_owned()),
        ..entry_for_tests(2, "TABLE", "t", Section::PreData, &[])
    };
    let of_ann = Entry {
        id: crate::catalog::DumpId(6),
        owner: Some("ann".to_owned()),
        tablespace: None,
        ..table.clone()
    };
    vec![
        entry_for_tests(1, "EXTENSION", "postgis", Section::PreData, &[]),
        table,
        Entry {
            definition: Some("GRANT SELECT ON TABLE public.t TO carl;\n".to_owned()),
            ..entry_for_tests(3, "ACL", "TABLE t", Section::None, &[2])
        },
        of_ann,
        Entry {
            schema: Some("public".to_owned()),
            definition: None,
            data_file: Some("t.dat".to_owned()),
            ..entry_for_tests(4, "TABLE DATA", "t", Section::Data, &[2])
        },
    ]
}

fn problems(options: &RestoreOptions, facts: &Facts, made: &Made) -> Vec<String> {
    let checked = check(&archive(), options, facts, made).unwrap();
    assert!(checked.problems.iter().all(|problem| problem.cure.ends_with(['.', ';'])), "{checked:?}");
    checked.problems.into_iter().map(|problem| problem.what).collect()
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(
        problems(&RestoreOptions::default(), &facts(), &Made::default()),
        [
            "the server has no role \"Bob\" (an owner), carl (named in grants or policies)",
            "role me may not give objects to ann",
            "the server has no extension postgis",
            "the server has no tablespace fast",
        ]
    );
}

#[test]
fn each_cure_cures() {
    let none: [&str; 0] = [];
    let leave_out = super::super::LeaveOut { owners: true, privileges: true, tablespaces: true };
    let options = RestoreOptions { leave_out, ..RestoreOptions::default() };
    let mut facts = facts();
    facts.extensions.insert("postgis".to_owned());
    assert_eq!(problems(&options, &facts, &Made::default()), none);
    let made = Made { roles: ["Bob", "carl"].map(str::to_owned).into(), tablespaces: true };
    facts.superuser = true;
    assert_eq!(problems(&RestoreOptions::default(), &facts, &made), none);
}

#[test]
fn rows_alone_need_empty_tables_that_are_there() {
    let options = RestoreOptions { content: Content::Data, ..RestoreOptions::default() };
    let mut facts = facts();
    assert_eq!(
        problems(&options, &facts, &Made::default()),
        ["rows are to go into tables that the target lacks: public.t"]
    );
    facts.present = Present::of(&[("relation", "public", "t"), ("SCHEMA", "", "public")]);
    assert_eq!(problems(&options, &facts, &Made::default()), [""; 0]);
    facts.filled.push("public.t".to_owned());
    assert_eq!(
        problems(&options, &facts, &Made::default()),
        ["tables have rows already, and would have them twice: public.t"]
    );
}

#[test]
fn long_lists_are_cut() {
    let names: Vec<String> = (1..=7).map(|number| number.to_string()).collect();
    assert_eq!(list(&names), "1, 2, 3, 4, 5 and 2 more");
    assert_eq!(list(&names[..5]), "1, 2, 3, 4, 5");
}
