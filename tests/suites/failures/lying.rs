//! Backups whose rows something on the way changes: what the server says at the end of a COPY is held against what came.

use anyhow::Context as _;
use pgark_tests::{Lie, Message, MessageProxy, Postgres};

use super::Result;
use super::place::Place;
use super::source::{Source, backup_through};

/// The place in the COPY at which each case lies.
const AT: u64 = 500;

fn is(rows: u64, message: &Message) -> bool {
    rows == AT && message.tag == b'd'
}

const CASES: [(&str, Lie, Option<&str>); 8] = [
    ("nothing", |_, message| vec![message], None),
    (
        "an early end",
        |rows, message| match message.tag {
            b'd' if rows >= AT => vec![],
            _ => vec![message],
        },
        Some("the server sent 1000 rows, and 500 arrived"),
    ),
    (
        "a CopyDone in the midst of the rows",
        |rows, message| match message.tag {
            b'd' if rows == AT => vec![Message::new(b'c', b""), message],
            b'd' if rows > AT => vec![],
            b'c' => vec![],
            _ => vec![message],
        },
        Some("the server sent 1000 rows, and 501 arrived"),
    ),
    (
        "a row less",
        |rows, message| if is(rows, &message) { vec![] } else { vec![message] },
        Some("the server sent 1000 rows, and 999 arrived"),
    ),
    (
        "a row twice",
        |rows, message| if is(rows, &message) { vec![message.clone(), message] } else { vec![message] },
        Some("the server sent 1000 rows, and 1001 arrived"),
    ),
    (
        "an error behind the end of the rows",
        |_, message| match message.tag {
            b'C' => {
                vec![Message::new(b'E', b"SERROR\0VERROR\0CXX001\0Mthe heap is damaged\0HLook at it.\0\0")]
            }
            _ => vec![message],
        },
        Some("the heap is damaged (SQLSTATE XX001)"),
    ),
    (
        "no count",
        |_, message| match message.tag {
            b'C' => vec![Message::new(b'C', b"COPY\0")],
            _ => vec![message],
        },
        Some("1000 rows arrived, and the server did not say how many it sent"),
    ),
    (
        "the mark for the end of all rows",
        |rows, message| {
            if is(rows, &message) { vec![Message::new(b'd', b"\\.\n")] } else { vec![message] }
        },
        Some("a row came that is the mark for the end of all rows"),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_whole_fails_the_backup() -> Result {
    let server = Postgres::shared(17)?;
    let source = Source::on(
        server,
        "create table public.thousand (n int, t text);
         insert into public.thousand select n, repeat('x', n) from generate_series(1, 1000) n;",
    )?;
    for (case, lie, expected) in CASES {
        let context = || format!("case: {case}");
        let place = Place::folder()?;
        let proxy = MessageProxy::start(([127, 0, 0, 1], server.port()).into(), lie).await?;
        let [from, to] = [server.port(), proxy.address().port()].map(|port| format!(":{port}/"));
        let url = format!("{}?sslmode=disable", source.url().replace(&from, &to));
        let ended = backup_through(&url, &place)?.run()?;
        match expected {
            None => drop(ended.done().with_context(context)?),
            Some(words) => {
                let code =
                    if words.contains("SQLSTATE") { "postgres.statement" } else { "postgres.protocol" };
                ended.failed(1, code, &["table public.thousand", words]).with_context(context)?;
                place.is_untouched()?;
            }
        }
    }
    source.is_left_alone()
}
