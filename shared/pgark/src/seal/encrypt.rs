//! Who may read a backup: age X25519 recipients (public keys) and identities (secret keys).
//!
//! The format is age v1 (<https://age-encryption.org/v1>), so stock `age -d` opens every object.
//! Only X25519 keys are taken: plugins and SSH keys would have to be present wherever a backup is restored.
//! Identities never show in output; recipients may.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use age::secrecy::ExposeSecret as _;

use crate::error::{Error, ErrorKind, Result};

/// An age X25519 public key, `age1…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(age::x25519::Recipient);

impl FromStr for Recipient {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err("this is a secret key, not a recipient");
        }
        text.parse().map(Self).map_err(|_| "not an age X25519 public key")
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// What age encryption adds to a file name.
const AGE_SUFFIX: &str = ".age";

/// How objects are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all. Only ever by an explicit wish.
    None,
    /// To each of these recipients; any one of their identities decrypts.
    Age(Vec<Recipient>),
}

impl Encryption {
    /// What encryption adds to a file name.
    pub fn suffix(&self) -> &'static str {
        match self {
            Self::None => "",
            Self::Age(_) => AGE_SUFFIX,
        }
    }

    /// Whether a file of this name is encrypted.
    pub fn of_file_name(name: &str) -> bool {
        name.ends_with(AGE_SUFFIX)
    }

    /// The recipients in text form; empty without encryption.
    pub fn recipients(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Age(recipients) => recipients.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The secret keys at hand, from an age identity file.
#[derive(Clone)]
pub struct Identities(Arc<Vec<age::x25519::Identity>>);

impl Identities {
    /// Parses an age identity file: one `AGE-SECRET-KEY-1…` a line, `#` comments and empty lines between.
    pub fn parse(text: &str) -> Result<Self> {
        let mut identities = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line itself is never quoted: it may be a secret with a typing error.
            let identity = line.parse().map_err(|_| {
                Error::new(ErrorKind::Identity, format!("line {number} is not an age X25519 secret key"))
                    .hint("An identity file holds lines AGE-SECRET-KEY-1…, as `pgark keys` or `age-keygen` writes them. Passphrase-protected files must be decrypted first.")
            })?;
            identities.push(identity);
        }
        if identities.is_empty() {
            return Err(Error::new(ErrorKind::Identity, "no secret key in the identity file")
                .hint("Write one with `pgark keys` or `age-keygen`."));
        }
        Ok(Self(Arc::new(identities)))
    }

    /// Reads and parses an identity file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            Error::new(ErrorKind::Identity, "cannot read the identity file")
                .on(path.display().to_string())
                .hint("Set PGARK_IDENTITY_FILE to the file that holds the age secret key of a recipient.")
                .because(source)
        })?;
        Self::parse(&text).map_err(|error| error.on(path.display().to_string()))
    }

    /// The public keys of these identities.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.0.iter().map(|identity| Recipient(identity.to_public())).collect()
    }

    pub(super) fn as_age(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|identity| identity as &dyn age::Identity)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({} keys)", self.0.len())
    }
}

/// A new key pair.
pub struct KeyPair {
    identity: age::x25519::Identity,
    created: jiff::Timestamp,
}

impl KeyPair {
    /// Makes a key pair from the operating system's randomness; `created` goes into the file's comment.
    pub fn generate(created: jiff::Timestamp) -> Self {
        Self { identity: age::x25519::Identity::generate(), created }
    }

    /// The public key.
    pub fn recipient(&self) -> Recipient {
        Recipient(self.identity.to_public())
    }

    /// Writes the identity file as `age-keygen` does, readable by its owner only; never replaces a file.
    pub fn write_file(&self, path: &Path) -> Result<()> {
        let failed = |source: io::Error| {
            let object = path.display().to_string();
            if source.kind() == io::ErrorKind::AlreadyExists {
                return Error::new(ErrorKind::KeyFileExists, "the key file exists already")
                    .on(object)
                    .hint("A lost key cannot be made again, so key files are never replaced. Name another file, or move this one away.");
            }
            Error::new(ErrorKind::LocalFile, "cannot write the key file").on(object).because(source)
        };
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let secret = self.identity.to_string();
        let text = format!(
            "# created: {:.0}\n# public key: {}\n{}\n",
            self.created,
            self.recipient(),
            secret.expose_secret()
        );
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.recipient())
    }
}

/// The writing side.
pub(super) enum Encryptor<W: Write> {
    None(W),
    Age(Box<age::stream::StreamWriter<W>>),
}

impl<W: Write> Encryptor<W> {
    pub(super) fn new(encryption: &Encryption, output: W) -> Result<Self> {
        let Encryption::Age(recipients) = encryption else {
            return Ok(Self::None(output));
        };
        let keys = recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient);
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::SealFailed, "cannot encrypt to the recipients").because(source)
        };
        let encryptor = age::Encryptor::with_recipients(keys).map_err(|source| failed(source.into()))?;
        let writer = encryptor.wrap_output(output).map_err(|source| failed(source.into()))?;
        Ok(Self::Age(Box::new(writer)))
    }

    /// Writes the final chunk, without which the stream reads as truncated.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(output) => Ok(output),
            Self::Age(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(output) => output.write(bytes),
            Self::Age(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(output) => output.flush(),
            Self::Age(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_key_file_is_private_parses_back_and_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.txt");
        let pair = KeyPair::generate("2026-01-21T02:00:00.5Z".parse().unwrap());
        pair.write_file(&path).unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "# created: 2026-01-21T02:00:00Z");
        assert_eq!(lines[1], format!("# public key: {}", pair.recipient()));
        assert!(lines[2].starts_with("AGE-SECRET-KEY-1") && lines.len() == 3);
        assert_eq!(Identities::read(&path).unwrap().recipients(), [pair.recipient()]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }

        let again = KeyPair::generate(jiff::Timestamp::UNIX_EPOCH).write_file(&path).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::KeyFileExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn bad_identity_files_are_refused_without_quoting_them() {
        let pair = KeyPair::generate(jiff::Timestamp::UNIX_EPOCH);
        let broken = format!("# fine\n\n{}x\n", pair.identity.to_string().expose_secret());
        let error = Identities::parse(&broken).unwrap_err();
        assert_eq!(error.message(), "line 3 is not an age X25519 secret key");
        assert!(!format!("{error:?}").contains("AGE-SECRET-KEY-1Q"));
        for text in ["", "# only a comment\n", &pair.recipient().to_string()] {
            assert_eq!(Identities::parse(text).unwrap_err().kind(), ErrorKind::Identity);
        }
    }

    #[test]
    fn a_secret_key_is_no_recipient() {
        let pair = KeyPair::generate(jiff::Timestamp::UNIX_EPOCH);
        assert!(pair.identity.to_string().expose_secret().parse::<Recipient>().is_err());
        assert!(pair.recipient().to_string().parse::<Recipient>().is_ok());
        for text in ["", "age1", "age1qqqq", "ssh-ed25519 AAAA"] {
            assert!(text.parse::<Recipient>().is_err(), "{text}");
        }
    }
}
