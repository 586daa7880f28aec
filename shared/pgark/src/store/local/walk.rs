//! Listing and cleaning up a folder, in the order of keys. Blocking.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::TEMPORARY_PREFIX;
use crate::store::{ObjectInfo, UnfinishedUpload};

pub(super) fn info(key: String, meta: &fs::Metadata) -> io::Result<ObjectInfo> {
    Ok(ObjectInfo { key, bytes: meta.len(), modified: modified(meta)? })
}

fn modified(meta: &fs::Metadata) -> io::Result<Timestamp> {
    Timestamp::try_from(meta.modified()?).map_err(io::Error::other)
}

/// All objects under a prefix, ascending by key.
pub(super) fn objects(root: &Path, prefix: &str) -> io::Result<Vec<ObjectInfo>> {
    let mut found = Vec::new();
    visit(root, prefix, &mut |key, name, meta| {
        if !name.starts_with(TEMPORARY_PREFIX) {
            found.push(info(key, meta)?);
        }
        Ok(())
    })?;
    found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// All temporary files under a prefix.
pub(super) fn temporaries(root: &Path, prefix: &str) -> io::Result<Vec<UnfinishedUpload>> {
    let mut found = Vec::new();
    visit(root, prefix, &mut |key, name, meta| {
        if name.starts_with(TEMPORARY_PREFIX) {
            let upload_id = name.to_owned();
            found.push(UnfinishedUpload { key, upload_id, started: modified(meta)? });
        }
        Ok(())
    })?;
    found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// The names of the folders in a folder, ascending. As in a bucket, a folder with nothing in it is none.
pub(super) fn folders(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && holds_an_object(&entry.path())? {
            names.push(name_of(&entry)?);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn holds_an_object(folder: &Path) -> io::Result<bool> {
    for entry in read_dir(folder)? {
        let entry = entry?;
        let holds = if entry.file_type()?.is_dir() {
            holds_an_object(&entry.path())?
        } else {
            !name_of(&entry)?.starts_with(TEMPORARY_PREFIX)
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a file, and the folders that it leaves empty, up to the root.
pub(super) fn remove(root: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(error) => return Err(error),
    }
    for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
        // Not empty, or gone already, or a writer is just creating something in it: all fine.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

type Visit<'a> = dyn FnMut(String, &str, &fs::Metadata) -> io::Result<()> + 'a;

fn visit(root: &Path, prefix: &str, each: &mut Visit<'_>) -> io::Result<()> {
    for entry in read_dir(&root.join(prefix))? {
        let entry = entry?;
        let name = name_of(&entry)?;
        let key = format!("{prefix}{name}");
        // A file may vanish between the listing and the look at it: then it is not there.
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if meta.is_dir() {
            visit(root, &format!("{key}/"), each)?;
        } else if meta.is_file() {
            each(key, &name, &meta)?;
        }
    }
    Ok(())
}

/// A folder that does not exist has nothing in it.
fn read_dir(path: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(path) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

fn name_of(entry: &fs::DirEntry) -> io::Result<String> {
    entry.file_name().into_string().map_err(|name| {
        io::Error::new(io::ErrorKind::InvalidData, format!("a file name is not UTF-8: {}", name.display()))
    })
}
