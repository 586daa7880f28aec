//! Leases on a folder and on a real S3 server, raced for by processes that know nothing of each other.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use pgark::repository::{BackupId, Repository};
use pgark::runs::JobName;
use pgark::runs::lease::{Acquired, Lease, Request};
use pgark::store::{Store, StoreOptions};

use crate::Result;
use crate::place::Place;

/// Tell the inner process which store it is, and who it is.
const STORE: &str = "PGARK_TEST_LEASE_STORE";
const RACER: &str = "PGARK_TEST_LEASE_RACER";
const PROCESSES: u32 = 4;
const RACERS_A_PROCESS: u32 = 4;

fn race(place: &Place) -> Result<Vec<String>> {
    let start = |process: u32| -> Result<Child> {
        // The SDK reads credentials from the environment of the process.
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", "leases::inner_process_races_for_a_lease", "--ignored", "--nocapture"])
            .envs(place.variables())
            .env(STORE, place.url())
            .env(RACER, process.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(child)
    };
    let racers: Vec<Child> = (0..PROCESSES).map(start).collect::<Result<_>>()?;
    let mut lines = Vec::new();
    for racer in racers {
        let output = racer.wait_with_output()?;
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success() && printed.contains("1 passed"), "{printed}");
        lines.extend(
            printed.lines().filter_map(|line| line.split_once("racer ")).map(|(_, line)| line.to_owned()),
        );
    }
    Ok(lines)
}

#[test]
fn of_sixteen_who_race_one_wins() -> Result {
    for place in Place::both()? {
        let lines = race(&place)?;
        let won: Vec<_> = lines.iter().filter(|line| line.ends_with("won")).collect();
        assert_eq!((won.len(), lines.len()), (1, 16), "{}: {lines:?}", place.url());
        // Those who lost know to whom.
        let winner = won[0].split_whitespace().next().context("no name")?;
        assert!(lines.iter().all(|line| line.contains(winner)), "{lines:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by of_sixteen_who_race_one_wins"]
async fn inner_process_races_for_a_lease() -> Result {
    let (url, process) = (std::env::var(STORE)?, std::env::var(RACER)?.parse::<u32>()?);
    let endpoint_url = std::env::var("AWS_ENDPOINT_URL").ok();
    let options = StoreOptions { endpoint_url, session: process.into(), ..StoreOptions::default() };
    let store = Store::open(&url.parse().map_err(anyhow::Error::msg)?, &options).await?;
    let racers = (0..RACERS_A_PROCESS).map(|racer| {
        let repository = Repository::new(store.clone());
        let request = Request {
            source: "shop".parse().expect("a name"),
            job: JobName::Prune,
            run: BackupId::new(jiff::Timestamp::now(), process * RACERS_A_PROCESS + racer),
            by: None,
            term: Duration::from_mins(10),
            now: jiff::Timestamp::now,
        };
        tokio::spawn(async move { (request.run, Lease::acquire(&repository, request).await) })
    });
    for racer in racers.collect::<Vec<_>>() {
        match racer.await? {
            (run, Ok(Acquired::Taken(_))) => println!("racer {run} won"),
            (run, Ok(Acquired::Held(holder))) => println!("racer {run} lost to {}", holder.run),
            (_, Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
}
