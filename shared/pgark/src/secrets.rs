//! Settings that are kept in AWS Secrets Manager: which secret, reading it, and what is wrong when that fails.
//!
//! Safe because a secret's text leaves here only as a [`Secret`], which no `Debug` shows, and no error keeps the answer
//! that held it. When to read, and how often, is left to the callers; what a database secret looks like to [`database`].

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{self, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;

use crate::config::{Needs, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

mod database;
mod rds;
mod reference;

pub use database::database_url;
pub(crate) use rds::RdsTokens;
pub use reference::SecretReference;

/// Reads secrets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Secrets {
    config: SdkConfig,
}

impl Secrets {
    /// Prepares reading the secrets that hold what is needed; `None` if there are none. Contacts nobody yet.
    ///
    /// # Errors
    /// When a secret's region is not known.
    pub async fn open(settings: &Settings, needs: Needs) -> Result<Option<Self>> {
        let wanted: Vec<_> = settings.secrets(needs).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        Self::prepare(settings, &wanted).await.map(Some)
    }

    /// Prepares reading these secrets. Contacts nobody yet.
    ///
    /// # Errors
    /// When a secret's region is not known.
    pub async fn prepare(settings: &Settings, wanted: &[&SecretReference]) -> Result<Self> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(timeouts());
        if let Some(region) = &settings.s3_region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &settings.secrets_endpoint {
            loader = loader.endpoint_url(url);
        }
        let config = loader.load().await;
        if let Some(secret) = wanted.iter().find(|secret| secret.region().is_none())
            && config.region().is_none()
        {
            return Err(Error::new(ErrorKind::Settings, "no AWS region is set")
                .on(secret.id())
                .hint("Set AWS_REGION to the region of the secret, or give the secret's whole ARN."));
        }
        Ok(Self { config })
    }

    /// Reads the current version of a secret, in the region that its ARN names.
    ///
    /// # Errors
    /// When it does not exist, may not be read, or is not text.
    pub async fn read(&self, secret: &SecretReference) -> Result<Secret> {
        let mut config = config::Builder::from(&self.config);
        if let Some(region) = secret.region() {
            config = config.region(Region::new(region.to_owned()));
        }
        let client = Client::from_conf(config.build());
        let answer = client.get_secret_value().secret_id(secret.id()).send().await;
        let text = answer.map_err(|error| failed(error).on(secret.id()))?.secret_string;
        text.map(Secret::new).ok_or_else(|| {
            Error::new(ErrorKind::SecretInvalid, "holds bytes, not text")
                .on(secret.id())
                .hint("Store it as a secret string.")
        })
    }
}

/// Secrets are small and near; whoever cannot reach them in this time has no way to them.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(4))
        .operation_attempt_timeout(Duration::from_secs(8))
        .operation_timeout(Duration::from_secs(30))
        .build()
}

/// What a failed request means. Its answer is not kept as the cause: it might hold the secret.
fn failed(error: SdkError<GetSecretValueError>) -> Error {
    let unreachable = |message: &str| {
        Error::new(ErrorKind::SecretUnreachable, message).hint(
            "From within a VPC, Secrets Manager needs a NAT gateway or the interface endpoint \
             com.amazonaws.REGION.secretsmanager; elsewhere look at the network and AWS_ENDPOINT_URL_SECRETS_MANAGER.",
        )
    };
    match error {
        SdkError::ServiceError(answer) => refused(answer.into_err()),
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if tells_of_credentials(&error) => {
            Error::new(ErrorKind::SecretRefused, "no usable AWS credentials were found")
                .hint("Give the function or machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
                .because(error)
        }
        SdkError::TimeoutError(_) => unreachable("cannot be read: Secrets Manager did not answer in time"),
        SdkError::DispatchFailure(_) => {
            unreachable("cannot be read: Secrets Manager cannot be reached").because(error)
        }
        _ => unreachable("cannot be read: the answer of Secrets Manager makes no sense"),
    }
}

/// Codes of GetSecretValue (Secrets Manager API reference), and those that every service has.
fn refused(error: GetSecretValueError) -> Error {
    let message = error.message().unwrap_or_default();
    let (kind, text, hint) = match error.code().unwrap_or_default() {
        "ResourceNotFoundException" => (
            ErrorKind::SecretMissing,
            "there is no such secret",
            "Create it, or correct the setting that names it. A name is looked up in AWS_REGION and the own account only; an ARN says both.",
        ),
        "InvalidRequestException" if message.contains("marked for deletion") => (
            ErrorKind::SecretMissing,
            "the secret is marked for deletion",
            "Restore it with `aws secretsmanager restore-secret`, or name another one.",
        ),
        "AccessDeniedException" if message.contains("KMS") => (
            ErrorKind::SecretRefused,
            "the key that encrypts the secret may not be used",
            "Allow kms:Decrypt on the secret's KMS key.",
        ),
        "DecryptionFailure" => (
            ErrorKind::SecretRefused,
            "the secret cannot be decrypted",
            "Look whether the secret's KMS key is enabled, and allow kms:Decrypt on it.",
        ),
        "AccessDeniedException" => (
            ErrorKind::SecretRefused,
            "reading the secret is not allowed",
            "Allow secretsmanager:GetSecretValue on this secret, and kms:Decrypt if it has a KMS key of its own.",
        ),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch" => (
            ErrorKind::SecretRefused,
            "the AWS credentials are not accepted",
            "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; temporary ones expire.",
        ),
        _ => (
            ErrorKind::SecretUnreachable,
            "Secrets Manager refused the request",
            "Run it again; if it stays, the cause says more.",
        ),
    };
    Error::new(kind, text).hint(hint).because(error)
}

/// Whether the SDK gave up for want of credentials, by the causes of the error.
fn tells_of_credentials(error: &(dyn StdError + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.any(|error| error.to_string().contains("credential"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::error::ErrorMetadata;

    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        for (code, message, kind) in [
            ("ResourceNotFoundException", "can't find", ErrorKind::SecretMissing),
            ("InvalidRequestException", "because it was marked for deletion.", ErrorKind::SecretMissing),
            ("AccessDeniedException", "is not authorized", ErrorKind::SecretRefused),
            ("AccessDeniedException", "Access to KMS is not allowed", ErrorKind::SecretRefused),
            ("DecryptionFailure", "", ErrorKind::SecretRefused),
            ("ExpiredTokenException", "", ErrorKind::SecretRefused),
            ("InternalServiceError", "", ErrorKind::SecretUnreachable),
        ] {
            let metadata = ErrorMetadata::builder().code(code).message(message).build();
            let error = refused(GetSecretValueError::generic(metadata));
            assert_eq!(error.kind(), kind, "{code}: {message}");
            assert!(error.hint_text().is_some_and(|hint| hint.ends_with('.')), "{code}");
        }
    }
}
