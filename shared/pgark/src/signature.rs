//! Signatures of manifests: Ed25519 in minisign's format, so that stock `minisign -V` checks them and `minisign -S`
//! makes them.
//!
//! A signature stands for the exact bytes of a manifest. The manifest names its own place and holds the SHA-256 of every
//! object, so one signature covers the backup, and no signed manifest is good in another place. The format is that of
//! <https://jedisct1.github.io/minisign/>, in its prehashed form. Its untrusted comment is nobody's promise.
//!
//! Safe because a signature is taken only in exactly the form in which it is written: nothing can be hidden in or behind
//! it. Where signatures lie, and when they are asked for, is left to [`crate::repository`].

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use ct_codecs::{Base64, Decoder as _};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// Digits of base64 for algorithm, key id and signature: 74 bytes.
const SIGNATURE_DIGITS: usize = 100;
/// Digits of base64 for the signature that covers the trusted comment: 64 bytes.
const GLOBAL_SIGNATURE_DIGITS: usize = 88;
/// Digits of base64 for algorithm, key id and public key: 42 bytes.
const PUBLIC_KEY_DIGITS: usize = 56;
/// Algorithms, salt, limits, key id, secret and public key, checksum.
const SECRET_KEY_BYTES: usize = 158;
/// Base64 of `Ed`, the only algorithm of keys.
const PUBLIC_KEY_PREFIX: &str = "RW";
const UNTRUSTED_COMMENT: &str = "signature of a pgark backup";
/// Added to the name of a secret key's file.
const PUBLIC_SUFFIX: &str = ".pub";

/// Whether the signature of a manifest that was read had been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureCheck {
    /// One of the verification keys signed it.
    Verified,
    /// No verification key is set.
    NotChecked,
}

/// In words, for people.
impl fmt::Display for SignatureCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::NotChecked => "not checked: no verification key is set",
        })
    }
}

/// A public key that checks signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationKey(minisign::PublicKey);

impl VerificationKey {
    /// The key's id as minisign writes it: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        key_id(self.0.keynum())
    }

    /// The text of a public key file.
    fn file_text(&self) -> String {
        format!("untrusted comment: minisign public key {}\n{self}\n", self.id())
    }
}

impl FromStr for VerificationKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != PUBLIC_KEY_DIGITS || !text.starts_with(PUBLIC_KEY_PREFIX) {
            return Err("is no minisign public key: 56 characters that begin with RW");
        }
        let key = minisign::PublicKey::from_base64(text).map_err(|_| "is no minisign public key")?;
        Ok(Self(key))
    }
}

impl fmt::Display for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_base64())
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({self})")
    }
}

/// The public keys that are trusted; one of them must have signed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VerificationKeys(Arc<Vec<VerificationKey>>);

impl VerificationKeys {
    /// Reads a list as settings have it: keys, or files as minisign writes them, comma separated.
    ///
    /// # Errors
    /// When an item is neither, or there is none.
    pub fn read(list: &str) -> Result<Self> {
        let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        let keys = items.zip(1..).map(|(item, number)| match item.parse() {
            Ok(key) => Ok(key),
            // Not quoted, as a path would be: it may be a secret key put in the wrong place.
            Err(message) if item.starts_with(PUBLIC_KEY_PREFIX) && item.len() >= PUBLIC_KEY_DIGITS => {
                Err(no_public_key(message).on(format!("item {number}")))
            }
            Err(_) => read_public_file(Path::new(item)),
        });
        let keys: Vec<VerificationKey> = keys.collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(no_public_key("has no key in it"));
        }
        Ok(Self(Arc::new(keys)))
    }

    /// Whether a key is one of them.
    pub fn contains(&self, key: &VerificationKey) -> bool {
        self.0.contains(key)
    }

    /// Checks that one of the keys signed exactly these bytes.
    ///
    /// # Errors
    /// When none did.
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<()> {
        let signature = parse(signature)?;
        let id = signature.keynum();
        let Some(key) = self.0.iter().find(|key| key.0.keynum() == id) else {
            let ours: Vec<String> = self.0.iter().map(VerificationKey::id).collect();
            let message =
                format!("is signed by the key {}, and what is trusted is {}", key_id(id), ours.join(", "));
            return Err(invalid(message));
        };
        // Only the prehashed form: the other one was given up by minisign, too.
        minisign::verify(&key.0, &signature, Cursor::new(signed), true, false, false)
            .map_err(|source| invalid("is not what was signed").because(source))
    }
}

/// A signature in exactly the form in which minisign writes it.
fn parse(signature: &[u8]) -> Result<minisign::SignatureBox> {
    let form = || invalid("has a signature that is not in minisign's form");
    let text = std::str::from_utf8(signature).map_err(|_| form())?;
    let lines: Vec<&str> = text.lines().collect();
    // The lengths first: the parser takes them for granted.
    let lengths_are_right = matches!(lines[..], [_, signature, _, global]
        if signature.len() == SIGNATURE_DIGITS && global.len() == GLOBAL_SIGNATURE_DIGITS);
    if !lengths_are_right {
        return Err(form());
    }
    let parsed = minisign::SignatureBox::from_string(text).map_err(|source| form().because(source))?;
    if parsed.to_string() == text { Ok(parsed) } else { Err(form()) }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::SignatureInvalid, message).hint(
        "Somebody else wrote or changed it: use another backup. If the signing key was changed, give the old public \
         key in PGARK_VERIFICATION_KEY too, comma separated.",
    )
}

