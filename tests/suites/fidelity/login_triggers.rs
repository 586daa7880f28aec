//! A database that writes a row whenever somebody logs in, as the manual's example does (PostgreSQL 17): a copy of it holds
//! what was backed up, however often the one who made it looked at it.

use std::process::Command;

use anyhow::Context as _;
use pgark_tests::Postgres;
use pgark_tests::postgres::client;

use crate::Result;
use crate::vault::{Vault, succeed};

const AUDIT: &str = "
    create table user_login_log (id serial primary key, who text, at timestamptz);
    create function init_session() returns event_trigger security definer language plpgsql as $$ begin
        insert into public.user_login_log (who, at) values (session_user, now()); end $$;
    create event trigger init_session on login execute function init_session();
    alter event trigger init_session enable always;
    create table orders (id integer primary key); insert into orders select generate_series(1, 100);";

/// How many logins a database has on record, and what comes next. Looking writes nothing.
fn logins(url: &str) -> anyhow::Result<String> {
    let mut psql: Command = client("psql")?;
    let quiet = format!("{url}?options=-c%20event_triggers%3Doff");
    let sql = "select count(*), max(id), nextval('user_login_log_id_seq') from user_login_log";
    Ok(String::from_utf8(succeed(psql.args(["-XAtq", "-d", &quiet, "-c", sql]))?.stdout)?)
}

#[test]
fn looking_at_a_copy_does_not_change_it() -> Result {
    for major in [17, 18] {
        let server = Postgres::shared(major)?;
        let source = server.create_database("audited")?;
        source.query(AUDIT)?;
        let vault = Vault::new()?;
        vault.backup(&source.url(), &[])?;
        let manifest = vault.manifest()?;
        let tables = manifest["tables"].as_array().context("no tables")?;
        let log = tables.iter().find(|table| table["name"] == "user_login_log").context("no log")?;
        let rows = log["rows"].as_u64().context("no rows")?;
        let expected = format!("{rows}|{rows}|{}\n", rows + 1);

        let on = server.url("postgres");
        let report = vault.run(&["restore-test", "--on", &on], &[])?;
        assert_eq!(report["result"], "passed", "{report:#}");

        let name = format!("{}_new", source.name());
        vault.run(&["restore", "latest", "--to", &on, "--create", &name], &[])?;
        assert_eq!(logins(&server.url(&name))?, expected, "restored on {major}");
        let live = server.url(&name);
        let report = vault.run(&["restore", "latest", "--to", &live, "--replace", "--yes"], &[])?;
        assert_eq!(logins(&live)?, expected, "replaced on {major}");
        let former = report["replaced"]["former"].as_str().context("no former one")?;
        server.psql(&format!("drop database {name}"))?;
        server.psql(&format!("drop database {former}"))?;
    }
    Ok(())
}
