//! What every job works with: validated settings, the repository, and the world outside.

use jiff::Timestamp;

use crate::config::{Needs, Origins, RawSettings, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::Repository;
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
    /// Reads the settings and opens the store. Contacts nobody yet.
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
        let environment = outside.environment;
        let settings = Settings::load(Origins { flags, environment: &environment, file, cores }, needs)?;
        let store = Store::open(settings.store()?, &settings.store_options((outside.random)())).await?;
        Ok(Self { settings, repository: Repository::new(store), outside })
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
