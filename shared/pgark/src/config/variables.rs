//! Every setting that has a name: its key in pgark.toml and its environment variable.
//!
//! This is the only file that spells environment variables which pgark reads itself. (The AWS SDK reads its own for
//! credentials, profiles and checksums.)

use std::fmt;

macro_rules! settings {
    ($($(#[$doc:meta])* $key:ident = $variable:literal,)*) => {
        /// Settings as text, before anything is validated. A flag's value goes in first; then
        /// [`RawSettings::or`] fills what is missing from the environment, then from pgark.toml.
        #[derive(Clone, Default, PartialEq, Eq)]
        pub struct RawSettings {
            $($(#[$doc])* pub $key: Option<String>,)*
        }

        impl RawSettings {
            /// Each setting's key in pgark.toml and its environment variable.
            pub const NAMES: &[(&str, &str)] = &[$((stringify!($key), $variable)),*];

            /// Fills what is missing here from `other`.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($key: self.$key.or(other.$key)),* }
            }

            /// The settings in an environment. A variable set to nothing counts as not set.
            pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
                let read = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
                Self { $($key: read($variable)),* }
            }

            pub(super) fn slot(&mut self, key: &str) -> Option<&mut Option<String>> {
                match key {
                    $(stringify!($key) => Some(&mut self.$key),)*
                    _ => None,
                }
            }

            fn keys_set(&self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                $(if self.$key.is_some() { keys.push(stringify!($key)); })*
                keys
            }
        }

        /// The environment variable of each setting, under the setting's key.
        #[expect(non_upper_case_globals, reason = "they are called what the settings are called")]
        pub mod variable {
            $($(#[$doc])* pub const $key: &str = $variable;)*
        }
    };
}

settings! {
    /// The database: a connection URL, which may hold a password.
    database_url = "PGARK_DATABASE_URL",
    /// Instead of the URL: the name or ARN of a secret in AWS Secrets Manager that holds it.
    database_secret = "PGARK_DATABASE_SECRET",
    /// How to log in to the database: `password` or `rds-iam`.
    database_auth = "PGARK_DATABASE_AUTH",
    /// What the database is called in keys.
    source = "PGARK_SOURCE",
    /// Where backups are kept: `s3://bucket/prefix` or `file:///folder`.
    store = "PGARK_STORE",
    /// age public keys, comma separated.
    recipients = "PGARK_RECIPIENTS",
    /// The file of age secret keys.
    identity_file = "PGARK_IDENTITY_FILE",
    /// Instead of the file: the name or ARN of a secret in AWS Secrets Manager that holds its text.
    identity_secret = "PGARK_IDENTITY_SECRET",
    /// The file of the minisign secret key that signs manifests.
    signing_key_file = "PGARK_SIGNING_KEY_FILE",
    /// Instead of the file: the name or ARN of a secret in AWS Secrets Manager that holds the key.
    signing_key_secret = "PGARK_SIGNING_KEY_SECRET",
    /// minisign public keys, or files of them, comma separated: one of them must have signed each manifest.
    verification_key = "PGARK_VERIFICATION_KEY",
    /// `none` to go without encryption.
    encryption = "PGARK_ENCRYPTION",
    /// `zstd`, `gzip` or `none`, with an optional `:level`.
    compression = "PGARK_COMPRESSION",
    /// How many database connections and objects at a time.
    jobs = "PGARK_JOBS",
    /// How long to wait for a table's lock.
    lock_timeout = "PGARK_LOCK_TIMEOUT",
    /// How long S3 locks backups, by tier: `GOVERNANCE daily 7, weekly 28`, or `none`.
    object_lock = "PGARK_OBJECT_LOCK",
    /// The tier, instead of the one by date.
    tier = "PGARK_TIER",
    /// Tables larger than this are cut into chunks.
    chunk_bytes = "PGARK_CHUNK_BYTES",
    /// Which backups are kept: `daily 7, weekly 4, monthly 12, yearly 7`.
    keep = "PGARK_KEEP",
    /// The newest good backups that are kept whatever the rules say.
    keep_min = "PGARK_KEEP_MIN",
    /// The time zone of days, weeks, months and years.
    time_zone = "PGARK_TIME_ZONE",
    /// The share of the good backups that may go at once.
    prune_share_max = "PGARK_PRUNE_SHARE_MAX",
    /// How old what a run left behind must be before it is removed.
    prune_grace = "PGARK_PRUNE_GRACE",
    /// Folders of PostgreSQL's server programs, for restore tests on a server of our own.
    postgres_bin = "PGARK_POSTGRES_BIN",
    /// The server for restore tests: a connection URL, which may hold a password, or `embedded`.
    restore_test_url = "PGARK_RESTORE_TEST_URL",
    /// Instead of that URL: the name or ARN of a secret in AWS Secrets Manager that holds it.
    restore_test_secret = "PGARK_RESTORE_TEST_SECRET",
    /// The SNS topic that gets alerts.
    sns_topic = "PGARK_SNS_TOPIC",
    /// The Slack-compatible webhook that gets alerts; a secret.
    slack_url = "PGARK_SLACK_URL",
    /// Instead of that URL: the name or ARN of a secret in AWS Secrets Manager that holds it.
    slack_secret = "PGARK_SLACK_SECRET",
    /// The webhook that gets alerts as JSON; a secret.
    webhook_url = "PGARK_WEBHOOK_URL",
    /// Instead of that URL: the name or ARN of a secret in AWS Secrets Manager that holds it.
    webhook_secret = "PGARK_WEBHOOK_SECRET",
    /// What is pinged when runs start and end; `{job}` and `{source}` in it are filled in; a secret.
    ping_url = "PGARK_PING_URL",
    /// Instead of that URL: the name or ARN of a secret in AWS Secrets Manager that holds it.
    ping_secret = "PGARK_PING_SECRET",
    /// Who hears of success, besides pings: `sns`, `slack`, `webhook`.
    notify_success = "PGARK_NOTIFY_SUCCESS",
    /// Where metrics go: `none`, `cloudwatch` or `emf`.
    metrics = "PGARK_METRICS",
    /// The namespace of metrics in CloudWatch.
    metrics_namespace = "PGARK_METRICS_NAMESPACE",
    /// How old the newest good backup may be.
    health_backup_age = "PGARK_HEALTH_BACKUP_AGE",
    /// How old the last verification that found nothing may be.
    health_verify_age = "PGARK_HEALTH_VERIFY_AGE",
    /// How deep a verification must have looked to count: `stored` or `content`.
    health_verify_level = "PGARK_HEALTH_VERIFY_LEVEL",
    /// How old the last restore test that passed may be.
    health_restore_test_age = "PGARK_HEALTH_RESTORE_TEST_AGE",
    /// How many times larger or smaller than the median of the last ten a backup may be.
    health_size_factor = "PGARK_HEALTH_SIZE_FACTOR",
    /// How long a run may take, and an upload may stay unfinished.
    health_run_time = "PGARK_HEALTH_RUN_TIME",
    /// What the bucket is to have: `versioning`, `lock`, `replication`.
    health_bucket = "PGARK_HEALTH_BUCKET",
    /// After which time an alert is repeated.
    health_reminder = "PGARK_HEALTH_REMINDER",
    /// The promise of how much may be lost, as a time.
    recovery_point = "PGARK_RECOVERY_POINT",
    /// The promise of how long a restore takes.
    recovery_time = "PGARK_RECOVERY_TIME",
    /// In which storage classes the tiers end up, for estimates of costs.
    storage_classes = "PGARK_STORAGE_CLASSES",
    /// A custom endpoint for every AWS service that has none of its own.
    endpoint = "AWS_ENDPOINT_URL",
    /// A custom S3 endpoint.
    s3_endpoint = "AWS_ENDPOINT_URL_S3",
    /// A custom endpoint for Secrets Manager.
    secrets_endpoint = "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    /// A custom endpoint for SNS.
    sns_endpoint = "AWS_ENDPOINT_URL_SNS",
    /// A custom endpoint for CloudWatch.
    cloudwatch_endpoint = "AWS_ENDPOINT_URL_CLOUDWATCH",
    /// The S3 region.
    s3_region = "AWS_REGION",
}

/// The path of pgark.toml, if it is not `./pgark.toml`.
pub const CONFIG_FILE: &str = "PGARK_CONFIG";

/// What a Lambda function calls itself in its log, as Powertools for AWS Lambda reads it.
pub const SERVICE_NAME: &str = "POWERTOOLS_SERVICE_NAME";

/// The name of a function; only Lambda and its emulators set it.
pub const LAMBDA_FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// How much a Lambda function logs: Lambda sets it from the function's logging configuration.
pub const LAMBDA_LOG_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Where the Lambda Runtime API is; only Lambda and its emulators set it.
pub const LAMBDA_RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Who is logged in, for records of what a person decided.
pub const USER: &str = "USER";

/// The memory of a function in MB; only Lambda and its emulators set it.
pub const LAMBDA_MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// libpq's variable of the host, which a secret without one leaves the host to.
pub const LIBPQ_HOST: &str = "PGHOST";

/// Names only: the values may hold secrets.
impl fmt::Debug for RawSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawSettings(set: {})", self.keys_set().join(", "))
    }
}
