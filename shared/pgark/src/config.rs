//! Settings: from flags, then variables, then pgark.toml; validated all at once.
//!
//! Nothing here reads the process environment or a file: both are handed in, so tests and functions decide what is seen.
//! What each setting does is left to whoever uses it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::cost::StorageClasses;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{SourceName, Tier};
use crate::seal::{Compression, Encryption, Identities};
use crate::secret::Secret;
use crate::secrets::SecretReference;
use crate::signature::{SigningKey, VerificationKeys};
use crate::store::{LockRule, StoreOptions};

mod assertions;
mod file;
mod object_lock;
mod problems;
mod retention;
mod sources;
mod store_url;
mod validate;
mod values;
mod variables;
mod watching;

pub(crate) use assertions::problem as assertions_problem;
pub use assertions::{Assertion, ExpectedValue};
pub use object_lock::{LockMode, LockOnWrite};
pub use problems::Problem;
pub use retention::RetentionSettings;
pub use sources::{SOURCES, Server, Sources};
pub use store_url::StoreUrl;
pub use variables::{
    CONFIG_FILE, LAMBDA_FUNCTION_NAME, LAMBDA_LOG_LEVEL, LAMBDA_MEMORY, LAMBDA_RUNTIME_API, LIBPQ_HOST,
    RawSettings, SERVICE_NAME, USER, variable,
};
pub(crate) use watching::web_address;
pub use watching::{BucketFeature, Channel, HealthSettings, MetricsWay, UrlSource, WatchSettings};

use file::File;
use problems::Problems;
use sources::RawSources;
use validate::validate;

/// In place of a URL: restore tests run on a server of our own.
pub const EMBEDDED: &str = "embedded";

/// Which settings a command cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// A database URL, or the secret that holds it.
    pub database: bool,
    /// A store.
    pub store: bool,
    /// A decision on encryption: recipients, or none.
    pub encryption: bool,
    /// The key that signs manifests, if one is set.
    pub signing: bool,
    /// The keys that decrypt, if they are set.
    pub identity: bool,
    /// The server for restore tests, if it is in a secret.
    pub restore_test: bool,
}

impl Needs {
    /// The store alone. Manifests, reports and records are not encrypted.
    pub const STORE: Self = Self {
        database: false,
        store: true,
        encryption: false,
        signing: false,
        identity: false,
        restore_test: false,
    };
    /// To back up. What is written needs no key that decrypts.
    pub const BACKUP: Self = Self { database: true, encryption: true, signing: true, ..Self::STORE };
    /// To read what was backed up.
    pub const CONTENT: Self = Self { identity: true, ..Self::STORE };
    /// To restore into a scratch database.
    pub const RESTORE_TEST: Self = Self { restore_test: true, ..Self::CONTENT };

    /// What is needed where several databases are looked after, outside of their tables.
    fn of_no_database(self) -> Self {
        Self { store: self.store, ..Self::default() }
    }
}

/// Validated settings.
#[derive(Debug, Clone)]
pub struct Settings {
    database_url: Option<Secret>,
    /// The secret that holds the database URL, if there is one.
    pub database_secret: Option<SecretReference>,
    store: Option<StoreUrl>,
    encryption: Option<Encryption>,
    /// The source's name, if set; otherwise it is made from the database's name.
    pub source: Option<SourceName>,
    /// The identity file, if set. Whether it is needed is known once a manifest has been read.
    pub identity_file: Option<PathBuf>,
    /// The secret that holds the identity file's text, if there is one.
    pub identity_secret: Option<SecretReference>,
    identities: Option<Identities>,
    /// The file of the signing key, if set.
    pub signing_key_file: Option<PathBuf>,
    /// The secret that holds the signing key, if there is one.
    pub signing_key_secret: Option<SecretReference>,
    signing_key: Option<SigningKey>,
    /// Who must have signed manifests, as it was written.
    verification_key: Option<String>,
    /// The codec of data.
    pub compression: Compression,
    /// How many connections and objects at a time.
    pub jobs: NonZeroUsize,
    /// How long to wait for a table's lock.
    pub lock_timeout: Duration,
    /// Whether each connection to the database gets a token of AWS's instead of a password.
    pub database_iam: bool,
    /// How long S3 is to lock what is written.
    pub object_lock: Option<LockOnWrite>,
    /// The tier, if not the one by date.
    pub tier: Option<Tier>,
    /// Tables larger than this are cut.
    pub chunk_bytes: u64,
    /// What is kept, and what prune may do.
    pub retention: RetentionSettings,
    /// A custom S3 endpoint.
    pub s3_endpoint: Option<String>,
    /// A custom endpoint for Secrets Manager.
    pub secrets_endpoint: Option<String>,
    /// The AWS region.
    pub s3_region: Option<String>,
    /// Folders of PostgreSQL's server programs, as in PATH.
    pub postgres_bin: Option<String>,
    /// The server for restore tests, if it is not one of our own.
    pub restore_test_url: Option<Secret>,
    /// The secret that holds the URL of the server for restore tests, if there is one.
    pub restore_test_secret: Option<SecretReference>,
    /// What must hold in each restored database.
    pub assertions: Vec<Assertion>,
    /// Who is told, where metrics go, and what counts as healthy.
    pub watch: WatchSettings,
    /// In which storage classes the tiers end up.
    pub storage_classes: StorageClasses,
    /// The database, if it is another one than in the connection string: one that was found on a server.
    pub database_name: Option<String>,
    /// The databases to look after, if they are several. Then `source` is the one that is meant, if not all are.
    pub sources: Sources,
}

