//! Whether this machine's clock may name a backup. Pure.
//!
//! A backup is filed under the time at which it starts. A clock that is wrong by years would put it into another year,
//! where it counts for nothing or for the wrong thing. So it is held against what else has a clock: the database's server,
//! the store, and the backups that are there.

use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, ErrorKind};
use crate::retention::CLOCK_SKEW_MAX;

/// Clocks that differ by less are as clocks are.
const NOTICED: SignedDuration = SignedDuration::from_mins(5);

/// What the clocks say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    /// This machine's, before and after the server was asked.
    pub(super) machine: (Timestamp, Timestamp),
    /// The server's.
    pub(super) server: Option<Timestamp>,
    /// The store's: the newest that it saw of this source's leases, so it is at least so late.
    pub(super) store: Option<Timestamp>,
    /// When the newest backup was made whose time can be believed.
    pub(super) newest: Option<Timestamp>,
}

/// What they come to: `None` if nothing is wrong, a warning if it does no harm here.
///
/// # Errors
/// [`ErrorKind::Clock`] if the backup would be filed in the wrong place.
pub(super) fn judge(clocks: &Clocks) -> Result<Option<String>, Error> {
    let (before, after) = clocks.machine;
    if let Some(newest) = clocks.newest.filter(|newest| newest.duration_since(after) > CLOCK_SKEW_MAX) {
        let message = format!(
            "this machine's clock says {after:.0}, and the newest backup is of {newest:.0}: the new one would be filed \
             before it"
        );
        return Err(wrong(message));
    }
    let off = |other: Timestamp| {
        let early = before.duration_since(other);
        let late = other.duration_since(after);
        early.max(late).max(SignedDuration::ZERO)
    };
    let Some(server) = clocks.server.filter(|server| off(*server) > NOTICED) else { return Ok(None) };
    let told =
        format!("This machine's clock says {after:.0}, and that of the database's server {server:.0}.");
    let store_agrees = clocks.store.is_some_and(|store| off(store) <= CLOCK_SKEW_MAX);
    if off(server) <= CLOCK_SKEW_MAX || store_agrees {
        return Ok(Some(told));
    }
    let store = clocks.store.map_or_else(String::new, |store| format!(", the store's at least {store:.0}"));
    Err(wrong(format!(
        "this machine's clock says {after:.0}, that of the database's server {server:.0}{store}: the backup would be \
         filed in the wrong place"
    )))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Clock, message).hint(
        "Set the clock that is wrong, and run it again. A backup that was made by a wrong clock before is removed by \
         `pgark prune --remove ID --apply`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_backup_is_not_filed_by_a_clock_that_others_speak_against() {
        let now = at("2026-11-28T02:00:00Z");
        let right = Clocks { machine: (now, now), server: Some(now), store: Some(now), newest: Some(now) };
        assert_eq!(judge(&right).unwrap(), None);
        let unknown = Clocks { server: None, store: None, newest: None, ..right };
        assert_eq!(judge(&unknown).unwrap(), None);
        let some = at("2026-11-28T02:04:00Z");
        assert_eq!(judge(&Clocks { server: Some(some), ..right }).unwrap(), None);
        // The server was asked in between.
        let slow = Clocks { machine: (now, at("2026-11-28T03:00:00Z")), server: Some(some), ..right };
        assert_eq!(judge(&slow).unwrap(), None);

        let minutes = Clocks { server: Some(at("2026-11-28T01:40:00Z")), ..right };
        let warning = judge(&minutes).unwrap().unwrap();
        assert!(
            warning.contains("2026-11-28T02:00:00Z") && warning.contains("2026-11-28T01:40:00Z"),
            "{warning}"
        );
        // The store agrees with this machine: then it is the server's clock that is wrong.
        assert!(judge(&Clocks { server: Some(at("2029-11-28T02:00:00Z")), ..right }).unwrap().is_some());

        for wrong in [
            // Three years ahead, and 400 days behind.
            Clocks { machine: (at("2029-11-28T02:00:00Z"), at("2029-11-28T02:00:00Z")), ..right },
            Clocks { machine: (at("2025-10-24T02:00:00Z"), at("2025-10-24T02:00:00Z")), ..right },
            Clocks {
                machine: (at("2025-10-24T02:00:00Z"), at("2025-10-24T02:00:00Z")),
                newest: None,
                store: None,
                ..right
            },
            Clocks {
                machine: (at("2025-10-24T02:00:00Z"), at("2025-10-24T02:00:00Z")),
                server: None,
                ..right
            },
        ] {
            let error = judge(&wrong).unwrap_err();
            assert_eq!(error.code(), "clock.wrong");
            let (machine, other) = (format!("{:.0}", wrong.machine.1), format!("{now:.0}"));
            assert!(error.message().contains(&machine) && error.message().contains(&other), "{error}");
        }
    }
}
