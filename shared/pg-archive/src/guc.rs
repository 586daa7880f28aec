//! Server settings as SQL: the SET clauses of functions (`proconfig`), and the settings of roles and databases
//! (`setconfig`).
//!
//! A few settings hold a list whose elements the server quoted in its own way when it stored them. Those have
//! to be taken apart and quoted one by one, or the list would come back as a single name.

use std::fmt::Write as _;

use crate::{Error, ErrorKind, Result, quote};

/// The settings whose value is such a list (`variable_is_guc_list_quote` in `src/bin/pg_dump/dumputils.c`, up
/// to 18: a setting that an older server does not know cannot be stored there).
const QUOTED_LISTS: &[&str] = &[
    "local_preload_libraries",
    "oauth_validator_libraries",
    "output_plugin_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// The SET clauses for an array of `name=value`, each on a line of its own.
pub(crate) fn clauses(config: &str) -> Result<String> {
    let mut text = String::new();
    for setting in array_elements(config).ok_or_else(|| malformed(config))? {
        if let Some(assignment) = assignment(&setting)? {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n    SET {assignment}");
        }
    }
    Ok(text)
}

/// `name TO value` for one `name=value` as the server stores it (`makeAlterConfigCommand` in `dumputils.c`).
pub(crate) fn assignment(setting: &str) -> Result<Option<String>> {
    let Some((name, value)) = setting.split_once('=') else { return Ok(None) };
    let value = if QUOTED_LISTS.iter().any(|list| list.eq_ignore_ascii_case(name)) {
        list(value).ok_or_else(|| malformed(setting))?
    } else {
        quote::literal(value)
    };
    Ok(Some(format!("{} TO {value}", quote::identifier(name))))
}

fn malformed(config: &str) -> Error {
    Error::new(ErrorKind::Catalog, format!("the setting {config:?} cannot be parsed"))
        .hint("Set it anew with ALTER FUNCTION, DATABASE or ROLE … SET.")
}

/// A stored list as SQL literals. An empty list, which `SET … FROM CURRENT` can store, is written as one empty
/// name: it finds nothing either, while `pg_dump` writes a statement that does not parse.
fn list(value: &str) -> Option<String> {
    let names = list_elements(value)?;
    if names.is_empty() {
        return Some(quote::literal(""));
    }
    Some(names.iter().map(|name| quote::literal(name)).collect::<Vec<_>>().join(", "))
}

/// The elements of a one-dimensional array of text without NULLs, as the server prints it (`parsePGArray` in
/// `src/common/string.c`).
fn array_elements(array: &str) -> Option<Vec<String>> {
    let inner = array.strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut chars = inner.chars().peekable();
    while chars.peek().is_some() {
        let mut element = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => element.push(chars.next()?),
                    char => element.push(char),
                }
            }
        } else {
            while let Some(char) = chars.next_if(|char| *char != ',') {
                element.push(char);
            }
        }
        elements.push(element);
        match chars.next() {
            None => break,
            Some(',') => chars.peek().map(|_| ())?,
            Some(_) => return None,
        }
    }
    Some(elements)
}

/// The elements of a stored list: names apart from each other by commas, in double quotes or not, with space
/// around them (`SplitGUCList` in `src/bin/pg_dump/dumputils.c`).
fn list_elements(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim_start_matches(is_space);
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_name(quoted)?,
            None => bare_name(rest)?,
        };
        names.push(name);
        rest = after.trim_start_matches(is_space);
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(is_space);
    }
}

/// C's `isspace`.
fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A name up to a comma or space, and what follows. It cannot be empty.
fn bare_name(text: &str) -> Option<(String, &str)> {
    let end = text.find(|char| char == ',' || is_space(char)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// A name up to its closing quote, where two quotes stand for one, and what follows.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_quoted_name_by_name_and_other_values_as_they_are() {
        for (config, expected) in [
            ("{work_mem=64MB}", "\n    SET work_mem TO '64MB'"),
            ("{\"search_path=a, \\\"B c\\\"\"}", "\n    SET search_path TO 'a', 'B c'"),
            (r#"{"search_path=\"\""}"#, "\n    SET search_path TO ''"),
            ("{search_path=}", "\n    SET search_path TO ''"),
            (r#"{"search_path=\"a\"\"b\" , 'c'"}"#, "\n    SET search_path TO 'a\"b', '''c'''"),
            ("{DateStyle=ISO,x.y=it's}", "\n    SET \"DateStyle\" TO 'ISO'\n    SET \"x.y\" TO 'it''s'"),
            ("{}", ""),
        ] {
            assert_eq!(clauses(config).unwrap(), expected, "{config}");
        }
    }

    #[test]
    fn what_cannot_be_parsed_is_refused() {
        for config in
            ["search_path=a", "{\"work_mem=1}", "{a=1,}", "{\"search_path=a,\"}", "{\"search_path=a b\"}"]
        {
            assert!(clauses(config).is_err(), "{config}");
        }
    }

    #[test]
    fn an_unclosed_name_is_refused() {
        assert_eq!(list_elements("\"a"), None);
        assert_eq!(list_elements(",a"), None);
    }
}
