//! Sealing: an object is compressed, then encrypted, then hashed, in bounded memory; unsealing is the way back.
//!
//! Hashes are taken of the stored bytes, so that anyone can check an object without a key, and of the plain bytes,
//! so that a restore proves that what it read is what was dumped. [`Sealed`] holds both with both lengths.
//! Where the bytes go or come from is left to [`crate::store`].

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

mod compress;
mod content;
mod encrypt;
mod hash;
mod reader;
mod writer;

pub use compress::Compression;
pub use content::has_content;
pub use encrypt::{Encryption, Identities, KeyPair, Recipient};
pub use hash::Sha256;
pub use reader::{Unseal, check_stored};
pub use writer::SealedWriter;

use compress::Compressor;
use encrypt::Encryptor;
use hash::Meter;

/// What a file of this codec and encryption is called: `data/x.dat` + `.zst` + `.age`.
pub fn suffix(compression: Compression, encryption: &Encryption) -> String {
    format!("{}{}", compression.suffix(), encryption.suffix())
}

/// Lengths and hashes of a sealed object, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Length as stored.
    pub stored_bytes: u64,
    /// Hash as stored.
    pub stored_sha256: Sha256,
    /// Length before compression.
    pub plain_bytes: u64,
    /// Hash before compression.
    pub plain_sha256: Sha256,
}

/// Where the codecs write to; the sealer takes from it what has become ready.
#[derive(Clone, Default)]
struct Ready(Arc<Mutex<Vec<u8>>>);

impl Write for Ready {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Seals one object by pushes: plain bytes in, stored bytes out. Synchronous, so it suits any thread.
///
/// Holds at most one age chunk (64 KiB) and the codec's window between calls. Dropped without
/// [`finish`](Self::finish), what came out is no valid object: the codec and age both see it as truncated.
pub struct Sealer {
    codec: Compressor<Encryptor<Ready>>,
    ready: Ready,
    plain: Meter,
    stored: Meter,
}

impl Sealer {
    /// Starts an object.
    pub fn new(compression: Compression, encryption: &Encryption) -> Result<Self> {
        let ready = Ready::default();
        let encryptor = Encryptor::new(encryption, ready.clone())?;
        let codec = Compressor::new(compression, encryptor).map_err(failed)?;
        Ok(Self { codec, ready, plain: Meter::default(), stored: Meter::default() })
    }

    /// Takes plain bytes; appends to `out` the stored bytes that are ready.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.plain.update(plain);
        self.codec.write_all(plain).map_err(failed)?;
        drain(&self.ready, &mut self.stored, out);
        Ok(())
    }

    /// Ends the object; appends the last stored bytes to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Sealed> {
        self.codec.finish().and_then(Encryptor::finish).map_err(failed)?;
        drain(&self.ready, &mut self.stored, out);
        let (plain_bytes, plain_sha256) = self.plain.finish();
        let (stored_bytes, stored_sha256) = self.stored.finish();
        Ok(Sealed { stored_bytes, stored_sha256, plain_bytes, plain_sha256 })
    }
}

fn drain(ready: &Ready, stored: &mut Meter, out: &mut Vec<u8>) {
    let mut bytes = ready.0.lock().unwrap_or_else(PoisonError::into_inner);
    stored.update(&bytes);
    out.append(&mut bytes);
}

fn failed(source: io::Error) -> Error {
    Error::new(ErrorKind::SealFailed, "cannot compress or encrypt").because(source)
}

#[cfg(test)]
mod tests;
