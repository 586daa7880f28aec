//! Reads a database as a dump would, and keeps only what tells one content from another: definitions and fingerprints.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::archive::{ArchiveSink, SinkFile, StorageError};
use crate::connect::Target;
use crate::dump::{Dump, DumpOptions, Observer, Plan, Rows, table_fingerprint};
use crate::fingerprint::Fingerprint;

/// What a database holds.
#[derive(Clone, Debug)]
pub struct Content {
    /// The plan of its dump.
    pub plan: Plan,
    /// Rows and fingerprint of each table of the plan, in its order.
    pub tables: Vec<Fingerprint>,
    /// Pages and fingerprint of all large objects.
    pub large_objects: Fingerprint,
}

/// Reads everything once, in one snapshot, and writes nothing.
///
/// # Errors
/// As a dump.
pub async fn scan(
    target: &Target,
    options: DumpOptions,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<Content> {
    let dump = Dump::plan(target, options, stop).await?;
    let plan = dump.plan.clone();
    let files = dump.run(&Nowhere, observer, stop).await?;
    let tables = plan.tables.iter().map(|table| table_fingerprint(table, &files)).collect();
    let mut large_objects = Fingerprint::default();
    for (at, file) in plan.files.iter().enumerate() {
        if let (Rows::LargeObjects { .. }, Some(read)) = (&file.rows, files.get(&at)) {
            large_objects.merge(read.fingerprint);
        }
    }
    Ok(Content { plan, tables, large_objects })
}

/// A sink that forgets.
struct Nowhere;

impl ArchiveSink for Nowhere {
    type File = Self;

    async fn create(&self, _: &str, _: u64) -> Result<Self, StorageError> {
        Ok(Self)
    }
}

impl SinkFile for Nowhere {
    async fn write(&mut self, _: Bytes) -> Result<(), StorageError> {
        Ok(())
    }

    async fn finish(self) -> Result<(), StorageError> {
        Ok(())
    }

    async fn abort(self) {}
}
