//! A store with the key that its backups are encrypted to, and the `pgark` program that works on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use pgark::app::{App, Outside};
use pgark::config::{Needs, RawSettings};
use pgark_tests::{Postgres, postgres, postgres_15, postgres_18, workspace_binary};
use serde_json::Value;
use tempfile::TempDir;

/// A store of one test. Backups are encrypted.
pub(crate) struct Vault {
    folder: TempDir,
    recipient: String,
}

impl Vault {
    /// An empty store with a key of its own.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("store"))?;
        let mut keys = Command::new(workspace_binary("pgark")?);
        keys.args(["keys", "--json"]).arg(folder.path().join("key.txt"));
        let report: Value = serde_json::from_slice(&succeed(&mut keys)?.stdout)?;
        let recipient = report["recipient"].as_str().context("`pgark keys` names no recipient")?.to_owned();
        Ok(Self { folder, recipient })
    }

    /// `pgark` with settings in variables alone.
    pub(crate) fn pgark(&self, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Command> {
        let mut command = Command::new(workspace_binary("pgark")?);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .env("PGARK_STORE", format!("file://{}", self.store().display()))
            .env("PGARK_RECIPIENTS", &self.recipient)
            .env("PGARK_IDENTITY_FILE", self.folder.path().join("key.txt"))
            .envs(settings.iter().copied())
            .args(arguments)
            .arg("--json");
        Ok(command)
    }

    /// Runs `pgark` to success, and returns its report.
    pub(crate) fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Value> {
        let output = succeed(&mut self.pgark(arguments, settings)?)?;
        serde_json::from_slice(&output.stdout).context("the report is no JSON document")
    }

    /// Runs `pgark` to whatever end, and returns its exit code and its report.
    pub(crate) fn ended(
        &self,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> anyhow::Result<(i32, Value)> {
        let output = self.pgark(arguments, settings)?.output()?;
        let report = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("the report is no JSON document: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((output.status.code().context("pgark was killed")?, report))
    }

    /// Runs `pgark` to failure, and returns its exit code and the error of its report.
    pub(crate) fn refused(&self, arguments: &[&str]) -> anyhow::Result<(i32, Value)> {
        let output = self.pgark(arguments, &[])?.output()?;
        let mut report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("the report is no JSON document: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((output.status.code().context("pgark was killed")?, report["error"].take()))
    }

    /// Backs a database up with some flags.
    pub(crate) fn backup(&self, url: &str, flags: &[&str]) -> anyhow::Result<Value> {
        self.run(&[&["backup"], flags].concat(), &[("PGARK_DATABASE_URL", url)])
    }

    /// Fetches the newest backup as a directory.
    pub(crate) fn fetch(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.path().join("fetched");
        if !folder.exists() {
            self.run(&["fetch", "latest", &folder.to_string_lossy()], &[])?;
        }
        Ok(folder)
    }

    /// The same store and key for jobs that run in the test's own process.
    pub(crate) async fn app(&self) -> anyhow::Result<App> {
        let flags = RawSettings {
            store: Some(format!("file://{}", self.store().display())),
            identity_file: Some(self.folder.path().join("key.txt").display().to_string()),
            ..RawSettings::default()
        };
        let needs = Needs::CONTENT;
        let outside = Outside { environment: |_| None, ..Outside::real() };
        App::open(flags, None, needs, 2, outside).await.map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// The folder of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The manifest of the only backup.
    pub(crate) fn manifest(&self) -> anyhow::Result<Value> {
        let mut manifests = files(&self.store())?;
        manifests.retain(|file| file.ends_with("manifest.json"));
        let [manifest] = manifests.as_slice() else { bail!("there are the manifests {manifests:?}") };
        Ok(serde_json::from_slice(&fs::read(manifest)?)?)
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// A stock `pg_restore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PgRestore {
    /// Of PostgreSQL 15.
    V15,
    /// Of PostgreSQL 18.
    V18,
}

impl PgRestore {
    /// Restores a directory into a database of that server, where any error is a failure.
    pub(crate) fn run(
        self,
        server: &Postgres,
        url: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> anyhow::Result<()> {
        let mut command = match self {
            Self::V15 => Command::new(postgres_15("pg_restore")?),
            Self::V18 => postgres::client("pg_restore")?,
        };
        command.args(["--dbname", url]).args(arguments).arg(folder);
        // pg_restore 18 sets a parameter that came with 17, and calls the refusal of an older server an error. It is
        // the only one there may be.
        if self == Self::V15 || server.major() >= 17 {
            return succeed(command.arg("--exit-on-error")).map(drop);
        }
        let output = command.output()?;
        let messages = String::from_utf8_lossy(&output.stderr);
        let expected =
            |line: &str| line.contains(r#"unrecognized configuration parameter "transaction_timeout""#);
        match messages.lines().find(|line| line.contains("error:") && !expected(line)) {
            None if messages.lines().any(expected) => Ok(()),
            _ => bail!("pg_restore failed ({}): {messages}", output.status),
        }
    }
}

/// The table of contents of an archive, as `pg_restore --list` prints it, without numbers, sorted. Large objects are
/// left out: releases of pg_dump list them in different ways.
pub(crate) fn contents(archive: &Path) -> anyhow::Result<Vec<String>> {
    let output = succeed(Command::new(postgres_18("pg_restore")?).arg("--list").arg(archive))?;
    let list = String::from_utf8(output.stdout)?;
    let mut entries: Vec<String> = list
        .lines()
        .filter(|line| !line.starts_with(';'))
        .filter_map(|line| line.splitn(4, ' ').nth(3))
        .filter(|entry| !entry.starts_with("BLOB") && !entry.contains("LARGE OBJECT"))
        .map(str::to_owned)
        .collect();
    entries.sort_unstable();
    Ok(entries)
}

/// Runs a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<Output> {
    let output =
        command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        let (said, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{command:?} failed ({}): {}\n{said}", output.status, error.trim_end());
    }
    Ok(output)
}
