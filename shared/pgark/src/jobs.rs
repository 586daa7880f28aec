//! The jobs: what the commands and the functions call. Each takes a repository and arguments, and returns a report.

pub mod backup;
pub mod compare;
pub mod cost;
pub mod diff;
pub mod doctor;
pub mod fetch;
pub mod health;
pub mod history;
pub mod hold;
pub mod list;
pub mod overview;
pub mod prune;
pub mod restore;
pub mod restore_test;
pub mod show;
pub mod verify;

use pg_archive::catalog::selection::Selection;
use pg_archive::dump::DumpOptions;
use pg_archive::text_settings::TextForm;

use crate::app::App;
use crate::repository::{ArchiveFile, Manifest};

/// Reading a whole database as a backup would, with nothing left out: for jobs that look and write nothing.
fn whole_database(app: &App) -> DumpOptions {
    DumpOptions {
        selection: Selection::everything(),
        jobs: app.settings.jobs.get(),
        lock_timeout: app.settings.lock_timeout,
        chunk_bytes: app.settings.chunk_bytes,
        allow_missing: true,
        role_passwords: false,
        text: TextForm::default(),
        table_file: |schema, table, chunk| ArchiveFile::Table { schema, table, chunk }.archive_name(),
        random: app.outside.random,
    }
}

/// Reading a whole database in the form of text that a backup has, to be compared with it.
fn as_backed_up(app: &App, manifest: &Manifest) -> DumpOptions {
    DumpOptions { text: manifest.text_form(), ..whole_database(app) }
}
