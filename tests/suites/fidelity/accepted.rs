//! The differences from `pg_dump` that are right: `accepted.toml`.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

use super::entries::{Difference, Field};

/// A kind of difference that is right.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    field: Field,
    /// Names of entries; all, if there are none. A final `*` stands for any end.
    #[serde(default)]
    entries: Vec<String>,
    /// The only change: this text of theirs became that one of ours.
    replaced: Option<[String; 2]>,
    /// The only change: dependencies on entries of this kind came to ours.
    more: Option<String>,
    /// The only change: white space.
    #[serde(default)]
    spaces: bool,
    /// Why it is right.
    reason: String,
}

impl Accepted {
    fn covers(&self, difference: &Difference) -> bool {
        if difference.field != self.field || !self.names(&difference.entry) {
            return false;
        }
        match (&self.replaced, &self.more) {
            (Some([theirs, ours]), _) => difference.theirs.replace(theirs, ours) == difference.ours,
            (_, Some(kind)) => {
                let theirs: BTreeSet<_> = difference.theirs.lines().collect();
                let ours: BTreeSet<_> = difference.ours.lines().collect();
                theirs.is_subset(&ours)
                    && ours.difference(&theirs).all(|more| more.starts_with(&format!("{kind} ")))
            }
            (None, None) if self.spaces => {
                difference.theirs.split_whitespace().eq(difference.ours.split_whitespace())
            }
            (None, None) => !self.entries.is_empty(),
        }
    }

    fn names(&self, entry: &str) -> bool {
        let is = |name: &String| match name.strip_suffix('*') {
            Some(start) => entry.starts_with(start),
            None => entry == name,
        };
        self.entries.is_empty() || self.entries.iter().any(is)
    }
}

/// The accepted differences, and which of them were met.
pub(crate) struct AcceptedDifferences {
    accepted: Vec<(Accepted, bool)>,
}

impl AcceptedDifferences {
    /// Reads `accepted.toml`.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Self::parse(include_str!("accepted.toml")).context("accepted.toml")
    }

    /// Reads `accepted-fixtures.toml` too. What is accepted everywhere need not happen in the fixtures.
    pub(crate) fn read_for_fixtures() -> anyhow::Result<Self> {
        let mut everywhere = Self::read()?;
        everywhere.accepted.iter_mut().for_each(|(_, met)| *met = true);
        let here = Self::parse(include_str!("accepted-fixtures.toml")).context("accepted-fixtures.toml")?;
        everywhere.accepted.extend(here.accepted);
        Ok(everywhere)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            accepted: Vec<Accepted>,
        }
        let file: File = toml::from_str(text)?;
        if let Some(accepted) = file.accepted.iter().find(|accepted| accepted.reason.trim().is_empty()) {
            bail!("there is no reason for {accepted:?}");
        }
        Ok(Self { accepted: file.accepted.into_iter().map(|accepted| (accepted, false)).collect() })
    }

    /// Fails with all differences that are not accepted; returns how many are.
    pub(crate) fn check(&mut self, differences: &[Difference]) -> anyhow::Result<usize> {
        let mut unexplained = Vec::new();
        for difference in differences {
            match self.accepted.iter_mut().find(|(accepted, _)| accepted.covers(difference)) {
                Some((_, met)) => *met = true,
                None => unexplained.push(difference.to_string()),
            }
        }
        if !unexplained.is_empty() {
            bail!("{} unexplained differences\n{}", unexplained.len(), unexplained.join(""));
        }
        Ok(differences.len())
    }

    /// Fails if the file has more than is needed.
    pub(crate) fn all_met(&self) -> anyhow::Result<()> {
        match self.accepted.iter().find(|(_, met)| !met) {
            Some((accepted, _)) => bail!("what does not happen is accepted: {accepted:?}"),
            None => Ok(()),
        }
    }
}
