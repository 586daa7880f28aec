//! The database that a test backs up, and what pgark's sessions do on its server.

use std::ops::Deref;

use pgark_tests::postgres::Database;
use pgark_tests::{FaultProxy, Postgres, wait_until};

use super::place::Place;
use super::program::Pgark;
use super::{Result, SOON};

/// The version that most tests run on. That all versions behave is for the suites on content.
const MAJOR: u32 = 17;

/// A database.
pub(crate) struct Source<'a>(Database<'a>);

impl<'a> Deref for Source<'a> {
    type Target = Database<'a>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Source<'static> {
    /// A database with these objects in it, on the shared server.
    pub(crate) fn with(script: &str) -> Result<Self> {
        Self::on(Postgres::shared(MAJOR)?, script)
    }

    /// A database with a table `public.large`, on the shared server.
    pub(crate) fn large() -> Result<Self> {
        Self::large_on(Postgres::shared(MAJOR)?)
    }
}

impl<'a> Source<'a> {
    /// A database with these objects in it.
    pub(crate) fn on(server: &'a Postgres, script: &str) -> Result<Self> {
        let database = server.create_database("failures")?;
        database.load(script)?;
        Ok(Self(database))
    }

    /// A database with a table `public.large`: small on disk, and more than a gigabyte when it is read. Whatever a
    /// test does once its COPY has begun, it does in the midst of it.
    pub(crate) fn large_on(server: &'a Postgres) -> Result<Self> {
        Self::on(
            server,
            "create table public.large (id int, body text);
             insert into public.large select n, repeat('pgark ', 170000) from generate_series(1, 40) n;
             -- Compressed values are copied as they are.
             do $$ begin for n in 1..5 loop insert into public.large select * from public.large; end loop; end $$;",
        )
    }

    /// A backup of it, as plain as can be, in one session beside the coordinator's, with its error as JSON.
    pub(crate) fn backup(&self, place: &Place) -> Result<Pgark> {
        backup_through(&self.url(), place)
    }

    /// Its connection string, by way of a proxy in front of its server.
    pub(crate) fn url_through(&self, proxy: &FaultProxy) -> String {
        let [server, proxy] = [self.server().port(), proxy.address().port()].map(|port| format!(":{port}/"));
        self.url().replace(&server, &proxy)
    }

    /// A role of this test's own, with the password that all have: its connection string.
    pub(crate) fn role(&self, options: &str) -> Result<(String, String)> {
        let role = format!("{}_keeper", self.name());
        let password = pgark_tests::postgres::PASSWORD;
        self.query(&format!("create role {role} login password '{password}' {options}"))?;
        Ok((self.server().url_as(&role, password, self.name()), role))
    }

    /// Waits until `condition`, on `pg_stat_activity a`, is true of a session of pgark: its process number.
    pub(crate) fn session(&self, condition: &str) -> Result<String> {
        let sql = format!(
            "select a.pid from pg_stat_activity a where a.datname = current_database()
             and a.application_name = 'pgark' and {condition} limit 1"
        );
        let mut pid = String::new();
        wait_until(SOON, condition, || {
            pid = self.query(&sql).unwrap_or_default();
            !pid.is_empty()
        })?;
        Ok(pid)
    }

    /// Waits until a session copies `public.large` and the client takes what it sends: its process number.
    pub(crate) fn copying(&self) -> Result<String> {
        self.session("a.state = 'active' and a.query ilike 'copy%large%'")
    }

    /// Waits until no session of pgark is left.
    pub(crate) fn is_left_alone(&self) -> Result {
        let sql = "select count(*) from pg_stat_activity
                   where datname = current_database() and application_name = 'pgark'";
        wait_until(SOON, "no session of pgark is left", || self.query(sql).is_ok_and(|count| count == "0"))
    }
}

/// A backup as [`Source::backup`], with any connection string.
pub(crate) fn backup_through(url: &str, place: &Place) -> Result<Pgark> {
    let call = Pgark::new(["backup", "--json"])?.set("PGARK_DATABASE_URL", url);
    let call = call.set_all(place.variables()).set("PGARK_ENCRYPTION", "none").set("PGARK_JOBS", "1");
    Ok(call.set("PGARK_COMPRESSION", "none"))
}
