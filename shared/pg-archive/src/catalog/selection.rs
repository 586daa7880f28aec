//! Which objects go into the archive (`selectDumpable…` and `checkExtensionMembership` in `pg_dump.c`).

use crate::catalog::{Catalog, Kind, Object, Parts};

/// What a user asked to leave out.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Schemas to leave out with all that is in them.
    pub exclude_schemas: Vec<NamePattern>,
    /// Relations to leave out.
    pub exclude_tables: Vec<NamePattern>,
    /// Tables whose rows are left out.
    pub exclude_table_data: Vec<NamePattern>,
    /// Whether to dump definitions.
    pub schema: bool,
    /// Whether to dump data.
    pub data: bool,
}

impl Selection {
    /// Everything.
    pub fn everything() -> Self {
        Self { schema: true, data: true, ..Self::default() }
    }
}

/// A pattern for names, as psql and pg_dump take them (manual, `psql`, "Patterns"): `*` and `?` are wild, letters
/// fold to lower case, double quotes keep what is in them as it is, a dot outside quotes parts schema and name.
/// Regular-expression characters are not special here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    schema: Option<Vec<Glyph>>,
    name: Vec<Glyph>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glyph {
    Exactly(char),
    One,
    Any,
}

impl std::str::FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = vec![Vec::new()];
        let mut quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let glyph = match char {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    Glyph::Exactly('"')
                }
                '"' => {
                    quoted = !quoted;
                    continue;
                }
                _ if quoted => Glyph::Exactly(char),
                '.' => {
                    parts.push(Vec::new());
                    continue;
                }
                '*' => Glyph::Any,
                '?' => Glyph::One,
                _ => {
                    parts
                        .last_mut()
                        .into_iter()
                        .for_each(|part| part.extend(char.to_lowercase().map(Glyph::Exactly)));
                    continue;
                }
            };
            parts.last_mut().into_iter().for_each(|part| part.push(glyph));
        }
        if quoted {
            return Err(format!("the pattern {text:?} opens a double quote and does not close it"));
        }
        if parts.iter().any(Vec::is_empty) {
            return Err(format!("the pattern {text:?} has an empty name in it"));
        }
        let name = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        if !parts.is_empty() {
            return Err(format!("the pattern {text:?} has more than a schema and a name"));
        }
        Ok(Self { schema, name })
    }
}

impl NamePattern {
    /// Whether a schema's name matches a pattern that has no dot.
    pub fn matches_schema(&self, name: &str) -> bool {
        self.schema.is_none() && matches(&self.name, name)
    }

    /// Whether a relation matches. A pattern without a schema matches in every schema.
    pub fn matches(&self, schema: &str, name: &str) -> bool {
        self.schema.as_ref().is_none_or(|pattern| matches(pattern, schema)) && matches(&self.name, name)
    }
}

fn matches(pattern: &[Glyph], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Greedy with one point to fall back to: linear for the patterns that people write.
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(Glyph::Exactly(char)) if *char == text[from] => (at, from) = (at + 1, from + 1),
            Some(Glyph::One) => (at, from) = (at + 1, from + 1),
            Some(Glyph::Any) => {
                star = Some((at, from));
                at += 1;
            }
            _ => match star {
                Some((star_at, star_from)) => {
                    star = Some((star_at, star_from + 1));
                    (at, from) = (star_at + 1, star_from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|glyph| *glyph == Glyph::Any)
}

impl Catalog {
    /// Decides which parts of a schema's object are dumped: nothing of a member of an extension but grants that
    /// differ from the extension's own (`checkExtensionMembership`); otherwise what its schema says; everything
    /// if it has no schema and was made by a user.
    pub fn decide(&self, object: &mut Object) {
        if let Some(extension) = self.extension_members.get(&object.address) {
            object.extension_member = true;
            object.depend_on(*extension);
            object.dump = Parts::GRANTS;
            return;
        }
        object.dump = match object.schema.map(|schema| &self.get(schema).kind) {
            Some(Kind::Schema(schema)) => schema.contains,
            _ if object.address.oid >= super::FIRST_NORMAL_OID => Parts::ALL,
            _ => Parts::NONE,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_psql() {
        for (pattern, schema, name, expected) in [
            ("orders", "public", "orders", true),
            ("ORDERS", "public", "orders", true),
            ("\"ORDERS\"", "public", "orders", false),
            ("\"ORDERS\"", "public", "ORDERS", true),
            ("ord*", "x", "orders", true),
            ("*s", "x", "orders", true),
            ("o?ders", "x", "orders", true),
            ("public.*", "public", "anything", true),
            ("public.*", "other", "anything", false),
            ("\"a.b\".\"c\"\"d\"", "a.b", "c\"d", true),
            ("\"a*\"", "x", "abc", false),
            ("*a*b*c", "x", "xxaxxbxxbc", true),
            ("*a*b*c", "x", "xxaxxbxxbcd", false),
        ] {
            let parsed: NamePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(schema, name), expected, "{pattern} on {schema}.{name}");
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for pattern in ["", "\"open", "a.b.c", "a.", ".b"] {
            assert!(pattern.parse::<NamePattern>().is_err(), "{pattern}");
        }
    }
}
