//! Shows one backup: its whole manifest and its place. Only reads, and needs no key.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::repository::{Filter, Manifest, Repository, SourceName};
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
    /// What it holds.
    pub manifest: Manifest,
}

impl Show {
    /// Runs the job.
    pub async fn run(&self, repository: &Repository) -> Result<ShowReport> {
        let filter = Filter { source: self.source.clone(), tier: None };
        let backup = repository.resolve(&self.backup, &filter).await?;
        let manifest = repository.load_manifest(&backup).await?;
        let location = format!("{}/{backup}", repository.store().address());
        Ok(ShowReport { location, signature: repository.signature_check(), manifest })
    }
}
