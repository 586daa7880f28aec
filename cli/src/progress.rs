//! Progress on standard error: bars for people, nothing where nobody looks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pg_archive::dump::{DataFile, Observer};
use pg_archive::restore::{Event, Progress};
use pgark::jobs::verify;

const BAR: &str = "{prefix:9} {bar:30} {bytes} of {total_bytes} {bytes_per_sec} {eta} {wide_msg}";
const COUNTER: &str = "{prefix:9} {bytes} {bytes_per_sec} {elapsed} {wide_msg}";

fn bar(prefix: &'static str, template: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_prefix(prefix)
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

/// Progress of a restore.
pub(crate) struct RestoreProgress(ProgressBar);

impl RestoreProgress {
    pub(crate) fn new(bytes: u64, quiet: bool) -> Self {
        let bar = bar("restore", BAR, quiet);
        bar.set_length(bytes);
        Self(bar)
    }

    /// For a restore whose size is not known before it begins.
    pub(crate) fn of_unknown_size(quiet: bool) -> Self {
        Self(bar("restore", COUNTER, quiet))
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for RestoreProgress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Loaded { bytes, .. } => self.0.inc(bytes),
            Event::Started(entry) => self.0.set_message(entry.label()),
            Event::Planned { .. } | Event::Done(_) => {}
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
