//! Finding backups: listing those that are complete, those that are not, and the one that an argument means.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{BackupRef, Manifest, Repository, SourceName, Tier, keys};
use crate::error::{Error, ErrorKind, Result};
use crate::store::StoreRead as _;

/// Requests at a time.
const REQUESTS_IN_FLIGHT: usize = 16;
/// A manifest of a hundred thousand tables is about 60 MB.
const MANIFEST_BYTES_MAX: usize = 256 * 1024 * 1024;
/// minisign's signatures have some 350 bytes; comments may be longer.
const SIGNATURE_BYTES_MAX: usize = 64 * 1024;
const CANDIDATES_NAMED: usize = 8;

/// Which backups to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only of this tier.
    pub tier: Option<Tier>,
}

/// Complete backups and what is left of others, each ascending by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// With a manifest: these are backups.
    pub complete: Vec<BackupRef>,
    /// With objects but without a manifest: runs in progress, or the remains of failed ones. Never backups.
    /// A run that has not finished its first object shows only in the store's unfinished uploads.
    pub incomplete: Vec<BackupRef>,
}

impl Repository {
    /// Looks for backups. Folders that are not named like a backup are passed over.
    pub async fn find(&self, filter: &Filter) -> Result<Found> {
        let mut refs = Vec::new();
        for tier in Tier::ALL.into_iter().filter(|tier| filter.tier.is_none_or(|only| only == *tier)) {
            for source in self.sources_in(tier, filter).await? {
                for name in self.store().list_dirs(&keys::source_prefix(tier, &source)).await? {
                    if let Ok(id) = name.parse() {
                        refs.push(BackupRef { id, tier, source: source.clone() });
                    }
                }
            }
        }
        refs.sort_unstable();
        let looked_at = stream::iter(refs)
            .map(|backup| async move {
                // Not `head`: whoever makes backups sees names, and may not read.
                let complete = self.store().listed(&backup.key(keys::MANIFEST)).await?.is_some();
                // Some stores name folders a while longer than there is something in them.
                let exists = complete || self.store().list(&backup.prefix())?.try_next().await?.is_some();
                Ok::<_, Error>((backup, complete, exists))
            })
            .buffered(REQUESTS_IN_FLIGHT);
        let mut found = Found::default();
        let mut looked_at = std::pin::pin!(looked_at);
        while let Some((backup, complete, exists)) = looked_at.try_next().await? {
            if complete {
                found.complete.push(backup);
            } else if exists {
                found.incomplete.push(backup);
            }
        }
        Ok(found)
    }

    /// The names under which backups, or what is left of some, lie in the store.
    pub async fn sources(&self) -> Result<Vec<SourceName>> {
        let mut sources = Vec::new();
        for tier in Tier::ALL {
            sources.extend(self.sources_in(tier, &Filter::default()).await?);
        }
        sources.sort_unstable();
        sources.dedup();
        Ok(sources)
    }

