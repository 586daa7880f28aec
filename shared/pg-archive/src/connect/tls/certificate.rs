//! Finds the public key in an X.509 certificate of any version.
//!
//! The TLS library reads version 3 only, but the recipe in the PostgreSQL manual (chapter 19.9.5) yields version 1
//! with OpenSSL before 3.2, and `sslmode=require` must work with such a server. This walks RFC 5280's
//! `TBSCertificate` just far enough; every length is checked against the input.

/// `SubjectPublicKeyInfo`, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    /// Contents of the `AlgorithmIdentifier` sequence.
    pub(super) algorithm: &'a [u8],
    /// Contents of the bit string.
    pub(super) bits: &'a [u8],
}

const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The public key of a certificate in DER; nothing if this is not a certificate.
pub(super) fn public_key(der: &[u8]) -> Option<PublicKey<'_>> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut rest, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, after)) = expect(rest, VERSION) {
        rest = after;
    }
    // serialNumber, signature, issuer, validity, subject
    for _ in 0..5 {
        (_, _, rest) = element(rest)?;
    }
    let (key, _) = expect(rest, SEQUENCE)?;
    let (algorithm, key) = expect(key, SEQUENCE)?;
    let (bits, _) = expect(key, BIT_STRING)?;
    // The first octet counts unused bits, of which a key has none.
    Some(PublicKey { algorithm, bits: bits.strip_prefix(&[0])? })
}

/// The contents of an element with this tag, and what follows it.
fn expect(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(input).filter(|(found, ..)| *found == tag).map(|(_, contents, rest)| (contents, rest))
}

/// Tag, contents and what follows, for a definite length of up to four octets (X.690, 8.1.3).
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, input) = input.split_first()?;
    let (&first, input) = input.split_first()?;
    let (len, input) = match first {
        0..=0x7f => (usize::from(first), input),
        0x81..=0x84 => {
            let (octets, input) = input.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet)), input)
        }
        _ => return None,
    };
    let (contents, rest) = input.split_at_checked(len)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn versions_1_and_3_of_one_key_agree() {
        let read = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (v1, v3) =
            (read(include_str!("testdata/server-v1.pem")), read(include_str!("testdata/server.pem")));
        let key = public_key(&v1).unwrap();
        assert_eq!(Some(&key), public_key(&v3).as_ref());
        assert_eq!(key.bits.len(), 65, "an uncompressed P-256 point");
        for len in 0..v1.len() {
            assert_eq!(public_key(&v1[..len]), None, "cut at {len}");
        }
    }
}
