//! PgBouncer in front of a server. It refuses to run as root, so it runs as the user that servers run as.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::account::ServerAccount;
use crate::postgres::{PASSWORD, Postgres, SUPERUSER, client};
use crate::supervised::{Supervised, free_ports};
use crate::{binaries, places};

const START_LIMIT: Duration = Duration::from_mins(1);

/// When PgBouncer gives a server session back (its manual, `pool_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client leaves.
    Session,
    /// After each transaction.
    Transaction,
    /// After each statement.
    Statement,
}

impl fmt::Display for PoolMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        })
    }
}

/// A running PgBouncer. It stops when this is dropped or the test process ends.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    process: Supervised,
}

impl Pooler {
    /// Starts one in front of `server` for its superuser, whatever the database.
    pub fn start(server: &Postgres, mode: PoolMode) -> anyhow::Result<Self> {
        let account = ServerAccount::get()?;
        let folder = places::scratch()?;
        let [port] = free_ports()?;
        let (users, settings) = (folder.path().join("users"), folder.path().join("pgbouncer.ini"));
        fs::write(&users, format!("\"{SUPERUSER}\" \"{PASSWORD}\"\n"))?;
        let text = format!(
            "[databases]\n* = host={} port={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = plain\nauth_file = {}\npool_mode = {mode}\nadmin_users = {SUPERUSER}\n\
             ignore_startup_parameters = extra_float_digits,options\n",
            server.host(),
            server.port(),
            users.display(),
        );
        fs::write(&settings, text)?;
        account.own(&users)?;
        account.own(&settings)?;
        let mut command = account.command(&binaries::pgbouncer()?);
        command.arg(&settings).current_dir(folder.path());
        let process = Supervised::start("pgbouncer", "INT", folder, &command)?;
        let mut pooler = Self { port, process };
        let console = pooler.url("pgbouncer");
        let mut ready = client("psql")?;
        ready.args(["-Xq", "--command", "show version", "--dbname", &console]);
        pooler
            .process
            .wait_until_ready(START_LIMIT, || ready.output().is_ok_and(|output| output.status.success()))?;
        Ok(pooler)
    }

    /// The superuser's URL for a database, through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{SUPERUSER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
