//! Which objects S3 is asked to lock when they are written, and until when. Pure, but for the clock that is handed in.

use jiff::{Timestamp, ToSpan as _};

use crate::config::{LockMode, LockOnWrite};
use crate::repository::keys;

/// The rule. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct LockRule {
    on_write: LockOnWrite,
    now: fn() -> Timestamp,
}

impl LockRule {
    /// By tier, from now on.
    pub fn new(on_write: LockOnWrite, now: fn() -> Timestamp) -> Self {
        Self { on_write, now }
    }

    /// The lock of a new object; `None` leaves it to the bucket. What is no part of a backup is not locked: leases, reports
    /// and the history are worth nothing to whoever wants backups gone.
    pub(super) fn of(&self, key: &str) -> Option<(LockMode, Timestamp)> {
        let days = self.on_write.days(keys::tier_of(key)?)?;
        let until = (self.now)().checked_add((i64::from(days) * 24).hours()).ok()?;
        Some((self.on_write.mode, until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_backups_are_locked_by_tier_and_others_are_not() {
        let on_write = LockOnWrite::parse("COMPLIANCE daily 7, yearly 365").unwrap().unwrap();
        let rule = LockRule::new(on_write, || "2026-11-21T02:00:00Z".parse().unwrap());
        for (key, until) in [
            ("daily/shop/20261121T020000Z-7k3f/manifest.json", Some("2026-11-28T02:00:00Z")),
            ("yearly/shop/20261121T020000Z-7k3f/data/a.dat", Some("2027-11-21T02:00:00Z")),
            ("weekly/shop/20261121T020000Z-7k3f/manifest.json", None),
            ("reports/shop/verify/x.json", None),
            ("leases/shop/backup/00000001.json", None),
            ("daily", None),
        ] {
            let until = until.map(|until| (LockMode::Compliance, until.parse().unwrap()));
            assert_eq!(rule.of(key), until, "{key}");
        }
    }
}
