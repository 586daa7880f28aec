//! A PostgreSQL server of our own, from programs that are on the machine, for as long as one job takes.
//!
//! It listens on a unix socket in a folder that only its user may enter, so it needs no password. Nothing in it is worth
//! keeping: it does not sync to disk. It has none of our environment, because what a backup holds may be code.
//!
//! **Why nothing is left behind.** A shell (`supervise.sh`) is the server's parent. Its standard input is a pipe whose
//! other end only this process holds: when that closes, by [`Server`] being dropped or by our death of any kind, the shell
//! stops the server and removes its folder. (`PR_SET_PDEATHSIG` would take unsafe code, and fires when a *thread* ends.)
//! If the shell is killed as well, the next start finds the folder: see `leftovers`.
//!
//! Which programs there are is told by [`binaries`]; what is done on the server is left to the jobs.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use pg_archive::connect::Target;

use crate::error::{Error, ErrorKind, Result};

mod account;
pub mod binaries;
mod leftovers;

use account::Account;
pub use binaries::Binaries;

const SUPERVISE: &str = include_str!("embedded/supervise.sh");
/// The beginning of the names of folders, by which a later run knows them.
const FOLDER_PREFIX: &str = "pgark-pg-";
/// The socket's name is `.s.PGSQL.5432`; a path has 107 bytes at most (`sun_path` in unix(7)).
const PORT: u16 = 5432;
const SOCKET_PATH_BYTES_MAX: usize = 107;
const START_LIMIT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const LOG_LINES_SHOWN: usize = 15;

/// What a server should be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of its superuser, which is that of whoever made the cluster.
    pub superuser: String,
    /// About how many relations one transaction will lock.
    pub relations: u64,
}

/// A running server. Dropping it stops it and removes what it had.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    superuser: String,
    supervisor: Child,
    /// The server runs for as long as this is open.
    pipe: Option<ChildStdin>,
    /// Tells other runs that the folder is in use.
    _lock: File,
}

impl Server {
    /// Makes a database cluster in the temporary folder, starts it and waits until it takes connections.
    ///
    /// # Errors
    /// When the programs cannot be run, or the server ends while it starts; the error has the end of its log.
    pub async fn start(binaries: &Binaries, options: &Options) -> Result<Self> {
        let (binaries, options) = (binaries.clone(), options.clone());
        // initdb takes a second of processor time.
        let started = tokio::task::spawn_blocking(move || start(&binaries, &options)).await;
        let server = started.map_err(|error| failed("the server's start broke off").because(error))??;
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// The folder of the server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The connection string of a database.
    pub fn connection_string(&self, database: &str) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        format!(
            "host={} port={PORT} user={} dbname={}",
            quoted(&self.folder.display().to_string()),
            quoted(&self.superuser),
            quoted(database)
        )
    }

    /// A database, whatever libpq's variables say.
    ///
    /// # Errors
    /// When the name of the temporary folder cannot stand in a connection string.
    pub fn target(&self, database: &str) -> Result<Target> {
        Target::parse(&self.connection_string(database), |_| None).map_err(|problems| {
            failed(problems.to_string()).on("connection to our own server").hint(SHORT_FOLDER)
        })
    }

