//! Finding backups: listing those that are complete, those that are not, and the one that an argument means.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::{BackupRef, Manifest, Repository, SourceName, Tier, keys};
use crate::error::{Error, ErrorKind, Result};
use crate::retention::{Dating, datings};
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
    /// When the store saw the manifest of each complete one written, by the store's clock.
    pub stored: BTreeMap<BackupRef, Timestamp>,
}

impl Found {
    /// What the store's clock says of each complete one's id, source by source.
    pub fn datings(&self) -> BTreeMap<BackupRef, Dating> {
        let mut by_source: BTreeMap<&SourceName, Vec<(&BackupRef, Timestamp)>> = BTreeMap::new();
        for (backup, stored) in &self.stored {
            by_source.entry(&backup.source).or_default().push((backup, *stored));
        }
        let mut all = BTreeMap::new();
        for backups in by_source.into_values() {
            let dated: Vec<_> = backups.iter().map(|(backup, stored)| (backup.id, *stored)).collect();
            all.extend(backups.into_iter().map(|(backup, _)| backup.clone()).zip(datings(&dated)));
        }
        all
    }
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
                let manifest = self.store().listed(&backup.key(keys::MANIFEST)).await?;
                // Some stores name folders a while longer than there is something in them.
                let exists =
                    manifest.is_some() || self.store().list(&backup.prefix())?.try_next().await?.is_some();
                Ok::<_, Error>((backup, manifest, exists))
            })
            .buffered(REQUESTS_IN_FLIGHT);
        let mut found = Found::default();
        let mut looked_at = std::pin::pin!(looked_at);
        while let Some((backup, manifest, exists)) = looked_at.try_next().await? {
            if let Some(manifest) = manifest {
                found.stored.insert(backup.clone(), manifest.modified);
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

    /// The backups whose time the store's clock does not speak against, ascending by time.
    pub async fn rightly_dated(&self, filter: &Filter) -> Result<Vec<BackupRef>> {
        let found = self.find(filter).await?;
        let datings = found.datings();
        Ok(found.complete.into_iter().filter(|backup| datings.get(backup) == Some(&Dating::Right)).collect())
    }

    /// The backup that an argument means: an id, a unique prefix of one, or `latest`.
    ///
    /// # Errors
    /// When there is none, or the argument could mean more than one: `latest`, where there are several sources and the filter
    /// names none.
    pub async fn resolve(&self, argument: &str, filter: &Filter) -> Result<BackupRef> {
        self.resolve_at(argument, filter, None).await
    }

    /// The same where the settings lead to one database: among several sources, `latest` is that of this one.
    pub async fn resolve_at(
        &self,
        argument: &str,
        filter: &Filter,
        own: Option<&SourceName>,
    ) -> Result<BackupRef> {
        let found = self.find(filter).await?;
        choose(&found, argument, own).map_err(|error| error.on(self.store().address()))
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

/// The only source of these backups, or the own one among several.
///
/// # Errors
/// When it could be any of several.
pub(crate) fn only_source(
    backups: &[BackupRef],
    argument: &str,
    own: Option<&SourceName>,
) -> Result<Option<SourceName>> {
    let sources: BTreeSet<&SourceName> = backups.iter().map(|backup| &backup.source).collect();
    if sources.len() < 2 {
        return Ok(sources.into_iter().next().cloned());
    }
    if let Some(own) = own.filter(|own| sources.contains(own)) {
        return Ok(Some(own.clone()));
    }
    let named: Vec<_> = sources.iter().take(CANDIDATES_NAMED).map(ToString::to_string).collect();
    let more = if sources.len() > CANDIDATES_NAMED { ", …" } else { "" };
    let message = format!(
        "{argument:?} could be a backup of any of {} sources: {}{more}",
        sources.len(),
        named.join(", ")
    );
    Err(Error::new(ErrorKind::BackupAmbiguous, message)
        .hint("Name the source with --source NAME, or give the id of a backup: `pgark list` shows them."))
}

/// The newest backup of the one source that is meant, and the newer ones that the store's clock speaks against.
fn latest(found: &Found, own: Option<&SourceName>) -> Result<Option<BackupRef>> {
    let Some(source) = only_source(&found.complete, "latest", own)? else { return Ok(None) };
    let datings = found.datings();
    for backup in found.complete.iter().rev().filter(|backup| backup.source == source) {
        match datings.get(backup) {
            Some(Dating::Right) => return Ok(Some(backup.clone())),
            dating => tracing::warn!(
                "{backup} is not `latest`, because it is dated {}. Give its id if you mean it; `pgark prune --remove {}` \
                 removes it.",
                if dating == Some(&Dating::Late) {
                    "long before the store saw it"
                } else {
                    "later than the store saw it"
                },
                backup.id
            ),
        }
    }
    let message = format!("no backup of {source} has a time that can be believed");
    Err(Error::new(ErrorKind::BackupMissing, message)
        .hint("Some clock was wrong. Give the id of the one that you mean: `pgark list` shows them."))
}

fn choose(found: &Found, argument: &str, own: Option<&SourceName>) -> Result<BackupRef> {
    let none = |message: String| {
        Error::new(ErrorKind::BackupMissing, message)
            .hint("`pgark list` shows the backups. A run that did not finish is not one.")
    };
    if argument == "latest" {
        return latest(found, own)?.ok_or_else(|| none("there is no backup".to_owned()));
    }
    let backups = &found.complete;
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
        let found = found([
            backup("20260120T020000Z-aaaa", "app"),
            backup("20260121T020000Z-aabb", "app"),
            backup("20260121T020000Z-aacc", "web"),
        ]);
        let id = |argument: &str| choose(&found, argument, None).map(|backup| backup.id.to_string());
        assert_eq!(id("20260120").unwrap(), "20260120T020000Z-aaaa");
        assert_eq!(id("20260121T020000Z-aabb").unwrap(), "20260121T020000Z-aabb");
        let ambiguous = id("20260121").unwrap_err();
        assert_eq!(ambiguous.kind(), ErrorKind::BackupAmbiguous);
        assert!(ambiguous.message().contains("daily/app/20260121T020000Z-aabb"), "{ambiguous}");
        assert!(ambiguous.message().contains("daily/web/20260121T020000Z-aacc"), "{ambiguous}");
        assert_eq!(id("2025").unwrap_err().kind(), ErrorKind::BackupMissing);
        assert_eq!(id("").unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(choose(&Found::default(), "latest", None).unwrap_err().kind(), ErrorKind::BackupMissing);
    }

    /// Complete backups that the store saw in time.
    fn found(complete: impl IntoIterator<Item = BackupRef>) -> Found {
        let complete: Vec<_> = complete.into_iter().collect();
        let stored = complete.iter().map(|backup| (backup.clone(), backup.id.time())).collect();
        Found { complete, stored, incomplete: Vec::new() }
    }

    #[test]
    fn latest_is_refused_where_it_could_be_of_several_sources() {
        let both = found([
            backup("20260120T020000Z-aaaa", "app"),
            backup("20260121T020000Z-aabb", "app"),
            backup("20260121T030000Z-aacc", "web"),
        ]);
        let error = choose(&both, "latest", None).unwrap_err();
        assert_eq!((error.code(), error.exit() as u8), ("backup.ambiguous", 2));
        assert!(error.message().contains("app, web"), "{error}");
        assert!(error.hint_text().unwrap().contains("--source"));
        // The database of the settings is no guess, as long as it has backups here.
        let own = |name: &str| choose(&both, "latest", Some(&name.parse().unwrap()));
        assert_eq!(own("app").unwrap().id.to_string(), "20260121T020000Z-aabb");
        assert_eq!(own("crm").unwrap_err().kind(), ErrorKind::BackupAmbiguous);
        let one = found([backup("20260121T020000Z-aabb", "app")]);
        assert_eq!(choose(&one, "latest", None).unwrap().id.to_string(), "20260121T020000Z-aabb");
    }

    #[test]
    fn latest_is_none_that_the_stores_clock_speaks_against() {
        let mut all = found([
            backup("20260120T020000Z-aaaa", "app"),
            backup("20260121T020000Z-aabb", "app"),
            backup("20290121T020000Z-aacc", "app"),
        ]);
        all.stored.insert(all.complete[2].clone(), "2026-01-20T14:00:00Z".parse().unwrap());
        let latest = choose(&all, "latest", None).unwrap();
        assert_eq!(latest.id.to_string(), "20260121T020000Z-aabb");
        assert!(choose(&all, "2029", None).is_ok(), "by its id it can be had");
        let only = Found { complete: all.complete.split_off(2), ..all };
        let error = choose(&only, "latest", None).unwrap_err();
        assert!(error.message().contains("no backup of app has a time that can be believed"), "{error}");
    }
}
