//! One value after the other, and what they must be together: from settings as text to [`Settings`].

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::problems::Problems;
use super::{
    EMBEDDED, LockOnWrite, Needs, RawSettings, Settings, Sources, StoreUrl, retention, values, variable,
    watching,
};
use crate::cost::StorageClasses;
use crate::repository::{SourceName, Tier};
use crate::seal::{Compression, Encryption};
use crate::secret::Secret;
use crate::secrets::SecretReference;

/// Chunks of tables are of this size unless set: large enough to be few, small enough to be tried again.
const CHUNK_BYTES_DEFAULT: u64 = 1 << 30;
const LOCK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const JOBS_DEFAULT_MAX: usize = 4;
const JOBS_MAX: usize = 64;

fn database_iam(text: &str) -> Result<bool, String> {
    match text.trim() {
        "password" => Ok(false),
        "rds-iam" => Ok(true),
        text => Err(format!("`{text}` is no way to log in")),
    }
}

pub(super) fn validate(raw: &RawSettings, needs: Needs, cores: usize, problems: &mut Problems) -> Settings {
    let store = raw.store.as_deref().map(str::parse::<StoreUrl>);
    let source = raw.source.as_deref().map(str::parse::<SourceName>);
    let compression = raw.compression.as_deref().map(str::parse::<Compression>);
    let tier = raw.tier.as_deref().map(str::parse::<Tier>);
    let lock_timeout = raw.lock_timeout.as_deref().map(values::duration);
    let chunk_bytes = raw.chunk_bytes.as_deref().map(values::size);
    let secret = |text: &Option<String>| text.as_deref().map(str::parse::<SecretReference>);
    let general = problems.keep(variable::endpoint, raw.endpoint.as_deref().map(endpoint), ENDPOINT_FIX);
    let [s3_endpoint, secrets_endpoint] = endpoints(raw, general.as_ref(), problems);
    let watch_endpoints = watching::endpoints(raw, general.as_ref(), problems);
    let jobs_default = cores.clamp(1, JOBS_DEFAULT_MAX);
    let settings = Settings {
        database_url: raw.database_url.as_deref().map(Secret::new),
        database_secret: problems.keep(
            variable::database_secret,
            secret(&raw.database_secret),
            SecretReference::RULE,
        ),
        store: problems.keep(variable::store, store, "Give s3://bucket/prefix or file:///folder."),
        encryption: encryption(raw, needs, problems),
        source: problems.keep(variable::source, source, SourceName::RULE),
        identity_file: raw.identity_file.as_deref().map(PathBuf::from),
        identity_secret: problems.keep(
            variable::identity_secret,
            secret(&raw.identity_secret),
            SecretReference::RULE,
        ),
        identities: None,
        signing_key_file: raw.signing_key_file.as_deref().map(PathBuf::from),
        signing_key_secret: problems.keep(
            variable::signing_key_secret,
            secret(&raw.signing_key_secret),
            SecretReference::RULE,
        ),
        signing_key: None,
        verification_key: raw.verification_key.clone(),
        compression: problems
            .keep(
                variable::compression,
                compression,
                "Give zstd, zstd:1 to zstd:19, gzip, gzip:1 to gzip:9, or none.",
            )
            .unwrap_or_default(),
        jobs: problems
            .keep(variable::jobs, raw.jobs.as_deref().map(jobs), "Give a number of connections from 1 to 64.")
            .or(NonZeroUsize::new(jobs_default))
            .unwrap_or(NonZeroUsize::MIN),
        lock_timeout: problems
            .keep(variable::lock_timeout, lock_timeout, "Give a time such as 500ms, 30s or 5m.")
            .unwrap_or(LOCK_TIMEOUT_DEFAULT),
        database_iam: problems
            .keep(
                variable::database_auth,
                raw.database_auth.as_deref().map(database_iam),
                "Give password, or rds-iam for RDS and Aurora.",
            )
            .unwrap_or_default(),
        object_lock: problems
            .keep(variable::object_lock, raw.object_lock.as_deref().map(LockOnWrite::parse), LockOnWrite::FIX)
            .flatten(),
        tier: problems.keep(
            variable::tier,
            tier,
            "Give daily, weekly, monthly or yearly, or leave it to the date.",
        ),
        chunk_bytes: problems
            .keep(variable::chunk_bytes, chunk_bytes, "Give bytes, or a size such as 512MiB or 1GiB.")
            .unwrap_or(CHUNK_BYTES_DEFAULT),
        retention: retention::validate(raw, problems),
        s3_endpoint,
        secrets_endpoint,
        s3_region: raw.s3_region.clone(),
        postgres_bin: raw.postgres_bin.clone(),
        restore_test_url: raw.restore_test_url.as_deref().filter(|url| *url != EMBEDDED).map(Secret::new),
        restore_test_secret: problems.keep(
            variable::restore_test_secret,
            secret(&raw.restore_test_secret),
            SecretReference::RULE,
        ),
        storage_classes: problems
            .keep(
                variable::storage_classes,
                raw.storage_classes.as_deref().map(str::parse::<StorageClasses>),
                StorageClasses::FORM,
            )
            .unwrap_or_default(),
        assertions: Vec::new(),
        watch: watching::validate(raw, watch_endpoints, problems),
        database_name: None,
        sources: Sources::default(),
    };
    requirements(raw, needs, problems);
    settings
}

