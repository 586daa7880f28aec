//! Reading sealed objects back: decrypt, decompress, and end cleanly only when everything matched.
//!
//! The stream which [`Unseal::stream`] returns ends without an error only after the stored bytes, the plain bytes and
//! both lengths were found to be those of the record, the age stream had its final chunk, the codec its end,
//! and nothing followed either. Whoever consumes it must treat what came before an error as worthless.
//! Memory is bounded: a few pieces of [`PIECE_BYTES`] on each side of one blocking thread.

use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::mpsc;

use super::compress::Decompressor;
use super::hash::Meter;
use super::{Compression, Identities, Sealed};
use crate::error::{Error, ErrorKind, Result};
use crate::store::ByteStream;

const PIECE_BYTES: usize = 128 * 1024;
const PIECES_IN_FLIGHT: usize = 4;

/// How to read an object back.
#[derive(Debug, Clone)]
pub struct Unseal {
    /// The object's name, for messages.
    pub object: String,
    /// What the manifest says of the object.
    pub sealed: Sealed,
    /// The codec; its level does not matter.
    pub compression: Compression,
    /// The keys, if the object is encrypted.
    pub identities: Option<Identities>,
}

impl Unseal {
    /// Turns the stream of stored bytes into the stream of plain bytes. Needs a tokio runtime.
    ///
    /// Dropping the stream ends the work behind it.
    pub fn stream(self, mut stored: ByteStream) -> ByteStream {
        let (stored_tx, stored_rx) = mpsc::channel(PIECES_IN_FLIGHT);
        let (plain_tx, plain_rx) = mpsc::channel(PIECES_IN_FLIGHT);
        tokio::spawn(async move {
            while let Some(piece) = stored.next().await {
                // Nobody listens any more: the thread has failed and says why itself, or the reader went away.
                if stored_tx.send(piece).await.is_err() {
                    break;
                }
            }
        });
        tokio::task::spawn_blocking(move || {
            // The last message is always an error or `End`, so that a panic here reads as a failure, not as an end.
            let last = match self.run(StoredReader::new(stored_rx, self.sealed.stored_bytes), &plain_tx) {
                Ok(()) => Plain::End,
                Err(error) => Plain::Failed(error.on(self.object)),
            };
            // A failed send means that the reader went away.
            let _ = plain_tx.blocking_send(last);
        });
        stream::try_unfold(Some(plain_rx), |plain| async move {
            let Some(mut plain) = plain else { return Ok(None) };
            match plain.recv().await {
                Some(Plain::Bytes(bytes)) => Ok(Some((bytes, Some(plain)))),
                Some(Plain::End) => Ok(None),
                Some(Plain::Failed(error)) => Err(error),
                None => Err(Error::new(ErrorKind::Internal, "the unsealing thread died")),
            }
        })
        .boxed()
    }

    fn run(&self, mut stored: StoredReader, plain: &mpsc::Sender<Plain>) -> Result<()> {
        let outcome = match &self.identities {
            None => self.decode(&mut stored, plain),
            Some(identities) => decrypted(&mut stored, identities).and_then(|reader| {
                let mut reader = BufReader::with_capacity(64 * 1024, reader);
                self.decode(&mut reader, plain)
            }),
        };
        // A failure of the store comes first: it explains every other.
        if let Some(error) = stored.failure.take() {
            return Err(error);
        }
        if let Err(error) = &outcome
            && error.kind() == ErrorKind::IdentityMismatch
        {
            // A header is believed only if it is the one that was written: an object that was replaced by a stranger's is
            // damage, and no wrong key.
            stored.drain();
            stored.check(&self.sealed)?;
        } else if outcome.is_ok() {
            stored.check(&self.sealed)?;
        }
        outcome
    }

    fn decode(&self, reader: &mut impl BufRead, plain: &mpsc::Sender<Plain>) -> Result<()> {
        let mut codec = Decompressor::new(self.compression, reader)
            .map_err(|source| damaged("cannot be decompressed").because(source))?;
        let mut meter = Meter::default();
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            codec
                .by_ref()
                .take(PIECE_BYTES as u64)
                .read_to_end(&mut piece)
                .map_err(|source| damaged("cannot be decrypted or decompressed").because(source))?;
            if piece.is_empty() {
                break;
            }
            meter.update(&piece);
            if meter.bytes() > self.sealed.plain_bytes {
                return Err(damaged("holds more plain bytes than its manifest says"));
            }
            if plain.blocking_send(Plain::Bytes(piece.into())).is_err() {
                return Ok(());
            }
        }
        let rest = codec.into_inner();
        match rest.fill_buf() {
            Ok([]) => {}
            Ok(_) => return Err(damaged("has bytes after its end")),
            Err(source) => return Err(damaged("cannot be decrypted to its end").because(source)),
        }
        let (bytes, sha256) = meter.finish();
        if bytes != self.sealed.plain_bytes {
            return Err(damaged(format!(
                "holds {bytes} plain bytes, but its manifest says {}",
                self.sealed.plain_bytes
            )));
        }
        if sha256 != self.sealed.plain_sha256 {
            return Err(damaged("has plain bytes with another SHA-256 than its manifest says"));
        }
        Ok(())
    }
}

