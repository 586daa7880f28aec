//! The `search_path` that definitions and rows were made under at the source: for a second try of what the server refuses
//! because it finds no function, table or type of that name. Pure.
//!
//! An archive is restored with nothing searched but `pg_catalog`, so that nobody's object can stand in for another's
//! (CVE-2018-1058). A function that names another one without its schema then fails wherever the server runs it: in an
//! index, a check, a generated column, a materialized view. At home it ran under the path of its database and role, which
//! the archive knows. So that path is a second try only, after a refusal, is named in the report, and leaves `pg_catalog`
//! in front: what the archive's own text says means the same under it.

use std::collections::HashMap;

use tokio_postgres::error::SqlState;

use crate::quote::identifier;
use crate::toc::Entry;
use crate::tokens::{Kind, Token, statements, tokens};

/// What a server searches that nobody told otherwise (manual, `search_path`).
const DEFAULT: [&str; 2] = ["$user", "public"];

/// The paths of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SearchPaths {
    database: Option<Vec<String>>,
    /// `ALTER ROLE … SET`.
    roles: HashMap<String, Vec<String>>,
    /// `ALTER ROLE … IN DATABASE … SET`.
    roles_here: HashMap<String, Vec<String>>,
}

impl SearchPaths {
    /// Reads them from an archive, and from the globals that lie beside it, if there are any.
    pub(super) fn of(entries: &[Entry], globals: Option<&str>) -> Self {
        let mut paths = Self::default();
        let properties = entries.iter().filter(|entry| entry.desc == "DATABASE PROPERTIES");
        for text in properties.filter_map(|entry| entry.definition.as_deref()).chain(globals) {
            paths.read(text);
        }
        paths
    }

    fn read(&mut self, text: &str) {
        let tokens = tokens(text);
        for statement in statements(&tokens) {
            let words: Vec<&Token<'_>> = statement.iter().filter(|token| token.kind != Kind::Space).collect();
            let Some(at) =
                words.windows(3).position(|three| is_setting(three[0], three[1]) && three[2].is("TO"))
            else {
                continue;
            };
            let elements = words[at + 3..].iter().filter(|token| token.kind == Kind::Literal);
            let path: Vec<String> = elements
                .filter_map(|token| {
                    Some(token.text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"))
                })
                .collect();
            let here = words[..at].iter().any(|word| word.is("IN"));
            match words[..at] {
                [alter, database, ..] if alter.is("ALTER") && database.is("DATABASE") => {
                    self.database = Some(path);
                }
                [alter, role, of, ..] if alter.is("ALTER") && role.is("ROLE") => {
                    let Some(name) = of.name() else { continue };
                    let roles = if here { &mut self.roles_here } else { &mut self.roles };
                    roles.insert(name.into_owned(), path);
                }
                _ => {}
            }
        }
    }

    /// The paths to try for an entry, best first: that of its owner in its database, and that with its own schema in front.
    pub(super) fn of_entry(&self, entry: &Entry) -> Vec<String> {
        let owner = entry.owner.as_deref().filter(|owner| !owner.is_empty());
        let of_role = owner.and_then(|owner| self.roles_here.get(owner).or_else(|| self.roles.get(owner)));
        let path: Vec<&str> = match of_role.or(self.database.as_ref()) {
            Some(path) => path.iter().map(String::as_str).collect(),
            None => DEFAULT.to_vec(),
        };
        // pg_catalog is searched first where it is not named, and must not come behind what users may write to.
        let path: Vec<&str> = path
            .into_iter()
            .filter(|name| !name.is_empty() && !name.starts_with("pg_"))
            .filter_map(|name| if name == "$user" { owner } else { Some(name) })
            .collect();
        let schema = entry.schema.as_deref().filter(|schema| !schema.is_empty());
        let in_front: Vec<&str> =
            schema.into_iter().chain(path.iter().copied().filter(|name| Some(*name) != schema)).collect();
        let mut paths: Vec<String> = [path, in_front].iter().map(|path| list(path)).collect();
        paths.retain(|path| !path.is_empty());
        paths.dedup();
        paths
    }
}

fn is_setting(set: &Token<'_>, name: &Token<'_>) -> bool {
    set.is("SET") && name.name().is_some_and(|name| name == "search_path")
}

fn list(path: &[&str]) -> String {
    path.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ")
}

/// Whether the server did not find what a name stands for.
pub(super) fn is_not_found(code: &SqlState) -> bool {
    [
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::UNDEFINED_COLUMN,
        SqlState::INVALID_SCHEMA_NAME,
    ]
    .contains(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::entry_for_tests;
    use crate::toc::Section;

    fn paths(properties: &str, globals: &str, owner: &str) -> Vec<String> {
        let entry = |desc: &str, definition: &str| Entry {
            definition: Some(definition.to_owned()),
            schema: Some("shop".to_owned()),
            owner: Some(owner.to_owned()),
            ..entry_for_tests(1, desc, "x", Section::None, &[])
        };
        let entries = [entry("DATABASE PROPERTIES", properties), entry("INDEX", "")];
        SearchPaths::of(&entries, Some(globals)).of_entry(&entries[1])
    }

    #[test]
    fn the_path_is_that_of_role_and_database_with_pg_catalog_in_front() {
        let database = "ALTER DATABASE d SET work_mem TO '1MB';\nALTER DATABASE d SET search_path TO 'A b', 'pg_catalog', 'public';\n";
        let here = "ALTER ROLE ann IN DATABASE d SET search_path TO 'here';\n";
        let role = "ALTER ROLE ann SET search_path TO '$user', 'shop', 'it''s';\n";
        for (properties, globals, owner, expected) in [
            ("", "", "ann", ["ann, public", "shop, ann, public"]),
            ("", "", "", ["public", "shop, public"]),
            (database, "", "ann", ["\"A b\", public", "shop, \"A b\", public"]),
            (&format!("{database}{here}"), role, "ann", ["here", "shop, here"]),
            (database, role, "ann", ["ann, shop, \"it's\"", "shop, ann, \"it's\""]),
            (database, role, "bob", ["\"A b\", public", "shop, \"A b\", public"]),
        ] {
            assert_eq!(paths(properties, globals, owner), expected, "{properties} {globals} {owner}");
        }
        let empty = "ALTER DATABASE d SET search_path TO '';";
        assert_eq!(paths(empty, "", "ann"), ["shop"]);
        assert_eq!(paths("ALTER DATABASE d SET search_path TO 'shop';", "", "ann"), ["shop"]);
    }
}