    /// Stops the server and removes its folder, without holding up others.
    pub async fn stop(self) {
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self)).await {
            tracing::warn!(%error, "our own server could not be waited for");
        }
    }

    /// As `pg_ctl --wait` does: line 8 of postmaster.pid is the status (`src/include/utils/pidfile.h`).
    async fn wait_until_ready(&self) -> Result<()> {
        let started = Instant::now();
        loop {
            let status = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
            if status.lines().nth(7).is_some_and(|status| status.trim() == "ready") {
                return Ok(());
            }
            if self.has_ended() {
                return Err(failed(format!("the server ended while it started: {}", self.log_end()))
                    .on(self.folder.display().to_string())
                    .hint(
                        "The server's own words say why. It needs room and rights in the temporary folder.",
                    ));
            }
            if started.elapsed() > START_LIMIT {
                let message = format!("is not ready after {} s: {}", START_LIMIT.as_secs(), self.log_end());
                return Err(failed(message).on(self.folder.display().to_string()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The shell does not wait for the server before it is told to, so one that has ended is a zombie.
    fn has_ended(&self) -> bool {
        // The file is there a moment before the number is in it.
        let text = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        let Ok(pid) = text.trim().parse::<u32>() else { return false };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold blanks (proc_pid_stat(5)).
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    }

    fn log_end(&self) -> String {
        end_of(&fs::read_to_string(self.folder.join("log")).unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Err(error) = self.supervisor.wait() {
            tracing::warn!(%error, "our own server could not be waited for");
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %self.folder.display(), "the folder of our own server is left");
            }
            _ => {}
        }
    }
}

fn start(binaries: &Binaries, options: &Options) -> Result<Server> {
    let account = account::server_account()?;
    let base = std::env::temp_dir();
    leftovers::remove(&base, account.as_ref());
    let (folder, lock) = new_folder(&base, account.as_ref())?;
    match initialize(binaries, options, &folder, account.as_ref()) {
        Ok((supervisor, pipe)) => Ok(Server {
            folder,
            superuser: options.superuser.clone(),
            supervisor,
            pipe: Some(pipe),
            _lock: lock,
        }),
        Err(error) => {
            // The failure to start matters, not one to clean up after it.
            let _ = fs::remove_dir_all(&folder);
            Err(error)
        }
    }
}

/// A folder that belongs to the server's user, with a lock that says that it is in use.
fn new_folder(base: &Path, account: Option<&Account>) -> Result<(PathBuf, File)> {
    let folder = tempfile::Builder::new()
        .prefix(FOLDER_PREFIX)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(base)
        .map_err(|source| {
            failed("no folder can be made in it").on(base.display().to_string()).hint(ROOM).because(source)
        })?;
    let lock = leftovers::lock(folder.path())?;
    if folder.path().as_os_str().len() + "/.s.PGSQL.5432".len() > SOCKET_PATH_BYTES_MAX {
        return Err(failed("is too long a path for a unix socket")
            .on(base.display().to_string())
            .hint(SHORT_FOLDER));
    }
    if let Some(account) = account {
        account.own(folder.path())?;
    }
    Ok((folder.keep(), lock))
}

const SHORT_FOLDER: &str = "Set TMPDIR to a folder with a short name and without quotes in it.";
const ROOM: &str = "Set TMPDIR to a folder that can be written and has room for the whole database.";

/// Makes the cluster, and starts the server under its supervisor.
fn initialize(
    binaries: &Binaries,
    options: &Options,
    folder: &Path,
    account: Option<&Account>,
) -> Result<(Child, ChildStdin)> {
    let data = folder.join("data");
    let mut initdb = command(&binaries.program("initdb"), folder, account)?;
    initdb.arg("-D").arg(&data).args(["-U", &options.superuser]);
    initdb.args(["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
    let output = initdb.stdin(Stdio::null()).output().map_err(|source| unusable(binaries, source))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let error = failed(format!("initdb failed ({}): {}", output.status, end_of(&said)))
            .on(folder.display().to_string());
        let nameless = said.contains("could not look up effective user ID");
        return Err(error.hint(if nameless { account::NO_USER } else { ROOM }));
    }
    let log_path = folder.join("log");
    let log = File::create(&log_path).and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(|source| {
        failed("cannot be written").on(log_path.display().to_string()).hint(ROOM).because(source)
    })?;
    let mut supervisor = command(Path::new("/bin/sh"), folder, account)?;
    supervisor.args(["-c", SUPERVISE, "pgark-supervise"]).arg(folder);
    supervisor.arg(binaries.program("postgres")).arg("-D").arg(&data);
    for (name, value) in settings(folder, options) {
        supervisor.arg("-c").arg(format!("{name}={value}"));
    }
    // A group of its own: an interrupt from the terminal is for us, who then stop it in order.
    supervisor.stdin(Stdio::piped()).stdout(out).stderr(err).process_group(0);
    let mut supervisor = supervisor.spawn().map_err(|source| {
        failed("cannot be run").on("/bin/sh").hint("A shell supervises our own server.").because(source)
    })?;
    match supervisor.stdin.take() {
        Some(pipe) => Ok((supervisor, pipe)),
        None => Err(Error::new(ErrorKind::Internal, "the supervisor has no pipe")),
    }
}

/// Everything is for speed: if the machine fails, there is nothing to be recovered.
fn settings(folder: &Path, options: &Options) -> Vec<(&'static str, String)> {
    vec![
        ("listen_addresses", String::new()),
        ("port", PORT.to_string()),
        ("unix_socket_directories", format!("\"{}\"", folder.display())),
        ("unix_socket_permissions", "0700".to_owned()),
        ("fsync", "off".to_owned()),
        ("synchronous_commit", "off".to_owned()),
        ("full_page_writes", "off".to_owned()),
        // Tables that are filled in the transaction which made or emptied them then write no WAL.
        ("wal_level", "minimal".to_owned()),
        ("max_wal_senders", "0".to_owned()),
        // A restored subscription must not call anybody.
        ("max_logical_replication_workers", "0".to_owned()),
        // Containers have a small /dev/shm, and Lambda has none.
        ("dynamic_shared_memory_type", "mmap".to_owned()),
        ("maintenance_work_mem", "128MB".to_owned()),
        // 100 connections share their slots: reading every relation in one transaction locks every one.
        ("max_locks_per_transaction", (64 + options.relations / 50).to_string()),
    ]
}

/// A command that runs as the server's user, with nothing of our environment but where programs and libraries are.
fn command(program: &Path, folder: &Path, account: Option<&Account>) -> Result<Command> {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    for name in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(account::name_for_user(folder, account)?);
    if let Some(account) = account {
        // As std documents it, other groups of root are given up with its user.
        command.uid(account.uid).gid(account.gid);
    }
    Ok(command)
}

fn unusable(binaries: &Binaries, source: io::Error) -> Error {
    failed("cannot be run").on(binaries.program("initdb").display().to_string()).because(source)
}

fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::EmbeddedFailed, message)
}

fn end_of(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("; ")
}

#[cfg(test)]
mod tests;
