//! Streams rows from the server into data files.
//!
//! A session takes the next file, the largest first, locks its table (`dump/turns`) and streams it: COPY text from the server, row by row into the
//! fingerprint, in batches into the sink. Memory is bounded by the batch and by what the sink holds; a row is never
//! split or copied but into its batch.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::archive::{ArchiveSink, SinkFile, StorageError};
use crate::catalog::large_objects::data::DataWriter;
use crate::connect::Target;
use crate::copy_text::{CopyText, DATA_FILE_END};
use crate::dump::snapshot::{Coordinator, PING_EVERY};
use crate::dump::{DataFile, DumpOptions, DumpedFiles, Observer, Plan, Rows, stopped, turns, unless_stopped};
use crate::fingerprint::Fingerprint;
use crate::session::{Session, statement_error};
use crate::{Error, ErrorKind, Result};

/// The line that ends the rows in a data file. A row of the server's is never this: it would be `\\.`.
const END_OF_DATA: &[u8] = b"\\.";
/// Bytes that are collected before they go into the sink.
const BATCH_BYTES: usize = 256 * 1024;

/// A data file that is complete in the sink.
#[derive(Clone, Debug)]
pub struct DumpedFile {
    /// What was read: rows of a table, or pages of large objects.
    pub fingerprint: Fingerprint,
    /// What a restore finds in the file: rows of a table, or lines of SQL.
    pub restored: Fingerprint,
    /// Bytes of it.
    pub bytes: u64,
}

/// What the workers share.
pub(super) struct Run<'a, S> {
    pub(super) plan: &'a Plan,
    pub(super) sink: &'a S,
    pub(super) observer: &'a dyn Observer,
    /// Cancelled by the user, and by the first failure.
    pub(super) stop: CancellationToken,
}

