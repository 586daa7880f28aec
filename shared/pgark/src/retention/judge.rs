//! Which backups count. What was found out about each is handed in.

use jiff::Timestamp;

use super::{CLOCK_SKEW_MAX, Dating, State};
use crate::repository::BackupRef;

/// What was found out about a complete backup.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Where it is.
    pub backup: BackupRef,
    /// When the store saw its manifest.
    pub stored_at: Timestamp,
    /// What the store's clock says of its id.
    pub dating: Dating,
    /// What its manifest says, or the state that not being able to read it comes to.
    pub manifest: Result<Content, State>,
    /// What the newest report that could tell found wrong with it.
    pub damage: Option<String>,
}

/// What a manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Rows.
    pub rows: u64,
    /// Whether definitions or rows were left out as a whole, as asked.
    pub partial: bool,
}

/// The state of each of a source's backups, which come ascending by time.
pub fn judge(backups: &[Facts], now: Timestamp) -> Vec<State> {
    let future = |facts: &Facts| {
        facts.dating == Dating::Ahead || facts.backup.id.time().duration_since(now) > CLOCK_SKEW_MAX
    };
    let sound = |facts: &&Facts| facts.damage.is_none() && !future(facts) && facts.dating != Dating::Late;
    let whole = |facts: &Facts| facts.manifest.as_ref().is_ok_and(|content| !content.partial);
    let any_whole = backups.iter().filter(sound).any(whole);
    let mut had_rows = false;
    let mut state = |facts: &Facts| {
        if future(facts) {
            return State::Future;
        }
        if facts.dating == Dating::Late {
            return State::Late { stored_at: facts.stored_at };
        }
        let content = match &facts.manifest {
            Ok(content) => content,
            Err(state) => return state.clone(),
        };
        if let Some(why) = &facts.damage {
            return State::Damaged { why: why.clone() };
        }
        if content.partial && any_whole {
            return State::Partial;
        }
        if content.rows == 0 && had_rows {
            return State::EmptySuccess;
        }
        had_rows |= content.rows > 0;
        State::Good
    };
    backups.iter().map(&mut state).collect()
}
