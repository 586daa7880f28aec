//! What runs leave behind, and that they do nothing twice: the real program on real servers and stores.
//!
//! Duplicates of schedule events under Lambda's emulator are in the suite `lambda`.

#[path = "history/asked_for.rs"]
mod asked_for;
#[path = "history/leases.rs"]
mod leases;
#[allow(dead_code, reason = "the suite `failures` uses the rest of it")]
#[path = "failures/place.rs"]
mod place;
#[allow(dead_code, reason = "the suite `failures` uses the rest of it")]
#[path = "failures/program.rs"]
mod program;
#[path = "history/records.rs"]
mod records;
#[path = "history/sources.rs"]
mod sources;

use std::time::Duration;

use place::Place;
use program::Pgark;

/// Longest wait for anything that should come at once.
const SOON: Duration = Duration::from_secs(30);

type Result<T = ()> = anyhow::Result<T>;

/// A call on a store, which prints JSON.
fn pgark<const N: usize>(place: &Place, arguments: [&str; N]) -> Result<Pgark> {
    Ok(Pgark::new(arguments)?.with(["--json"]).set("PGARK_ENCRYPTION", "none").set_all(place.variables()))
}

/// The runs that `pgark history` shows: job, source and outcome.
fn history(place: &Place) -> Result<Vec<(String, String, Option<String>)>> {
    let document = pgark(place, ["history"])?.run()?.done()?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let runs = document["runs"].as_array().cloned().unwrap_or_default();
    let line = |run: &serde_json::Value| {
        (
            text(&run["job"]).unwrap_or_default(),
            text(&run["source"]).unwrap_or_default(),
            text(&run["outcome"]),
        )
    };
    Ok(runs.iter().map(line).collect())
}
