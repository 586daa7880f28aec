//! A database, stores with good backups of it, and copies of these stores to be damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pg_archive::restore::Silent;
use pgark::app::{App, Outside};
use pgark::config::{Needs, RawSettings};
use pgark::jobs::restore::{Restore, RestoreReport};
use pgark::jobs::verify::{Level, SourceReport, Verify};
use pgark_tests::postgres::Database;
use pgark_tests::{Postgres, wait_until, workspace_binary};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Result;

/// A table of several age chunks, a small one, one whose key is escaped, large objects of several chunks, and a table of
/// contents of several chunks, because a function is long.
const SCRIPT: &str = "
    create table public.orders as select n, md5(n::text) as body from generate_series(1, 9000) n;
    create table public.items as select n, 'item ' || n as name from generate_series(1, 10) n;
    create table public.\"Odd/Name\" as select 1 as one;
    select lo_from_bytea(0, decode(string_agg(md5(n::text || m), ''), 'hex'))
        from generate_series(1, 3) m, generate_series(1, 4000) n group by m;
    do $do$ begin execute format('create function public.long() returns text language sql as $f$ select %L $f$',
        (select string_agg(md5(n::text), '') from generate_series(1, 4500) n)); end $do$;";

const SOON: Duration = Duration::from_secs(10);

pub(crate) fn server() -> Result<&'static Postgres> {
    Postgres::shared(17)
}

/// The program's answer: exit code, standard output as JSON, standard error.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) json: Value,
    pub(crate) text: String,
}

/// Runs the program, with an environment of its own.
pub(crate) fn pgark(arguments: &[&str], variables: &[(&str, String)]) -> Result<Answer> {
    let mut command = Command::new(workspace_binary("pgark")?);
    command.args(arguments).env_clear().envs(variables.iter().cloned());
    // Without a pgark.toml.
    let folder = tempfile::tempdir()?;
    let output = command.current_dir(folder.path()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    for secret in ["AGE-SECRET-KEY-", "RWQAAEIy", pgark_tests::postgres::PASSWORD] {
        ensure!(!out.contains(secret) && !err.contains(secret), "{secret} was printed: {out}{err}");
    }
    Ok(Answer {
        code: output.status.code().context("pgark was killed")?,
        json: serde_json::from_str(&out).unwrap_or(Value::Null),
        text: out + &err,
    })
}

/// A store with good backups, and the keys to them.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    /// The ids of its two backups, ascending.
    pub(crate) ids: [String; 2],
    pub(crate) encrypted: bool,
}