/// Where settings come from.
pub struct Origins<'a> {
    /// What flags said.
    pub flags: RawSettings,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The text of pgark.toml, if there is one.
    pub file: Option<&'a str>,
    /// How many cores there are, for the default of `jobs`.
    pub cores: usize,
}

impl Settings {
    /// Merges and validates. The error holds every problem, each with its fix.
    pub fn load(origins: Origins<'_>, needs: Needs) -> Result<Self> {
        Self::resolve(origins, needs).map_err(|problems| problems::error(&problems))
    }

    /// As [`load`](Self::load), with the problems one by one.
    pub fn resolve(origins: Origins<'_>, needs: Needs) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let File { settings: file, assertions, mut sources } =
            origins.file.map(|text| file::parse(text, &mut problems)).unwrap_or_default();
        let mut environment = RawSettings::from_environment(origins.environment);
        let region = || (origins.environment)("AWS_DEFAULT_REGION").filter(|region| !region.is_empty());
        environment.s3_region = environment.s3_region.or_else(region);
        if let Some(text) = (origins.environment)(SOURCES).filter(|text| !text.trim().is_empty()) {
            sources = RawSources::of_variable(&text, &mut problems);
        }
        // Somebody who names a database means that one.
        if origins.flags.database_url.is_some() {
            sources = RawSources::default();
        }
        let [flags, environment, file] = [origins.flags, environment, file].map(endpoints_of_layer);
        let raw = over(flags.clone(), over(environment.clone(), file.clone()));
        let own_needs = if sources.is_empty() { needs } else { needs.of_no_database() };
        let settings = validate(&raw, own_needs, origins.cores, &mut problems);
        let outside = sources::Outside {
            flags: &flags,
            environment: &environment,
            file: &file,
            assertions: &assertions,
        };
        let sources = sources.validate(&outside, needs, origins.cores, &mut problems);
        let settings = Settings { assertions, sources, ..settings };
        if problems.0.is_empty() { Ok(settings) } else { Err(problems.0) }
    }

    /// The same, with the database URL that a secret holds.
    #[must_use]
    pub fn with_database_url(mut self, url: Secret) -> Self {
        self.database_url = Some(url);
        self
    }

    /// The database URL.
    pub fn database_url(&self) -> Result<&Secret> {
        self.database_url.as_ref().ok_or_else(|| missing(variable::database_url))
    }

    /// The store's address.
    pub fn store(&self) -> Result<&StoreUrl> {
        self.store.as_ref().ok_or_else(|| missing(variable::store))
    }

    /// The encryption of new backups.
    pub fn encryption(&self) -> Result<&Encryption> {
        self.encryption.as_ref().ok_or_else(|| missing(variable::recipients))
    }

    /// The same, with the identities that a secret holds.
    #[must_use]
    pub fn with_identities(mut self, identities: Identities) -> Self {
        self.identities = Some(identities);
        self
    }

    /// The identities, if they are set; reads their file.
    ///
    /// # Errors
    /// When the file holds none, or when they are in a secret that was not read.
    pub fn identities(&self) -> Result<Option<Identities>> {
        match (&self.identities, &self.identity_file, &self.identity_secret) {
            (Some(identities), _, _) => Ok(Some(identities.clone())),
            (None, Some(file), _) => Identities::read(file).map(Some),
            (None, None, None) => Ok(None),
            (None, None, Some(secret)) => Err(unread(secret)),
        }
    }

