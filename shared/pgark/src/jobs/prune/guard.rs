//! What keeps a plan from being carried out although every single decision in it is right. Pure.

use super::Prune;
use super::report::{Refusal, Totals};

/// Why the plan is not carried out, unless somebody says that it is meant so.
pub(super) fn refusals(totals: &Totals, share_max_percent: u8, told: &Prune) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let removes = totals.backups_removed + totals.remains_removed > 0;
    if removes && totals.good_kept == 0 && !told.allow_no_good {
        refusals.push(Refusal {
            code: "no-good",
            text: "no good backup would remain".to_owned(),
            hint: "Make a good backup first: `pgark verify all` says what is wrong with those that are there. If it is meant so, give --allow-no-good (in an event: \"allow_no_good\": true).".to_owned(),
        });
    }
    if totals.good_removed * 100 > totals.good * u64::from(share_max_percent)
        && !told.allow_share
        && told.remove.is_empty()
    {
        refusals.push(Refusal {
            code: "share",
            text: format!(
                "{} of {} good backups would go at once, more than {share_max_percent}%",
                totals.good_removed, totals.good
            ),
            hint: "Read the plan. If it is meant so, give --allow-share (in an event: \"allow_share\": true), or set PGARK_PRUNE_SHARE_MAX.".to_owned(),
        });
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accidents_are_refused_unless_they_are_meant() {
        let totals = |good, good_kept, backups_removed| Totals {
            good,
            good_kept,
            good_removed: good - good_kept,
            backups_removed,
            ..Totals::default()
        };
        let share = Prune { allow_share: true, ..Prune::default() };
        let no_good = Prune { allow_no_good: true, ..Prune::default() };
        for (totals, told, expected) in [
            (totals(0, 0, 0), Prune::default(), vec![]),
            (totals(10, 5, 5), Prune::default(), vec![]),
            (totals(10, 4, 6), Prune::default(), vec!["share"]),
            (totals(10, 4, 6), share.clone(), vec![]),
            (totals(0, 0, 2), Prune::default(), vec!["no-good"]),
            (totals(0, 0, 2), no_good.clone(), vec![]),
            (totals(0, 0, 2), share.clone(), vec!["no-good"]),
            (totals(3, 0, 3), Prune::default(), vec!["no-good", "share"]),
            (Totals { remains_removed: 1, ..Totals::default() }, Prune::default(), vec!["no-good"]),
        ] {
            let codes: Vec<_> = refusals(&totals, 50, &told).iter().map(|refusal| refusal.code).collect();
            assert_eq!(codes, expected, "{totals:?} {told:?}");
        }
        assert!(refusals(&totals(10, 1, 9), 90, &Prune::default()).is_empty());
    }
}
