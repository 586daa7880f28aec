//! What each test of the suite has for itself: a store, a key, and the program and the library that work on them.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use pgark::app::{App, Outside};
use pgark::config::{Needs, RawSettings};
use pgark::jobs::backup::Backup;
use pgark::seal::KeyPair;
use pgark_tests::{Postgres, workspace_binary};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    folder: TempDir,
    recipient: String,
}

impl World {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("pgark-tests-restore-test-")?;
        fs::create_dir(folder.path().join("store"))?;
        let pair = KeyPair::generate(jiff::Timestamp::now());
        pair.write_file(&folder.path().join("key.txt"))?;
        Ok(Self { folder, recipient: pair.recipient().to_string() })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The library, with what tests of databases on `server` need.
    pub(crate) async fn app(&self, source: &str, on: Option<&Postgres>) -> anyhow::Result<App> {
        let flags = RawSettings {
            database_url: Some(source.to_owned()),
            store: Some(format!("file://{}", self.file("store").display())),
            recipients: Some(self.recipient.clone()),
            identity_file: Some(self.file("key.txt").display().to_string()),
            restore_test_url: on.map(|server| server.url("postgres")),
            ..RawSettings::default()
        };
        let needs = Needs { database: true, store: true, encryption: true, ..Needs::default() };
        let outside = Outside { environment: |_| None, ..Outside::real() };
        Ok(App::open(flags, None, needs, 2, outside).await?)
    }

    /// The library, with servers of its own from these programs.
    pub(crate) async fn own_server(&self, programs: &str) -> anyhow::Result<App> {
        let flags = RawSettings {
            store: Some(format!("file://{}", self.file("store").display())),
            identity_file: Some(self.file("key.txt").display().to_string()),
            postgres_bin: Some(programs.to_owned()),
            ..RawSettings::default()
        };
        let outside = Outside { environment: |_| None, ..Outside::real() };
        Ok(App::open(flags, None, Needs::RESTORE_TEST, 2, outside).await?)
    }

    /// Backs a database up, by the library, and returns the backup's id.
    pub(crate) async fn backup(&self, source: &str) -> anyhow::Result<String> {
        let app = self.app(source, None).await?;
        let report = Box::pin(Backup::default().run(&app, &(), &CancellationToken::new())).await?;
        Ok(report.id.context("a backup has an id")?.to_string())
    }

    /// The program, with settings in variables alone.
    pub(crate) fn pgark(&self, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Command> {
        let mut command = Command::new(workspace_binary("pgark")?);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .env("PGARK_STORE", format!("file://{}", self.file("store").display()))
            .env("PGARK_RECIPIENTS", &self.recipient)
            .env("PGARK_IDENTITY_FILE", self.file("key.txt"))
            .envs(settings.iter().copied())
            .args(arguments);
        Ok(command)
    }

    /// Runs the program as a person does, to whatever end.
    pub(crate) fn text(
        &self,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> anyhow::Result<std::process::Output> {
        Ok(self.pgark(arguments, settings)?.output()?)
    }

    /// Runs the program, and returns its exit code and the one JSON document that it printed.
    pub(crate) fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<(i32, Value)> {
        let output = self.pgark(arguments, settings)?.arg("--json").output()?;
        let report = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("the report is no JSON document: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((output.status.code().context("pgark was killed")?, report))
    }

    /// Runs the program to success.
    pub(crate) fn done(&self, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Value> {
        match self.run(arguments, settings)? {
            (0, report) => Ok(report),
            (code, report) => bail!("pgark {arguments:?} ended with {code}: {report:#}"),
        }
    }

    /// The program, running.
    pub(crate) fn start(&self, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Running> {
        let mut command = self.pgark(arguments, settings)?;
        command.arg("--json");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
        Ok(Running(child))
    }

    /// The reports in the store, the oldest first.
    pub(crate) fn reports(&self) -> anyhow::Result<Vec<Value>> {
        let mut files = Vec::new();
        for source in fs::read_dir(self.file("store/reports")).into_iter().flatten() {
            for report in fs::read_dir(source?.path().join("restore-test"))? {
                files.push(report?.path());
            }
        }
        let read = |file: &PathBuf| Ok(serde_json::from_slice(&fs::read(file)?)?);
        let mut reports: Vec<Value> = files.iter().map(read).collect::<anyhow::Result<_>>()?;
        // Not by their keys, which tell those of one second apart by chance.
        let started = |report: &Value| report["started_at"].as_str()?.parse::<jiff::Timestamp>().ok();
        reports.sort_by_key(started);
        Ok(reports)
    }

    /// The manifest of the only backup.
    pub(crate) fn manifest(&self) -> anyhow::Result<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.file("store")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.ends_with("manifest.json") {
                    found.push(path);
                }
            }
        }
        match found.as_slice() {
            [manifest] => Ok(manifest.clone()),
            _ => bail!("there are the manifests {found:?}"),
        }
    }
}

/// A program that runs until it ends, or is ended.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { bail!("kill: {status}") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
