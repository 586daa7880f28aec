//! Where things are: the repository, cargo's target folder, `.tools`, temporary folders that a server's user can enter.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::account::ServerAccount;

/// The root of the repository.
pub fn repository() -> PathBuf {
    let tests = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    tests.parent().map(Path::to_owned).unwrap_or(tests)
}

/// The folder that cargo builds this profile into, for example `target/debug`.
pub(crate) fn profile_folder() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("cannot tell where the test binary is")?;
    let folder = test.parent().filter(|deps| deps.ends_with("deps")).and_then(Path::parent);
    folder.map(Path::to_owned).with_context(|| format!("{} is not in a target folder", test.display()))
}

/// A folder below the target folder, for what outlives the test run: logs, prepared data folders.
pub fn kept(name: &str) -> anyhow::Result<PathBuf> {
    let folder = profile_folder()?.join("pgark-tests").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// A new temporary folder that belongs to the user which servers run as.
pub(crate) fn scratch() -> anyhow::Result<TempDir> {
    let account = ServerAccount::get()?;
    let candidates = [std::env::temp_dir(), "/var/tmp".into(), "/tmp".into()];
    let Some(parent) = candidates.iter().find(|folder| !account.is_other() || open_to_others(folder)) else {
        bail!("no temporary folder can be entered by user {}", account.name());
    };
    let folder = TempDir::with_prefix_in("pgark-tests-", parent)
        .with_context(|| format!("cannot create a folder in {}", parent.display()))?;
    account.own(folder.path())?;
    Ok(folder)
}

/// A tool which `tests/tools/install` fetches, as a path that the user which servers run as can follow.
pub fn tool(name: &str, path: &str) -> anyhow::Result<PathBuf> {
    let repository = repository();
    let hint = || format!("{name} is missing; run tests/tools/install {name}");
    let folder = repository.join(".tools").join(name).canonicalize().with_context(hint)?;
    let file = folder.join(path).canonicalize().with_context(hint)?;
    let account = ServerAccount::get()?;
    if account.is_other() && !open_to_others(&folder) {
        bail!(
            "user {} cannot enter {}; remove .tools and run tests/tools/install as root",
            account.name(),
            folder.display()
        );
    }
    Ok(file)
}

/// Whether users other than the owner can enter this folder and all above it.
fn open_to_others(folder: &Path) -> bool {
    let mode = |folder: &Path| fs::metadata(folder).map_or(0, |data| data.permissions().mode());
    folder.ancestors().all(|folder| mode(folder) & 0o001 != 0)
}
