//! What the chosen entries of a part need. Somebody who restores one table in an emergency wants it to come back, into
//! a database that has the rest as well as into an empty one:
//!
//! - What the target has is used as it is.
//! - Schemas, extensions, types, functions, sequences and the like that it lacks come along.
//! - Tables and views that it lacks do not: whose rows would come with them was not said. A foreign key to such a
//!   table, an attachment to such a root, a publication are left out, and named; anything else is refused.

use super::belonging::{Relations, is_relation};
use super::{Selection, Wanted, hangs_on_parent};
use crate::restore::present::Present;
use crate::toc::{Entry, Section, settings};

/// What came or went because something else needs it. Places are those of the entries.
#[derive(Debug, Default)]
pub(in crate::restore) struct Needed {
    /// Came along.
    pub(in crate::restore) brought: Vec<usize>,
    /// Was left out, because what stands second is not there.
    pub(in crate::restore) left_out: Vec<(usize, usize)>,
    /// Cannot be made, because what stands second is not there.
    pub(in crate::restore) lacking: Vec<(usize, usize)>,
}

/// Brings what is needed, and leaves out what cannot be.
pub(super) fn complete(
    entries: &[Entry],
    relations: &Relations,
    present: &Present,
    excluded: &[bool],
    wanted: &impl Fn(usize) -> Wanted,
    selection: &mut Selection,
) {
    let is_there = |index: usize, selection: &Selection| {
        let owners = relations.owners(index);
        selection.wanted[index].anything()
            || present.has(&entries[index])
            || (!owners.is_empty()
                && owners
                    .iter()
                    .all(|owner| selection.wanted[*owner].anything() || present.has(&entries[*owner])))
    };
    let mut left: Vec<usize> =
        (0..entries.len()).filter(|index| selection.wanted[*index].definition).collect();
    while let Some(index) = left.pop() {
        let needed: Vec<usize> = relations
            .needed(entries, index)
            .into_iter()
            .filter(|needed| {
                let entry = &entries[*needed];
                let is_definition =
                    entry.section != Section::Data && !settings::is_setting(entry) && !hangs_on_parent(entry);
                // What is in a section, or of a content, that nobody wants is taken to be there.
                is_definition
                    && !relations.is_of_root(entries, index, *needed)
                    && wanted(*needed).definition
                    && !is_there(*needed, selection)
            })
            .collect();
        for needed in needed {
            let may_come = !is_relation(&entries[needed]) || entries[needed].desc == "SEQUENCE";
            if may_come && !excluded[needed] && relations.owners(needed).is_empty() {
                bring(entries, relations, needed, wanted, selection);
                left.push(needed);
            } else if is_dispensable(&entries[index]) {
                if selection.wanted[index].anything() {
                    selection.needed.left_out.push((index, needed));
                }
                leave_out(entries, relations, index, selection);
            } else {
                selection.needed.lacking.push((index, needed));
            }
        }
    }
    selection.needed.brought.sort_unstable();
    selection.needed.left_out.sort_unstable();
    selection.needed.lacking.sort_unstable();
}

/// Whether the table is itself without this.
fn is_dispensable(entry: &Entry) -> bool {
    matches!(
        entry.desc.as_str(),
        "FK CONSTRAINT" | "TABLE ATTACH" | "INDEX ATTACH" | "PUBLICATION TABLE" | "SEQUENCE OWNED BY"
    )
}

fn bring(
    entries: &[Entry],
    relations: &Relations,
    index: usize,
    wanted: &impl Fn(usize) -> Wanted,
    selection: &mut Selection,
) {
    if selection.wanted[index].anything() {
        return;
    }
    selection.wanted[index] = wanted(index);
    selection.needed.brought.push(index);
    for (other, entry) in entries.iter().enumerate() {
        let belongs = hangs_on_parent(entry) || entry.desc == "SEQUENCE SET";
        if belongs && relations.dependencies(entry).any(|of| of == index) {
            selection.wanted[other] = wanted(other);
        }
    }
}

fn leave_out(entries: &[Entry], relations: &Relations, index: usize, selection: &mut Selection) {
    selection.wanted[index] = Wanted::default();
    for (other, entry) in entries.iter().enumerate().filter(|(_, entry)| hangs_on_parent(entry)) {
        if relations.dependencies(entry).any(|of| of == index) {
            selection.wanted[other] = Wanted::default();
        }
    }
}
