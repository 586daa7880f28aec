//! A sealer in front of a store's writer: reading, sealing and uploading overlap, and each waits for the next.
//!
//! Two bounded channels lie between the caller, a sealing thread and the uploading task, so memory is at most
//! about ten batches of [`BATCH_BYTES`] (and whatever single larger values the caller hands in) beside the store
//! writer's own. The object becomes visible only in [`SealedWriter::finish`]: the uploading task finishes the
//! store's writer when, and only when, the sealing thread hands it the finished [`Sealed`]. A writer that is
//! dropped, or a thread that fails or panics, closes the channel without it, and the upload is aborted.

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Sealed, Sealer};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ObjectWriter, ObjectWritten};

/// Small writes, such as single rows, are gathered to this size.
const BATCH_BYTES: usize = 128 * 1024;

const BATCHES_IN_FLIGHT: usize = 4;

enum Plain {
    Bytes(Bytes),
    End,
}

enum Stored {
    Bytes(Bytes),
    End(Sealed),
}

/// `None`: given up by the caller.
type Outcome = Result<Option<(Sealed, ObjectWritten)>>;

/// Writes one sealed object.
pub struct SealedWriter {
    batch: BytesMut,
    plain: mpsc::Sender<Plain>,
    upload: Option<JoinHandle<Outcome>>,
}

impl SealedWriter {
    /// Starts sealing into a store's writer. Needs a tokio runtime.
    pub fn start(sealer: Sealer, writer: ObjectWriter) -> Self {
        let (plain, plain_rx) = mpsc::channel(BATCHES_IN_FLIGHT);
        let (stored, stored_rx) = mpsc::channel(BATCHES_IN_FLIGHT);
        let seal = tokio::task::spawn_blocking(move || seal(sealer, plain_rx, &stored));
        let upload = tokio::spawn(upload(writer, stored_rx, seal));
        Self { batch: BytesMut::new(), plain, upload: Some(upload) }
    }

    /// Takes plain bytes. On an error the upload has been aborted already.
    pub async fn write(&mut self, plain: Bytes) -> Result<()> {
        if self.batch.is_empty() && plain.len() >= BATCH_BYTES {
            return self.send(Plain::Bytes(plain)).await;
        }
        self.batch.extend_from_slice(&plain);
        if self.batch.len() >= BATCH_BYTES { self.send_batch().await } else { Ok(()) }
    }

    /// Ends the object; it exists, durably, when this returns.
    pub async fn finish(mut self) -> Result<Sealed> {
        self.send_batch().await?;
        self.send(Plain::End).await?;
        match self.outcome().await? {
            Some((sealed, _)) => Ok(sealed),
            None => Err(Error::new(ErrorKind::Internal, "sealing ended without a result")),
        }
    }

    /// Gives the object up and waits until nothing of it is left.
    pub async fn abort(self) -> Result<()> {
        let Self { plain, upload, .. } = self;
        drop(plain);
        match upload {
            Some(upload) => joined(upload.await).map(|_| ()),
            None => Ok(()),
        }
    }

    async fn send_batch(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch).freeze();
        self.send(Plain::Bytes(batch)).await
    }

    /// A closed channel means that the other side failed: its error is the one to report.
    async fn send(&mut self, plain: Plain) -> Result<()> {
        if self.plain.send(plain).await.is_ok() {
            return Ok(());
        }
        match self.outcome().await {
            Err(error) => Err(error),
            Ok(_) => Err(Error::new(ErrorKind::Internal, "sealing ended early without an error")),
        }
    }

    async fn outcome(&mut self) -> Outcome {
        match self.upload.take() {
            Some(upload) => joined(upload.await),
            None => Err(Error::new(ErrorKind::Internal, "this object failed before and was used again")),
        }
    }
}

fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.unwrap_or_else(|source| {
        Err(Error::new(ErrorKind::Internal, "a background task died").because(source))
    })
}

/// The sealing thread. Ends without [`Stored::End`] when the caller went away.
fn seal(mut sealer: Sealer, mut plain: mpsc::Receiver<Plain>, stored: &mpsc::Sender<Stored>) -> Result<()> {
    let mut out = Vec::new();
    while let Some(message) = plain.blocking_recv() {
        match message {
            Plain::Bytes(bytes) => {
                // A huge single value is sealed piece by piece, so that its stored form does not pile up.
                for piece in bytes.chunks(BATCH_BYTES) {
                    sealer.write(piece, &mut out)?;
                    if out.len() >= BATCH_BYTES
                        && stored.blocking_send(Stored::Bytes(std::mem::take(&mut out).into())).is_err()
                    {
                        return Ok(());
                    }
                }
            }
            Plain::End => {
                let record = sealer.finish(&mut out)?;
                if !out.is_empty() && stored.blocking_send(Stored::Bytes(out.into())).is_err() {
                    return Ok(());
                }
                // A failed send means that the uploading task failed, and it reports that itself.
                let _ = stored.blocking_send(Stored::End(record));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The uploading task: finishes the store's writer only on [`Stored::End`].
async fn upload(
    mut writer: ObjectWriter,
    mut stored: mpsc::Receiver<Stored>,
    seal: JoinHandle<Result<()>>,
) -> Outcome {
    while let Some(message) = stored.recv().await {
        match message {
            Stored::Bytes(bytes) => {
                if let Err(error) = writer.write(bytes).await {
                    abort(writer).await;
                    return Err(error);
                }
            }
            Stored::End(sealed) => {
                let written = writer.finish().await?;
                if written.bytes != sealed.stored_bytes {
                    return Err(Error::new(ErrorKind::Internal, "the store wrote another number of bytes")
                        .on(written.key));
                }
                return Ok(Some((sealed, written)));
            }
        }
    }
    abort(writer).await;
    joined(seal.await).map(|()| None)
}

/// The error that led here is the one to report; a failed abort is logged, since parts may be left behind.
async fn abort(writer: ObjectWriter) {
    if let Err(error) = writer.abort().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "an unfinished upload could not be aborted");
    }
}
