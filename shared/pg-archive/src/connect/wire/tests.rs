use bytes::BytesMut;
use tokio::io::ReadBuf;

use super::backend::FromServer;
use super::frontend::{Taken, ToServer};
use super::*;

/// A message with a tag.
fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    message(Some(tag), body, &mut out).unwrap();
    out.to_vec()
}

fn data_row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(*value);
            }
        }
    }
    frame(b'D', &body)
}

fn row_description(name: &[u8]) -> Vec<u8> {
    frame(b'T', &[&[0, 1][..], name, &[0], &[0xE9; 18]].concat())
}

/// What the driver gets when bytes come in pieces of one size, and it reads pieces of another.
fn driver_gets(bytes: &[u8], comes: usize, reads: usize) -> (Vec<u8>, Option<String>) {
    let tag = CopyTag::default();
    let mut from_server = FromServer::new(tag.clone());
    let mut got = Vec::new();
    for piece in bytes.chunks(comes) {
        from_server.incoming.extend_from_slice(piece);
        loop {
            let mut space = vec![0; reads];
            let mut buffer = ReadBuf::new(&mut space);
            if !from_server.give(&mut buffer).unwrap() {
                break;
            }
            got.extend_from_slice(buffer.filled());
        }
    }
    (got, tag.take())
}

fn check(case: &str, from_server: &[Vec<u8>], expected: &[Vec<u8>], tag: Option<&str>) {
    let bytes = from_server.concat();
    for comes in [1, 2, 3, 5, 7, 64, bytes.len()] {
        for reads in [1, 4, 1000] {
            let (got, taken) = driver_gets(&bytes, comes, reads);
            assert_eq!(got, expected.concat(), "{case}, in pieces of {comes}, read by {reads}");
            assert_eq!(taken.as_deref(), tag, "{case}");
        }
    }
}

#[test]
fn texts_become_strings_and_all_else_passes() {
    let long = "x".repeat(300);
    let same = [
        frame(b'R', &[0, 0, 0, 0]),
        frame(b'S', b"server_encoding\0UTF8\0"),
        frame(b'K', &[0xFF; 8]),
        frame(b'Z', b"I"),
        row_description(b"name"),
        data_row(&[Some("naïve".as_bytes()), None, Some(long.as_bytes()), Some(b"")]),
        frame(b'C', b"SELECT 1\0"),
        frame(b'E', "SERROR\0Mà la fin\0\0".as_bytes()),
        // What has not the form that it should have is the driver's to refuse.
        frame(b'D', b"\xe9"),
        frame(b'T', b"\0\x01\xe9"),
        frame(b'E', b"\xe9"),
    ];
    check("as they are", &same, &same, None);
    let e = "\u{10FFE9}".as_bytes();
    check(
        "not UTF-8",
        &[
            data_row(&[Some(b"caf\xe9"), None, Some(b"\xe9")]),
            row_description(b"\xe9"),
            frame(b'E', b"SERROR\0M\xe9\0\0"),
            frame(b'N', b"M\xe9\0\0"),
            frame(b'S', b"a\0\xe9\0"),
            frame(b'A', b"\xff\xff\xff\xffa\0\xe9\0"),
            frame(b'd', b"\xe9\n"),
        ],
        &[
            data_row(&[Some(&[b"caf", e].concat()), None, Some(e)]),
            row_description(e),
            frame(b'E', &[b"SERROR\0M", e, b"\0\0"].concat()),
            frame(b'N', &[b"M", e, b"\0\0"].concat()),
            frame(b'S', &[b"a\0", e, b"\0"].concat()),
            frame(b'A', &[b"\xff\xff\xff\xffa\0", e, b"\0"].concat()),
            frame(b'd', b"\xe9\n"),
        ],
        None,
    );
}

