//! Definitions that PostgreSQL tells in other words once it has read them are no differences, and whatever is changed in
//! them still is one.

use std::sync::Arc;

use pg_archive::restore::Silent;
use pg_archive::session::Session;
use pgark::jobs::restore_test::{RestoreTest, RestoreTestReport, TestResult};
use pgark_tests::Postgres;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::world::World;
use crate::{Result, binaries, changed};

const SOURCE: &str = "
    do $$ begin create role pgark_reworded; exception when duplicate_object or unique_violation then null; end $$;
    create table t (id integer not null, status varchar(10) not null check (status in ('a', 'b')));
    insert into t select i, 'a' from generate_series(1, 100) i;
    create index t_id on t (id) where status in ('a', 'b');
    create view v as select id from t where status in ('a', 'b');
    create policy p on t using (status in ('a', 'b')) with check (status in ('a', 'b'));
    create domain d as varchar(3) default 'a' check (value in ('a', 'b'));
    create function f() returns trigger language plpgsql as 'begin return new; end';
    create trigger tr before update on t for each row when (new.status in ('a', 'b')) execute function f()";

/// As [`changed`], on a server of pgark's own, where owners are restored.
async fn changed_with_owners(world: &World, change: &str) -> anyhow::Result<RestoreTestReport> {
    let app = world.own_server(&binaries(17)?).await?;
    let stop = CancellationToken::new();
    let mut test = RestoreTest::default().begin(&app).await?;
    Box::pin(test.restore(Arc::new(Silent), &stop)).await?;
    let session = Session::open(test.scratch().expect("it is restored")).await?;
    session.execute(change).await?;
    let outcome = Box::pin(test.check(&stop)).await;
    Ok(Box::pin(test.finish(outcome)).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_in_a_reworded_definition_is_found() -> Result {
    let server = Postgres::shared(17)?;
    let source = server.create_database("reworded")?;
    source.query(SOURCE)?;
    let world = World::new()?;
    world.backup(&source.url()).await?;
    let differs = "definition.differs";
    for (change, found) in [
        ("select 1", None),
        (
            "alter table t drop constraint t_status_check, add constraint t_status_check check (status in ('a', 'c'))",
            Some((differs, "TABLE public.t")),
        ),
        (
            "alter table t drop constraint t_status_check, add constraint t_status_check check (status in ('b', 'a'))",
            Some((differs, "TABLE public.t")),
        ),
        ("alter table t alter status drop not null", Some((differs, "TABLE public.t"))),
        (
            "drop policy p on t; create policy p on t using (status in ('a', 'b'))",
            Some((differs, "POLICY public.t p")),
        ),
        ("drop index t_id; create index t_id on t (id)", Some((differs, "INDEX public.t_id"))),
        ("create or replace view v as select id from t", Some((differs, "VIEW public.v"))),
        ("alter domain d drop default", Some((differs, "DOMAIN public.d"))),
        ("drop trigger tr on t", Some(("definition.missing", "TRIGGER public.t tr"))),
        ("alter table t owner to pgark_reworded", Some(("definition.owner", "TABLE public.t"))),
    ] {
        let report = if change.contains("owner") {
            Box::pin(changed_with_owners(&world, change)).await?
        } else {
            Box::pin(changed(&world, server, change)).await?
        };
        let differences: Vec<(Value, &str)> =
            report.differences().map(|found| (json!(found.code), found.object.as_str())).collect();
        match found {
            None => assert_eq!((report.result, differences), (TestResult::Passed, vec![])),
            Some((code, object)) => {
                assert_eq!(report.result, TestResult::Failed, "{change}");
                assert!(differences.contains(&(json!(code), object)), "{change}: {differences:?}");
            }
        }
    }
    Ok(())
}
