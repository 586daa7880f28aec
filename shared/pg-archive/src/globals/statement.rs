//! What a statement of the globals is about. Pure.

use super::restricted;
use crate::tokens::{Kind, Token, statements, tokens};

/// The settings that begin a text of globals. SET SESSION AUTHORIZATION belongs to a privilege.
const OF_SESSION: [&str; 3] =
    ["default_transaction_read_only", "client_encoding", "standard_conforming_strings"];

/// What a statement is about. Names are unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// CREATE ROLE.
    CreateRole(String),
    /// ALTER ROLE … WITH these words.
    Attributes(String, Vec<String>),
    /// ALTER ROLE … PASSWORD.
    Password(String),
    /// Another property of a role: a setting, its comment, its label.
    Role(String),
    /// GRANT role TO member.
    Membership(Membership),
    /// A tablespace, or a privilege on one.
    Tablespace,
    /// A privilege on a parameter, or on whose behalf it is given.
    Privilege,
    /// How the session reads the statements behind it.
    Session,
    /// A setting of all roles.
    Other,
}

/// GRANT role TO member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) role: String,
    pub(super) member: String,
    pub(super) admin: bool,
    /// `None` where the statement does not say.
    pub(super) inherit: Option<bool>,
    pub(super) set: bool,
    /// GRANTED BY.
    pub(super) grantor: Option<String>,
}

/// The roles that a text of globals makes.
pub fn roles_made(text: &str) -> std::collections::BTreeSet<String> {
    let made = Statement::all(text).into_iter().filter_map(|statement| match statement.about {
        About::CreateRole(role) => Some(role),
        _ => None,
    });
    made.collect()
}

/// The statements of a text of globals that can name roles.
pub(crate) fn naming_roles(text: &str) -> impl Iterator<Item = String> {
    Statement::all(text)
        .into_iter()
        .filter(|statement| statement.about != About::Session)
        .map(|statement| statement.sql)
}

/// A statement and what it is about.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) about: About,
}

impl Statement {
    /// The statements of a text, comments left out.
    pub(super) fn all(text: &str) -> Vec<Self> {
        let tokens = tokens(restricted::unwrap(text));
        let all = statements(&tokens).map(|statement| {
            let begin =
                statement.iter().position(|token| token.kind != Kind::Space).unwrap_or(statement.len());
            let sql = statement[begin..].iter().map(|token| token.text).collect();
            let words: Vec<&Token<'_>> = statement.iter().filter(|token| token.kind != Kind::Space).collect();
            Self { sql, about: about(&words) }
        });
        all.filter(|statement| !statement.sql.is_empty()).collect()
    }

    /// The statement as it may be shown: a hash is as good as a password to who has time.
    pub(super) fn shown(&self) -> String {
        match &self.about {
            About::Password(role) => format!("ALTER ROLE {} PASSWORD …", crate::quote::identifier(role)),
            _ => self.sql.trim().to_owned(),
        }
    }
}

