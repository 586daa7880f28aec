//! Loads one data file: all of it, or nothing.
//!
//! Everything of a file happens in one transaction, which is committed only when the file proved whole, the server
//! took as many rows as were read, and they are the rows that the caller expected. Bytes pass in the chunks in which
//! the source gives them; nothing waits in memory but those.

use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;

use super::job::Job;
use super::progress::Event;
use super::report::LoadedFile;
use super::sql_text::SqlText;
use crate::archive::{ArchiveSource, SourceFile};
use crate::copy_text::CopyText;
use crate::fingerprint::Fingerprint;
use crate::session::{Session, statement_error};
use crate::toc::Entry;
use crate::{Error, ErrorKind, Result};

/// Loads the data file of an entry. `empty` empties the table first.
pub(super) async fn load<S: ArchiveSource>(
    job: &Job<S>,
    session: &Session,
    entry: &Entry,
    file: &str,
    empty: Option<&str>,
) -> Result<LoadedFile> {
    let source = job.source.open(file).await.map_err(unreadable)?;
    let mut input = Input { source, file, job, bytes: 0 };
    session.execute("BEGIN").await?;
    if let Some(empty) = empty {
        session.execute(empty).await?;
    }
    let fingerprint = match entry.copy_statement.as_deref() {
        Some(copy) if !copy.is_empty() => copy_in(&mut input, session, copy).await?,
        _ => run_sql(&mut input, session, job.settings.standard_conforming_strings).await?,
    };
    if let Some(expected) = &job.options.expected {
        let difference = match expected.get(file) {
            Some(expected) => expected.difference(fingerprint),
            None => Some("is a file that nobody expected".to_owned()),
        };
        if let Some(difference) = difference {
            return Err(Error::new(ErrorKind::Mismatch, difference)
                .hint("Its rows were not committed. Check the backup with verify, or use another one."));
        }
    }
    session.execute("COMMIT").await?;
    Ok(LoadedFile { name: file.to_owned(), entry: entry.label(), fingerprint, bytes: input.bytes })
}

/// Sends COPY text to the server.
async fn copy_in<S: ArchiveSource>(
    input: &mut Input<'_, S>,
    session: &Session,
    copy: &str,
) -> Result<Fingerprint> {
    let failed = |error| statement_error(error, copy);
    let mut sink = pin!(session.client().copy_in::<_, Bytes>(copy).await.map_err(failed)?);
    let mut text = CopyText::default();
    while let Some(chunk) = input.next().await? {
        // Left without being finished, as by this error, a COPY is aborted by the driver.
        let rows = text.push(&chunk)?;
        for bytes in [rows.held, rows.bytes] {
            if !bytes.is_empty() {
                sink.send(bytes).await.map_err(failed)?;
            }
        }
    }
    let fingerprint = text.finish()?;
    let taken = sink.finish().await.map_err(failed)?;
    if taken != fingerprint.rows {
        let message = format!("holds {} rows, of which the server took {taken}", fingerprint.rows);
        return Err(Error::new(ErrorKind::Mismatch, message)
            .hint("A trigger of the target suppressed rows. None of the file's rows were committed."));
    }
    Ok(fingerprint)
}

/// Runs a file of SQL statements. Its lines are counted and fingerprinted as rows.
async fn run_sql<S: ArchiveSource>(
    input: &mut Input<'_, S>,
    session: &Session,
    standard_conforming_strings: bool,
) -> Result<Fingerprint> {
    let mut lines = CopyText::default();
    let mut sql = SqlText::new(standard_conforming_strings);
    while let Some(chunk) = input.next().await? {
        lines.push(&chunk)?;
        if let Some(batch) = sql.push(&chunk)? {
            session.execute_unlogged(&batch).await?;
        }
    }
    if let Some(batch) = sql.finish()? {
        session.execute_unlogged(&batch).await?;
    }
    lines.finish_unmarked()
}

/// A data file that is being read, with word of its progress.
struct Input<'a, S: ArchiveSource> {
    source: S::File,
    file: &'a str,
    job: &'a Job<S>,
    bytes: u64,
}

impl<S: ArchiveSource> Input<'_, S> {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.source.next().await.map_err(unreadable)?;
        if let Some(chunk) = &chunk {
            let bytes = chunk.len() as u64;
            self.bytes += bytes;
            self.job.progress.event(Event::Loaded { file: self.file, bytes });
        }
        Ok(chunk)
    }
}

fn unreadable(error: crate::archive::StorageError) -> Error {
    Error::new(ErrorKind::Storage, format!("its data file cannot be read: {error}")).because(error)
}