#[test]
fn a_copy_ends_when_the_server_has_said_how() {
    let (start, row, done) = (frame(b'H', b"\0\0\0"), frame(b'd', b"1\n"), frame(b'c', b""));
    let (end, ready, notice) = (frame(b'C', b"COPY 2\0"), frame(b'Z', b"I"), frame(b'N', b"Mx\0\0"));
    let error = frame(b'E', b"SERROR\0Cxx\0Mlate\0\0");
    let copy = |rest: &[&Vec<u8>]| {
        let mut messages = vec![start.clone(), row.clone(), row.clone()];
        messages.extend(rest.iter().map(|message| (*message).clone()));
        messages
    };
    let whole = copy(&[&done, &end, &ready]);
    check("whole", &whole, &whole, Some("COPY 2"));
    check("only begun to end", &copy(&[&done]), &copy(&[]), None);
    check("an error behind the end", &copy(&[&done, &error, &ready]), &copy(&[&error, &ready]), None);
    check(
        "a notice in between",
        &copy(&[&done, &notice, &end]),
        &copy(&[&notice, &done, &end]),
        Some("COPY 2"),
    );
    check("no tag", &copy(&[&done, &ready]), &copy(&[&done, &ready]), None);
    check(
        "rows behind the end come before it",
        &copy(&[&done, &row, &end]),
        &copy(&[&row, &done, &end]),
        Some("COPY 2"),
    );
    check(
        "a tag of the COPY before",
        &[copy(&[&done, &end, &ready]), copy(&[&done, &ready])].concat(),
        &[copy(&[&done, &end, &ready]), copy(&[&done, &ready])].concat(),
        None,
    );
    let (got, tag) =
        driver_gets(&[frame(b'H', b"\0\0\0"), frame(b'd', &vec![b'x'; 300_000])].concat(), 65_536, 8192);
    assert_eq!((got.len(), tag), (8 + 300_005, None));
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    for length in [[0, 0, 0, 3], [0x80, 0, 0, 0]] {
        let mut from_server = FromServer::new(CopyTag::default());
        from_server.incoming.extend_from_slice(&[&b"d"[..], &length].concat());
        let mut space = [0; 10];
        assert!(from_server.give(&mut ReadBuf::new(&mut space)).is_err());
    }
}

/// What the server gets when the driver writes pieces of a size, of which the socket takes a part each time.
fn server_gets(
    messages: &[u8],
    writes: usize,
    socket_takes: usize,
    encoding: Option<&'static str>,
) -> Vec<u8> {
    let mut to_server = ToServer::new(encoding);
    let mut got = Vec::new();
    for piece in messages.chunks(writes) {
        let mut rest = piece;
        while !rest.is_empty() {
            got.extend(to_server.translated.split());
            match to_server.take(rest).unwrap() {
                Taken::Translated(taken) => rest = &rest[taken..],
                Taken::Passes(length) => {
                    let taken = length.min(socket_takes);
                    got.extend_from_slice(&rest[..taken]);
                    to_server.passed(taken);
                    rest = &rest[taken..];
                }
            }
        }
    }
    got.extend(to_server.translated.split());
    got
}

#[test]
fn statements_get_their_bytes_back_and_the_start_its_encoding() {
    let startup = |encoding: &str, user: &[u8]| {
        let body =
            [b"\0\x03\0\0client_encoding\0", encoding.as_bytes(), b"\0user\0", user, b"\0a\0\0\0"].concat();
        let mut out = BytesMut::new();
        message(None, &body, &mut out).unwrap();
        out.to_vec()
    };
    let e = "\u{10FFE9}".as_bytes();
    let sent = [
        startup("UTF8", e),
        frame(b'p', "\u{10FFE9}\0".as_bytes()),
        frame(b'Q', &[b"SELECT '", e, b"';\0"].concat()),
        frame(b'Q', "SELECT 'naïve';\0".as_bytes()),
        frame(b'P', &[b"s0\0COPY ", e, b" TO STDOUT\0\0\x01\xf4\x8f\xbf\xbf"].concat()),
        frame(b'd', e),
        frame(b'd', &vec![b'x'; 5000]),
        frame(b'c', b""),
        frame(b'X', b""),
    ]
    .concat();
    for (encoding, begins_with) in [(None, "UTF8"), (Some("SQL_ASCII"), "SQL_ASCII")] {
        let expected = [
            startup(begins_with, b"\xe9"),
            frame(b'p', "\u{10FFE9}\0".as_bytes()),
            frame(b'Q', b"SELECT '\xe9';\0"),
            frame(b'Q', "SELECT 'naïve';\0".as_bytes()),
            frame(b'P', b"s0\0COPY \xe9 TO STDOUT\0\0\x01\xf4\x8f\xbf\xbf"),
            frame(b'd', e),
            frame(b'd', &vec![b'x'; 5000]),
            frame(b'c', b""),
            frame(b'X', b""),
        ]
        .concat();
        for writes in [1, 2, 3, 6, 100, sent.len()] {
            for socket_takes in [1, 7, 8192] {
                assert_eq!(
                    server_gets(&sent, writes, socket_takes, encoding),
                    expected,
                    "{writes}, {socket_takes}"
                );
            }
        }
    }
}