fn about(words: &[&Token<'_>]) -> About {
    let is = |at: usize, keyword: &str| words.get(at).is_some_and(|token| token.is(keyword));
    let name = |at: usize| words.get(at).and_then(|token| token.name()).unwrap_or_default().into_owned();
    if is(0, "CREATE") && is(1, "ROLE") {
        About::CreateRole(name(2))
    } else if is(0, "ALTER") && is(1, "ROLE") && is(2, "ALL") {
        About::Other
    } else if is(0, "ALTER") && is(1, "ROLE") && is(3, "WITH") {
        About::Attributes(
            name(2),
            words[4..].iter().map(|token| token.text.to_owned()).filter(|t| t != ";").collect(),
        )
    } else if is(0, "ALTER") && is(1, "ROLE") {
        if is(3, "PASSWORD") { About::Password(name(2)) } else { About::Role(name(2)) }
    } else if is(0, "COMMENT") && is(2, "ROLE") {
        About::Role(name(3))
    } else if is(0, "SECURITY") && is(5, "ROLE") {
        About::Role(name(6))
    } else if is(0, "GRANT") && is(2, "TO") {
        About::Membership(membership(words, name(1), name(3)))
    } else if is(1, "TABLESPACE") || words.windows(2).any(|pair| pair[0].is("ON") && pair[1].is("TABLESPACE"))
    {
        About::Tablespace
    } else if is(0, "SET") && OF_SESSION.iter().any(|name| is(1, name)) {
        About::Session
    } else if ["GRANT", "REVOKE", "SET", "RESET"].iter().any(|keyword| is(0, keyword)) {
        About::Privilege
    } else {
        About::Other
    }
}

/// As [`super::memberships`] writes it: the words behind the member's name say the rest.
fn membership(words: &[&Token<'_>], role: String, member: String) -> Membership {
    let mut membership = Membership { role, member, set: true, ..Membership::default() };
    let mut rest = words.iter().skip(4).peekable();
    while let Some(word) = rest.next() {
        let yes = rest.peek().is_some_and(|next| next.is("TRUE"));
        if word.is("ADMIN") {
            membership.admin = true;
        } else if word.is("INHERIT") {
            membership.inherit = Some(yes);
        } else if word.is("SET") {
            membership.set = yes;
        } else if word.is("BY") {
            membership.grantor = rest.peek().and_then(|next| next.name()).map(std::borrow::Cow::into_owned);
            break;
        }
    }
    membership
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_say_what_they_are_about() {
        let of = |name: &str| name.to_owned();
        for (sql, about) in [
            ("-- Roles\n\nCREATE ROLE \"A b\";", About::CreateRole(of("A b"))),
            (
                "ALTER ROLE a WITH NOLOGIN INHERIT;",
                About::Attributes(of("a"), vec![of("NOLOGIN"), of("INHERIT")]),
            ),
            ("ALTER ROLE a PASSWORD 'md5';", About::Password(of("a"))),
            ("ALTER ROLE a SET password TO 'x';", About::Role(of("a"))),
            ("ALTER ROLE ALL SET a TO 'x';", About::Other),
            ("ALTER ROLE \"ALL\" SET a TO 'x';", About::Role(of("ALL"))),
            ("COMMENT ON ROLE a IS 'b;';", About::Role(of("a"))),
            ("SECURITY LABEL FOR p ON ROLE a IS 'b';", About::Role(of("a"))),
            ("CREATE TABLESPACE t OWNER a LOCATION '';", About::Tablespace),
            ("GRANT CREATE ON TABLESPACE t TO a;", About::Tablespace),
            ("GRANT SET ON PARAMETER t TO a;", About::Privilege),
            ("SET SESSION AUTHORIZATION a;", About::Privilege),
            ("SET client_encoding = 'UTF8';", About::Session),
            ("\\restrict k\n\nCREATE ROLE a;\n\\unrestrict k\n", About::CreateRole(of("a"))),
            (
                "GRANT tablespace TO b;",
                About::Membership(Membership {
                    role: of("tablespace"),
                    member: of("b"),
                    set: true,
                    ..Membership::default()
                }),
            ),
            (
                "GRANT a TO b;",
                About::Membership(Membership {
                    role: of("a"),
                    member: of("b"),
                    set: true,
                    ..Membership::default()
                }),
            ),
            (
                "GRANT a TO b WITH ADMIN OPTION, INHERIT FALSE, SET FALSE GRANTED BY \"C\";",
                About::Membership(Membership {
                    role: of("a"),
                    member: of("b"),
                    admin: true,
                    inherit: Some(false),
                    set: false,
                    grantor: Some(of("C")),
                }),
            ),
        ] {
            let statements = Statement::all(sql);
            assert_eq!(statements.len(), 1, "{sql}");
            assert_eq!(statements[0].about, about, "{sql}");
        }
        assert!(Statement::all("-- nothing\n\n").is_empty());
    }

    #[test]
    fn a_hash_is_not_shown() {
        let statement = &Statement::all("ALTER ROLE a PASSWORD 'SCRAM-SHA-256$4096:x';")[0];
        assert_eq!(statement.shown(), "ALTER ROLE a PASSWORD …");
    }
}
