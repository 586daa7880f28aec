//! What views share.

use crate::catalog::{Catalog, Object, tables::Table};

/// The dummy query.
pub fn dummy(_catalog: &Catalog, _object: &Object, _table: &Table) -> String {
    String::new()
}

/// Formats reloptions.
pub fn options(text: &str, _prefix: &str) -> String {
    text.to_owned()
}
