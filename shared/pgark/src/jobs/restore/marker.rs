//! What a restore writes on a database, as its comment: what is in it, and whether that is all. So that whoever comes
//! after a restore that was killed finds its state on the server, and not in a file of the machine that is gone.
//!
//! The comment that the database had is kept inside, and put back when the restore is done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::repository::BackupId;

/// How every marker begins.
const START: &str = "pgark: ";

/// What is in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// A part of a backup.
    Restoring,
    /// All of a backup, compared; to replace another database.
    Ready,
    /// What was there before another one took its place.
    Former,
}

/// What is written on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// What is in it.
    pub(super) state: State,
    /// The backup that is in it, or that replaced it.
    pub(super) backup: BackupId,
    /// When that began.
    pub(super) begun: Timestamp,
    /// The database that is to be, or was, replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<String>,
    /// The comment that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
}

impl Marker {
    /// The text of the comment: a sentence for people, and what [`Self::read`] reads.
    pub(super) fn text(&self) -> String {
        let Self { backup, begun, .. } = self;
        let words = match self.state {
            State::Restoring => format!("holds a part of backup {backup}, whose restore began at {begun}"),
            State::Ready => format!("holds all of backup {backup}, to replace another database"),
            State::Former => format!("was replaced by backup {backup} at {begun}"),
        };
        format!("{START}{words} {}", serde_json::json!(self))
    }

    /// Reads a comment, if it is a marker.
    pub(super) fn read(comment: &str) -> Option<Self> {
        let rest = comment.strip_prefix(START)?;
        serde_json::from_str(&rest[rest.find('{')?..]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_come_back_with_the_comment_inside() {
        for (state, replaces, comment) in [
            (State::Restoring, None, None),
            (State::Restoring, None, Some("pgark: it's a {\"shop\"}\n")),
            (State::Ready, Some("sh\"op {"), None),
            (State::Former, Some("shop"), Some("the shop")),
        ] {
            let marker = Marker {
                state,
                backup: "20261121T020000Z-7k3f".parse().unwrap(),
                begun: "2026-11-21T02:00:00Z".parse().unwrap(),
                replaces: replaces.map(str::to_owned),
                comment: comment.map(str::to_owned),
            };
            assert_eq!(Marker::read(&marker.text()), Some(marker));
        }
    }

    #[test]
    fn what_others_wrote_is_no_marker() {
        for comment in ["", "the shop", "pgark: ", "pgark: {}", "pgark: see {\"state\": \"restoring\"}"] {
            assert_eq!(Marker::read(comment), None, "{comment}");
        }
    }
}
