//! What a restore says while it runs.

use crate::toc::Entry;

/// Hears what a restore does. It is called from several tasks, and must not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The plan is made.
    Planned {
        /// How many entries will be restored.
        entries: usize,
        /// How many data files they have.
        data_files: usize,
        /// How many bytes these hold, as far as the caller said.
        bytes: u64,
    },
    /// An entry starts.
    Started(&'a Entry),
    /// Bytes of a data file were read and sent.
    Loaded {
        /// Name of the file.
        file: &'a str,
        /// How many bytes, since the last such event.
        bytes: u64,
    },
    /// An entry is restored.
    Done(&'a Entry),
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}
