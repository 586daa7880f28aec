//! `restore --replace`: a live database is replaced while clients write to it, and a run that is killed at any step leaves
//! a state that the next run tells, and finishes or undoes.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pg_archive::connect::Target;
use pg_archive::restore::Silent;
use pg_archive::session::Session;
use pgark::app::App;
use pgark::jobs::restore::{Replacing, Restore, Step};
use pgark_tests::postgres::Database;
use pgark_tests::{Postgres, eventually, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::text::Text;
use crate::vault::Vault;

const SOON: Duration = Duration::from_mins(1);

/// What is in the backup.
const CONTENT: &str = "
    create table version (v text); insert into version values ('backup');
    create table items (id integer primary key, v text);
    insert into items select i, repeat('x', 200) from generate_series(1, 3000) i;
    create index items_v on items (v);
    create table written (at timestamptz default clock_timestamp());
    create view last as select max(id) from items;
    comment on table items is 'items'";

/// What became of it since, so that it can be told from the backup; and what must survive a replacement.
const LATER: &str = "
    update version set v = 'live'; delete from items where id > 100; drop index items_v; create table mistake (i integer);
    do $$ begin create role pgark_replace; exception when duplicate_object or unique_violation then null; end $$;
    do $$ begin
        execute format('alter database %I owner to pgark_replace', current_database());
        execute format('alter database %I set work_mem to ''7MB''', current_database());
        execute format('alter database %I set search_path to public, \"$user\"', current_database());
        execute format('alter role pgark_replace in database %I set statement_timeout to ''5min''', current_database());
        execute format('revoke connect on database %I from public', current_database());
        execute format('grant connect on database %I to pgark_replace', current_database());
        execute format('comment on database %I is %L', current_database(), 'the shop''s {comment}');
    end $$";

/// Owner, privileges, settings and comment of a database, its name left out.
fn character(server: &Postgres, name: &str) -> anyhow::Result<String> {
    server.psql(&format!(
        "select pg_get_userbyid(datdba), datacl, datconnlimit, datallowconn, shobj_description(d.oid, 'pg_database'),
                (select string_agg(coalesce(r.rolname, '') || s.setconfig::text, ' ' order by r.rolname nulls first)
                 from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole where s.setdatabase = d.oid)
         from pg_database d where datname = '{name}'"
    ))
}

/// A live database whose backup is in a vault.
struct Shop {
    live: Database<'static>,
    vault: Vault,
    backup: Text,
    /// What the live database is like.
    character: String,
}

impl Shop {
    fn new(major: u32) -> anyhow::Result<Self> {
        let live = Postgres::shared(major)?.create_database("shop")?;
        live.query(CONTENT)?;
        let vault = Vault::new()?;
        vault.backup(&live.url(), &[])?;
        let backup = Text::of(&live.url())?;
        live.query(LATER)?;
        let character = character(live.server(), live.name())?;
        Ok(Self { live, vault, backup, character })
    }

    /// Waits until no run holds the lock any more: a session that was left ends a moment later.
    fn is_unlocked(&self) -> Result {
        let sql = format!(
            "select pg_try_advisory_xact_lock(hashtextextended('pgark restore --replace {}', 0))",
            self.live.name()
        );
        wait_until(SOON, "the lock is free", || self.live.server().psql(&sql).is_ok_and(|free| free == "t"))
    }

    /// The other databases that a replacement made or kept.
    fn others(&self, kind: &str) -> anyhow::Result<Vec<String>> {
        let (server, name) = (self.live.server(), self.live.name());
        let sql = format!(
            "select datname from pg_database where datname like '{name}\\_pgark\\_{kind}%' order by 1"
        );
        Ok(server.psql(&sql)?.lines().map(str::to_owned).collect())
    }

    fn version(&self) -> anyhow::Result<String> {
        self.live.query("select v from version")
    }

    /// What came after the backup is gone, and the rest is as it was.
    fn is_backup(&self) -> Result {
        self.backup.must_equal(&Text::of(&self.live.url())?)?;
        assert_eq!(character(self.live.server(), self.live.name())?, self.character);
        Ok(())
    }

    fn replace(&self) -> Vec<String> {
        let words = ["restore", "latest", "--to", &self.live.url(), "--replace", "--yes", "--jobs", "2"];
        words.map(str::to_owned).to_vec()
    }

    fn run(&self) -> anyhow::Result<serde_json::Value> {
        let words = self.replace();
        self.vault.run(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[])
    }

    fn refused(&self) -> anyhow::Result<(i32, serde_json::Value)> {
        let words = self.replace();
        self.vault.refused(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        for kind in ["new", "old", "undone"] {
            for name in self.others(kind).unwrap_or_default() {
                let _ = self.live.server().psql(&format!("drop database if exists \"{name}\" with (force)"));
            }
        }
    }
}

/// A client that writes, and connects again when it is cut off. It fails if it ever sees anything but the live database as
/// it was, or the backup as a whole.
struct Client {
    stop: Arc<AtomicBool>,
    seen_live: Arc<AtomicU64>,
    seen_backup: Arc<AtomicU64>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Client {
    fn start(url: &str) -> anyhow::Result<Self> {
        let target = Target::parse(url, |_| None).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let (stop, seen_live, seen_backup) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let client = (Arc::clone(&stop), Arc::clone(&seen_live), Arc::clone(&seen_backup));
        let running = tokio::spawn(async move {
            let (stop, live, backup) = client;
            while !stop.load(Ordering::Relaxed) {
                // Turned away, as in the midst of the change of names: it tries again.
                let Ok(session) = Session::open(&target).await else { continue };
                while !stop.load(Ordering::Relaxed) {
                    let sql = "insert into written default values; \
                               select (select v from version) || ' ' || (select count(*) from items) || ' ' || \
                               (select count(*) from pg_indexes where schemaname = 'public') || ' ' || \
                               coalesce(to_regclass('mistake')::text, 'none') as state";
                    let rows = match session.rows(sql).await {
                        Ok(rows) => rows,
                        Err(error) if error.kind == pg_archive::ErrorKind::ConnectionLost => break,
                        Err(error) => anyhow::bail!("a client saw {error}"),
                    };
                    match rows[0].text("state")? {
                        "live 100 1 mistake" => live.fetch_add(1, Ordering::Relaxed),
                        "backup 3000 2 none" => backup.fetch_add(1, Ordering::Relaxed),
                        other => anyhow::bail!("a client saw {other:?}"),
                    };
                }
            }
            Ok(())
        });
        Ok(Self { stop, seen_live, seen_backup, running })
    }

    async fn sees(&self, backup: bool) -> Result {
        let seen = if backup { &self.seen_backup } else { &self.seen_live };
        let before = seen.load(Ordering::Relaxed);
        let what = if backup { "the client sees the backup" } else { "the client sees the live database" };
        eventually(SOON, what, async || {
            seen.load(Ordering::Relaxed) > before + 3 || self.running.is_finished()
        })
        .await?;
        ensure!(!self.running.is_finished(), "the client has ended");
        Ok(())
    }

    async fn end(self) -> Result {
        self.stop.store(true, Ordering::Relaxed);
        self.running.await?
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_write_see_one_whole_database_or_the_other() -> Result {
    for major in [13, 18] {
        let shop = Shop::new(major)?;
        let clients = [Client::start(&shop.live.url())?, Client::start(&shop.live.url())?];
        for client in &clients {
            client.sees(false).await?;
        }
        let report = shop.run()?;
        for client in &clients {
            client.sees(true).await?;
        }
        // The way back, as it was printed, under the same clients; and the statements afterwards work again.
        let way_back = report["replaced"]["way_back"].as_array().context("no way back")?;
        let way_back: Vec<&str> = way_back.iter().filter_map(serde_json::Value::as_str).collect();
        shop.live.server().psql(&way_back.join("\n"))?;
        for client in &clients {
            client.sees(false).await?;
        }
        assert_eq!(character(shop.live.server(), shop.live.name())?, shop.character);
        assert_eq!(shop.run()?["comparison"]["differences"], serde_json::json!([]));
        for client in clients {
            client.sees(true).await?;
            client.end().await?;
        }
        // What the clients wrote since is all that differs.
        shop.live.query("truncate written")?;
        shop.is_backup()?;
        let former = shop.others("old")?;
        assert_eq!((former.len(), shop.others("undone")?.len(), shop.others("new")?.len()), (1, 1, 0));
        // Nobody writes into the former one by mistake, and nothing of it is lost.
        let server = shop.live.server();
        assert!(server.psql(&format!("\\c {}", former[0])).is_err());
        server.psql(&format!("alter database {} allow_connections true", former[0]))?;
        assert_eq!(server.psql(&format!("\\c {}\nselect v from version", former[0]))?, "live");
    }
    Ok(())
}

async fn begin(app: &App, url: &str) -> anyhow::Result<Replacing> {
    let job =
        Restore { backup: "latest".to_owned(), to: url.to_owned(), replace: true, ..Restore::default() };
    let prepared = job.prepare(app).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    Replacing::begin(prepared, app).await.map_err(|error| anyhow::anyhow!("{error}"))
}

/// Runs so many steps, and then goes away without another word, as a process does that is killed.
async fn killed_after(app: &App, url: &str, steps: usize) -> anyhow::Result<Vec<Step>> {
    let mut replacing = begin(app, url).await?;
    let mut done = Vec::new();
    while let Some(step) = replacing.next().filter(|_| done.len() < steps) {
        let stop = CancellationToken::new();
        replacing
            .step(app, Arc::new(Silent), &stop)
            .await
            .map_err(|error| anyhow::anyhow!("{step:?}: {error}"))?;
        done.push(step);
    }
    Ok(done)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_after_any_step_is_finished_or_undone_by_the_next() -> Result {
    let all = [Step::Create, Step::Mark, Step::Restore, Step::Compare, Step::MarkReady, Step::Swap];
    for steps in 0..=all.len() {
        let shop = Shop::new(17)?;
        let app = shop.vault.app().await?;
        let done = Box::pin(killed_after(&app, &shop.live.url(), steps)).await?;
        assert_eq!(done, all[..steps]);
        shop.is_unlocked()?;
        let context = || format!("killed after {:?}", done.last());
        let expected = if steps == all.len() { "backup" } else { "live" };
        assert_eq!(shop.version()?, expected, "{}", context());
        if steps == all.len() {
            let (exit, error) = shop.refused()?;
            let text = error.to_string();
            assert!(exit == 1 && text.contains("already") && text.contains("nothing left to do"), "{text}");
        } else {
            let report = shop.run().with_context(context)?;
            let words = report["warnings"].to_string();
            let expected = match steps {
                0 => None,
                1 => Some("made it and went no further; it is dropped"),
                2..=4 => Some("left it with a part of backup"),
                _ => Some("restored this backup into it; it is used"),
            };
            assert_eq!(words.contains("found "), expected.is_some(), "{}: {words}", context());
            assert!(expected.is_none_or(|expected| words.contains(expected)), "{}: {words}", context());
            // What was ready needed no restore.
            assert_eq!(report["rows"] == 0, steps == 5, "{}: {report}", context());
        }
        shop.is_backup().with_context(context)?;
        assert_eq!((shop.others("new")?.len(), shop.others("old")?.len()), (0, 1), "{}", context());
    }
    Ok(())
}

#[test]
fn a_process_that_is_killed_while_it_restores_leaves_the_live_database_alone() -> Result {
    let shop = Shop::new(16)?;
    let words = shop.replace();
    let mut command = shop.vault.pgark(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[])?;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let marked = format!(
        "select count(*) from pg_database where datname like '{}\\_pgark\\_new%'
         and shobj_description(oid, 'pg_database') like '%holds a part%'",
        shop.live.name()
    );
    wait_until(SOON, "the new database is marked", || {
        shop.live.server().psql(&marked).is_ok_and(|count| count == "1")
    })?;
    child.kill()?; // SIGKILL
    child.wait()?;
    shop.is_unlocked()?;
    assert_eq!(shop.version()?, "live");
    let report = shop.run()?;
    assert!(report["warnings"].to_string().contains("left it with a part of backup"), "{report}");
    shop.is_backup()
}

/// A backup that cannot be restored, for its rows do not satisfy a constraint: the live database stays, and its disk is not
/// filled with what is half restored.
#[test]
fn a_restore_that_fails_leaves_the_live_database_and_nothing_else() -> Result {
    let shop = Shop::new(17)?;
    let broken = shop.live.server().create_database("broken")?;
    broken.query(
        "create table a (id integer primary key); create table b (id integer);
         alter table b add foreign key (id) references a not valid;
         set session_replication_role = replica; insert into b values (2);
         update pg_constraint set convalidated = true where contype = 'f'",
    )?;
    let vault = Vault::new()?;
    vault.backup(&broken.url(), &[])?;
    let before = Text::of(&shop.live.url())?;
    let words = shop.replace();
    let (exit, error) = vault.refused(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    let text = error.to_string();
    assert!(exit == 1 && text.contains("FK CONSTRAINT public.b b_id_fkey"), "{text}");
    assert!(text.contains("is as it was, and the half restored one was dropped"), "{text}");
    assert_eq!((shop.others("new")?.len(), shop.others("old")?.len()), (0, 0));
    before.must_equal(&Text::of(&shop.live.url())?)
}

#[test]
fn what_would_lose_something_is_refused() -> Result {
    let shop = Shop::new(15)?;
    let url = shop.live.url();
    let before = Text::of(&url)?;
    // Nobody is there to type the name.
    let (exit, error) = shop.vault.refused(&["restore", "latest", "--to", &url, "--replace"])?;
    assert!(
        exit == 2 && error["message"].as_str().is_some_and(|text| text.contains("nobody to ask")),
        "{error}"
    );
    for flags in
        [&["--clean"][..], &["--create", "x"], &["--table", "items"], &["--schema-only"], &["--no-owner"]]
    {
        let words = [&["restore", "latest", "--to", &url, "--replace", "--yes"], flags].concat();
        let (exit, error) = shop.vault.refused(&words)?;
        assert!(exit == 2 && error["code"] == "usage.invalid", "{flags:?}: {error}");
    }
    let partial = Vault::new()?;
    partial.backup(&url, &["--exclude-table", "mistake"])?;
    let (exit, error) = partial.refused(&["restore", "latest", "--to", &url, "--replace", "--yes"])?;
    assert!(
        exit == 1 && error["message"].as_str().is_some_and(|text| text.contains("--exclude-table")),
        "{error}"
    );
    assert_eq!((shop.others("new")?.len(), shop.others("old")?.len()), (0, 0));
    before.must_equal(&Text::of(&url)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_do_not_meet_and_strange_databases_are_left_alone() -> Result {
    let shop = Shop::new(14)?;
    let app = shop.vault.app().await?;
    let first = begin(&app, &shop.live.url()).await?;
    let (exit, error) = shop.refused()?;
    assert!(
        exit == 1 && error["message"].as_str().is_some_and(|text| text.contains("another run")),
        "{error}"
    );
    drop(first);
    shop.is_unlocked()?;
    // Of our name, and with something in it: somebody must look.
    let strange = format!("{}_pgark_new_20260101t000000z", shop.live.name());
    let strange = shop.live.server().create_database_named(&strange, "")?;
    strange.query("create table precious (i integer)")?;
    let (exit, error) = shop.refused()?;
    assert!(exit == 1 && error["message"].as_str().is_some_and(|text| text.contains("not empty")), "{error}");
    assert_eq!(strange.query("select count(*) from precious")?, "0");
    strange.query("drop table precious")?;
    drop(strange);
    shop.run()?;
    shop.is_backup()
}
