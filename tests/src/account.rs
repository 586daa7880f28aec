//! The user that servers run as. PostgreSQL refuses to run as root, so root starts it as an existing unprivileged
//! user; anybody else runs it directly.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, anyhow};

/// Users that exist on every machine worth testing on. The first one found is taken.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Who runs servers.
#[derive(Debug, Clone)]
pub(crate) enum ServerAccount {
    /// The user of the tests.
    Own,
    /// Another user, because the tests run as root.
    Other { name: String, uid: u32, gid: u32 },
}

impl ServerAccount {
    /// Looks the user up, once a process.
    pub(crate) fn get() -> anyhow::Result<&'static Self> {
        static ACCOUNT: OnceLock<Result<ServerAccount, String>> = OnceLock::new();
        ACCOUNT
            .get_or_init(|| Self::look_up().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    fn look_up() -> anyhow::Result<Self> {
        if fs::metadata("/proc/self").context("cannot tell which user this is")?.uid() != 0 {
            return Ok(Self::Own);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        UNPRIVILEGED
            .iter()
            .find_map(|name| users.lines().find_map(|line| parse_user(line, name)))
            .with_context(|| format!("root needs one of the users {UNPRIVILEGED:?} to run PostgreSQL"))
    }

    pub(crate) fn is_other(&self) -> bool {
        matches!(self, Self::Other { .. })
    }

    /// The other user's name, or `own`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Own => "own",
            Self::Other { name, .. } => name,
        }
    }

    /// A command which runs `program` as this user.
    pub(crate) fn command(&self, program: &Path) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Other { uid, gid, .. } => {
                let mut command = Command::new("setpriv");
                command
                    .args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()])
                    .arg("--")
                    .arg(program);
                command
            }
        }
    }

    /// Gives a file or folder (not what is in it) to this user.
    pub(crate) fn own(&self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { name, uid, gid } => chown(path, Some(*uid), Some(*gid))
                .with_context(|| format!("cannot give {} to user {name}", path.display())),
        }
    }
}

/// A line of /etc/passwd, if it is this user's: name, password, uid, gid, ...
fn parse_user(line: &str, wanted: &str) -> Option<ServerAccount> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| *name == wanted)?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(ServerAccount::Other { name, uid, gid })
}
