//! What stands on the page.

use super::*;
use pgark::repository::{BackupId, Tier};
use pgark::runs::RunError;

fn id(day: i32) -> BackupId {
    format!("202611{day:02}T020000Z-aaaa").parse().unwrap()
}

fn overview(name: &str) -> Overview {
    let backups = (1..=20).map(|day| BackupPoint {
        id: id(day),
        tier: Tier::Daily,
        started_at: id(day).time(),
        seconds: 60.0 + f64::from(day),
        stored_bytes: 1_000_000_000 + 20_000_000 * u64::from(day.unsigned_abs()),
        plain_bytes: 4_000_000_000,
        rows: 12_000_000,
        present: day > 10,
    });
    let proof = |day: i32, job, outcome| ProofPoint {
        job,
        finished_at: id(day).time(),
        outcome,
        looked_at: (job == JobName::Verify).then_some(Looked::Stored),
        backup: Some(id(day)),
        seconds: 100.0,
        recovery_seconds: (job == JobName::RestoreTest).then_some(321.0),
    };
    Overview {
        source: name.parse().unwrap(),
        backups: backups.collect(),
        proofs: vec![
            proof(3, JobName::Verify, Outcome::Done),
            proof(10, JobName::Verify, Outcome::Damaged),
            proof(15, JobName::RestoreTest, Outcome::Done),
        ],
        troubles: vec![
            Trouble {
                job: JobName::Backup,
                started_at: id(7).time(),
                outcome: Some(Outcome::Failed),
                error: Some(RunError {
                    code: "connect.network".to_owned(),
                    message: "<script>alert(\"x\")</script> & more".to_owned(),
                    hint: None,
                }),
            },
            Trouble { job: JobName::Backup, started_at: id(8).time(), outcome: None, error: None },
        ],
        warnings: Vec::new(),
    }
}

fn page(sources: &[Overview]) -> String {
    let (since, now) = (id(1).time(), id(21).time());
    render("s3://backups/<b>", sources, since, now).unwrap()
}

#[test]
fn the_page_needs_no_network_and_no_script() {
    let page = page(&[overview("shop"), overview("crm")]);
    for wanted in [
        "<h2>shop</h2>",
        "href=\"#crm\"",
        "damaged, 11d ago",
        "connect.network",
        "it is in progress, or was killed",
        "20261101T020000Z-aaaa (gone)".replace("01T", "06T").as_str(),
        "And 5 before.",
        "5m 21s",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    // Namespaces are no addresses that anybody asks.
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    for unwanted in ["http:", "https:", "<script", "@import", "url("] {
        assert!(!addresses.contains(unwanted), "{unwanted}");
    }
    assert_eq!(page.matches("<svg").count(), 10);
    // All colours of the plots are those that the style knows.
    for (name, rest) in page
        .match_indices("fill=\"#")
        .chain(page.match_indices("stroke=\"#"))
        .map(|(at, name)| (name, &page[at + name.len()..]))
    {
        assert!(
            ["010101", "020202", "030303", "040404", "050505"].contains(&&rest[..6]),
            "{name}{}",
            &rest[..6]
        );
    }
}

#[test]
fn what_is_put_in_is_escaped() {
    let page = page(&[overview("shop")]);
    assert!(!page.contains("<script>") && !page.contains("s3://backups/<b>"));
    assert!(page.contains("alert("));
}

#[test]
fn a_source_with_nothing_and_a_store_with_none() {
    let empty = Overview { backups: Vec::new(), proofs: Vec::new(), troubles: Vec::new(), ..overview("new") };
    let one = page(&[empty]);
    assert!(one.contains("none") && one.contains("never"));
    assert!(page(&[]).contains("No source has left anything"));
}
