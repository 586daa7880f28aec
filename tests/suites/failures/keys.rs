//! Keys for backups that are encrypted, made by the `age` that users have.

use std::process::Command;

use anyhow::Context as _;
use pgark_tests::age_keygen;
use tempfile::TempDir;

use super::Result;

/// A folder with an identity file.
pub(crate) struct Keys {
    folder: TempDir,
    /// The public key of it.
    pub(crate) recipient: String,
}

impl Keys {
    /// Makes a pair.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut keys = Self { folder, recipient: String::new() };
        keys.recipient = keys.another("key.txt")?;
        Ok(keys)
    }

    /// Makes another pair in the same folder; returns its public key.
    pub(crate) fn another(&self, file: &str) -> Result<String> {
        let made = Command::new(age_keygen()?).arg("-o").arg(self.path(file)).output()?;
        let said = String::from_utf8(made.stderr)?;
        let key = said.trim().strip_prefix("Public key: ");
        key.map(str::to_owned).with_context(|| format!("age-keygen says {said:?}"))
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }

    /// The path of the identity file.
    pub(crate) fn identity(&self) -> String {
        self.path("key.txt")
    }
}
