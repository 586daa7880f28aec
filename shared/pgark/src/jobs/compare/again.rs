//! What a server makes of definitions that it reads a second time.
//!
//! PostgreSQL words some definitions differently once it has read its own text, so a database that was restored does not
//! say them as the original did, and still is the same. What the server itself makes of the backup's text, in an
//! empty database, is what the restored one must say. It is asked only where texts differ, and not in their content.

use std::sync::Arc;

use bytes::Bytes;
use pg_archive::archive::{ArchiveSource, SourceFile, StorageError};
use pg_archive::connect::Target;
use pg_archive::dump::{Dump, DumpOptions};
use pg_archive::restore::{Content, RestoreOptions, Silent, restore};
use pg_archive::toc::Entry;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// Restores the definitions of an archive into an empty database, and reads them there as a backup would.
///
/// # Errors
/// When the server refuses one of them, or cannot be asked.
pub(crate) async fn read_again(
    empty: &Target,
    entries: &[Entry],
    options: RestoreOptions,
    dump: DumpOptions,
    stop: &CancellationToken,
) -> Result<Vec<Entry>> {
    tracing::info!("reading the definitions once more, as some are worded differently");
    let options = RestoreOptions { content: Content::Definitions, expected: None, ..options };
    let of = |error: pg_archive::Error| Error::from(error.on(format!("database {}", empty.display())));
    let restored =
        restore(empty.clone(), entries.to_vec(), Arc::new(NoRows), options, Arc::new(Silent), stop);
    restored.await.map_err(of)?;
    let read = Dump::plan(empty, dump, stop).await.map_err(of)?;
    Ok(read.plan.entries)
}

/// Definitions need no data file.
struct NoRows;

impl ArchiveSource for NoRows {
    type File = Self;

    async fn open(&self, name: &str) -> Result<Self, StorageError> {
        Err(format!("{name} is not needed for definitions").into())
    }
}

impl SourceFile for NoRows {
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        Ok(None)
    }
}