impl World {
    /// Encrypted and signed backups.
    pub(crate) fn sealed() -> Result<&'static Self> {
        static WORLD: OnceLock<std::result::Result<World, String>> = OnceLock::new();
        let made = WORLD.get_or_init(|| Self::make(true).map_err(|error| format!("{error:#}")));
        made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Backups that are neither encrypted, compressed nor signed: whoever knows the format can change them at will.
    pub(crate) fn plain() -> Result<&'static Self> {
        static WORLD: OnceLock<std::result::Result<World, String>> = OnceLock::new();
        let made = WORLD.get_or_init(|| Self::make(false).map_err(|error| format!("{error:#}")));
        made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn make(encrypted: bool) -> Result<Self> {
        let database = server()?.create_database("damage")?;
        database.load(SCRIPT)?;
        let mut world = Self { folder: tempfile::tempdir()?, ids: Default::default(), encrypted };
        fs::create_dir(world.store())?;
        let key = |name: &str| world.folder.path().join(name).display().to_string();
        pgark(&["keys", &key("identity.txt")], &[])?;
        pgark(&["keys", "--signing", &key("signing.key")], &[])?;
        let identity = fs::read_to_string(key("identity.txt"))?;
        let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: "));
        let mut variables = vec![
            ("PGARK_STORE", format!("file://{}", world.store().display())),
            ("PGARK_DATABASE_URL", database.url()),
            ("PGARK_SOURCE", "shop".to_owned()),
            ("PGARK_TIER", "daily".to_owned()),
        ];
        if encrypted {
            variables.push(("PGARK_RECIPIENTS", recipient.context("no recipient")?.to_owned()));
            variables.push(("PGARK_SIGNING_KEY_FILE", key("signing.key")));
        } else {
            variables.push(("PGARK_ENCRYPTION", "none".to_owned()));
            variables.push(("PGARK_COMPRESSION", "none".to_owned()));
        }
        let mut ids = Vec::new();
        for _ in 0..2 {
            let answer = pgark(&["backup", "--json"], &variables)?;
            ensure!(answer.code == 0, "{}", answer.text);
            ids.push(answer.json["id"].as_str().context("no id")?.to_owned());
            // Ids of one second are in no order, and `latest` must mean the second.
            let made = jiff::Timestamp::now().as_second();
            wait_until(SOON, "the next second", || jiff::Timestamp::now().as_second() > made)?;
            database.query(
                "update public.orders set body = md5(body); update public.items set name = name || '!'",
            )?;
        }
        ensure!(ids.is_sorted(), "{ids:?}");
        world.ids = ids.try_into().ok().context("two backups")?;
        Ok(world)
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn key(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// A copy of a store, to be damaged.
pub(crate) struct Copy {
    world: &'static World,
    folder: TempDir,
}

impl Copy {
    /// A copy: its files are links until they are replaced.
    pub(crate) fn of(world: &'static World) -> Result<Self> {
        let folder = tempfile::tempdir_in(world.folder.path())?;
        link(&world.store(), folder.path())?;
        Ok(Self { world, folder })
    }

    /// The path of something in one of the two backups.
    pub(crate) fn path(&self, backup: usize, name: &str) -> PathBuf {
        self.folder.path().join("daily/shop").join(&self.world.ids[backup]).join(name)
    }

    /// The folder of the store.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn read(&self, backup: usize, name: &str) -> Result<Vec<u8>> {
        let path = self.path(backup, name);
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// Replaces a file, and not what it is a link to.
    pub(crate) fn write(&self, backup: usize, name: &str, bytes: &[u8]) -> Result {
        let path = self.path(backup, name);
        if path.exists() {
            fs::remove_file(&path)?;
        }
        Ok(fs::write(&path, bytes)?)
    }

    /// The name of the object that holds a file of the archive.
    pub(crate) fn object(&self, backup: usize, archive_name: &str) -> Result<String> {
        let manifest: Value = serde_json::from_slice(&fs::read(
            self.world.store().join(format!("daily/shop/{}/manifest.json", self.world.ids[backup])),
        )?)?;
        let mut objects = manifest["objects"].as_array().context("no objects")?.iter();
        let object = objects.find(|object| object["archive_name"] == archive_name);
        Ok(object.and_then(|object| object["name"].as_str()).context("no such object")?.to_owned())
    }

    /// What the program needs to read this store.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("PGARK_STORE", format!("file://{}", self.root().display()))];
        if self.world.encrypted {
            variables.push(("PGARK_IDENTITY_FILE", self.world.key("identity.txt")));
            variables.push(("PGARK_VERIFICATION_KEY", self.world.key("signing.key.pub")));
        }
        variables
    }

    pub(crate) async fn app(&self) -> Result<App> {
        let settings = self.variables();
        let setting =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let flags = RawSettings { jobs: Some("2".to_owned()), ..RawSettings::from_environment(setting) };
        let needs = Needs::CONTENT;
        let outside = Outside { environment: |_| None, ..Outside::real() };
        Ok(Box::pin(App::open(flags, None, needs, 2, outside)).await?)
    }

    /// Verifies one of the backups, and keeps no report.
    pub(crate) async fn verify(&self, backup: usize, level: Level) -> Result<SourceReport, pgark::Error> {
        let job = Verify {
            backup: self.world.ids[backup].clone(),
            level: Some(level),
            no_report: true,
            ..Verify::default()
        };
        let app = self
            .app()
            .await
            .map_err(|error| pgark::Error::new(pgark::ErrorKind::Internal, error.to_string()))?;
        let mut report = job.run(&app, &(), &CancellationToken::new()).await?;
        assert_eq!(report.reports.len(), 1);
        Ok(report.reports.remove(0))
    }

    /// Restores one of the backups into an empty database, with or without its roles.
    pub(crate) async fn restore(
        &self,
        backup: usize,
        into: &Database<'_>,
        globals: bool,
    ) -> Result<RestoreReport, pgark::Error> {
        let app = self
            .app()
            .await
            .map_err(|error| pgark::Error::new(pgark::ErrorKind::Internal, error.to_string()))?;
        let job =
            Restore { backup: self.world.ids[backup].clone(), to: into.url(), globals, ..Restore::default() };
        let stop = CancellationToken::new();
        Box::pin(Box::pin(job.prepare(&app)).await?.run(&app, Arc::new(Silent), &stop)).await
    }
}

/// Copies a folder by links.
fn link(from: &Path, to: &Path) -> Result {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            link(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// What a report found: codes and objects, in the order of the objects.
pub(crate) fn found(report: &SourceReport) -> Vec<(&'static str, Option<&str>)> {
    let mut found: Vec<_> =
        report.findings.iter().map(|finding| (finding.code, finding.object.as_deref())).collect();
    found.sort_unstable_by_key(|(_, object)| *object);
    found
}
