//! Shows one backup: its whole manifest, its place, and whether it is held. Only reads, and needs no key.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::repository::{Filter, Manifest, Repository, SourceName};
use crate::retention::Hold;
use crate::signature::SignatureCheck;
use crate::store::StoreRead as _;

/// The arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// An id, a unique prefix of one, or `latest`.
    pub backup: String,
    /// Only of this source.
    #[serde(default)]
    pub source: Option<SourceName>,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShowReport {
    /// Where it is.
    pub location: String,
    /// Whether the manifest's signature was checked.
    pub signature: SignatureCheck,
    /// The hold that is on it; `null` if it is not held.
    pub held: Option<Hold>,
    /// What it holds.
    pub manifest: Manifest,
}

impl Show {
    /// Runs the job.
    ///
    /// `now` tells whether a hold is over.
    pub async fn run(&self, repository: &Repository, now: Timestamp) -> Result<ShowReport> {
        let filter = Filter { source: self.source.clone(), tier: None };
        let backup = repository.resolve(&self.backup, &filter).await?;
        let manifest = repository.load_manifest(&backup).await?;
        let location = format!("{}/{backup}", repository.store().address());
        let (held, _) = repository.hold_on(&backup).await?;
        let held = held.filter(|hold| hold.holds(now));
        Ok(ShowReport { location, held, signature: repository.signature_check(), manifest })
    }
}
