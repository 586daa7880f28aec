//! Where a test's backups go, and what is left there afterwards.

use std::fs;
use std::path::Path;

use pgark_tests::{ObjectStore, wait_until};
use tempfile::TempDir;

use super::program::Pgark;
use super::{Result, SOON};

/// An empty store of the test's own.
pub(crate) enum Place {
    /// A local folder.
    Folder(TempDir),
    /// A bucket of the shared S3 server.
    Bucket(&'static ObjectStore, String),
}

impl Place {
    /// A folder.
    pub(crate) fn folder() -> Result<Self> {
        Ok(Self::Folder(tempfile::tempdir()?))
    }

    /// A bucket.
    pub(crate) fn bucket() -> Result<Self> {
        let server = ObjectStore::shared()?;
        Ok(Self::Bucket(server, server.create_bucket("failures")?))
    }

    /// One of each kind.
    pub(crate) fn both() -> Result<[Self; 2]> {
        Ok([Self::folder()?, Self::bucket()?])
    }

    /// The address.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Folder(folder) => format!("file://{}", folder.path().display()),
            Self::Bucket(_, bucket) => format!("s3://{bucket}/some/prefix"),
        }
    }

    /// What the program needs to know of it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("PGARK_STORE", self.url())];
        if let Self::Bucket(server, _) = self {
            variables.extend(server.environment());
        }
        variables
    }

    /// Everything in it but the records of runs and leases: whole objects, parts of uploads, temporary files.
    pub(crate) fn contents(&self) -> Result<Vec<String>> {
        match self {
            Self::Folder(folder) => {
                let mut files = Vec::new();
                for entry in fs::read_dir(folder.path())? {
                    let path = entry?.path();
                    if !HISTORY.iter().any(|name| path.ends_with(name)) {
                        walk(&path, &mut files)?;
                    }
                }
                Ok(files)
            }
            Self::Bucket(server, bucket) => {
                let mut all = server.keys(bucket)?;
                all.retain(|key| {
                    !HISTORY.iter().any(|name| key.starts_with(&format!("some/prefix/{name}/")))
                });
                all.extend(self.unfinished_uploads()?);
                Ok(all)
            }
        }
    }

    /// Multipart uploads that were neither completed nor aborted.
    pub(crate) fn unfinished_uploads(&self) -> Result<Vec<String>> {
        match self {
            Self::Folder(_) => Ok(Vec::new()),
            Self::Bucket(server, bucket) => server.unfinished_uploads(bucket),
        }
    }

    /// Waits until a part of a data file, and not yet the whole of it, has arrived.
    pub(crate) fn is_receiving(&self) -> Result {
        wait_until(SOON, "a part of a data file has arrived", || match self {
            Self::Folder(_) => self.contents().is_ok_and(|files| {
                files.iter().any(|file| fs::metadata(file).is_ok_and(|data| data.len() > 1 << 20))
            }),
            Self::Bucket(..) => self.unfinished_uploads().is_ok_and(|uploads| !uploads.is_empty()),
        })
    }

    /// The ids that `pgark list` shows.
    pub(crate) fn listed(&self) -> Result<Vec<String>> {
        let document = Pgark::new(["list", "--json"])?.set_all(self.variables()).run()?.done()?;
        let backups = document["backups"].as_array().cloned().unwrap_or_default();
        Ok(backups.iter().map(|backup| backup["id"].to_string()).collect())
    }

    /// There is no trace of a run: neither in the list nor in the store itself.
    pub(crate) fn is_untouched(&self) -> Result {
        anyhow::ensure!(self.listed()?.is_empty(), "{} lists a backup", self.url());
        let left = self.contents()?;
        anyhow::ensure!(left.is_empty(), "{} still holds {left:?}", self.url());
        Ok(())
    }
}

/// What every run leaves, also one that failed.
const HISTORY: [&str; 2] = ["runs", "leases"];

fn walk(folder: &Path, files: &mut Vec<String>) -> Result {
    if folder.is_file() {
        files.push(folder.display().to_string());
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path.display().to_string());
        }
    }
    Ok(())
}
