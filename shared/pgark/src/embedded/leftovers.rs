//! What a killed run has left: a folder, and perhaps a server that still runs in it.
//!
//! Each run holds a lock (flock(2)) on a file in its folder for as long as it lives; the system gives it back however the
//! process ends, and nobody else can have it before. So a folder whose lock can be had belongs to nobody. The moment
//! between making a folder and locking it is safe, too: without the file, a folder is removed only if it is empty, and
//! whoever has just made it then fails to make the file, and says so.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::account::{self, Account};
use super::{FOLDER_PREFIX, failed};
use crate::error::Result;

const LOCK: &str = "lock";
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Says that a folder is in use, until the file is closed.
pub(super) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|file| {
        file.try_lock()?;
        Ok(file)
    });
    file.map_err(|source| {
        failed("cannot be locked").on(path.display().to_string()).hint("Run it again.").because(source)
    })
}

/// Removes the folders of runs that are no more. What cannot be removed is somebody else's, and stays.
pub(super) fn remove(base: &Path, account: Option<&Account>) {
    for folder in folders(base, account) {
        match remove_unless_in_use(&folder, account) {
            Ok(true) => tracing::info!(folder = %folder.display(), "removed what a killed run had left"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "what a killed run left cannot be removed");
            }
        }
    }
}

/// Folders named like ours, of our own user or of the one that servers run as.
fn folders(base: &Path, account: Option<&Account>) -> Vec<PathBuf> {
    let owners: Vec<u32> = account::own_uid().into_iter().chain(account.map(|account| account.uid)).collect();
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX));
    let ours = |path: &PathBuf| {
        fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && owners.contains(&found.uid()))
    };
    named.map(|entry| entry.path()).filter(ours).collect()
}

/// Whether it was removed.
fn remove_unless_in_use(folder: &Path, account: Option<&Account>) -> std::io::Result<bool> {
    let Ok(lock) = OpenOptions::new().write(true).open(folder.join(LOCK)) else {
        return Ok(fs::remove_dir(folder).is_ok());
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    stop_server(folder, account);
    fs::remove_dir_all(folder).map(|()| true)
}

/// Stops a server that runs in this folder, if one does.
fn stop_server(folder: &Path, account: Option<&Account>) {
    let data = folder.join("data");
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let Some(pid) = text.lines().next().and_then(|line| line.parse::<u32>().ok()) else { return };
    // The number may be another process's by now: a server works in its data folder.
    let works_there = || {
        fs::read_link(format!("/proc/{pid}/cwd"))
            .is_ok_and(|cwd| Ok(cwd) == data.canonicalize().map_err(drop))
    };
    if !works_there() {
        return;
    }
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", "kill -s QUIT \"$1\"", "kill", &pid.to_string()]);
    if let Some(account) = account {
        kill.uid(account.uid).gid(account.gid);
    }
    if let Err(error) = kill.status() {
        tracing::warn!(%error, pid, "the server of a killed run cannot be stopped");
    }
    let started = Instant::now();
    while works_there() && started.elapsed() < STOP_LIMIT {
        std::thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_a_living_owner_are_removed_and_others_are_not() {
        let base = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = base.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (dead, alive, new) = (folder("pgark-pg-dead"), folder("pgark-pg-alive"), folder("pgark-pg-new"));
        let (full, foreign) = (folder("pgark-pg-full"), folder("pgark-other"));
        fs::create_dir(dead.join("data")).unwrap();
        fs::write(dead.join("data/postmaster.pid"), format!("{}\n/elsewhere\n", std::process::id())).unwrap();
        fs::write(full.join("file"), "without a lock").unwrap();
        drop(lock(&dead).unwrap());
        let held = lock(&alive).unwrap();
        remove(base.path(), None);
        assert!(!dead.exists(), "nobody holds its lock");
        assert!(alive.exists() && foreign.exists() && full.exists());
        assert!(!new.exists(), "it is empty");
        assert!(lock(&new).is_err(), "whoever made it is told");
        drop(held);
        remove(base.path(), None);
        assert!(!alive.exists());
    }
}