    /// The secrets that hold what is needed.
    pub fn secrets(&self, needs: Needs) -> impl Iterator<Item = &SecretReference> {
        let database = self.database_secret.as_ref().filter(|_| needs.database);
        let signing = self.signing_key_secret.as_ref().filter(|_| needs.signing);
        let identity = self.identity_secret.as_ref().filter(|_| needs.identity);
        let restore_test = self.restore_test_secret.as_ref().filter(|_| needs.restore_test);
        [database, signing, identity, restore_test].into_iter().flatten()
    }

    /// The same, with the signing key that a secret holds.
    #[must_use]
    pub fn with_signing_key(mut self, key: SigningKey) -> Self {
        self.signing_key = Some(key);
        self
    }

    /// The signing key, if one is set; reads its file.
    ///
    /// # Errors
    /// When the file holds none, or when it is in a secret that was not read.
    pub fn signing_key(&self) -> Result<Option<SigningKey>> {
        match (&self.signing_key, &self.signing_key_file, &self.signing_key_secret) {
            (Some(key), _, _) => Ok(Some(key.clone())),
            (None, Some(file), _) => SigningKey::read(file).map(Some),
            (None, None, None) => Ok(None),
            (None, None, Some(secret)) => Err(unread(secret)),
        }
    }

    /// Who must have signed manifests; reads files of keys, if any are named.
    ///
    /// # Errors
    /// When a key is none, or its file cannot be read.
    pub fn verification_keys(&self) -> Result<Option<VerificationKeys>> {
        let read = self.verification_key.as_deref().map(VerificationKeys::read).transpose();
        read.map_err(|error| error.on(variable::verification_key))
    }

    /// What [`crate::store::Store::open`] takes; `session` is a random number.
    pub fn store_options(&self, session: u64, now: fn() -> jiff::Timestamp) -> StoreOptions {
        let lock = self.object_lock.map(|lock| LockRule::new(lock, now));
        StoreOptions { endpoint_url: self.s3_endpoint.clone(), region: self.s3_region.clone(), session, lock }
    }
}

/// Puts `higher` over `lower`. Its URL or secret of a database replaces either of them below, so that a flag wins over
/// a secret that the environment names; and so for the keys.
/// How long to wait: `90s`, `30m`, `2h`.
///
/// # Errors
/// When it is written otherwise.
pub fn wait(text: &str) -> Result<Duration> {
    values::duration(text).map_err(|problem| {
        Error::new(ErrorKind::Usage, format!("--wait: {problem}")).hint("Give a time such as 90s, 30m or 2h.")
    })
}

fn over(higher: RawSettings, mut lower: RawSettings) -> RawSettings {
    if higher.database_url.is_some() || higher.database_secret.is_some() {
        (lower.database_url, lower.database_secret) = (None, None);
    }
    if higher.restore_test_url.is_some() || higher.restore_test_secret.is_some() {
        (lower.restore_test_url, lower.restore_test_secret) = (None, None);
    }
    if higher.identity_file.is_some() || higher.identity_secret.is_some() {
        (lower.identity_file, lower.identity_secret) = (None, None);
    }
    if higher.signing_key_file.is_some() || higher.signing_key_secret.is_some() {
        (lower.signing_key_file, lower.signing_key_secret) = (None, None);
    }
    if higher.slack_url.is_some() || higher.slack_secret.is_some() {
        (lower.slack_url, lower.slack_secret) = (None, None);
    }
    if higher.webhook_url.is_some() || higher.webhook_secret.is_some() {
        (lower.webhook_url, lower.webhook_secret) = (None, None);
    }
    if higher.ping_url.is_some() || higher.ping_secret.is_some() {
        (lower.ping_url, lower.ping_secret) = (None, None);
    }
    higher.or(lower)
}

/// The endpoint of all services is the one of each that has none of its own in the same place.
fn endpoints_of_layer(mut layer: RawSettings) -> RawSettings {
    layer.s3_endpoint = layer.s3_endpoint.or_else(|| layer.endpoint.clone());
    layer.secrets_endpoint = layer.secrets_endpoint.or_else(|| layer.endpoint.clone());
    layer.sns_endpoint = layer.sns_endpoint.or_else(|| layer.endpoint.clone());
    layer.cloudwatch_endpoint = layer.cloudwatch_endpoint.or_else(|| layer.endpoint.clone());
    layer
}

/// A job that uses a secret says so in its [`Needs`].
fn unread(secret: &SecretReference) -> Error {
    Error::new(ErrorKind::Internal, "is a secret that was not read").on(secret.id())
}

fn missing(variable: &str) -> Error {
    Error::new(ErrorKind::Settings, "is not set").on(variable).hint(format!("Set {variable}."))
}

#[cfg(test)]
mod tests;
