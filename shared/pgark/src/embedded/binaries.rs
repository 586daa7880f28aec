//! PostgreSQL's server programs on this machine: where they are, and of which version.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::variable;
use crate::error::{Error, ErrorKind, Result};

/// Where Debian and Red Hat put them, a folder for each version.
const INSTALLED_IN: [&str; 2] = ["/usr/lib/postgresql", "/usr"];
/// What a server takes.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// The server programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder of `initdb` and `postgres`.
    pub folder: PathBuf,
    /// The version, such as `15.20`.
    pub version: String,
    /// The major version, such as 15.
    pub major: u32,
}

impl Binaries {
    /// A program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The programs in a folder, if they are there and say who they are.
    fn of(folder: PathBuf) -> Option<Self> {
        if !PROGRAMS.iter().all(|program| folder.join(program).is_file()) {
            return None;
        }
        let output =
            Command::new(folder.join("postgres")).arg("--version").env_remove("PGDATA").output().ok()?;
        let version = version_of(std::str::from_utf8(&output.stdout).ok()?)?.to_owned();
        Some(Self { folder, major: major_of(&version)?, version })
    }
}

/// All that there are, in the order of preference. Folders that a setting names (as in PATH, with colons in between)
/// are the only ones looked into; else the PATH and the places of distributions are.
///
/// # Errors
/// When the setting names a folder without them.
pub fn find(named: Option<&str>, path: Option<&OsStr>) -> Result<Vec<Binaries>> {
    if let Some(named) = named {
        let found = std::env::split_paths(named).map(|folder| {
            Binaries::of(folder.clone()).ok_or_else(|| {
                Error::new(ErrorKind::EmbeddedMissing, "has no initdb and postgres that can be run")
                    .on(folder.display().to_string())
                    .hint(format!("Set {} to folders of both, or unset it.", variable::postgres_bin))
            })
        });
        return found.collect();
    }
    let on_path = path.into_iter().flat_map(std::env::split_paths);
    let installed = INSTALLED_IN.iter().flat_map(|parent| versions_in(Path::new(parent)));
    let mut found: Vec<Binaries> = Vec::new();
    for binaries in on_path.chain(installed).filter_map(Binaries::of) {
        if found.iter().all(|known| known.folder != binaries.folder) {
            found.push(binaries);
        }
    }
    Ok(found)
}

fn versions_in(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

/// Those to take for a backup of this major version: the same version if it is there, because definitions can then be
/// compared word for word; else the oldest of the newer ones.
///
/// # Errors
/// When none is new enough.
pub fn choose(found: &[Binaries], major_min: u32) -> Result<&Binaries> {
    let fitting = found.iter().filter(|binaries| binaries.major >= major_min);
    fitting.min_by_key(|binaries| binaries.major).ok_or_else(|| {
        let message = match found {
            [] => "PostgreSQL's server programs are not on this machine".to_owned(),
            found => {
                let versions: Vec<_> = found.iter().map(|binaries| binaries.version.as_str()).collect();
                format!("a server of PostgreSQL {major_min} or newer is needed, and there is {}", versions.join(", "))
            }
        };
        Error::new(ErrorKind::EmbeddedMissing, message).hint(format!(
            "Install PostgreSQL {major_min} (Debian: apt-get install postgresql-{major_min}), or set {} to the folder of \
             its initdb, or name a server with --on.",
            variable::postgres_bin
        ))
    })
}

/// `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`
fn version_of(text: &str) -> Option<&str> {
    text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()
}

/// The number before the first dot, or before `beta`.
fn major_of(version: &str) -> Option<u32> {
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str) -> Binaries {
        let major = major_of(version).unwrap();
        Binaries { folder: format!("/pg/{version}").into(), version: version.to_owned(), major }
    }

    #[test]
    fn versions_are_read_as_postgres_prints_them() {
        for (text, version, major) in [
            ("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n", "15.20", 15),
            ("postgres (PostgreSQL) 18.1\n", "18.1", 18),
            ("postgres (PostgreSQL) 19beta2\n", "19beta2", 19),
        ] {
            let read = version_of(text).unwrap();
            assert_eq!((read, major_of(read)), (version, Some(major)), "{text}");
        }
        assert_eq!(version_of("something else"), None);
    }

    #[test]
    fn the_same_version_is_best_and_an_older_one_never_is() {
        let found = [of("18.1"), of("13.22"), of("16.10"), of("17.6")];
        let chosen = |major| choose(&found, major).map(|binaries| binaries.version.as_str());
        assert_eq!(chosen(16).unwrap(), "16.10");
        assert_eq!(chosen(15).unwrap(), "16.10");
        assert_eq!(chosen(13).unwrap(), "13.22");
        let error = chosen(19).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::EmbeddedMissing);
        assert!(error.message().contains("18.1, 13.22, 16.10, 17.6"), "{error}");
        assert!(error.hint_text().unwrap().contains("postgresql-19"));
        assert_eq!(choose(&[], 15).unwrap_err().kind(), ErrorKind::EmbeddedMissing);
    }

    #[test]
    fn a_folder_that_is_named_must_have_them() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(folder.path().to_str(), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::EmbeddedMissing);
        assert_eq!(error.object(), folder.path().to_str());
    }
}
