//! Prepared data folders. `initdb` takes a second or two; a copy of its result takes a tenth of that, so each
//! version's result is kept below the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::{PASSWORD, SUPERUSER, run};
use crate::account::ServerAccount;
use crate::{places, supervised};

/// Copies the prepared folder of this version to `data`, preparing it if need be.
pub(super) fn copy(binaries: &Path, account: &ServerAccount, data: &Path) -> anyhow::Result<()> {
    let template = prepared(binaries, account)?;
    copy_folder(&template, data)
}

fn prepared(binaries: &Path, account: &ServerAccount) -> anyhow::Result<PathBuf> {
    let version = supervised::output(Command::new(binaries.join("postgres")).arg("--version"), None)?;
    let version = String::from_utf8_lossy(&version);
    let version = version.split_whitespace().last().context("postgres names no version")?;
    let name = format!("{version}-{}", account.name());
    let prepared = places::kept("postgres")?.join(&name);
    if prepared.exists() {
        return Ok(prepared);
    }
    // Made elsewhere, for the server's user may not enter the target folder; renamed into place when whole. If
    // another process was faster, its folder is as good as ours.
    let folder = places::scratch()?;
    let made = folder.path().join("data");
    initialize(binaries, account, folder.path(), &made)?;
    let staging = tempfile::tempdir_in(places::kept("postgres")?)?;
    let whole = staging.path().join("data");
    copy_folder(&made, &whole)?;
    match fs::rename(&whole, &prepared) {
        Err(error) if !prepared.exists() => {
            Err(error).with_context(|| format!("cannot create {}", prepared.display()))
        }
        _ => Ok(prepared),
    }
}

fn initialize(binaries: &Path, account: &ServerAccount, folder: &Path, data: &Path) -> anyhow::Result<()> {
    let password = folder.join("password");
    fs::write(&password, PASSWORD)?;
    account.own(&password)?;
    let mut initdb = account.command(&binaries.join("initdb"));
    initdb
        .current_dir(folder)
        .arg("--pgdata")
        .arg(data)
        .arg("--pwfile")
        .arg(&password)
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256"])
        .args(["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]);
    run(&mut initdb)
}

/// `cp` keeps owners and modes, without which the server refuses the folder.
fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    run(Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(from).arg(to))
}
