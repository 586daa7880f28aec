//! Progress on standard error: bars for people, nothing where nobody looks.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pg_archive::dump::{DataFile, Observer};
use pg_archive::restore::{Event, Progress};
use pg_archive::toc::Entry;
use pgark::jobs::verify;

const BAR: &str = "{prefix:9} {bar:30} {bytes} of {total_bytes} {bytes_per_sec} {eta} {wide_msg}";
const COUNTED: &str = "{prefix:9} {bar:30} {pos} of {len} entries {eta} {wide_msg}";
const COUNTER: &str = "{prefix:9} {bytes} {bytes_per_sec} {elapsed} {wide_msg}";

fn bar(prefix: &'static str, template: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(style(template));
    bar.with_prefix(prefix)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Progress of a backup. How much there will be is not known before it is read: sizes on disk tell little of text.
pub(crate) struct BackupProgress(ProgressBar);

impl BackupProgress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self(bar("backup", COUNTER, quiet))
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Observer for BackupProgress {
    fn file_started(&self, file: &DataFile) {
        self.0.set_message(file.label.clone());
    }

    fn rows_read(&self, _rows: u64, bytes: u64) {
        self.0.inc(bytes);
    }
}

/// Progress of a restore: bytes of rows with their rate and an estimate; once all are in, what is left to be made.
pub(crate) struct RestoreProgress {
    bar: ProgressBar,
    entries: AtomicU64,
    done: AtomicU64,
    files: AtomicU64,
}

impl RestoreProgress {
    pub(crate) fn new(bytes: u64, quiet: bool) -> Self {
        let bar = bar("restore", BAR, quiet);
        bar.set_length(bytes);
        Self { bar, entries: 0.into(), done: 0.into(), files: 0.into() }
    }

    /// For a restore whose size is not known before it begins.
    pub(crate) fn of_unknown_size(quiet: bool) -> Self {
        let bar = bar("restore", COUNTER, quiet);
        Self { bar, entries: 0.into(), done: 0.into(), files: 0.into() }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn done(&self, entry: &Entry) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let entries = self.entries.load(Ordering::Relaxed);
        if entry.data_file.is_some() {
            // An entry whose file nobody wanted does not count.
            let one_less = |files: u64| Some(files.saturating_sub(1));
            let _ = self.files.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        }
        if self.files.load(Ordering::Relaxed) == 0 {
            self.bar.set_style(style(COUNTED));
            self.bar.set_length(entries);
            self.bar.set_position(done);
        }
    }
}

impl Progress for RestoreProgress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Planned { entries, data_files, bytes } => {
                self.entries.store(entries as u64, Ordering::Relaxed);
                self.files.store(data_files as u64, Ordering::Relaxed);
                self.bar.set_length(bytes);
            }
            Event::Loaded { bytes, .. } if self.files.load(Ordering::Relaxed) > 0 => self.bar.inc(bytes),
            Event::Loaded { .. } => {}
            Event::Started(entry) => self.bar.set_message(entry.label()),
            Event::Done(entry) => self.done(entry),
        }
    }
}

/// Progress of a verification. What there is to read becomes known backup by backup.
pub(crate) struct VerifyProgress(ProgressBar);

impl VerifyProgress {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = bar("verifying", BAR, quiet);
        bar.set_length(0);
        Self(bar)
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl verify::Progress for VerifyProgress {
    fn planned(&self, stored_bytes: u64) {
        self.0.inc_length(stored_bytes);
    }

    fn read(&self, object: &str, stored_bytes: u64) {
        self.0.set_message(object.to_owned());
        self.0.inc(stored_bytes);
    }
}

/// Progress in bytes.
pub(crate) struct ByteProgress(ProgressBar);

impl ByteProgress {
    pub(crate) fn new(prefix: &'static str, quiet: bool) -> Self {
        Self(bar(prefix, COUNTER, quiet))
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
