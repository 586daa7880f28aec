//! PostgreSQL's regression database: what its own test suite leaves behind, with nearly every kind of object.
//!
//! `tests/tools/install regression` fetches the suite from Debian's source package, and compiles its C functions; the
//! database is made here by PostgreSQL's own driver, which Debian's client package holds. Nothing of it is in this
//! repository.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::{PASSWORD, Postgres, SUPERUSER};
use crate::account::ServerAccount;
use crate::{binaries, places};

/// The major version of the suite, and so of the server.
const MAJOR: u32 = 15;
/// The name of the database. The suite relies on it.
const NAME: &str = "regression";

/// A server with the regression database, gone with this value.
#[derive(Debug)]
pub struct RegressionDatabase {
    server: Postgres,
    /// The server reads and writes files here as long as tests run; extended settings of tables name it.
    _output: TempDir,
}

impl RegressionDatabase {
    /// Runs PostgreSQL's regression tests on a new server. Takes half a minute.
    ///
    /// Single tests fail where `psql`, server and suite are of different minor versions. That does not matter as long
    /// as what they leave is there, so the caller checks what it needs.
    pub fn create() -> anyhow::Result<Self> {
        let server = Postgres::options(MAJOR).setting("max_connections", "60").start()?;
        let suite = places::tool("regression", "parallel_schedule")?;
        let suite = suite.parent().context("the schedule has no folder")?;
        let output = places::scratch()?;
        let mut pg_regress = ServerAccount::get()?.command(&driver()?);
        pg_regress
            .current_dir(output.path())
            .env("PGPASSWORD", PASSWORD)
            .args([format!("--host={}", server.host()), format!("--port={}", server.port())])
            .args([
                format!("--user={SUPERUSER}"),
                format!("--dbname={NAME}"),
                "--max-connections=20".to_owned(),
            ])
            .args([
                option("--bindir", client_folder()?),
                option("--dlpath", suite),
                option("--inputdir", suite),
            ])
            .args([
                option("--outputdir", output.path()),
                option("--schedule", suite.join("parallel_schedule")),
            ]);
        let result = pg_regress.output().context("cannot run pg_regress")?;
        let report = String::from_utf8_lossy(&result.stdout);
        // "All 217 tests passed." or " 8 of 217 tests failed."
        ensure!(
            report.contains(" tests passed") || report.contains(" tests failed"),
            "pg_regress did not come to its end: {}\n{report}",
            String::from_utf8_lossy(&result.stderr)
        );
        Ok(Self { server, _output: output })
    }

    /// The server it is on.
    pub fn server(&self) -> &Postgres {
        &self.server
    }

    /// The superuser's connection URL.
    pub fn url(&self) -> String {
        self.server.url(NAME)
    }
}

fn client_folder() -> anyhow::Result<&'static Path> {
    binaries::postgres_15("psql").map(drop)?;
    Ok(Path::new("/usr/lib/postgresql/15/bin"))
}

fn driver() -> anyhow::Result<PathBuf> {
    binaries::postgres_15("../lib/pgxs/src/test/regress/pg_regress")
}

fn option(name: &str, path: impl AsRef<Path>) -> String {
    format!("{name}={}", path.as_ref().display())
}
