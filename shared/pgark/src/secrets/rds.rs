//! Logging in to RDS and Aurora without a password: a token for each connection, signed with the AWS credentials at hand.
//!
//! A token is a presigned request of the service `rds-db` without its scheme, good for 15 minutes ("IAM database
//! authentication for MariaDB, MySQL, and PostgreSQL", Amazon RDS User Guide). It is made without asking anybody. The role
//! needs `rds-db:connect` on the database's role, which must be a member of `rds_iam`.

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_secretsmanager::config::Region;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pg_archive::connect::PasswordSource;
use tokio::sync::OnceCell;

const VALID: Duration = Duration::from_mins(15);
/// All but what RFC 3986, section 2.3 lets stand in any part of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes tokens.
#[derive(Debug)]
pub(crate) struct RdsTokens {
    region: Option<String>,
    config: OnceCell<SdkConfig>,
}

impl RdsTokens {
    /// In a region, or else in the one that the database's host name has, or the environment.
    pub(crate) fn new(region: Option<String>) -> Self {
        Self { region, config: OnceCell::new() }
    }

    async fn make(&self, host: &str, port: u16, user: &str) -> Result<String, String> {
        let load = || async {
            let mut loader = aws_config::defaults(BehaviorVersion::latest());
            if let Some(region) = &self.region {
                loader = loader.region(Region::new(region.clone()));
            }
            loader.load().await
        };
        let config = self.config.get_or_init(load).await;
        // The database's own region decides, wherever the function is.
        let region = region_of(host).or_else(|| config.region().map(AsRef::as_ref));
        let region = region.ok_or("no AWS region is set, and the host name has none; set AWS_REGION")?;
        let provider =
            config.credentials_provider().ok_or("there are no AWS credentials to make a token with")?;
        let credentials = provider.provide_credentials().await;
        let credentials =
            credentials.map_err(|error| format!("no AWS credentials to make a token with: {error}"))?;
        token(host, port, user, region, credentials, SystemTime::now())
    }
}

impl PasswordSource for RdsTokens {
    fn password<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        user: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(self.make(host, port, user))
    }
}

/// `shop.abcdef.eu-west-1.rds.amazonaws.com` -> `eu-west-1`; in China it ends in `.com.cn`.
fn region_of(host: &str) -> Option<&str> {
    let host = host.strip_suffix(".cn").unwrap_or(host);
    host.strip_suffix(".rds.amazonaws.com")?.rsplit('.').next()
}

fn token(
    host: &str,
    port: u16,
    user: &str,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<String, String> {
    let failed = |error: &dyn std::error::Error| format!("a token cannot be made: {error}");
    let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALID);
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let address = format!("{host}:{port}/?Action=connect&DBUser={}", encoded(user));
    let url = format!("https://{address}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]));
    let (signed, _) = sign(request.map_err(|error| failed(&error))?, &parameters)
        .map_err(|error| failed(&error))?
        .into_parts();
    let parameters =
        signed.params().iter().map(|(name, value)| format!("&{}={}", encoded(name), encoded(value)));
    Ok(parameters.fold(address, |token, parameter| token + &parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As botocore's `generate_db_auth_token` makes it, which puts the parameters into another order.
    #[test]
    fn a_token_is_the_one_that_awss_own_tools_make() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_287_584);
        let host = "shop.abcdef.eu-west-1.rds.amazonaws.com";
        let credentials =
            Credentials::new("AKIDEXAMPLE", "secret", Some("session/=".to_owned()), None, "test");
        let token = token(host, 5432, "pg ark", "eu-west-1", credentials, now).unwrap();
        let (address, query) = token.split_once('?').unwrap();
        assert_eq!(address, "shop.abcdef.eu-west-1.rds.amazonaws.com:5432/");
        let mut parameters: Vec<_> = query.split('&').collect();
        parameters.sort_unstable();
        assert_eq!(parameters, BOTOCORE);
    }

    const BOTOCORE: [&str; 9] = [
        "Action=connect",
        "DBUser=pg%20ark",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Credential=AKIDEXAMPLE%2F20261121%2Feu-west-1%2Frds-db%2Faws4_request",
        "X-Amz-Date=20261121T185944Z",
        "X-Amz-Expires=900",
        "X-Amz-Security-Token=session%2F%3D",
        "X-Amz-Signature=43b3d3895e2e9a39a7747a8f9153e4593c471683189e9f6d5cdeadecfc834a4b",
        "X-Amz-SignedHeaders=host",
    ];

    #[test]
    fn the_region_is_the_databases_own() {
        for (host, region) in [
            ("shop.abcdef.eu-west-1.rds.amazonaws.com", Some("eu-west-1")),
            ("shop.cluster-abcdef.us-east-1.rds.amazonaws.com", Some("us-east-1")),
            ("shop.abcdef.cn-north-1.rds.amazonaws.com.cn", Some("cn-north-1")),
            ("db.example", None),
            ("rds.amazonaws.com", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
