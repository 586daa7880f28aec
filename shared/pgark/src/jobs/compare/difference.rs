//! One way in which a database is not what was backed up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What differs. The codes are public (docs/restore-test.md): they are never renamed and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DifferenceKind {
    /// A table of the backup is not there.
    #[serde(rename = "table.missing")]
    TableMissing,
    /// A table has rows and the backup knows of none.
    #[serde(rename = "table.unexpected")]
    TableUnexpected,
    /// A table has another number of rows.
    #[serde(rename = "table.row-count")]
    RowCount,
    /// A table has as many rows, but others.
    #[serde(rename = "table.row-content")]
    RowContent,
    /// Large objects are missing, added or changed.
    #[serde(rename = "large-objects.differ")]
    LargeObjects,
    /// A definition of the backup is not there.
    #[serde(rename = "definition.missing")]
    DefinitionMissing,
    /// A definition is there, and not in the backup.
    #[serde(rename = "definition.unexpected")]
    DefinitionUnexpected,
    /// An object has another definition.
    #[serde(rename = "definition.differs")]
    DefinitionDiffers,
    /// An object belongs to somebody else.
    #[serde(rename = "definition.owner")]
    Owner,
    /// An index does not hold what its table holds, or not in order.
    #[serde(rename = "index.corrupt")]
    IndexCorrupt,
    /// An assertion returned something else than it must, or could not be run.
    #[serde(rename = "assertion.failed")]
    AssertionFailed,
}

impl DifferenceKind {
    /// Whether rows or large objects differ, which no version words differently.
    pub(crate) fn is_of_content(self) -> bool {
        matches!(
            self,
            Self::TableMissing
                | Self::TableUnexpected
                | Self::RowCount
                | Self::RowContent
                | Self::LargeObjects
        )
    }
}

/// A difference: of what kind, on which object, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The kind, as a stable code.
    pub code: DifferenceKind,
    /// The object, as a person would name it: `table public.orders`.
    pub object: String,
    /// What is the matter with it; lowercase, no full stop.
    pub message: String,
}

impl Difference {
    pub(crate) fn new(code: DifferenceKind, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, object: object.into(), message: message.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Large objects are several.
        let separator = if self.object == "large objects" { " " } else { ": " };
        write!(f, "{}{separator}{}", self.object, self.message)
    }
}
