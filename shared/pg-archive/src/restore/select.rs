//! Decides what of each entry is restored (`_tocEntryRequired` and `_tocEntryRestorePass` in
//! `pg_backup_archiver.c`). A filter that matches nothing is an error: it is a typing mistake, and the restore that
//! was asked for would silently be another.
//!
//! Where `pg_restore --table` takes a table's definition and rows alone, this takes the table whole: what belongs to it
//! ([`belonging`]), and what it needs and the target lacks ([`needs`]). What the target has that belongs to somebody
//! else stays as it is ([`others`]).

use super::options::{Content, RestoreOptions};
use super::schedule::Pass;
use crate::catalog::selection::NamePattern;
use crate::encodings::readable;
use crate::toc::settings::{self, Settings};
use crate::toc::{Entry, Section};
use crate::{Error, ErrorKind, Result};

mod belonging;
mod needs;
mod others;

use belonging::{Relations, is_relation};
pub(super) use needs::Needed;
pub(super) use others::{Kept, is_made_by_initdb};

/// What to do about an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Run its definition.
    pub(super) definition: bool,
    /// Load its data file.
    pub(super) data: bool,
}

impl Wanted {
    pub(super) fn anything(self) -> bool {
        self.definition || self.data
    }
}

/// What was decided.
#[derive(Debug)]
pub(super) struct Selection {
    /// What to do about each entry, in the order of the entries.
    pub(super) wanted: Vec<Wanted>,
    /// What came or went because something else needs it.
    pub(super) needed: Needed,
    /// What stays as the target has it.
    pub(super) kept: Vec<(usize, Kept)>,
}

/// What to do about each entry.
pub(super) fn select(entries: &[Entry], options: &RestoreOptions) -> Result<Selection> {
    let mut filters = Filters {
        schemas: Patterns::parse("schema", &options.schemas)?,
        tables: Patterns::parse("table", &options.tables)?,
        excluded_schemas: Patterns::parse("schema", &options.exclude_schemas)?,
        excluded_tables: Patterns::parse("table", &options.exclude_tables)?,
        encoding: Settings::of(entries)?.encoding,
    };
    let relations = Relations::new(entries);
    let chosen = filters.choose(entries, &relations);
    filters.all_matched()?;
    let sections = sections(entries);
    let wanted = |index: usize| {
        let entry = &entries[index];
        let passes = !is_left_out(entry, options) && options.sections.contains(&sections[index]);
        if passes { parts(entry, options.content) } else { Wanted::default() }
    };
    let choose = |index: usize| if chosen[index] { wanted(index) } else { Wanted::default() };
    let wanted_first = (0..entries.len()).map(choose).collect();
    let mut selection = Selection { wanted: wanted_first, needed: Needed::default(), kept: Vec::new() };
    if let Some(present) = options.present.as_ref().filter(|_| !filters.are_none()) {
        let excluded = filters.excluded(entries);
        needs::complete(entries, &relations, present, &excluded, &wanted, &mut selection);
    }
    if let Some(present) = &options.present {
        others::keep(entries, present, options, &mut selection);
    }
    Ok(selection)
}

/// The section of each entry: what hangs on others is in the section of what stands before it.
fn sections(entries: &[Entry]) -> Vec<Section> {
    let mut section = Section::PreData;
    let sections = entries.iter().map(|entry| {
        if entry.section != Section::None {
            section = entry.section;
        }
        section
    });
    sections.collect()
}

/// Entries that are handled elsewhere, or not at all.
fn is_left_out(entry: &Entry, options: &RestoreOptions) -> bool {
    settings::is_setting(entry)
        || matches!(entry.desc.as_str(), "DATABASE" | "DATABASE PROPERTIES")
        || (hangs_on_parent(entry) && entry.tag.starts_with("DATABASE "))
        || (options.leave_out.privileges && is_privilege(entry))
}

/// Which parts an entry has, and which of these are wanted.
fn parts(entry: &Entry, content: Content) -> Wanted {
    let text = entry.definition.as_deref().unwrap_or_default();
    let has_definition = !text.is_empty() && !text.starts_with("-- load via partition root ");
    if !has_definition && entry.data_file.is_none() {
        return Wanted::default();
    }
    let is_of_large_object = hangs_on_parent(entry) && entry.tag.starts_with("LARGE OBJECT ");
    if matches!(entry.desc.as_str(), "SEQUENCE SET" | "BLOB") || is_of_large_object {
        // Data that is made by statements.
        return Wanted { definition: content != Content::Definitions, data: false };
    }
    Wanted {
        definition: has_definition && content != Content::Data,
        data: entry.data_file.is_some() && content != Content::Definitions,
    }
}

/// When an entry is restored.
pub(super) fn pass(entry: &Entry) -> Pass {
    if is_privilege(entry) {
        Pass::Grants
    } else if entry.desc == "MATERIALIZED VIEW DATA" {
        Pass::Refresh
    } else if entry.desc == "EVENT TRIGGER"
        || (matches!(entry.desc.as_str(), "COMMENT" | "SECURITY LABEL")
            && entry.tag.starts_with("EVENT TRIGGER "))
    {
        Pass::EventTriggers
    } else {
        Pass::Main
    }
}

