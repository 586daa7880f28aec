//! Round trips and mutilations of a table of contents.

use super::*;
use crate::toc::settings::Settings;
use crate::toc::write::write;

fn sample() -> (Header, Vec<Entry>) {
    let header = Header {
        created: CalendarTime::from_unix_seconds(1_795_226_400),
        database: Some("shop".to_owned()),
        server_version: Some("15.18".to_owned()),
        dumped_by: None,
    };
    let mut table = Settings::default().entries([DumpId(1), DumpId(2), DumpId(3)])[0].clone();
    table.id = DumpId(7);
    table.address = Address::new(1259, 16_385);
    table.tag = "Größe \"x\"".to_owned();
    table.desc = "TABLE".to_owned();
    table.drop_statement = Some(String::new());
    table.schema = Some("public".to_owned());
    table.tablespace = Some(String::new());
    table.table_access_method = Some("heap".to_owned());
    table.owner = Some("postgres".to_owned());
    table.dependencies = vec![DumpId(1), DumpId(4_000_000)];
    let mut data = table.clone();
    data.id = DumpId(8);
    data.section = Section::Data;
    data.definition = None;
    data.copy_statement = Some("COPY public.x (a) FROM stdin;\n".to_owned());
    data.data_file = Some("public.x-00001.dat".to_owned());
    data.dependencies = Vec::new();
    let mut post = table.clone();
    post.id = DumpId(9);
    post.section = Section::PostData;
    let mut comment = table.clone();
    comment.id = DumpId(10);
    comment.section = Section::None;
    comment.tablespace = None;
    let mut entries = Settings::default().entries([DumpId(1), DumpId(2), DumpId(3)]).to_vec();
    entries.extend([table, data, post, comment]);
    (header, entries)
}

#[test]
fn what_was_written_is_read() {
    let (header, entries) = sample();
    assert_eq!(read(&write(&header, &entries)).unwrap(), (header, entries));
}

#[test]
fn an_archive_without_entries_is_read() {
    let bytes = write(&Header::default(), &[]);
    assert_eq!(read(&bytes).unwrap(), (Header::default(), Vec::new()));
}

#[test]
fn older_heads_lack_the_access_method() {
    // An entry of 1.13 is one of 1.14 without that field, and a field that is NULL is five bytes.
    let (header, mut entries) = sample();
    for entry in &mut entries {
        entry.table_access_method = None;
    }
    let one = std::slice::from_ref(&entries[3]);
    let mut bytes = write(&header, one);
    let owner = bytes.windows(8).rposition(|window| window == b"postgres").unwrap();
    bytes.drain(owner - 10..owner - 5);
    bytes[6] = 13;
    assert_eq!(read(&bytes).unwrap(), (header, one.to_vec()));
}

#[test]
fn every_truncation_is_an_error_that_says_where() {
    let (header, entries) = sample();
    let bytes = write(&header, &entries);
    for length in 0..bytes.len() {
        let error = read(&bytes[..length]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Archive, "cut to {length} bytes");
        assert!(error.message.contains("at byte"), "cut to {length} bytes: {error}");
        assert!(error.object.is_some(), "cut to {length} bytes: {error}");
    }
}

#[test]
fn bytes_behind_the_end_are_an_error() {
    let (header, entries) = sample();
    let mut bytes = write(&header, &entries);
    bytes.push(0);
    assert!(read(&bytes).unwrap_err().message.contains("behind the last entry"));
}

#[test]
fn no_changed_byte_makes_the_reader_panic_or_allocate_without_bound() {
    let (header, entries) = sample();
    let good = write(&header, &entries);
    for at in 0..good.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= mask;
            if let Ok((_, read)) = read(&bytes) {
                assert_eq!(read.len(), entries.len(), "byte {at} ^ {mask:#x}");
            }
        }
    }
}

#[test]
fn hostile_fields_are_refused() {
    type Change = fn(&mut Entry);
    let changes: [(Change, &str); 7] = [
        (|entry| entry.data_file = Some("../../etc/passwd".to_owned()), "not a plain file name"),
        (|entry| entry.data_file = Some("/etc/passwd".to_owned()), "not a plain file name"),
        (|entry| entry.data_file = Some("data/x.dat".to_owned()), "not a plain file name"),
        (|entry| entry.data_file = Some("..".to_owned()), "not a plain file name"),
        (|entry| entry.data_file = Some(String::new()), "contradicts"),
        (|entry| entry.tag = "a\0b".to_owned(), "zero byte"),
        (|entry| entry.id = DumpId(0), "not above 0"),
    ];
    for (change, expected) in changes {
        let (header, mut entries) = sample();
        change(&mut entries[4]);
        let error = read(&write(&header, &entries)).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(error.object.as_deref(), Some("toc.dat, entry 5 of 7"));
    }
}

#[test]
fn an_id_used_twice_is_refused() {
    let (header, mut entries) = sample();
    entries[4].id = entries[3].id;
    assert!(read(&write(&header, &entries)).unwrap_err().message.contains("used twice"));
}

#[test]
fn other_formats_and_versions_are_named() {
    let (header, entries) = sample();
    let good = write(&header, &entries);
    for (at, byte, expected) in [
        (0, b'X', "no PGDMP"),
        (6, 17, "1.17-0"),
        (5, 2, "2.14-0"),
        (8, 8, "size of integers"),
        (10, 1, "directory"),
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let error = read(&bytes).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
}
