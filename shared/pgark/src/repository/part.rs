//! Which part of the database an object of a backup holds: what is hit when the object is damaged.

use std::collections::HashMap;
use std::fmt;

use super::{ArchiveFile, Manifest};

/// What an object holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The table of contents, without which nothing can be restored.
    Toc,
    /// Roles, memberships and settings.
    Globals,
    /// Rows of a table: its schema and name.
    Table(String, String),
    /// Large objects.
    LargeObjects,
    /// Nothing that the manifest tells of.
    Unknown,
}

impl Part {
    /// The table that is hit, as `schema.name`.
    pub fn table(&self) -> Option<String> {
        match self {
            Self::Table(schema, name) => Some(format!("{schema}.{name}")),
            _ => None,
        }
    }
}

/// As in `table public.orders`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toc => f.write_str("every table"),
            Self::Globals => f.write_str("roles and settings"),
            Self::Table(schema, name) => write!(f, "table {schema}.{name}"),
            Self::LargeObjects => f.write_str("large objects"),
            Self::Unknown => f.write_str("nothing that the manifest tells of"),
        }
    }
}

/// The part that each object of a backup holds, by the object's name.
#[derive(Debug, Clone)]
pub struct Parts(HashMap<String, Part>);

impl Parts {
    /// As the manifest has it.
    pub fn of(manifest: &Manifest) -> Self {
        let mut parts = HashMap::new();
        for object in &manifest.objects {
            let part = match &object.archive_name {
                name if *name == ArchiveFile::Toc.archive_name() => Part::Toc,
                name if *name == ArchiveFile::Globals.archive_name() => Part::Globals,
                _ => Part::Unknown,
            };
            parts.insert(object.name.clone(), part);
        }
        for table in &manifest.tables {
            for name in &table.objects {
                parts.insert(name.clone(), Part::Table(table.schema.clone(), table.name.clone()));
            }
        }
        for name in manifest.large_objects.iter().flat_map(|large| &large.objects) {
            parts.insert(name.clone(), Part::LargeObjects);
        }
        Self(parts)
    }

    /// The part that an object holds.
    pub fn get(&self, name: &str) -> &Part {
        self.0.get(name).unwrap_or(&Part::Unknown)
    }
}
