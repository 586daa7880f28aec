//! What earlier runs left on a server, as its names and comments tell. Pure.

use jiff::Timestamp;
use pg_archive::databases::Database;
use pg_archive::quote::identifier;

use super::target_error;
use crate::error::Error;
use crate::jobs::restore::marker::{Marker, State};
use crate::repository::BackupId;

pub(super) const NEW: &str = "_pgark_new_";
/// One in which definitions are read once more, for the comparison.
pub(super) const AGAIN: &str = "_pgark_again_";
pub(super) const FORMER: &str = "_pgark_old_";
pub(super) const UNDONE: &str = "_pgark_undone_";
/// `NAMEDATALEN` - 1.
const NAME_BYTES_MAX: usize = 63;

/// `shop_pgark_new_20261121t020000z`; a long name is cut, and the marker has it whole.
pub(super) fn named(live: &str, kind: &str, stamp: &str) -> String {
    let mut end = live.len().min(NAME_BYTES_MAX - kind.len().max(UNDONE.len()) - stamp.len());
    while !live.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{kind}{stamp}", &live[..end])
}

/// What earlier runs left.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Databases of the right name without a marker: just made, if they are empty.
    pub(super) unmarked: Vec<String>,
    /// Half restored, or ready and of another backup.
    pub(super) partial: Vec<String>,
    /// Ready, and of this backup.
    pub(super) ready: Option<String>,
    /// Each state in words.
    pub(super) words: Vec<String>,
    /// Why nothing may go on.
    pub(super) refusal: Option<Error>,
}

pub(super) fn look(live: &str, backup: BackupId, all: &[Database]) -> Found {
    let mut found = Found::default();
    for Database { name, comment, .. } in all {
        let marker = comment.as_deref().and_then(Marker::read);
        match marker {
            None if is_stamped(name, live) => {
                found
                    .words
                    .push(format!("found {name}: an earlier run made it and went no further; it is dropped"));
                found.unmarked.push(name.clone());
            }
            Some(marker) if marker.replaces.as_deref() == Some(live) && name != live => match marker.state {
                State::Ready if marker.backup == backup && found.ready.is_none() => {
                    found.words.push(format!(
                        "found {name}: an earlier run restored this backup into it; it is used"
                    ));
                    found.ready = Some(name.clone());
                }
                State::Restoring | State::Ready => {
                    let (state, of) = (marker.state, marker.backup);
                    let words = if state == State::Ready { "all" } else { "a part" };
                    found.words.push(format!(
                        "found {name}: an earlier run left it with {words} of backup {of}; it is dropped"
                    ));
                    found.partial.push(name.clone());
                }
                State::Former if marker.backup == backup => {
                    found.refusal = Some(done_already(name, &marker.begun, backup));
                }
                State::Former => {}
            },
            _ => {}
        }
    }
    found
}

/// Whether a name is the one that a run would give, the time aside.
fn is_stamped(name: &str, live: &str) -> bool {
    const EXAMPLE: &str = "20000101t000000z";
    [NEW, AGAIN].iter().any(|kind| {
        let example = named(live, kind, EXAMPLE);
        let stamp = example.strip_suffix(EXAMPLE).and_then(|prefix| name.strip_prefix(prefix));
        stamp.is_some_and(|stamp| is_time(stamp, EXAMPLE.len()))
    })
}

fn is_time(stamp: &str, length: usize) -> bool {
    stamp.len() == length
        && stamp.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b't',
            15 => byte == b'z',
            _ => byte.is_ascii_digit(),
        })
}

fn done_already(former: &str, at: &Timestamp, backup: BackupId) -> Error {
    let message =
        format!("was replaced by backup {backup} at {at} already: what it held before is in {former}");
    target_error(message).hint(format!(
        "If a run was broken off, it was done: there is nothing left to do. To replace it by the same backup once more, \
         drop that database, or take the mark off it: COMMENT ON DATABASE {} IS NULL;",
        identifier(former)
    ))
}

#[cfg(test)]
mod tests;
