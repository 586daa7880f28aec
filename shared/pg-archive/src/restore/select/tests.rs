//! What is restored of a small archive, by options.

use super::*;
use crate::restore::entry_for_tests;

/// Desc, tag, section, schema, whether it has a data file, dependencies: the ids are the places, from 1.
type Row = (&'static str, &'static str, Section, Option<&'static str>, bool, &'static [u32]);

fn archive() -> Vec<Entry> {
    let rows: [Row; 14] = [
        ("ENCODING", "ENCODING", Section::PreData, None, false, &[]),
        ("SCHEMA", "app", Section::PreData, None, false, &[]),
        ("TABLE", "t", Section::PreData, Some("app"), false, &[2]),
        ("COMMENT", "TABLE t", Section::None, Some("app"), false, &[3]),
        ("ACL", "TABLE t", Section::None, Some("app"), false, &[3]),
        ("TABLE", "u", Section::PreData, Some("public"), false, &[]),
        ("BLOB", "16400", Section::PreData, None, false, &[]),
        ("TABLE DATA", "t", Section::Data, Some("app"), true, &[3]),
        ("TABLE DATA", "u", Section::Data, Some("public"), true, &[6]),
        ("SEQUENCE SET", "s", Section::Data, Some("public"), false, &[]),
        ("INDEX", "t_index", Section::PostData, Some("app"), false, &[3]),
        ("COMMENT", "INDEX t_index", Section::None, Some("app"), false, &[11]),
        ("COMMENT", "LARGE OBJECT 16400", Section::None, None, false, &[7]),
        ("ACL", "DATABASE shop", Section::None, None, false, &[]),
    ];
    let entries = rows.iter().zip(1..).map(|((desc, tag, section, schema, data, after), id)| {
        let mut entry = entry_for_tests(id, desc, tag, *section, after);
        entry.schema = schema.map(str::to_owned);
        if *data {
            entry.definition = None;
            entry.data_file = Some(format!("{tag}.dat"));
        }
        entry
    });
    entries.collect()
}

fn selected(options: &RestoreOptions) -> Vec<usize> {
    let wanted = select(&archive(), options).unwrap();
    (1..).zip(wanted).filter_map(|(id, wanted)| wanted.anything().then_some(id)).collect()
}

#[test]
fn options_select_as_pg_restore_does() {
    let all = RestoreOptions::default;
    let with = |change: fn(&mut RestoreOptions)| {
        let mut options = all();
        change(&mut options);
        options
    };
    for (name, options, expected) in [
        ("everything", all(), &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13][..]),
        ("definitions", with(|o| o.content = Content::Definitions), &[2, 3, 4, 5, 6, 11, 12]),
        ("data", with(|o| o.content = Content::Data), &[7, 8, 9, 10, 13]),
        ("no privileges", with(|o| o.leave_out.privileges = true), &[2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13]),
        ("pre-data", with(|o| o.sections = [Section::PreData].into()), &[2, 3, 4, 5, 6, 7]),
        ("post-data", with(|o| o.sections = [Section::PostData].into()), &[11, 12, 13]),
        ("one schema", with(|o| o.schemas = vec!["app".to_owned()]), &[3, 4, 5, 8, 11, 12]),
        ("one table", with(|o| o.tables = vec!["t".to_owned()]), &[3, 4, 5, 8]),
        ("a pattern", with(|o| o.tables = vec!["public.*".to_owned()]), &[6, 9, 10]),
    ] {
        assert_eq!(selected(&options), expected, "{name}");
    }
}

#[test]
fn a_filter_that_matches_nothing_is_an_error() {
    for (schemas, tables, expected) in [
        (&["nosuch"][..], &[][..], "no schema in the archive matches \"nosuch\""),
        (&[], &["t", "T2"], "no table in the archive matches \"T2\""),
        (&["app"], &["u"], "no table in the archive matches \"u\""),
    ] {
        let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let options = RestoreOptions {
            schemas: strings(schemas),
            tables: strings(tables),
            ..RestoreOptions::default()
        };
        let error = select(&archive(), &options).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Usage, expected));
    }
}

#[test]
fn the_comment_that_marks_a_load_through_the_root_is_no_definition() {
    let mut entries = archive();
    entries[7].definition = Some("-- load via partition root app.p".to_owned());
    let wanted = select(&entries, &RestoreOptions::default()).unwrap();
    assert_eq!(wanted[7], Wanted { definition: false, data: true });
}
