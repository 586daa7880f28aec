//! What belongs to a relation and goes where it goes: rows, indexes, constraints, triggers, rules, policies, statistics,
//! separate defaults, row security; a table's partitions; the sequences that it owns. Views are relations of their own,
//! and belong to nobody.

use std::collections::{HashMap, HashSet};

use crate::catalog::DumpId;
use crate::quote::qualified;
use crate::toc::{Entry, Section};

/// Whether an entry is a relation that can be asked for by name.
pub(super) fn is_relation(entry: &Entry) -> bool {
    matches!(entry.desc.as_str(), "TABLE" | "VIEW" | "FOREIGN TABLE" | "MATERIALIZED VIEW" | "SEQUENCE")
}

/// The relations of an archive.
pub(super) struct Relations {
    by_id: HashMap<DumpId, usize>,
    by_name: HashMap<(String, String), usize>,
    /// What goes with what: a partition with its root, an owned sequence with its table.
    with: Vec<(usize, usize)>,
    /// Partitions with what they are attached to.
    attached: HashSet<(usize, usize)>,
    /// The relations that each entry belongs to.
    owners: Vec<Vec<usize>>,
}

impl Relations {
    pub(super) fn new(entries: &[Entry]) -> Self {
        let by_id = entries.iter().enumerate().map(|(index, entry)| (entry.id, index)).collect();
        let named = entries.iter().enumerate().filter(|(_, entry)| is_relation(entry));
        let by_name = named.map(|(index, entry)| (name(entry), index)).collect();
        let mut relations =
            Self { by_id, by_name, with: Vec::new(), attached: HashSet::new(), owners: Vec::new() };
        for (index, entry) in entries.iter().enumerate() {
            let own = match entry.desc.as_str() {
                // Of a column, by identity or by OWNED BY: it depends on the table then, and on no other.
                "SEQUENCE" => Some(index),
                "TABLE ATTACH" => relations.by_name.get(&name(entry)).copied(),
                _ => None,
            };
            let Some(own) = own else { continue };
            let of = relations.dependencies(entry).filter(|of| *of != own && is_relation(&entries[*of]));
            let pairs: Vec<_> = of.map(|of| (own, of)).collect();
            if entry.desc == "TABLE ATTACH" {
                relations.attached.extend(&pairs);
            }
            relations.with.extend(pairs);
        }
        // Once for all: the index of a partitioned table depends on the rows of each partition, and each partition asks.
        relations.owners = (0..entries.len()).map(|index| relations.own(entries, index)).collect();
        let attachments = (0..entries.len()).filter(|index| entries[*index].desc == "INDEX ATTACH");
        let owners = attachments.map(|index| (index, relations.owners_of_attachment(entries, index)));
        for (index, owners) in owners.collect::<Vec<_>>() {
            relations.owners[index] = owners;
        }
        relations
    }

    /// What an entry needs. A sequence depends on the table that owns it only to be made after it: the statement that says
    /// so is the one that needs the table.
    pub(super) fn needed(&self, entries: &[Entry], index: usize) -> Vec<usize> {
        let entry = &entries[index];
        let is_owned = |entry: &Entry| entry.desc == "SEQUENCE" && entry.drop_statement.is_some();
        if is_owned(entry) {
            return self.dependencies(entry).filter(|of| !is_relation(&entries[*of])).collect();
        }
        let mut needed: Vec<usize> = self.dependencies(entry).collect();
        if entry.desc == "SEQUENCE OWNED BY" {
            let sequences: Vec<usize> = needed.iter().copied().filter(|of| is_owned(&entries[*of])).collect();
            needed.extend(sequences.iter().flat_map(|sequence| self.dependencies(&entries[*sequence])));
        }
        needed
    }

    /// Whether an archive says that the first needs the second only because a partition is made like its root: it can be
    /// made without, and is attached later.
    pub(super) fn is_of_root(&self, entries: &[Entry], index: usize, needed: usize) -> bool {
        let own = |index: usize| {
            if is_relation(&entries[index]) { Some(index) } else { self.owners(index).first().copied() }
        };
        let attaches = matches!(entries[index].desc.as_str(), "TABLE ATTACH" | "INDEX ATTACH");
        let pair = own(index).zip(own(needed));
        !attaches && pair.is_some_and(|pair| self.attached.contains(&pair))
    }