impl<S: ArchiveSink> Run<'_, S> {
    /// Streams all files of the plan. The first failure stops the others, and all have given up their files when it
    /// is returned.
    pub(super) async fn all(
        &self,
        target: &Target,
        options: &DumpOptions,
        coordinator: &Coordinator,
    ) -> Result<DumpedFiles> {
        let mut sessions = Vec::new();
        // One after the other: the server's limit on connections shows before work is begun.
        for _ in 0..options.jobs.clamp(1, self.plan.files.len().max(1)) {
            match unless_stopped(&self.stop, coordinator.join(target, &options.text, options.lock_timeout))
                .await
            {
                Ok(session) => sessions.push(session),
                Err(error) => {
                    end(sessions).await;
                    return Err(error);
                }
            }
        }
        let result = self.work_on_all(&sessions, coordinator, options.lock_timeout).await;
        let result = match result {
            Ok(dumped) => commit(&sessions).await.map(|()| dumped),
            Err(error) => Err(error),
        };
        if result.is_err() {
            end(sessions).await;
        }
        result
    }

    async fn work_on_all(
        &self,
        sessions: &[Session],
        coordinator: &Coordinator,
        lock_timeout: Duration,
    ) -> Result<DumpedFiles> {
        let next = AtomicUsize::new(0);
        let (leave, left) = mpsc::unbounded_channel();
        let mut workers: FuturesUnordered<_> = sessions
            .iter()
            .map(|session| Either::Left(self.work(session, &next, leave.clone(), lock_timeout)))
            .collect();
        workers.push(Either::Right(self.stand_in(coordinator, left)));
        // From here on, the workers alone can leave anything.
        drop(leave);
        let mut dumped = DumpedFiles::new();
        let mut failure = None;
        loop {
            let error = tokio::select! {
                finished = workers.next() => match finished {
                    Some(Ok(files)) => {
                        dumped.extend(files);
                        continue;
                    }
                    Some(Err(error)) => error,
                    None => break,
                },
                // The rows would be good, but somebody may drop a table whose turn has not come.
                error = coordinator.lost(), if failure.is_none() => error,
            };
            // The others stop because of the first failure: theirs say nothing new.
            failure.get_or_insert(error);
            self.stop.cancel();
        }
        failure.map_or(Ok(dumped), Err)
    }

    /// Takes file after file, and leaves those to the coordinator whose table it cannot lock at once.
    async fn work(
        &self,
        session: &Session,
        next: &AtomicUsize,
        leave: mpsc::UnboundedSender<usize>,
        lock_timeout: Duration,
    ) -> Result<Vec<(usize, DumpedFile)>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = self.plan.files.get(at) else { return Ok(done) };
            match turns::begin(session, file, lock_timeout).await {
                Ok(true) => done.push((at, self.dump(session, file).await?)),
                Ok(false) => {
                    tracing::debug!(
                        file = file.name,
                        "somebody waits for its table: the coordinator reads it"
                    );
                    // It listens as long as a worker lives.
                    let _ = leave.send(at);
                }
                Err(error) => return Err(session.explain(error).await.on(file.label.clone())),
            }
        }
    }

    /// Reads, in the coordinator's session, what the workers leave. Says something now and then while there is nothing, so
    /// that nobody takes the session for dead.
    async fn stand_in(
        &self,
        coordinator: &Coordinator,
        mut left: mpsc::UnboundedReceiver<usize>,
    ) -> Result<Vec<(usize, DumpedFile)>> {
        let mut done = Vec::new();
        let mut ping = tokio::time::interval(PING_EVERY);
        ping.tick().await;
        loop {
            tokio::select! {
                at = left.recv() => {
                    let Some(at) = at else { return Ok(done) };
                    done.push((at, self.dump(&coordinator.session, &self.plan.files[at]).await?));
                }
                _ = ping.tick(), if !self.stop.is_cancelled() => coordinator.ping().await?,
            }
        }
    }

    async fn dump(&self, session: &Session, file: &DataFile) -> Result<DumpedFile> {
        self.observer.file_started(file);
        match self.dump_file(session, file).await {
            Ok(dumped) => {
                self.observer.file_finished(file, dumped.fingerprint.rows, dumped.bytes);
                Ok(dumped)
            }
            Err(error) if error.kind == ErrorKind::Stopped => Err(error),
            Err(error) => Err(session.explain(error).await.on(file.label.clone())),
        }
    }

    async fn dump_file(&self, session: &Session, file: &DataFile) -> Result<DumpedFile> {
        if self.stop.is_cancelled() {
            return Err(stopped());
        }
        let mut out = self.sink.create(&file.name, file.bytes_estimate).await.map_err(storage)?;
        let block_bytes = self.plan.server.block_bytes;
        let rows = stream(session, file, block_bytes, &mut out, self.observer);
        match unless_stopped(&self.stop, rows).await {
            Ok(dumped) => {
                out.finish().await.map_err(storage)?;
                Ok(dumped)
            }
            Err(error) => {
                out.abort().await;
                Err(error)
            }
        }
    }
}

async fn commit(sessions: &[Session]) -> Result<()> {
    for session in sessions {
        session.execute("COMMIT").await?;
    }
    Ok(())
}

async fn end(sessions: Vec<Session>) {
    for session in sessions {
        session.cancel().await;
    }
}

