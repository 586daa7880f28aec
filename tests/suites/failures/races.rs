//! Backups beside others who change the database without a pause, one kind of change at a time, and `pg_dump` beside
//! them: pgark fails no more often, and what it finished is whole and can be restored.
//!
//! `PGARK_TEST_RACE_ROUNDS` is the number of backups beside each kind. Each tenth of them is restored, and the last one:
//!
//!     PGARK_TEST_RACE_ROUNDS=100 cargo test -p pgark-tests --test failures races:: -- --nocapture --test-threads 1

use std::io::Write as _;
use std::process::{Child, Stdio};

use pgark_tests::postgres::{client, dump_text};
use pgark_tests::{Postgres, wait_until};
use serde_json::json;

use super::place::Place;
use super::program::Pgark;
use super::source::Source;
use super::{Result, SOON};

const ROUNDS: u32 = 4;
const RESTORED_EVERY: u32 = 10;

fn rounds() -> u32 {
    std::env::var("PGARK_TEST_RACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// What stays as it is, whatever happens beside it.
const KEPT: &str = "create table kept as select n as id, md5(n::text) as text from generate_series(1, 500) n;
    create unique index kept_id on kept (id); create function stays() returns int language sql as 'select 7';
    create view kept_seen as select * from kept;
    create table turned as select generate_series(1, 100) as i; create index turned_i on turned (i);";

/// Somebody who runs the same statements again and again.
struct Stream {
    psql: Child,
}

impl Stream {
    fn start(source: &Source<'_>, sql: &str) -> Result<Self> {
        let mut psql = client("psql")?
            .args(["-Xq", "--dbname", &source.url()])
            .env("PGAPPNAME", "stream")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let (mut input, sql) = (psql.stdin.take().expect("was piped"), sql.to_owned());
        // Ends when psql does.
        std::thread::spawn(move || {
            (0..)
                .map_while(|turn: u64| writeln!(input, "{}", sql.replace("{turn}", &turn.to_string())).ok())
                .count()
        });
        let busy = "select 1 from pg_stat_activity where datname = current_database() and application_name = 'stream'
                    and query <> ''";
        wait_until(SOON, "the stream flows", || source.query(busy).is_ok_and(|rows| rows.starts_with('1')))?;
        Ok(Self { psql })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

/// Backs up beside a stream, and compares with `pg_dump`.
#[allow(clippy::print_stdout)] // whoever runs many rounds wants the numbers
fn race(name: &str, prepare: &str, sql: &str) -> Result {
    let source = Source::with(KEPT)?;
    source.query(prepare)?;
    let stream = Stream::start(&source, sql)?;
    let place = Place::folder()?;
    let (mut ours, mut theirs) = (Vec::new(), 0);
    for round in 1..=rounds() {
        let ended = source.backup(&place)?.run()?;
        match ended.done() {
            Ok(report) => {
                assert!(report["rows"].as_u64() >= Some(600), "{name}: {report}");
                if round % RESTORED_EVERY == 0 || round == rounds() {
                    comes_back(name, &place)?;
                }
            }
            Err(error) => ours.push(error.to_string()),
        }
        theirs += u32::from(dump_text(&source.url(), &[]).is_err());
    }
    drop(stream);
    println!("{name}: of {} backups, pgark failed {}, pg_dump {theirs} {ours:?}", rounds(), ours.len());
    assert!(ours.len() as u64 <= u64::from(theirs), "{name}: pg_dump failed {theirs} times: {ours:#?}");
    Ok(())
}

/// Restores the newest backup, with all that does not change.
fn comes_back(name: &str, place: &Place) -> Result {
    let target = Postgres::shared(17)?.create_database("raced")?;
    let restore = Pgark::new(["restore", "latest", "--to", &target.url(), "--json"])?;
    restore.set_all(place.variables()).run()?.done()?;
    let sql = "select count(*), count(distinct text), stays(), (select count(*) from kept_seen),
               to_regclass('kept_id') is not null, (select count(*) from turned) from kept";
    assert_eq!(target.query(sql)?, "500|500|7|500|t|100", "{name}");
    assert_eq!(
        json!(target.query("select count(*) from pg_index where not indisvalid")?),
        json!("0"),
        "{name}"
    );
    Ok(())
}

macro_rules! races {
    ($($name:ident: $prepare:literal, $sql:literal;)*) => { $(
        #[test]
        fn $name() -> Result {
            race(stringify!($name), $prepare, $sql)
        }
    )* };
}

races! {
    create_index_concurrently: "",
        "create index concurrently more on turned (i); drop index concurrently more;";
    reindex_concurrently: "",
        "reindex index concurrently turned_i;";
    functions: "",
        "create function f(a int default 1) returns int language sql as 'select a'; drop function f(int);";
    functions_replaced: "create function g() returns int language sql as 'select 1'",
        "create or replace function g() returns int language sql as 'select {turn}';";
    tables: "",
        "create table t (i int primary key); insert into t values (1); drop table t;";
    views: "",
        "create view v as select * from kept; create or replace view v as select *, 1 as more from kept; drop view v;";
    types: "create type mood as enum ('good')",
        "alter type mood add value if not exists 'm{turn}'; create type pair as (a int, b int); drop type pair;";
    truncated: "",
        "begin; truncate turned; insert into turned select generate_series(1, 100); commit;";
    rewritten: "",
        "alter table turned alter i type bigint; alter table turned alter i type int;";
    vacuumed_full: "",
        "vacuum full turned;";
    triggers: "create function t() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger t before insert on turned for each row execute function t(); drop trigger t on turned;";
}
