//! What every job works with: validated settings, the repository, and the world outside.

use jiff::Timestamp;

use crate::config::{LIBPQ_HOST, Needs, Origins, RawSettings, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::Repository;
use crate::secrets::{self, Secrets};
use crate::store::Store;
use pg_archive::connect::Target;

/// The world outside of the process. Tests bring their own.
#[derive(Clone, Copy)]
pub struct Outside {
    /// The clock.
    pub now: fn() -> Timestamp,
    /// A random number.
    pub random: fn() -> u64,
    /// The environment.
    pub environment: fn(&str) -> Option<String>,
}

impl Outside {
    /// The real one.
    pub fn real() -> Self {
        Self { now: Timestamp::now, random, environment: |name| std::env::var(name).ok() }
    }
}

/// # Panics
/// When the system has no randomness: nothing that needs distinct names could be done then.
fn random() -> u64 {
    getrandom::u64().expect("the system gives random numbers")
}

/// Settings, repository and the world.
pub struct App {
    /// The settings.
    pub settings: Settings,
    /// The backups.
    pub repository: Repository,
    /// The world.
    pub outside: Outside,
}

impl App {
    /// Reads the settings and opens the store; if the database's URL is needed and in a secret, reads that too.
    ///
    /// # Errors
    /// With every problem of the settings at once.
    pub async fn open(
        flags: RawSettings,
        file: Option<&str>,
        needs: Needs,
        cores: usize,
        outside: Outside,
    ) -> Result<Self> {
        let app = Self::load(flags, file, needs, cores, outside).await?;
        if !needs.database || app.settings.database_secret.is_none() {
            return Ok(app);
        }
        let secrets = Secrets::open(&app.settings).await?;
        app.with_database_secret(&secrets).await
    }

    /// As [`open`](Self::open), but contacts nobody: a long-lived process reads the secret before each job, with
    /// [`with_database_secret`](Self::with_database_secret), because secrets rotate.
    pub async fn load(
        flags: RawSettings,
        file: Option<&str>,
        needs: Needs,
        cores: usize,
        outside: Outside,
    ) -> Result<Self> {
        let environment = outside.environment;
        let settings = Settings::load(Origins { flags, environment: &environment, file, cores }, needs)?;
        let store = Store::open(settings.store()?, &settings.store_options((outside.random)())).await?;
        Ok(Self { settings, repository: Repository::new(store), outside })
    }

    /// The same app, with the database URL read from its secret, if it is a secret that holds it.
    ///
    /// # Errors
    /// When the secret cannot be read or does not tell a database.
    pub async fn with_database_secret(&self, secrets: &Secrets) -> Result<Self> {
        let settings = match &self.settings.database_secret {
            Some(reference) => {
                let text = secrets.read(reference).await?;
                let host_elsewhere = (self.outside.environment)(LIBPQ_HOST).is_some();
                let url = secrets::database_url(&text, host_elsewhere).map_err(|e| e.on(reference.id()))?;
                self.settings.clone().with_database_url(url)
            }
            None => self.settings.clone(),
        };
        Ok(Self { settings, repository: self.repository.clone(), outside: self.outside })
    }

    /// Understands a connection string, with what the environment adds to it as for libpq.
    ///
    /// # Errors
    /// With every problem of the string at once, and none of its secrets.
    pub fn target(&self, connection: &str) -> Result<Target> {
        Target::parse(connection, self.outside.environment).map_err(|problems| {
            let hint = problems.hint().to_owned();
            Error::new(ErrorKind::Settings, problems.to_string()).on("connection string").hint(hint)
        })
    }

    /// The database to back up.
    ///
    /// # Errors
    /// When no database is set, or its connection string is wrong.
    pub fn database(&self) -> Result<Target> {
        self.target(self.settings.database_url()?.expose())
    }
}
