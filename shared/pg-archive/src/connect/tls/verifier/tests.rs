//! Each sslmode against each sort of certificate, and handshakes with the right and the wrong key.

use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;

/// Throwaway keys and certificates made with OpenSSL 3.0, valid until 2126. `server*` and `self-signed` hold
/// the key `test-only.key`, `ca` and `other-v1` others; `ca` signed `server` (names db.example, 127.0.0.1) and the `-v1` ones.
fn pem(name: &str) -> CertificateDer<'static> {
    let text = match name {
        "ca" => include_str!("../testdata/ca.pem"),
        "server" => include_str!("../testdata/server.pem"),
        "server-v1" => include_str!("../testdata/server-v1.pem"),
        "other-v1" => include_str!("../testdata/other-v1.pem"),
        "self-signed" => include_str!("../testdata/self-signed.pem"),
        other => panic!("no test certificate {other}"),
    };
    CertificateDer::from_pem_slice(text.as_bytes()).unwrap()
}

fn verifier(mode: &str, roots: &str) -> Verifier {
    let trusted = || Trusted::new(vec![pem(roots)]).unwrap();
    let check = match mode {
        "require" => Check::Nothing,
        "verify-ca" => Check::Chain(trusted()),
        "verify-full" => Check::ChainAndName(trusted()),
        other => panic!("no mode {other}"),
    };
    Verifier::new(check, aws_lc_rs::default_provider().signature_verification_algorithms)
}

#[test]
fn certificates_are_judged_by_mode() {
    const NOW: u64 = 1_800_000_000; // January 2027
    const PAST: u64 = 1_000_000_000;
    const FUTURE: u64 = 5_000_000_000; // June 2128
    let cases = [
        // mode, root, certificate, host, time, part of the error
        ("require", "ca", "server", "db.example", NOW, None),
        ("require", "ca", "self-signed", "elsewhere.example", FUTURE, None),
        ("require", "ca", "server-v1", "elsewhere.example", NOW, None),
        ("verify-ca", "ca", "server", "db.example", NOW, None),
        ("verify-ca", "ca", "server", "elsewhere.example", NOW, None),
        ("verify-ca", "ca", "server", "db.example", PAST, Some("NotValidYet")),
        ("verify-ca", "ca", "server", "db.example", FUTURE, Some("Expired")),
        ("verify-ca", "self-signed", "server", "db.example", NOW, Some("UnknownIssuer")),
        ("verify-ca", "ca", "self-signed", "db.example", NOW, Some("CaUsedAsEndEntity")),
        ("verify-ca", "ca", "server-v1", "db.example", NOW, Some("UnsupportedCertVersion")),
        ("verify-ca", "self-signed", "self-signed", "elsewhere.example", NOW, None),
        ("verify-ca", "self-signed", "self-signed", "db.example", FUTURE, Some("Expired")),
        ("verify-full", "ca", "server", "db.example", NOW, None),
        ("verify-full", "ca", "server", "127.0.0.1", NOW, None),
        ("verify-full", "ca", "server", "127.0.0.2", NOW, Some("NotValidForName")),
        ("verify-full", "ca", "server", "elsewhere.example", NOW, Some("NotValidForName")),
        ("verify-full", "self-signed", "server", "db.example", NOW, Some("UnknownIssuer")),
        ("verify-full", "self-signed", "self-signed", "db.example", NOW, None),
        ("verify-full", "self-signed", "self-signed", "elsewhere.example", NOW, Some("NotValidForName")),
    ];
    for (mode, root, certificate, host, time, expected) in cases {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
        let name = ServerName::try_from(host).unwrap();
        let result = verifier(mode, root).verify_server_cert(&pem(certificate), &[], &name, &[], time);
        let case = format!("{mode} with root {root}: {certificate} at {host}");
        match (result, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => assert!(format!("{error:?}").contains(part), "{case}: {error:?}"),
            (result, _) => panic!("{case}: {result:?}"),
        }
    }
}

/// Shows one certificate and signs with the test key, fitting or not.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Runs a handshake in memory with `sslmode=require` against a server that shows this certificate.
fn handshake(certificate: &str, version: &'static SupportedProtocolVersion) -> Result<(), Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../testdata/test-only.key")).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shows = Shows(Arc::new(CertifiedKey::new(vec![pem(certificate)], key)));
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shows));
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier("require", "ca")))
        .with_no_client_auth();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), "db.example".try_into().unwrap()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut flight = Vec::new();
        client.write_tls(&mut flight).unwrap();
        server.read_tls(&mut flight.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut flight = Vec::new();
        server.write_tls(&mut flight).unwrap();
        client.read_tls(&mut flight.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_peer_without_the_key_of_its_certificate_is_refused() {
    for version in [&TLS12, &TLS13] {
        for own in ["server", "server-v1", "self-signed"] {
            assert_eq!(handshake(own, version), Ok(()), "{own}, {version:?}");
        }
        for stolen in ["ca", "other-v1"] {
            let refused = Err(Error::InvalidCertificate(CertificateError::BadSignature));
            assert_eq!(handshake(stolen, version), refused, "{stolen}, {version:?}");
        }
    }
}