    async fn sources_in(&self, tier: Tier, filter: &Filter) -> Result<Vec<SourceName>> {
        if let Some(source) = &filter.source {
            return Ok(vec![source.clone()]);
        }
        let names = self.store().list_dirs(&keys::tier_prefix(tier)).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The complete backups, ascending by time.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<BackupRef>> {
        Ok(self.find(filter).await?.complete)
    }

    /// The backup that an argument means: an id, a unique prefix of one, or `latest`.
    pub async fn resolve(&self, argument: &str, filter: &Filter) -> Result<BackupRef> {
        let backups = self.list(filter).await?;
        choose(&backups, argument).map_err(|error| error.on(self.store().address()))
    }

    /// Reads a backup's manifest, which must be the one of this place, and be signed if signatures are to be checked.
    ///
    /// The only way to a manifest, so that nobody forgets the signature.
    pub async fn load_manifest(&self, backup: &BackupRef) -> Result<Manifest> {
        let key = backup.key(keys::MANIFEST);
        let json =
            self.store().get_small(&key, MANIFEST_BYTES_MAX).await.map_err(|error| match error.kind() {
                ErrorKind::ObjectMissing => {
                    Error::new(ErrorKind::BackupMissing, "there is no such backup").on(&key).because(error)
                }
                _ => error,
            })?;
        if let Some(signers) = &self.signers {
            let signature = self.signature(backup).await.map_err(|error| error.on(&key))?;
            signers.verify(&json, &signature).map_err(|error| error.on(&key))?;
        }
        let manifest = Manifest::from_json(&json).map_err(|error| error.on(&key))?;
        if (manifest.id, &manifest.source, manifest.tier) != (backup.id, &backup.source, backup.tier) {
            let message = format!("is the manifest of {}/{}/{}", manifest.tier, manifest.source, manifest.id);
            return Err(Error::new(ErrorKind::ManifestDamaged, message)
                .on(&key)
                .hint("It was moved or copied here. Put it back where it belongs."));
        }
        Ok(manifest)
    }

    async fn signature(&self, backup: &BackupRef) -> Result<Bytes> {
        let read = self.store().get_small(&backup.key(keys::SIGNATURE), SIGNATURE_BYTES_MAX).await;
        read.map_err(|error| match error.kind() {
            ErrorKind::ObjectMissing => Error::new(ErrorKind::SignatureMissing, "is not signed")
                .hint(
                    "If it was written before backups were signed, unset PGARK_VERIFICATION_KEY for it. Else somebody \
                     replaced it: use another backup.",
                )
                .because(error),
            ErrorKind::ObjectTooLarge => {
                Error::new(ErrorKind::SignatureInvalid, "has a signature that is far too large").because(error)
            }
            _ => error,
        })
    }

    /// The manifests of several backups, in their order; a damaged one does not hide the others.
    pub async fn load_manifests(&self, backups: &[BackupRef]) -> Vec<(BackupRef, Result<Manifest>)> {
        stream::iter(backups)
            .map(|backup| async move { (backup.clone(), self.load_manifest(backup).await) })
            .buffered(REQUESTS_IN_FLIGHT / 2)
            .collect()
            .await
    }
}

/// `backups` ascending by time.
fn choose(backups: &[BackupRef], argument: &str) -> Result<BackupRef> {
    let none = |message: String| {
        Error::new(ErrorKind::BackupMissing, message)
            .hint("`pgark list` shows the backups. A run that did not finish is not one.")
    };
    if argument == "latest" {
        return backups.last().cloned().ok_or_else(|| none("there is no backup".to_owned()));
    }
    // An empty argument, from an unset variable in a script, must not mean the only backup.
    if argument.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the BACKUP argument is empty")
            .hint("Give an id, the unique beginning of one, or `latest`."));
    }
    let matching: Vec<_> =
        backups.iter().filter(|backup| backup.id.to_string().starts_with(argument)).collect();
    match matching.as_slice() {
        [] => Err(none(format!("no backup begins with {argument:?}"))),
        [one] => Ok((*one).clone()),
        several => {
            let named: Vec<_> = several.iter().take(CANDIDATES_NAMED).map(ToString::to_string).collect();
            let more = if several.len() > CANDIDATES_NAMED { ", …" } else { "" };
            let message =
                format!("{} backups begin with {argument:?}: {}{more}", several.len(), named.join(", "));
            Err(Error::new(ErrorKind::BackupAmbiguous, message)
                .hint("Give more of the id, or name the source."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(id: &str, source: &str) -> BackupRef {
        BackupRef { id: id.parse().unwrap(), tier: Tier::Daily, source: source.parse().unwrap() }
    }

    #[test]
    fn an_argument_means_one_backup_or_an_error() {
        let backups = [
            backup("20260120T020000Z-aaaa", "app"),
            backup("20260121T020000Z-aabb", "app"),
            backup("20260121T020000Z-aacc", "web"),
        ];
        let id = |argument: &str| choose(&backups, argument).map(|backup| backup.id.to_string());
        assert_eq!(id("latest").unwrap(), "20260121T020000Z-aacc");
        assert_eq!(id("20260120").unwrap(), "20260120T020000Z-aaaa");
        assert_eq!(id("20260121T020000Z-aabb").unwrap(), "20260121T020000Z-aabb");
        let ambiguous = id("20260121").unwrap_err();
        assert_eq!(ambiguous.kind(), ErrorKind::BackupAmbiguous);
        assert!(ambiguous.message().contains("daily/app/20260121T020000Z-aabb"), "{ambiguous}");
        assert!(ambiguous.message().contains("daily/web/20260121T020000Z-aacc"), "{ambiguous}");
        assert_eq!(id("2025").unwrap_err().kind(), ErrorKind::BackupMissing);
        assert_eq!(id("").unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(choose(&[], "latest").unwrap_err().kind(), ErrorKind::BackupMissing);
    }
}
