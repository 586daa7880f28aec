//! Decides whether a server certificate is good enough for the `sslmode`.
//!
//! Why it is safe: whatever is checked of the certificate, the handshake's signature always is, so that the peer
//! holds the key of the certificate it shows. Chains and names are checked by the TLS library's own functions.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::public_key;

/// Roots to trust.
#[derive(Debug, Clone)]
pub(super) struct Trusted {
    anchors: Arc<RootCertStore>,
    /// The same as certificates, for servers that show one of the roots itself.
    certificates: Arc<Vec<CertificateDer<'static>>>,
}

impl Trusted {
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut anchors = RootCertStore::empty();
        for certificate in &certificates {
            anchors.add(certificate.clone())?;
        }
        Ok(Self { anchors: Arc::new(anchors), certificates: Arc::new(certificates) })
    }

    /// Roots that no server shows as its own certificate.
    pub(super) fn anchors(anchors: RootCertStore) -> Self {
        Self { anchors: Arc::new(anchors), certificates: Arc::default() }
    }
}

/// What is checked of a certificate.
#[derive(Debug)]
pub(super) enum Check {
    Nothing,
    Chain(Trusted),
    ChainAndName(Trusted),
}

/// The verifier for one check.
#[derive(Debug)]
pub(super) struct Verifier {
    check: Check,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(check: Check, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { check, algorithms }
    }

    fn check_chain(
        &self,
        trusted: &Trusted,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &trusted.anchors,
            intermediates,
            now,
            self.algorithms.all,
        );
        match signed {
            // `openssl req -x509` makes self-signed certificates that are CAs. One that is itself named as root is
            // good for libpq, and here: its dates were checked before this error can arise (check_validity comes
            // first in webpki's check_issuer_independent_properties).
            Err(Error::InvalidCertificate(CertificateError::Other(error)))
                if error.0.to_string() == "CaUsedAsEndEntity"
                    && trusted.certificates.contains(end_entity) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Checks a handshake signature against a certificate that the TLS library cannot read.
    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate).ok_or(CertificateError::BadEncoding)?;
        let scheme = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let algorithm = scheme
            .into_iter()
            .flat_map(|(_, algorithms)| algorithms.iter())
            .find(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
            .ok_or(CertificateError::BadSignature)?;
        algorithm
            .verify_signature(key.bits, message, signature.signature())
            .map(|()| HandshakeSignatureValid::assertion())
            .map_err(|_| CertificateError::BadSignature.into())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.check {
            Check::Nothing => {}
            Check::Chain(trusted) => self.check_chain(trusted, end_entity, intermediates, now)?,
            Check::ChainAndName(trusted) => {
                self.check_chain(trusted, end_entity, intermediates, now)?;
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if ParsedCertificate::try_from(cert).is_err() {
            return self.check_signature(message, cert, dss);
        }
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if ParsedCertificate::try_from(cert).is_err() {
            return self.check_signature(message, cert, dss);
        }
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