fn is_privilege(entry: &Entry) -> bool {
    matches!(entry.desc.as_str(), "ACL" | "DEFAULT ACL")
}

fn hangs_on_parent(entry: &Entry) -> bool {
    matches!(entry.desc.as_str(), "ACL" | "COMMENT" | "SECURITY LABEL")
}

/// Relations and what has their name: an archive of data alone has no relations.
fn is_named(entry: &Entry) -> bool {
    is_relation(entry)
        || matches!(entry.desc.as_str(), "TABLE DATA" | "MATERIALIZED VIEW DATA" | "SEQUENCE SET")
}

struct Filters {
    schemas: Patterns,
    tables: Patterns,
    excluded_schemas: Patterns,
    excluded_tables: Patterns,
    /// Of the entries' texts. Patterns are for what people read in them.
    encoding: String,
}

impl Filters {
    fn are_none(&self) -> bool {
        self.take_all() && self.excluded_schemas.are_none() && self.excluded_tables.are_none()
    }

    /// Whether nothing has to be named to be taken.
    fn take_all(&self) -> bool {
        self.schemas.are_none() && self.tables.are_none()
    }

    /// Which entries are taken, whatever is to be done about them.
    fn choose(&mut self, entries: &[Entry], relations: &Relations) -> Vec<bool> {
        if self.are_none() {
            return vec![true; entries.len()];
        }
        let taken: Vec<bool> = entries.iter().map(|entry| self.takes(entry)).collect();
        let excluded = self.excluded(entries);
        let of_relations = relations.follow(entries, &taken, &excluded);
        let mut chosen: Vec<bool> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let owners = relations.owners(index);
                if is_relation(entry) {
                    of_relations[index]
                } else if owners.is_empty() {
                    taken[index] && !excluded[index] && !hangs_on_parent(entry)
                } else {
                    owners.iter().all(|owner| of_relations[*owner])
                }
            })
            .collect();
        let take_all = self.take_all();
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| hangs_on_parent(entry)) {
            let mut parents =
                relations.dependencies(entry).filter(|parent| entries[*parent].desc != "ACL").peekable();
            let alone = parents.peek().is_none();
            chosen[index] = parents.any(|parent| chosen[parent]) || (alone && take_all);
        }
        chosen
    }

    /// Whether an entry is named by what is to be taken.
    fn takes(&mut self, entry: &Entry) -> bool {
        let schema = readable(entry.schema.as_deref().unwrap_or_default(), &self.encoding);
        let in_schema =
            self.schemas.are_none() || self.schemas.any(|pattern| pattern.matches_schema(&schema));
        if self.tables.are_none() {
            return in_schema;
        }
        let tag = readable(&entry.tag, &self.encoding);
        in_schema && is_named(entry) && self.tables.any(|pattern| pattern.matches(&schema, &tag))
    }

    /// Which entries are named by what is to be left out.
    fn excluded(&mut self, entries: &[Entry]) -> Vec<bool> {
        let excluded = entries.iter().map(|entry| {
            let schema = match entry.desc.as_str() {
                "SCHEMA" => entry.tag.as_str(),
                _ => entry.schema.as_deref().unwrap_or_default(),
            };
            let (schema, tag) = (readable(schema, &self.encoding), readable(&entry.tag, &self.encoding));
            let by_schema = self.excluded_schemas.any(|pattern| pattern.matches_schema(&schema));
            let by_table =
                is_named(entry) && self.excluded_tables.any(|pattern| pattern.matches(&schema, &tag));
            by_schema || by_table
        });
        excluded.collect()
    }

    fn all_matched(&self) -> Result<()> {
        let all = [&self.schemas, &self.tables, &self.excluded_schemas, &self.excluded_tables];
        all.into_iter().try_for_each(Patterns::all_matched)
    }
}

/// Patterns of one kind, with whether each has matched anything.
struct Patterns {
    kind: &'static str,
    list: Vec<(String, NamePattern, bool)>,
}

impl Patterns {
    fn parse(kind: &'static str, texts: &[String]) -> Result<Self> {
        let parse = |text: &String| {
            let pattern = text.parse().map_err(|message: String| Error::new(ErrorKind::Usage, message))?;
            Ok((text.clone(), pattern, false))
        };
        Ok(Self { kind, list: texts.iter().map(parse).collect::<Result<_>>()? })
    }

    fn are_none(&self) -> bool {
        self.list.is_empty()
    }

    fn any(&mut self, matches: impl Fn(&NamePattern) -> bool) -> bool {
        let mut any = false;
        for (_, pattern, matched) in &mut self.list {
            if matches(pattern) {
                *matched = true;
                any = true;
            }
        }
        any
    }

    fn all_matched(&self) -> Result<()> {
        match self.list.iter().find(|(_, _, matched)| !matched) {
            None => Ok(()),
            Some((text, ..)) => {
                Err(Error::new(ErrorKind::Usage, format!("no {} in the archive matches {text:?}", self.kind))
                    .hint(
                        "Names fold to lower case unless they stand in double quotes. Nothing was restored.",
                    ))
            }
        }
    }
}

#[cfg(test)]
mod tests;
