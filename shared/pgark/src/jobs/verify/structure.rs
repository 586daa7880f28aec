//! Whether a backup's parts belong together: manifest and listing, manifest and table of contents. Pure.

use std::collections::{BTreeSet, HashMap};

use pg_archive::toc::Entry;

use crate::error::{Error, ErrorKind};
use crate::repository::{ArchiveFile, Manifest, keys};

/// The kind of a large object's own entry (`large_objects.rs` in pg-archive).
const LARGE_OBJECT: &str = "BLOB";

/// Something wrong with an object, or with the backup as a whole.
pub(super) type Fault = (Option<String>, Error);

/// Objects that are not there or have another length, and those that nobody lists. `listed` has names within the backup,
/// and lengths.
pub(super) fn against_listing(manifest: &Manifest, listed: &HashMap<String, u64>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for object in &manifest.objects {
        let expected = object.sealed.stored_bytes;
        let error = match listed.get(&object.name) {
            Some(bytes) if *bytes == expected => continue,
            Some(bytes) => Error::new(
                ErrorKind::ObjectDamaged,
                format!("has {bytes} stored bytes, but its manifest says {expected}"),
            ),
            None => Error::new(ErrorKind::ObjectMissing, "does not exist"),
        };
        faults.push((
            Some(object.name.clone()),
            error.hint("Use another backup, and find out who changed this one."),
        ));
    }
    let known: BTreeSet<&str> = manifest.objects.iter().map(|object| object.name.as_str()).collect();
    let own = [keys::MANIFEST, keys::SIGNATURE];
    let strangers: BTreeSet<&String> = listed
        .keys()
        .filter(|name| !known.contains(name.as_str()) && !own.contains(&name.as_str()))
        .collect();
    for name in strangers {
        let error =
            Error::new(ErrorKind::ObjectUnreferenced, "is not of this backup: its manifest does not list it")
                .hint("A restore does not read it. Find out who put it there, and remove it.");
        faults.push((Some(name.clone()), error));
    }
    faults
}

/// Each data file that the table of contents names has its object, and the reverse.
pub(super) fn against_toc(manifest: &Manifest, entries: &[Entry]) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut wrong = |message: String| {
        errors.push(Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Archive), message).hint(
            "The table of contents does not belong to this backup, or is damaged. Use another backup.",
        ));
    };
    if entries.len() as u64 != manifest.toc_entries {
        wrong(format!("has {} entries, but its manifest says {}", entries.len(), manifest.toc_entries));
    }
    let beside = [ArchiveFile::Toc.archive_name(), ArchiveFile::Globals.archive_name()];
    let objects = manifest.objects.iter().map(|object| object.archive_name.as_str());
    let objects: BTreeSet<&str> = objects.filter(|name| !beside.iter().any(|other| other == name)).collect();
    let files: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.data_file.as_deref()).collect();
    for file in files.difference(&objects) {
        wrong(format!("names the data file {file}, which the manifest does not list"));
    }
    for object in objects.difference(&files) {
        wrong(format!("has no entry for the data file {object}"));
    }
    let large_objects = entries.iter().filter(|entry| entry.desc == LARGE_OBJECT).count() as u64;
    let expected = manifest.large_objects.as_ref().map_or(0, |large| large.count);
    if manifest.large_objects.is_some() && !manifest.options.data_only && large_objects != expected {
        wrong(format!("has {large_objects} large objects, but its manifest says {expected}"));
    }
    errors
}
