//! What every job works with: validated settings, the repository, and the world outside.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{LAMBDA_MEMORY, Needs, Origins, RawSettings, Server, Settings};
use crate::cost;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{Repository, SourceName};
use crate::seal::Identities;
use crate::secret::Secret;
use crate::secrets::{self, RdsTokens, SecretReference, Secrets};
use crate::signature::SigningKey;
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

/// What set a job going.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trigger {
    /// The scheduled time, or the user's own name for what is to be done once; none by hand.
    pub slot: Option<String>,
    /// How long to wait for another run of the same job to end.
    pub wait: Option<Duration>,
    /// The request id of the function, instead of the machine's name.
    pub by: Option<String>,
}

/// The name of this machine, if it tells.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Settings, repository and the world.
#[derive(Clone)]
pub struct App {
    /// The settings. Boxed, because apps are moved about with all that is done with them.
    pub settings: Box<Settings>,
    /// The backups.
    pub repository: Repository,
    /// The world.
    pub outside: Outside,
    /// What set the job going.
    pub trigger: Trigger,
    /// Which settings the job uses.
    needs: Needs,
    /// Whether all that is needed and in secrets has been read.
    unlocked: bool,
}

impl App {
    /// Reads the settings and opens the store; what is needed and in a secret is read too.
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
        Self::load(flags, file, needs, cores, outside).await?.unlocked().await
    }

    /// The same app, with all that it needs and that is in secrets; they are read now, unless they were before.
    ///
    /// # Errors
    /// As [`with_secrets`](Self::with_secrets).
    pub async fn unlocked(&self) -> Result<Self> {
        if self.unlocked {
            return Ok(self.clone());
        }
        match Secrets::open(&self.settings, self.needs).await? {
            Some(secrets) => self.with_secrets(&secrets).await,
            None => Ok(Self { unlocked: true, ..self.clone() }),
        }
    }

    /// As [`open`](Self::open), but contacts nobody: a long-lived process reads the secrets before each job, with
    /// [`with_secrets`](Self::with_secrets), because secrets rotate.
    pub async fn load(
        flags: RawSettings,
        file: Option<&str>,
        needs: Needs,
        cores: usize,
        outside: Outside,
    ) -> Result<Self> {
        let environment = outside.environment;
        let settings = Settings::load(Origins { flags, environment: &environment, file, cores }, needs)?;
        let store =
            Store::open(settings.store()?, &settings.store_options((outside.random)(), outside.now)).await?;
        let repository = Repository::new(store).signed_by(settings.verification_keys()?);
        Ok(Self {
            settings: Box::new(settings),
            repository,
            outside,
            trigger: Trigger::default(),
            needs,
            unlocked: false,
        })
    }

    /// The same app, with all that it needs and that is in secrets.
    ///
    /// # Errors
    /// When a secret cannot be read, or does not hold what it should.
    pub async fn with_secrets(&self, secrets: &Secrets) -> Result<Self> {
        let mut settings = Settings::clone(&self.settings);
        if let Some(reference) = settings.database_secret.clone().filter(|_| self.needs.database) {
            settings = settings.with_database_url(self.url(secrets, &reference).await?);
        }
        if let Some(reference) = settings.restore_test_secret.clone().filter(|_| self.needs.restore_test) {
            settings.restore_test_url = Some(self.url(secrets, &reference).await?);
        }
        if let Some(reference) = settings.signing_key_secret.clone().filter(|_| self.needs.signing) {
            let key = SigningKey::parse(&secrets.read(&reference).await?);
            settings = settings.with_signing_key(key.map_err(|e| e.on(reference.id()))?);
        }
        if let Some(reference) = settings.identity_secret.clone().filter(|_| self.needs.identity) {
            let identities = Identities::parse(secrets.read(&reference).await?.expose());
            settings = settings.with_identities(identities.map_err(|e| e.on(reference.id()))?);
        }
        Ok(Self { settings: Box::new(settings), unlocked: true, ..self.clone() })
    }

    async fn url(&self, secrets: &Secrets, reference: &SecretReference) -> Result<Secret> {
        let text = secrets.read(reference).await?;
        secrets::database_url(&text, self.outside.environment).map_err(|error| error.on(reference.id()))
    }

    /// The same app in another world.
    #[must_use]
    pub fn in_world(&self, outside: Outside) -> Self {
        Self { outside, ..self.clone() }
    }

    /// The same app, set going by something.
    #[must_use]
    pub fn triggered_by(&self, trigger: Trigger) -> Self {
        Self { trigger, ..self.clone() }
    }

    /// The same app, told which source is meant; as by `--source`.
    #[must_use]
    pub fn naming(&self, source: SourceName) -> Self {
        Self { settings: Box::new(self.settings.naming(source)), ..self.clone() }
    }

    /// What the database is called in keys, known before it is connected to: the setting, or the name of the database
    /// in the connection string.
    ///
    /// # Errors
    /// When neither is set, or the connection string is wrong, or in a secret that has not been read.
    pub fn source(&self) -> Result<SourceName> {
        match &self.settings.source {
            Some(source) => Ok(source.clone()),
            None => Ok(SourceName::of_database(self.database()?.database())),
        }
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
        let target = self.target(self.settings.database_url()?.expose())?;
        let target = match &self.settings.database_name {
            Some(name) => target.with_database(name),
            None => target,
        };
        if !self.settings.database_iam {
            return Ok(target);
        }
        Ok(target.with_passwords(Arc::new(RdsTokens::new(self.settings.s3_region.clone()))))
    }

    /// What it costs that this function runs for so long; nothing where no function runs.
    pub fn compute_usd(&self, seconds: f64) -> f64 {
        let memory_mb = (self.outside.environment)(LAMBDA_MEMORY).and_then(|text| text.parse().ok());
        memory_mb.map_or(0.0, |memory_mb| cost::prices().function(memory_mb, seconds, std::env::consts::ARCH))
    }

    /// The app of one source: with the settings of its table, or of its server's; without either it is this one, told
    /// which source is meant. Secrets are not read.
    ///
    /// # Errors
    /// When its store cannot be opened.
    pub async fn for_source(&self, source: &SourceName) -> Result<Self> {
        self.with_settings(self.settings.of_source(source)).await
    }

    /// The app of a server, whose databases are to be found.
    ///
    /// # Errors
    /// When its store cannot be opened.
    pub async fn for_server(&self, name: &SourceName, server: &Server) -> Result<Self> {
        self.with_settings(Settings::of_server(server, name)).await
    }

    async fn with_settings(&self, settings: Settings) -> Result<Self> {
        let random = (self.outside.random)();
        let same_store = settings.store()? == self.settings.store()?
            && settings.s3_endpoint == self.settings.s3_endpoint
            && settings.s3_region == self.settings.s3_region
            && settings.object_lock == self.settings.object_lock;
        let store = if same_store {
            self.repository.store().clone()
        } else {
            Store::open(settings.store()?, &settings.store_options(random, self.outside.now)).await?
        };
        let repository = Repository::new(store).signed_by(settings.verification_keys()?);
        Ok(Self { settings: Box::new(settings), repository, unlocked: false, ..self.clone() })
    }
}