    /// The places of the entries that an entry depends on, as far as the archive has them.
    pub(super) fn dependencies<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = usize> + 'a {
        entry.dependencies.iter().filter_map(|id| self.by_id.get(id)).copied()
    }

    /// Which relations are taken, with what goes with them.
    pub(super) fn follow(&self, entries: &[Entry], taken: &[bool], excluded: &[bool]) -> Vec<bool> {
        let mut excluded = excluded.to_vec();
        self.spread(&mut excluded, &vec![false; entries.len()]);
        let mut chosen: Vec<bool> =
            entries.iter().zip(taken).map(|(entry, taken)| is_relation(entry) && *taken).collect();
        self.spread(&mut chosen, &excluded);
        chosen.iter().zip(&excluded).map(|(chosen, excluded)| *chosen && !excluded).collect()
    }

    /// Marks what goes with what is marked, at any distance.
    fn spread(&self, marked: &mut [bool], except: &[bool]) {
        loop {
            let next: Vec<usize> = self
                .with
                .iter()
                .filter(|(own, of)| marked[*of] && !marked[*own] && !except[*own] && !except[*of])
                .map(|(own, _)| *own)
                .collect();
            if next.is_empty() {
                return;
            }
            for own in next {
                marked[own] = true;
            }
        }
    }

    /// The relations that an entry belongs to: none if it stands for itself.
    pub(super) fn owners(&self, index: usize) -> &[usize] {
        &self.owners[index]
    }

    /// Those that show without the owners of others.
    fn own(&self, entries: &[Entry], index: usize) -> Vec<usize> {
        let entry = &entries[index];
        match entry.desc.as_str() {
            "TABLE DATA"
            | "MATERIALIZED VIEW DATA"
            | "SEQUENCE SET"
            | "SEQUENCE OWNED BY"
            | "ROW SECURITY"
            | "TABLE ATTACH" => self.by_name.get(&name(entry)).copied().into_iter().collect(),
            // Tagged with the relation's name, a space and their own.
            "CONSTRAINT" | "FK CONSTRAINT" | "CHECK CONSTRAINT" | "TRIGGER" | "RULE" | "POLICY"
            | "DEFAULT" => {
                let of = self.dependencies(entry).filter(|of| {
                    let relation = &entries[*of];
                    let rest = entry.tag.strip_prefix(&relation.tag);
                    is_relation(relation)
                        && relation.schema == entry.schema
                        && rest.is_some_and(|rest| rest.starts_with(' '))
                });
                of.max_by_key(|of| entries[*of].tag.len()).into_iter().collect()
            }
            "INDEX" => {
                let text = entry.definition.as_deref().unwrap_or_default();
                let of = self.dependencies(entry).filter(|of| is_relation(&entries[*of])).filter(|of| {
                    let relation = &entries[*of];
                    let name = qualified(relation.schema.as_deref().unwrap_or_default(), &relation.tag);
                    [" ON ", " ON ONLY "].iter().any(|on| text.contains(&format!("{on}{name} USING ")))
                });
                of.take(1).collect()
            }
            "STATISTICS" | "PUBLICATION TABLE" => {
                self.dependencies(entry).filter(|of| is_relation(&entries[*of])).take(1).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Those of the indexes of a partition and of its root, both of which must be there.
    fn owners_of_attachment(&self, entries: &[Entry], index: usize) -> Vec<usize> {
        let indexes = self.dependencies(&entries[index]).filter(|of| {
            *of != index && entries[*of].section == Section::PostData && entries[*of].desc != "INDEX ATTACH"
        });
        indexes.flat_map(|of| self.owners[of].clone()).collect()
    }
}

fn name(entry: &Entry) -> (String, String) {
    (entry.schema.clone().unwrap_or_default(), entry.tag.clone())
}