async fn stream(
    session: &Session,
    file: &DataFile,
    block_bytes: u32,
    out: &mut impl SinkFile,
    observer: &dyn Observer,
) -> Result<DumpedFile> {
    let refused = |error| worker_error(error, &file.copy);
    let rows = session.client().copy_out(&file.copy).await.map_err(refused)?;
    let mut rows = std::pin::pin!(rows);
    let mut pages = matches!(file.rows, Rows::LargeObjects { .. }).then(|| DataWriter::new(block_bytes));
    let mut lines = CopyText::default();
    let is_table = pages.is_none();
    let mut fingerprint = Fingerprint::default();
    let mut batch = BytesMut::with_capacity(BATCH_BYTES + BATCH_BYTES / 4);
    let (mut bytes, mut sql) = (0_u64, Vec::new());
    let (mut rows_reported, mut bytes_reported) = (0_u64, 0_u64);
    while let Some(row) = rows.next().await {
        let row = row.map_err(refused)?;
        let Some(text) = row.strip_suffix(b"\n") else {
            return Err(broken_copy("a row came that does not end in a newline".to_owned()));
        };
        if text == END_OF_DATA {
            return Err(broken_copy("a row came that is the mark for the end of all rows".to_owned()));
        }
        fingerprint.add_row(text);
        if let Some(pages) = &mut pages {
            pages.row(text, &mut sql)?;
            lines.push(&Bytes::copy_from_slice(&sql))?;
            batch.extend_from_slice(&sql);
            sql.clear();
        } else if row.len() >= BATCH_BYTES {
            // A huge row goes on as it is, instead of being copied into the batch.
            flush(&mut batch, out, &mut bytes).await?;
            bytes += row.len() as u64;
            out.write(row).await.map_err(storage)?;
        } else {
            batch.extend_from_slice(&row);
        }
        if batch.len() >= BATCH_BYTES {
            flush(&mut batch, out, &mut bytes).await?;
        }
        if bytes > bytes_reported {
            observer.rows_read(fingerprint.rows - rows_reported, bytes - bytes_reported);
            (rows_reported, bytes_reported) = (fingerprint.rows, bytes);
        }
    }
    check_count(session.copy_tag().as_deref(), fingerprint.rows)?;
    match pages {
        Some(pages) => {
            pages.finish(&mut sql);
            lines.push(&Bytes::copy_from_slice(&sql))?;
            batch.extend_from_slice(&sql);
        }
        None => batch.extend_from_slice(DATA_FILE_END),
    }
    flush(&mut batch, out, &mut bytes).await?;
    observer.rows_read(fingerprint.rows - rows_reported, bytes - bytes_reported);
    let restored = if is_table { fingerprint } else { lines.finish_unmarked()? };
    Ok(DumpedFile { fingerprint, restored, bytes })
}

/// A COPY has not ended well before the server has said so, and how many rows it sent: its command tag comes last.
fn check_count(tag: Option<&str>, rows: u64) -> Result<()> {
    match tag.and_then(|tag| tag.strip_prefix("COPY ")?.parse::<u64>().ok()) {
        Some(sent) if sent == rows => Ok(()),
        Some(sent) => Err(broken_copy(format!("the server sent {sent} rows, and {rows} arrived"))),
        None => Err(broken_copy(format!("{rows} rows arrived, and the server did not say how many it sent"))),
    }
}

fn broken_copy(message: String) -> Error {
    Error::new(ErrorKind::Protocol, message).hint(
        "What lies between here and the server (a proxy, a pooler) changes the rows, or the server is damaged. Connect \
         to the server itself, and run the backup again.",
    )
}

async fn flush(batch: &mut BytesMut, out: &mut impl SinkFile, bytes: &mut u64) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let full: Bytes = batch.split().freeze();
    *bytes += full.len() as u64;
    out.write(full).await.map_err(storage)?;
    batch.reserve(BATCH_BYTES + BATCH_BYTES / 4);
    Ok(())
}

fn storage(source: StorageError) -> Error {
    Error::new(ErrorKind::Storage, source.to_string()).because(source)
}

/// The table is locked when it is read; what is waited for then is an index.
fn worker_error(error: tokio_postgres::Error, sql: &str) -> Error {
    let error = statement_error(error, sql);
    match error.kind {
        ErrorKind::LockTimeout => error.hint(
            "Another session holds an ACCESS EXCLUSIVE lock on an index of it (REINDEX …), and has held it for long. \
             Run the backup at another time, or raise --lock-timeout.",
        ),
        ErrorKind::Permission => error.hint(
            "Grant the backup role SELECT on it, or pg_read_all_data; if it has row security, the role also needs \
             BYPASSRLS: a backup never contains only the rows that a policy lets through.",
        ),
        _ => error,
    }
}