/// What must be set, and what must not be set twice.
fn requirements(raw: &RawSettings, needs: Needs, problems: &mut Problems) {
    if needs.database && raw.database_url.is_none() && raw.database_secret.is_none() {
        let fix = "Set it to postgresql://user:password@host/database?sslmode=verify-full, or PGARK_DATABASE_SECRET to the secret that holds this.";
        problems.add(variable::database_url, "is not set", fix);
    }
    for (url, url_name, secret, secret_name) in [
        (&raw.database_url, variable::database_url, &raw.database_secret, variable::database_secret),
        (
            &raw.restore_test_url,
            variable::restore_test_url,
            &raw.restore_test_secret,
            variable::restore_test_secret,
        ),
    ] {
        if url.is_some() && secret.is_some() {
            let fix = "Unset one of them: the secret holds the URL.";
            problems.add(secret_name, format!("is set, and so is {url_name}"), fix);
        }
    }
    if raw.signing_key_file.is_some() && raw.signing_key_secret.is_some() {
        let fix = "Unset one of them: the secret holds the text of the file.";
        problems.add(variable::signing_key_secret, "is set, and so is PGARK_SIGNING_KEY_FILE", fix);
    }
    if raw.identity_file.is_some() && raw.identity_secret.is_some() {
        let fix = "Unset one of them: the secret holds the text of the file.";
        problems.add(variable::identity_secret, "is set, and so is PGARK_IDENTITY_FILE", fix);
    }
    if needs.store && raw.store.is_none() {
        problems.add(variable::store, "is not set", "Set it to s3://bucket/prefix or file:///folder.");
    }
}

/// Encryption is never left out by silence: recipients, or an explicit `none`, and not both.
fn encryption(raw: &RawSettings, needs: Needs, problems: &mut Problems) -> Option<Encryption> {
    let fix = "Give age public keys (age1…), comma separated; `pgark keys` makes a pair.";
    let none = match raw.encryption.as_deref() {
        None | Some("age") => false,
        Some("none") => true,
        Some(_) => {
            problems.add(
                variable::encryption,
                "is neither `age` nor `none`",
                "Leave it away, or set it to none.",
            );
            return None;
        }
    };
    match (raw.recipients.as_deref(), none) {
        (Some(_), true) => {
            problems.add(
                variable::encryption,
                "is none although PGARK_RECIPIENTS is set",
                "Unset one of them: recipients encrypt, none goes without.",
            );
            None
        }
        (Some(text), false) => {
            problems.keep(variable::recipients, Some(values::recipients(text)), fix).map(Encryption::Age)
        }
        (None, true) => Some(Encryption::None),
        (None, false) if needs.encryption => {
            problems.add(
                variable::recipients,
                "is not set, and PGARK_ENCRYPTION is not none",
                "Set PGARK_RECIPIENTS to age public keys (`pgark keys` makes a pair) to encrypt the backup, or PGARK_ENCRYPTION=none to store it readable by anyone who can read the store.",
            );
            None
        }
        (None, false) => None,
    }
}

fn jobs(text: &str) -> Result<NonZeroUsize, &'static str> {
    match text.parse::<usize>().ok().and_then(NonZeroUsize::new) {
        Some(jobs) if jobs.get() <= JOBS_MAX => Ok(jobs),
        _ => Err("is not a number from 1 to 64"),
    }
}

const ENDPOINT_FIX: &str = "Give a URL such as https://account.r2.cloudflarestorage.com.";

/// The endpoints of S3 and of Secrets Manager. A wrong one is told once, by the variable that was set.
fn endpoints(raw: &RawSettings, general: Option<&String>, problems: &mut Problems) -> [Option<String>; 2] {
    [(variable::s3_endpoint, &raw.s3_endpoint), (variable::secrets_endpoint, &raw.secrets_endpoint)]
        .map(|(name, text)| endpoint_of(name, text.as_deref(), (raw, general), problems))
}

/// A service's own endpoint, or the general one.
pub(super) fn endpoint_of(
    name: &str,
    text: Option<&str>,
    (raw, general): (&RawSettings, Option<&String>),
    problems: &mut Problems,
) -> Option<String> {
    if text == raw.endpoint.as_deref() {
        general.cloned()
    } else {
        problems.keep(name, text.map(endpoint), ENDPOINT_FIX)
    }
}

fn endpoint(text: &str) -> Result<String, &'static str> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if host.contains('@') => Err("has credentials in it"),
        Some(host) if !host.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("is no http:// or https:// URL"),
    }
}
