//! Decides what of each entry is restored (`_tocEntryRequired` and `_tocEntryRestorePass` in
//! `pg_backup_archiver.c`). A filter that matches nothing is an error: it is a typing mistake, and the restore that
//! was asked for would silently be another.

use std::collections::HashMap;

use super::options::{Content, RestoreOptions};
use super::schedule::Pass;
use crate::catalog::selection::NamePattern;
use crate::toc::{Entry, Section, settings};
use crate::{Error, ErrorKind, Result};

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

/// What to do about each entry, in the order of the entries.
pub(super) fn select(entries: &[Entry], options: &RestoreOptions) -> Result<Vec<Wanted>> {
    let mut filters = Filters {
        schemas: Patterns::parse("schema", &options.schemas)?,
        tables: Patterns::parse("table", &options.tables)?,
    };
    let places: HashMap<_, _> = entries.iter().enumerate().map(|(index, entry)| (entry.id, index)).collect();
    let mut section = Section::PreData;
    let mut wanted: Vec<Wanted> = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.section != Section::None {
            section = entry.section;
        }
        let parent_wanted = entry.dependencies.iter().filter_map(|id| places.get(id)).any(|parent| {
            entries[*parent].desc != "ACL" && wanted.get(*parent).is_some_and(|wanted| wanted.anything())
        });
        let passes = !is_left_out(entry, options)
            && options.sections.contains(&section)
            && filters.pass(entry, parent_wanted);
        wanted.push(if passes { parts(entry, options.content) } else { Wanted::default() });
    }
    filters.schemas.all_matched()?;
    filters.tables.all_matched()?;
    Ok(wanted)
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

struct Filters {
    schemas: Patterns,
    tables: Patterns,
}

impl Filters {
    fn pass(&mut self, entry: &Entry, parent_wanted: bool) -> bool {
        if self.schemas.are_none() && self.tables.are_none() {
            return true;
        }
        if hangs_on_parent(entry) {
            return parent_wanted;
        }
        let schema = entry.schema.as_deref().unwrap_or_default();
        let in_schema = self.schemas.are_none() || self.schemas.any(|pattern| pattern.matches_schema(schema));
        let is_table = matches!(
            entry.desc.as_str(),
            "TABLE"
                | "TABLE DATA"
                | "VIEW"
                | "FOREIGN TABLE"
                | "MATERIALIZED VIEW"
                | "MATERIALIZED VIEW DATA"
                | "SEQUENCE"
                | "SEQUENCE SET"
        );
        in_schema
            && (self.tables.are_none()
                || (is_table && self.tables.any(|pattern| pattern.matches(schema, &entry.tag))))
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
