//! A PostgreSQL server for the length of the demo, from binaries that are on the machine.
//!
//! It listens on a unix socket only. PostgreSQL refuses to run as root: root starts it as another user.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgark::{Error, ErrorKind, Result};
use tempfile::TempDir;

/// Users that exist on every Linux machine, the best first.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The variable that names the folder of `initdb` and `postgres`.
const BINARIES: &str = "PGARK_POSTGRES_BIN";

/// A running server. Dropping it stops it and removes what it had.
pub(crate) struct Server {
    binaries: PathBuf,
    account: Option<Account>,
    folder: TempDir,
}

/// A user to run as, instead of root.
struct Account {
    uid: u32,
    gid: u32,
}

impl Server {
    /// Makes a database cluster and starts it.
    pub(crate) fn start() -> Result<Self> {
        let binaries = find_binaries()?;
        let account = account()?;
        // Short, because the path of a unix socket has 107 bytes at most.
        let folder = tempfile::Builder::new().prefix("pgark").tempdir().map_err(|source| {
            Error::new(ErrorKind::LocalFile, "no temporary folder can be made").because(source)
        })?;
        if let Some(account) = &account {
            chown(folder.path(), Some(account.uid), Some(account.gid))
                .map_err(|source| super::file_error(folder.path(), source))?;
        }
        let server = Self { binaries, account, folder };
        let (data, socket) = (server.path("data"), server.folder.path().display().to_string());
        server.run(
            "initdb",
            &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        )?;
        let options = format!("-p 5432 -k {socket} -c listen_addresses='' -c fsync=off -c max_wal_size=4GB");
        let log = server.path("log");
        server.run("pg_ctl", &["-D", &data, "-l", &log, "-w", "-t", "60", "-o", &options, "start"])?;
        Ok(server)
    }

    /// Folder of the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The connection string of a database.
    pub(crate) fn connection_string(&self, database: &str) -> String {
        format!("host={} port=5432 user=postgres dbname={database}", self.folder.path().display())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs one of PostgreSQL's programs to its end and returns what it printed.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let path = self.binaries.join(program);
        let mut command = match &self.account {
            None => Command::new(&path),
            Some(account) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={}", account.uid)).arg(format!("--regid={}", account.gid));
                command.arg("--clear-groups").arg(&path);
                command
            }
        };
        // pg_ctl leaves a server behind that would keep a pipe open: what it prints goes to a file.
        let printed = self.folder.path().join(format!("{program}.out"));
        let out = std::fs::File::create(&printed).map_err(|source| super::file_error(&printed, source))?;
        let err = out.try_clone().map_err(|source| super::file_error(&printed, source))?;
        command.args(arguments).current_dir(self.folder.path()).env("LC_ALL", "C").env_remove("PGDATA");
        let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status();
        let text = std::fs::read_to_string(&printed).unwrap_or_default();
        match status {
            Ok(status) if status.success() => Ok(text),
            Ok(status) => {
                let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
                Err(failed(&path, format!("{status}: {}", (text + &log).trim())))
            }
            Err(source) => Err(failed(&path, "cannot be run".to_owned()).because(source)),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.run("pg_ctl", &["-D", &self.path("data"), "-m", "immediate", "-w", "stop"]) {
            tracing::warn!(%error, "the demo's server could not be stopped");
        }
    }
}

fn failed(path: &Path, message: String) -> Error {
    Error::new(ErrorKind::LocalFile, message).on(path.display().to_string())
}

/// Where `initdb` and `postgres` are: as the variable says, on the PATH, or where Debian and Red Hat put them.
fn find_binaries() -> Result<PathBuf> {
    let named = std::env::var_os(BINARIES).map(PathBuf::from);
    let on_path = std::env::var_os("PATH");
    let on_path = on_path.iter().flat_map(std::env::split_paths);
    let installed = ["/usr/lib/postgresql", "/usr"].into_iter().flat_map(|parent| {
        let mut versions: Vec<PathBuf> =
            std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        versions.sort();
        versions.into_iter().rev().map(|version| version.join("bin"))
    });
    let complete = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_ctl"].iter().all(|program| folder.join(program).is_file())
    };
    if let Some(folder) = &named
        && !complete(folder)
    {
        return Err(failed(
            folder,
            format!("{BINARIES} names it, but initdb, postgres and pg_ctl are not in it"),
        ));
    }
    named.into_iter().chain(on_path).chain(installed).find(complete).ok_or_else(|| {
        Error::new(ErrorKind::LocalFile, "PostgreSQL's server programs are not on this machine").hint(format!(
            "Run `make demo`, which fetches them; or install PostgreSQL (Debian: apt-get install postgresql); or set \
             {BINARIES} to the folder of initdb."
        ))
    })
}

/// The user to run as, if this is root.
fn account() -> Result<Option<Account>> {
    let me = std::fs::metadata("/proc/self")
        .map_err(|source| super::file_error(Path::new("/proc/self"), source))?;
    if me.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")
        .map_err(|source| super::file_error(Path::new("/etc/passwd"), source))?;
    let find = |name: &&str| {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [user, _, uid, gid, ..] if user == *name => {
                    Some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
                }
                _ => None,
            }
        })
    };
    UNPRIVILEGED.iter().find_map(find).map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::LocalFile,
            "PostgreSQL does not run as root, and there is no user postgres or nobody",
        )
        .hint("Run the demo as an ordinary user.")
    })
}