fn no_public_key(message: &str) -> Error {
    Error::new(ErrorKind::SignatureKey, message).hint(
        "Set PGARK_VERIFICATION_KEY to a minisign public key (RW…), or to the .pub file that `pgark keys --signing` \
         or `minisign -G` wrote.",
    )
}

fn read_public_file(path: &Path) -> Result<VerificationKey> {
    let text = std::fs::read_to_string(path).map_err(|source| {
        no_public_key("is neither a minisign public key nor a file that can be read")
            .on(path.display().to_string())
            .because(source)
    })?;
    // A comment and the key; a file with the key alone is as clear.
    let key = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    key.parse().map_err(|message| no_public_key(message).on(path.display().to_string()))
}

/// A secret key that signs.
#[derive(Clone)]
pub struct SigningKey {
    secret: minisign::SecretKey,
    public: VerificationKey,
}

impl SigningKey {
    /// Parses the text of a secret key file without a password.
    ///
    /// # Errors
    /// When it is none, or has a password. The text is never quoted.
    pub fn parse(text: &Secret) -> Result<Self> {
        const HINT: &str = "Give a minisign secret key without a password, as `pgark keys --signing` or \
                            `minisign -G -W` writes it: two lines.";
        let wrong = |message: &str| Error::new(ErrorKind::SignatureKey, message).hint(HINT);
        // A secret is easily stored without its last newline, and with blanks that a form added. The library's errors
        // are not kept: what they quote is for it to decide.
        let lines: Vec<&str> = text.expose().trim().lines().map(str::trim).collect();
        let [_comment, key] = lines[..] else { return Err(wrong("is no minisign secret key")) };
        let bytes = Base64::decode_to_vec(key, None).unwrap_or_default();
        if bytes.len() != SECRET_KEY_BYTES || bytes[..2] != *b"Ed" {
            return Err(wrong("is no minisign secret key"));
        }
        if bytes[2..4] != [0, 0] {
            return Err(wrong("is a minisign secret key with a password"));
        }
        let secret = minisign::SecretKey::from_bytes(&bytes);
        let key = Self::new(secret.map_err(|_| wrong("is no minisign secret key"))?)?;
        // minisign 0.11 writes no checksum (zeros) into a key without a password. A signature proves more.
        key.sign(b"", "").map_err(|_| wrong("is a damaged minisign secret key"))?;
        Ok(key)
    }

    /// Reads and parses a secret key file.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            Error::new(ErrorKind::SignatureKey, "cannot read the signing key")
                .on(path.display().to_string())
                .hint("Set PGARK_SIGNING_KEY_FILE to the file that `pgark keys --signing` wrote.")
                .because(source)
        })?;
        Self::parse(&Secret::new(text)).map_err(|error| error.on(path.display().to_string()))
    }

    /// Makes a key from the operating system's randomness.
    ///
    /// # Errors
    /// When there is none.
    pub fn generate() -> Result<Self> {
        let pair = minisign::KeyPair::generate_unencrypted_keypair()
            .map_err(|source| Error::new(ErrorKind::Internal, "cannot make a key pair").because(source))?;
        Self::new(pair.sk)
    }

    fn new(secret: minisign::SecretKey) -> Result<Self> {
        let public = minisign::PublicKey::from_secret_key(&secret)
            .map_err(|_| Error::new(ErrorKind::SignatureKey, "is a secret key without its public half"))?;
        Ok(Self { secret, public: VerificationKey(public) })
    }

    /// The public half.
    pub fn public(&self) -> &VerificationKey {
        &self.public
    }

    /// Signs bytes. `comment` is signed too, and `minisign -V` prints it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<Vec<u8>> {
        // With the public key, the library checks what it made.
        let public = Some(&self.public.0);
        minisign::sign(public, &self.secret, bytes, Some(comment), Some(UNTRUSTED_COMMENT))
            .map(|signature| signature.to_bytes())
            .map_err(|source| Error::new(ErrorKind::SealFailed, "cannot sign").because(source))
    }

    /// Writes the secret key, for its owner only, and the public key beside it with `.pub` added. Never replaces a file.
    ///
    /// # Errors
    /// When one of the files exists, or cannot be written.
    pub fn write_files(&self, path: &Path) -> Result<PathBuf> {
        let comment = format!("minisign secret key {}, without a password", self.public.id());
        let secret = self.secret.to_box(Some(&comment)).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write the secret key as text").because(source)
        })?;
        let mut public_path = path.as_os_str().to_owned();
        public_path.push(PUBLIC_SUFFIX);
        let public_path = PathBuf::from(public_path);
        // The public file first: if only one can be written, no secret lies about unseen.
        create(&public_path, self.public.file_text().as_bytes(), 0o644)?;
        create(path, &secret.to_bytes(), 0o600).inspect_err(|_| {
            // It is of no use without the secret one.
            let _ = std::fs::remove_file(&public_path);
        })?;
        Ok(public_path)
    }
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let failed = |source: io::Error| {
        let object = path.display().to_string();
        if source.kind() == io::ErrorKind::AlreadyExists {
            return Error::new(ErrorKind::KeyFileExists, "the key file exists already")
                .on(object)
                .hint("Signing keys are never replaced. Name another file, or move this one away.");
        }
        Error::new(ErrorKind::LocalFile, "cannot write the key file").on(object).because(source)
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

/// The public half only: the library's own shows the secret one.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

/// Bytes are stored least significant first, and shown as a number.
fn key_id(bytes: &[u8]) -> String {
    let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016X}")
}

#[cfg(test)]
mod tests;
