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
    /// The only change, or the only other one: white space.
    #[serde(default)]
    spaces: bool,
    /// The only change: ours is made below a table that has the columns in their order.
    #[serde(default)]
    keeps_order: bool,
    /// Where it is accepted. It must happen in the first one.
    places: Vec<Place>,
    /// Why it is right.
    reason: String,
}

/// A comparison with `pg_dump`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// PostgreSQL's regression database.
    Oracle,
    /// Our own fixtures, on every version.
    Fixtures,
    /// Databases made from seeds.
    Generated,
}

impl Accepted {
    fn covers(&self, difference: &Difference) -> bool {
        if difference.field != self.field || !self.names(&difference.entry) {
            return false;
        }
        if self.keeps_order {
            return without_order(&difference.ours).is_some_and(|ours| ours == difference.theirs);
        }
        match (&self.replaced, &self.more) {
            (Some([theirs, ours]), _) if self.spaces => {
                let expected = difference.theirs.replace(theirs, ours);
                expected.split_whitespace().eq(difference.ours.split_whitespace())
            }
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

/// A definition that `catalog/tables/create.rs` makes below a table with its columns, without that table.
fn without_order(ours: &str) -> Option<String> {
    let order = ours.strip_prefix("CREATE TABLE ")?.split_once(" (")?.0;
    let (_, rest) = ours.split_once(");\n\n")?;
    let inherit = |line: &&str| line.starts_with("ALTER ") && line.contains(" INHERIT ");
    let parents: Vec<&str> = rest
        .lines()
        .filter(|line| inherit(line) && !line.contains(" NO INHERIT "))
        .filter_map(|line| line.rsplit_once(" INHERIT ")?.1.strip_suffix(';'))
        .collect();
    let drop = format!("DROP TABLE {order};");
    let mut text: String =
        rest.lines().filter(|line| !inherit(line) && *line != drop).flat_map(|line| [line, "\n"]).collect();
    text = text.replace(&format!("INHERITS ({order})"), &format!("INHERITS ({})", parents.join(", ")));
    (order.contains("pgark_order_of_")).then_some(text)
}

/// The differences that are accepted in one place, and which of them were met.
pub(crate) struct AcceptedDifferences {
    place: Place,
    accepted: Vec<(Accepted, bool)>,
}

impl AcceptedDifferences {
    /// Reads `accepted.toml`.
    pub(crate) fn read(place: Place) -> anyhow::Result<Self> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            accepted: Vec<Accepted>,
        }
        let mut file: File = toml::from_str(include_str!("accepted.toml")).context("accepted.toml")?;
        let incomplete =
            |accepted: &&Accepted| accepted.reason.trim().is_empty() || accepted.places.is_empty();
        if let Some(accepted) = file.accepted.iter().find(incomplete) {
            bail!("accepted.toml gives no reason or no place for {accepted:?}");
        }
        file.accepted.retain(|accepted| accepted.places.contains(&place));
        Ok(Self { place, accepted: file.accepted.into_iter().map(|accepted| (accepted, false)).collect() })
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

    /// Fails if the file has more for this place than is needed.
    pub(crate) fn all_met(&self) -> anyhow::Result<()> {
        let needless = |(accepted, met): &&(Accepted, bool)| !met && accepted.places[0] == self.place;
        match self.accepted.iter().find(needless) {
            Some((accepted, _)) => bail!("what does not happen is accepted: {accepted:?}"),
            None => Ok(()),
        }
    }
}
