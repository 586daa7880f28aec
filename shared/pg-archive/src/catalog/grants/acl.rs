//! Arrays of `aclitem` as text.
//!
//! Source of the form: `aclitemout` and `putid` in PostgreSQL's `src/backend/utils/adt/acl.c`, `array_out` in
//! `arrayfuncs.c`; it is read like `parsePGArray` and `parseAclItem` in `pg_dump` do.

use std::borrow::Cow;
use std::collections::HashSet;

/// One privilege list of one grantee, given by one grantor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AclItem {
    /// The role, unquoted; empty for PUBLIC.
    pub(super) grantee: String,
    /// The letter of each privilege, and whether it comes with the grant option.
    pub(super) privileges: Vec<(char, bool)>,
    /// The role that gave them, unquoted.
    pub(super) grantor: String,
}

impl AclItem {
    /// Reads `grantee=letters/grantor`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (grantee, rest) = role_name(text)?;
        let (letters, grantor) = rest.strip_prefix('=')?.split_once('/')?;
        let (grantor, rest) = role_name(grantor)?;
        if !rest.is_empty() {
            return None;
        }
        let mut privileges: Vec<(char, bool)> = Vec::new();
        for letter in letters.chars() {
            match letter {
                '*' => privileges.last_mut()?.1 = true,
                _ => privileges.push((letter, false)),
            }
        }
        Some(Self { grantee, privileges, grantor })
    }
}

/// Takes a role's name off the front of a text; it ends at an `=` outside quotes or with the text.
fn role_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices().peekable();
    let mut quoted = false;
    while let Some((at, char)) = chars.next() {
        match char {
            '"' if quoted && matches!(chars.peek(), Some((_, '"'))) => {
                chars.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            '=' if !quoted => return Some((name, &text[at..])),
            _ => name.push(char),
        }
    }
    (!quoted).then_some((name, ""))
}

/// The elements of a one-dimensional array.
pub(super) fn elements(array: &str) -> Option<Vec<String>> {
    let inner = array.strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let mut elements = vec![String::new()];
    let mut quoted = false;
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        let element = elements.last_mut()?;
        match char {
            '"' => quoted = !quoted,
            '\\' => element.push(chars.next()?),
            ',' if !quoted => elements.push(String::new()),
            _ => element.push(char),
        }
    }
    (!quoted).then_some(elements)
}

/// A list without what speaks of roles that were dropped: these stand there by their OID. `pg_init_privs` of versions
/// before 17 keeps them, since nothing records that it names a role (release notes of 17.1).
pub(super) fn without_dropped<'a>(list: &'a str, roles: &HashSet<&str>) -> Cow<'a, str> {
    let is_dropped = |role: &str| {
        !role.is_empty() && role.bytes().all(|byte| byte.is_ascii_digit()) && !roles.contains(role)
    };
    let names_dropped = |text: &String| {
        AclItem::parse(text).is_some_and(|item| is_dropped(&item.grantee) || is_dropped(&item.grantor))
    };
    match elements(list) {
        Some(items) if items.iter().any(names_dropped) => {
            let kept = items.iter().filter(|item| !names_dropped(item));
            let quoted = kept.map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")));
            Cow::Owned(format!("{{{}}}", quoted.collect::<Vec<_>>().join(",")))
        }
        _ => Cow::Borrowed(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(grantee: &str, privileges: &[(char, bool)], grantor: &str) -> AclItem {
        AclItem { grantee: grantee.to_owned(), privileges: privileges.to_vec(), grantor: grantor.to_owned() }
    }

    #[test]
    fn items_are_read_as_the_server_writes_them() {
        for (text, expected) in [
            ("ann=r/bob", Some(item("ann", &[('r', false)], "bob"))),
            ("=r*w/bob", Some(item("", &[('r', true), ('w', false)], "bob"))),
            ("\"a=b/\"\"c\"=U/\"d e\"", Some(item("a=b/\"c", &[('U', false)], "d e"))),
            ("ann=/bob", Some(item("ann", &[], "bob"))),
            ("ann", None),
            ("ann=r", None),
            ("ann=*/bob", None),
            ("\"ann=r/bob", None),
        ] {
            assert_eq!(AclItem::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn dropped_roles_are_nobody() {
        let roles = HashSet::from(["ann", "77"]);
        for (list, expected) in [
            ("{ann=r/ann,77=r/ann}", "{ann=r/ann,77=r/ann}"),
            ("{ann=r/ann,16400=r/ann,=r/16400}", r#"{"ann=r/ann"}"#),
            (r#"{"\"a\\b\"=r/c",16400=r/ann}"#, r#"{"\"a\\b\"=r/c"}"#),
            ("{16400=r/ann}", "{}"),
            ("unreadable", "unreadable"),
        ] {
            assert_eq!(without_dropped(list, &roles), expected, "{list}");
        }
    }

    #[test]
    fn arrays_are_taken_apart() {
        for (text, expected) in [
            ("{}", Some(vec![])),
            ("{a=r/b,=w/b}", Some(vec!["a=r/b", "=w/b"])),
            (r#"{"\"a,b\"=r/c","x\\y=r/c"}"#, Some(vec![r#""a,b"=r/c"#, r"x\y=r/c"])),
            ("a=r/b", None),
            (r#"{"a=r/b}"#, None),
        ] {
            let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(elements(text), expected, "{text}");
        }
    }
}