enum Plain {
    Bytes(Bytes),
    End,
    Failed(Error),
}

fn decrypted<'a>(stored: &'a mut StoredReader, identities: &Identities) -> Result<impl Read + use<'a>> {
    let opened = age::Decryptor::new_buffered(stored).and_then(|age| age.decrypt(identities.as_age()));
    opened.map_err(|source| match source {
        age::DecryptError::NoMatchingKeys => {
            let have: Vec<_> = identities.recipients().iter().map(ToString::to_string).collect();
            Error::new(
                ErrorKind::IdentityMismatch,
                format!("is encrypted to other recipients than those of the identity file ({})", have.join(", ")),
            )
            .hint("Set PGARK_IDENTITY_FILE to the secret key of one of the recipients that the backup's manifest lists; `pgark show` prints them.")
        }
        age::DecryptError::Io(source) => damaged("is no intact age file").because(source),
        source => damaged(format!("is no intact age file: {}", reason(&source))),
    })
}

/// The crate's own words are translated, and looked up in its source folder by a debug build, which panics where that
/// is not: so its errors are never printed.
fn reason(error: &age::DecryptError) -> &'static str {
    match error {
        age::DecryptError::InvalidHeader => "its header is not one",
        age::DecryptError::InvalidMac => "its header was changed",
        age::DecryptError::UnknownFormat => "its format is unknown",
        _ => "its key cannot be decrypted",
    }
}

fn damaged(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::ObjectDamaged, message)
        .hint("The stored object is not what was written. Use another backup, and run `pgark verify all` to see what else is affected.")
}

/// The stored bytes as the decoders read them, measured on the way.
struct StoredReader {
    pieces: mpsc::Receiver<Result<Bytes>>,
    piece: Bytes,
    meter: Meter,
    bytes_max: u64,
    /// Why the store or the length check ended the reading; decoders only see that it ended.
    failure: Option<Error>,
}

impl StoredReader {
    fn new(pieces: mpsc::Receiver<Result<Bytes>>, bytes_max: u64) -> Self {
        Self { pieces, piece: Bytes::new(), meter: Meter::default(), bytes_max, failure: None }
    }

    /// Reads what is left, for its length and hash.
    fn drain(&mut self) {
        while let Ok(piece) = self.fill_buf() {
            match piece.len() {
                0 => break,
                bytes => self.consume(bytes),
            }
        }
    }

    fn check(mut self, sealed: &Sealed) -> Result<()> {
        match self.fill_buf() {
            Ok([]) => {}
            Ok(_) => return Err(damaged("has bytes after its end")),
            Err(source) => {
                return Err(self.failure.take().unwrap_or_else(|| damaged("broke off").because(source)));
            }
        }
        check(self.meter, sealed)
    }
}

impl Read for StoredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for StoredReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            if self.failure.is_some() {
                return Err(io::Error::other("the stored bytes ended in a failure"));
            }
            match self.pieces.blocking_recv() {
                None => break,
                Some(Err(error)) => self.failure = Some(error),
                Some(Ok(piece)) => {
                    self.meter.update(&piece);
                    if self.meter.bytes() > self.bytes_max {
                        self.failure = Some(damaged("is longer than its manifest says"));
                    } else {
                        self.piece = piece;
                    }
                }
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, bytes: usize) {
        let _ = self.piece.split_to(bytes);
    }
}

fn check(stored: Meter, sealed: &Sealed) -> Result<()> {
    let (bytes, sha256) = stored.finish();
    if bytes != sealed.stored_bytes {
        return Err(damaged(format!(
            "has {bytes} stored bytes, but its manifest says {}",
            sealed.stored_bytes
        )));
    }
    if sha256 != sealed.stored_sha256 {
        return Err(damaged("has stored bytes with another SHA-256 than its manifest says"));
    }
    Ok(())
}

/// Checks an object as stored, which takes no key: its length and SHA-256 against the record.
pub async fn check_stored(object: &str, mut stored: ByteStream, sealed: &Sealed) -> Result<()> {
    let mut meter = Meter::default();
    while let Some(piece) = stored.next().await {
        meter.update(&piece.map_err(|error| error.on(object))?);
        if meter.bytes() > sealed.stored_bytes {
            return Err(damaged("is longer than its manifest says").on(object));
        }
    }
    check(meter, sealed).map_err(|error| error.on(object))
}
