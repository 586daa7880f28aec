//! From `sslmode` and its companions to a TLS client.
//!
//! | sslmode | a root file is given or `~/.postgresql/root.crt` exists | otherwise |
//! | --- | --- | --- |
//! | `disable` | no TLS | no TLS |
//! | `allow`, `prefer` | TLS if offered, its certificate checked like `verify-ca` | TLS if offered, any certificate |
//! | `require` | like `verify-ca` | TLS, any certificate |
//! | `verify-ca` | signed by one of those roots | signed by a Mozilla or Amazon RDS root |
//! | `verify-full` | and valid for the host name | and valid for the host name |
//!
//! As in libpq (manual, chapter 34.19.1 and 34.19.3; `initialize_SSL` in fe-secure-openssl.c), with these differences:
//! `allow` means `prefer`; a root file that is named must exist in every mode; a certificate that a given root did
//! not sign fails under `prefer` too, where libpq would go on in plain text; the common name is not read as a host
//! name; without a root file `verify-*` falls back on built-in roots, where libpq gives up.

mod certificate;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::verifier::{Check, Trusted, Verifier};
use super::target::{ClientCertificate, Roots, SslMode, TlsSettings, TlsVersions};

/// Roots of Amazon RDS and Aurora; `certs/README.md` says where they come from.
const RDS_ROOTS: &str = include_str!("../../certs/rds-global-bundle.pem");

/// Where distributions keep the system's roots, in the order in which Go's crypto/x509 looks too.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A TLS client ready for use.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: MakeRustlsConnect,
    /// A certificate can be found wanting, so that a failure must not end in plain text.
    pub(super) verifies: bool,
}

/// Builds the client; the text says which file is unfit and why. Reads files.
pub(super) fn client(settings: &TlsSettings) -> Result<Tls, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let check = check(settings)?;
    let can_fail = !matches!(check, Check::Nothing);
    let verifier = Verifier::new(check, provider.signature_verification_algorithms);
    let mut config = builder(settings, provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth(settings.client.as_ref().filter(|_| settings.mode != SslMode::Disable))?;
    config.enable_sni = settings.server_name_indication;
    if settings.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(Tls { connector: MakeRustlsConnect::new(config), verifies: can_fail })
}

type Builder<State> = rustls::ConfigBuilder<ClientConfig, State>;

fn builder(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Builder<rustls::WantsVerifier>, String> {
    let versions: &[&'static SupportedProtocolVersion] = match settings.versions {
        TlsVersions::Both => &[&version::TLS13, &version::TLS12],
        TlsVersions::Only12 => &[&version::TLS12],
        TlsVersions::Only13 => &[&version::TLS13],
    };
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())
}

/// What of the server's certificate is checked.
fn check(settings: &TlsSettings) -> Result<Check, String> {
    let given = match &settings.roots {
        _ if settings.mode == SslMode::Disable => return Ok(Check::Nothing),
        Roots::File(file) => Some(read_roots(file)?),
        Roots::System { ssl_cert_file } => Some(system_roots(ssl_cert_file.as_deref())?),
        Roots::Default { home } => match home.as_ref().map(|home| home.join(".postgresql/root.crt")) {
            Some(file) if file.exists() => Some(read_roots(&file)?),
            _ => None,
        },
    };
    let trusted = match (given, settings.mode) {
        (Some(trusted), _) => trusted,
        (None, SslMode::VerifyCa | SslMode::VerifyFull) => built_in_roots()?,
        (None, _) => return Ok(Check::Nothing),
    };
    Ok(if settings.mode == SslMode::VerifyFull {
        Check::ChainAndName(trusted)
    } else {
        Check::Chain(trusted)
    })
}

/// Every certificate of a PEM file; one that cannot be used is an error.
fn read_roots(file: &Path) -> Result<Trusted, String> {
    let unfit = |error: &dyn std::fmt::Display| format!("root certificates in {}: {error}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unfit(&error))?;
    if certificates.is_empty() {
        return Err(unfit(&"the file holds no certificate"));
    }
    Trusted::new(certificates).map_err(|error| unfit(&error))
}

/// The operating system's roots, or Mozilla's where the system keeps none. As in every TLS client,
/// a certificate in a system store that cannot be read is passed over.
fn system_roots(ssl_cert_file: Option<&Path>) -> Result<Trusted, String> {
    let named = ssl_cert_file.map(PathBuf::from);
    let usual = SYSTEM_ROOTS.iter().map(PathBuf::from).find(|file| file.exists());
    let Some(file) = named.or(usual) else { return Ok(Trusted::anchors(mozilla_roots())) };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(&file)
        .map_err(|error| format!("system certificates in {}: {error}", file.display()))?
        .flatten()
        .collect();
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(format!("system certificates in {}: none can be used", file.display()));
    }
    Ok(Trusted::anchors(store))
}

fn mozilla_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Mozilla's and Amazon RDS's roots, read once.
fn built_in_roots() -> Result<Trusted, String> {
    static ROOTS: OnceLock<Result<Trusted, String>> = OnceLock::new();
    let read = || {
        let mut store = mozilla_roots();
        for certificate in CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("built-in RDS roots: {error}"))?;
            store.add(certificate).map_err(|error| format!("built-in RDS roots: {error}"))?;
        }
        Ok(Trusted::anchors(store))
    };
    ROOTS.get_or_init(read).clone()
}

/// The last step of a client's configuration: what it shows of itself.
trait WithClientAuth {
    fn with_client_auth(self, files: Option<&ClientCertificate>) -> Result<ClientConfig, String>;
}

impl WithClientAuth for Builder<rustls::client::WantsClientCert> {
    fn with_client_auth(self, files: Option<&ClientCertificate>) -> Result<ClientConfig, String> {
        let Some(files) = files.filter(|files| files.named || files.certificate.exists()) else {
            return Ok(self.with_no_client_auth());
        };
        let unfit = |file: &Path, error: &dyn std::fmt::Display| {
            format!("client certificate {}: {error}", file.display())
        };
        let chain = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unfit(&files.certificate, &error))?;
        warn_if_key_is_open(&files.key);
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unfit(&files.key, &error))?;
        self.with_client_auth_cert(chain, key).map_err(|error| unfit(&files.certificate, &error))
    }
}

/// libpq refuses a key that others may read. In a function's package every file must be readable by all,
/// so that we only warn.
fn warn_if_key_is_open(key: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = std::fs::metadata(key) {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!(file = %key.display(), "client key can be read by group or others");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_root_is_read() {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(certificates.len(), RDS_ROOTS.matches("BEGIN CERTIFICATE").count());
        for certificate in &certificates {
            RootCertStore::empty().add(certificate.clone()).unwrap();
        }
        // Three key types in each region, and the regions that matter most are there.
        assert_eq!(certificates.len() % 3, 0);
        for region in ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-northeast-1"] {
            assert_eq!(RDS_ROOTS.matches(&format!("Amazon RDS {region} Root CA")).count(), 3, "{region}");
        }
        assert!(built_in_roots().is_ok());
    }

    #[test]
    fn unfit_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let garbage = folder.path().join("garbage.pem");
        std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        for file in [&empty, &garbage, &folder.path().join("absent.pem")] {
            let error = read_roots(file).err().unwrap();
            assert!(error.contains(file.to_str().unwrap()), "{error}");
        }
    }
}
