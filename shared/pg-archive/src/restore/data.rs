//! Loads one data file: all of it, or nothing.
//!
//! Everything of a file happens in one transaction, which is committed only when the file proved whole, the server
//! took as many rows as were read, and they are the rows that the caller expected. Bytes pass in the chunks in which
//! the source gives them; nothing waits in memory but those.

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

/// Loads the data file of an entry. `first` is run before, in the same transaction.
///
/// What the server does not take is an error only once the file proved whole: damage is never taken for a refusal.
pub(super) async fn load<S: ArchiveSource>(
    job: &Job<S>,
    session: &Session,
    entry: &Entry,
    file: &str,
    first: &str,
) -> Result<LoadedFile> {
    let source = job.source.open(file).await.map_err(unreadable)?;
    let mut input = Input { source, file, job, bytes: 0 };
    session.execute("BEGIN").await?;
    if !first.is_empty() {
        session.execute(first).await?;
    }
    let Read { fingerprint, refusal } = match entry.copy_statement.as_deref() {
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
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    session.execute("COMMIT").await?;
    Ok(LoadedFile { name: file.to_owned(), entry: entry.label(), fingerprint, bytes: input.bytes })
}

/// A file that was read to its end, and what the server objected to, if it did.
struct Read {
    fingerprint: Fingerprint,
    refusal: Option<Error>,
}

/// A refusal to remember while the file is read to its end; that the connection is gone is no such.
fn remember(error: Error, refusal: &mut Option<Error>) -> Result<()> {
    if error.kind == ErrorKind::ConnectionLost {
        return Err(error);
    }
    refusal.get_or_insert(error);
    Ok(())
}

/// Sends COPY text to the server.
async fn copy_in<S: ArchiveSource>(input: &mut Input<'_, S>, session: &Session, copy: &str) -> Result<Read> {
    let failed = |error| statement_error(error, copy);
    let mut refusal = None;
    let mut sink = match session.client().copy_in::<_, Bytes>(copy).await {
        Ok(sink) => Some(Box::pin(sink)),
        Err(error) => remember(failed(error), &mut refusal).map(|()| None)?,
    };
    let mut text = CopyText::default();
    while let Some(chunk) = input.next().await? {
        // Left without being finished, as by this error, a COPY is aborted by the driver.
        let rows = text.push(&chunk)?;
        for bytes in [rows.held, rows.bytes] {
            if let Some(open) = sink.as_mut().filter(|_| !bytes.is_empty())
                && let Err(error) = open.send(bytes).await
            {
                remember(failed(error), &mut refusal)?;
                sink = None;
            }
        }
    }
    let fingerprint = text.finish()?;
    let Some(mut sink) = sink else { return Ok(Read { fingerprint, refusal }) };
    match sink.as_mut().finish().await {
        Ok(taken) if taken != fingerprint.rows => {
            let message = format!("holds {} rows, of which the server took {taken}", fingerprint.rows);
            Err(Error::new(ErrorKind::Mismatch, message)
                .hint("A trigger of the target suppressed rows. None of the file's rows were committed."))
        }
        Ok(_) => Ok(Read { fingerprint, refusal }),
        Err(error) => {
            remember(failed(error), &mut refusal)?;
            Ok(Read { fingerprint, refusal })
        }
    }
}

/// Runs a file of SQL statements. Its lines are counted and fingerprinted as rows.
async fn run_sql<S: ArchiveSource>(
    input: &mut Input<'_, S>,
    session: &Session,
    standard_conforming_strings: bool,
) -> Result<Read> {
    let mut lines = CopyText::default();
    let mut sql = SqlText::new(standard_conforming_strings);
    let mut refusal = None;
    while let Some(chunk) = input.next().await? {
        lines.push(&chunk)?;
        if let Some(batch) = sql.push(&chunk)?.filter(|_| refusal.is_none())
            && let Err(error) = session.execute_unlogged(&batch).await
        {
            remember(error, &mut refusal)?;
        }
    }
    if let Some(batch) = sql.finish()?.filter(|_| refusal.is_none())
        && let Err(error) = session.execute_unlogged(&batch).await
    {
        remember(error, &mut refusal)?;
    }
    Ok(Read { fingerprint: lines.finish_unmarked()?, refusal })
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
