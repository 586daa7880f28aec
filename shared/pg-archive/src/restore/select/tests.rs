//! What is restored of a small archive, by options.

use super::*;
use crate::restore::entry_for_tests;
use crate::restore::present::Present;

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
        if *desc == "ENCODING" {
            entry.definition = Some("SET client_encoding = 'LATIN1';\n".to_owned());
        }
        if *desc == "INDEX" {
            entry.definition = Some("CREATE INDEX t_index ON app.t USING btree (i);\n".to_owned());
        }
        entry
    });
    entries.collect()
}

fn selected(options: &RestoreOptions) -> Vec<usize> {
    let wanted = select(&archive(), options).unwrap().wanted;
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
        ("one table", with(|o| o.tables = vec!["t".to_owned()]), &[3, 4, 5, 8, 11, 12]),
        ("without a table", with(|o| o.exclude_tables = vec!["t".to_owned()]), &[2, 6, 7, 9, 10, 13]),
        ("without a schema", with(|o| o.exclude_schemas = vec!["app".to_owned()]), &[6, 7, 9, 10, 13]),
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

/// Two tables with a foreign key, partitions, an owned sequence, a view, and what they need: ids are the places, from 1.
fn shop() -> Vec<Entry> {
    let pre = Section::PreData;
    let rows: [Row; 19] = [
        ("SCHEMA", "app", pre, None, false, &[]),
        ("TYPE", "state", pre, Some("app"), false, &[1]),
        ("COMMENT", "TYPE state", Section::None, Some("app"), false, &[2]),
        ("FUNCTION", "f()", pre, Some("app"), false, &[1]),
        ("TABLE", "orders", pre, Some("app"), false, &[1, 2]),
        ("SEQUENCE", "orders_id_seq", pre, Some("app"), false, &[1, 5]),
        ("SEQUENCE OWNED BY", "orders_id_seq", pre, Some("app"), false, &[6]),
        ("TABLE", "buyers", pre, Some("app"), false, &[1]),
        ("TABLE", "orders_1", pre, Some("app"), false, &[1, 5]),
        ("TABLE ATTACH", "orders_1", pre, Some("app"), false, &[5, 9]),
        ("VIEW", "late", pre, Some("app"), false, &[5]),
        ("TABLE DATA", "orders_1", Section::Data, Some("app"), true, &[9]),
        ("TABLE DATA", "buyers", Section::Data, Some("app"), true, &[8]),
        ("SEQUENCE SET", "orders_id_seq", Section::Data, Some("app"), false, &[6]),
        ("CONSTRAINT", "buyers buyers_pkey", Section::PostData, Some("app"), false, &[8]),
        ("FK CONSTRAINT", "orders to_buyers", Section::PostData, Some("app"), false, &[5, 8, 15]),
        ("COMMENT", "CONSTRAINT to_buyers ON orders", Section::None, Some("app"), false, &[16]),
        ("TRIGGER", "orders checked", Section::PostData, Some("app"), false, &[5, 4]),
        ("POLICY", "orders own", Section::PostData, Some("app"), false, &[5]),
    ];
    let entries = rows.iter().zip(1..).map(|((desc, tag, section, schema, data, after), id)| {
        let mut entry = entry_for_tests(id, desc, tag, *section, after);
        entry.schema = schema.map(str::to_owned);
        entry.drop_statement = Some("DROP …".to_owned());
        entry.data_file = data.then(|| format!("{tag}.dat"));
        entry
    });
    entries.collect()
}

/// What is restored, brought along, left out and lacking: tables, excluded tables, what the target has.
fn completed(tables: &[&str], excluded: &[&str], present: Present) -> [Vec<usize>; 4] {
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let options = RestoreOptions {
        tables: strings(tables),
        exclude_tables: strings(excluded),
        present: Some(present),
        ..RestoreOptions::default()
    };
    let Selection { wanted, needed, .. } = select(&shop(), &options).unwrap();
    let first = |pairs: Vec<(usize, usize)>| pairs.into_iter().map(|(index, _)| index + 1).collect();
    [
        (1..).zip(wanted).filter_map(|(id, wanted)| wanted.anything().then_some(id)).collect(),
        needed.brought.into_iter().map(|index| index + 1).collect(),
        first(needed.left_out),
        first(needed.lacking),
    ]
}

#[test]
fn a_table_comes_whole_and_with_what_it_needs() {
    let none = || Vec::new();
    // Into an empty database: the schema, the type and the function come along, the foreign key has to stay away.
    let orders = [1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 14, 18, 19];
    assert_eq!(
        completed(&["orders"], &[], Present::in_new_database()),
        [orders.to_vec(), vec![1, 2, 4], vec![16], none()]
    );
    // Into one that has the rest.
    let rest = Present::of(&[
        ("SCHEMA", "", "app"),
        ("type", "app", "state"),
        ("routine", "app", "f()"),
        ("relation", "app", "buyers"),
    ]);
    let with_key = vec![5, 6, 7, 9, 10, 12, 14, 16, 17, 18, 19];
    assert_eq!(completed(&["app.orders"], &[], rest), [with_key, none(), none(), none()]);
    // With the table that it refers to, the key is there too.
    let [wanted, _, left_out, lacking] = completed(&["orders", "buyers"], &[], Present::in_new_database());
    assert!(wanted.contains(&16) && wanted.contains(&17) && left_out.is_empty() && lacking.is_empty());
}

#[test]
fn what_cannot_be_made_is_named() {
    let [_, _, left_out, lacking] = completed(&["late"], &[], Present::in_new_database());
    assert_eq!((left_out, lacking), (vec![], vec![11]));
    // A view of what is left out, and a foreign key to it.
    let [_, _, left_out, lacking] = completed(&[], &["orders"], Present::in_new_database());
    assert_eq!((left_out, lacking), (vec![], vec![11]));
    let [wanted, brought, left_out, lacking] = completed(&[], &["buyers"], Present::in_new_database());
    assert_eq!((brought, left_out, lacking), (vec![], vec![16], vec![]));
    assert!(!wanted.contains(&17) && !wanted.contains(&13) && wanted.contains(&11));
    // A sequence alone is, too, and belongs to nobody.
    let [wanted, _, left_out, lacking] = completed(&["orders_id_seq"], &[], Present::in_new_database());
    assert_eq!((wanted, left_out, lacking), (vec![1, 6, 14], vec![7], vec![]));
    // A partition alone is a table of its own.
    let [wanted, _, left_out, lacking] = completed(&["orders_1"], &[], Present::in_new_database());
    assert_eq!((wanted, left_out, lacking), (vec![1, 9, 12], vec![10], vec![]));
}

#[test]
fn the_comment_that_marks_a_load_through_the_root_is_no_definition() {
    let mut entries = archive();
    entries[7].definition = Some("-- load via partition root app.p".to_owned());
    let wanted = select(&entries, &RestoreOptions::default()).unwrap().wanted;
    assert_eq!(wanted[7], Wanted { definition: false, data: true });
}

/// Names are given in the characters that people read, whatever bytes they are in the archive.
#[test]
fn patterns_are_for_what_people_read() {
    let mut entries = archive();
    entries[5].tag = crate::raw_text::decode(b"gr\xf6\xdfe").into_owned();
    let options = RestoreOptions { tables: vec!["größe".to_owned()], ..RestoreOptions::default() };
    assert!(select(&entries, &options).unwrap().wanted[5].anything());
}
