//! Random databases, each from a seed: whatever kinds meet in them, our archive must say what `pg_dump`'s says, and
//! what is restored from it must be what stock tools make of `pg_dump`'s own archive.
//!
//! A seed and a major version make one script, always the same. When a seed fails, the test prints it, the difference
//! and the command that runs it again, and leaves the script in `target/…/pgark-tests/generated`.

#[path = "generated/comparison.rs"]
mod comparison;
#[path = "generated/script.rs"]
mod script;

use anyhow::{Context as _, bail, ensure};
use pgark_tests::postgres::MAJORS;

use super::Result;
use comparison::Outcome;
use script::script;

/// Seeds of `make test`. A longer hunt is made by hand: see docs/testing.md.
const SEEDS: std::ops::Range<u64> = 0..2;

/// The seeds that were asked for, and whether by hand.
fn seeds() -> anyhow::Result<(std::ops::Range<u64>, bool)> {
    let variable = |name| std::env::var(name).ok();
    if let Some(seed) = variable("PGARK_TEST_SEED") {
        let seed: u64 = seed.parse().context("PGARK_TEST_SEED is no number")?;
        return Ok((seed..seed + 1, true));
    }
    let Some(range) = variable("PGARK_TEST_SEEDS") else { return Ok((SEEDS, false)) };
    let (from, to) = range.split_once("..").context("PGARK_TEST_SEEDS is no range such as 1000..1200")?;
    Ok((from.parse()?..to.parse()?, true))
}

/// Compares all seeds on a major version. Every failure is printed; the first ones fail the test.
#[allow(clippy::print_stdout, reason = "a hunt by hand is watched")]
fn all_seeds(major: u32) -> Result {
    assert!(MAJORS.contains(&major));
    let (seeds, by_hand) = seeds()?;
    if std::env::var("PGARK_TEST_MAJOR").is_ok_and(|wanted| wanted != major.to_string()) {
        return Ok(());
    }
    let (mut failures, mut not_loaded, mut pg_dump_fails, mut entries) = (Vec::new(), 0, 0, 0);
    let total = seeds.end.saturating_sub(seeds.start);
    for seed in seeds {
        match comparison::run(seed, major) {
            Ok(Outcome::Same { entries: count }) => entries += count,
            Ok(Outcome::NotLoaded { why }) => {
                not_loaded += 1;
                println!("seed {seed} on {major}: not loaded: {why}");
            }
            Ok(Outcome::PgDumpFails { why }) => {
                pg_dump_fails += 1;
                println!("seed {seed} on {major}: pg_dump itself fails: {why}");
            }
            Err(error) => {
                let failure = format!(
                    "seed {seed} on PostgreSQL {major}: {error:#}\nagain: PGARK_TEST_SEED={seed} \
                     PGARK_TEST_MAJOR={major} cargo test -p pgark-tests --test fidelity generated::on_{major} -- \
                     --nocapture\n"
                );
                println!("{failure}");
                failures.push(failure);
            }
        }
    }
    println!(
        "PostgreSQL {major}: {total} databases, {entries} entries, {} differ, pg_dump itself fails on {pg_dump_fails}, \
         {not_loaded} could not be made",
        failures.len()
    );
    ensure!(
        by_hand || pg_dump_fails + not_loaded == 0,
        "pg_dump itself, or the server, fails on a seed of every day: choose others"
    );
    if !failures.is_empty() {
        bail!("{} of {total} databases differ on PostgreSQL {major}\n{}", failures.len(), failures[0]);
    }
    Ok(())
}

macro_rules! for_each_major {
    ($($name:ident: $major:literal),*) => { $(
        #[test]
        fn $name() -> Result {
            all_seeds($major)
        }
    )* };
}

for_each_major!(on_13: 13, on_14: 14, on_15: 15, on_16: 16, on_17: 17, on_18: 18);

#[test]
fn a_seed_makes_one_script() {
    assert_eq!(script(7, 17), script(7, 17));
    assert_ne!(script(7, 17), script(8, 17));
}
