//! Other names for the roles of an archive (`pgark restore --role-map OLD=NEW`).
//!
//! Roles stand in an entry's owner, and in the SQL of a few kinds: grants, default privileges, policies, user mappings,
//! properties of the database; and in the globals. There, each statement is cut into tokens, its form says which of
//! them are roles, and only those are changed. A table, a column or a literal of the same name stays. A statement of a
//! form that is not known here is an error, for nobody could say whether it names a role.
//!
//! All other SQL is left alone: a role's name in the body of a function, in an expression (`CURRENT_USER = 'ann'`), in a
//! setting (`SET role`) or in the options of a foreign server is text to PostgreSQL too.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::globals;
use crate::quote::{identifier, literal};
use crate::session::Session;
use crate::toc::Entry;
use crate::tokens::{Kind, Token, statements, tokens};
use crate::{Error, ErrorKind, Result};

/// The kinds of entries whose SQL names roles.
pub(super) const NAMING_ROLES: &[&str] =
    &["ACL", "DEFAULT ACL", "POLICY", "USER MAPPING", "DATABASE PROPERTIES"];

/// How statements begin that name no role.
const WITHOUT_ROLES: &[&str] = &[
    "RESET SESSION AUTHORIZATION",
    "ALTER DATABASE",
    "UPDATE",
    "DROP POLICY",
    "ALTER ROLE ALL",
    "ALTER TABLESPACE",
    "COMMENT ON TABLESPACE",
];

/// New names of roles, by their old ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleMap(BTreeMap<String, String>);

impl RoleMap {
    /// Reads `OLD=NEW` each: names as they are. Double quotes around a name are taken off, and needed where it holds a
    /// `=` or a double quote.
    ///
    /// # Errors
    /// When one is of another form, or a role is to become two.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let mut map = BTreeMap::new();
        for text in texts {
            let (old, new) = pair(text).ok_or_else(|| {
                Error::new(ErrorKind::Usage, format!("the role map {text:?} is not of the form OLD=NEW"))
                    .hint(
                        "Give two names of roles, such as shop=shop_test; in double quotes if they hold a =.",
                    )
            })?;
            if let Some(other) = map.insert(old.clone(), new.clone()).filter(|other| *other != new) {
                let message = format!("the role map makes {old} both {other} and {new}");
                return Err(Error::new(ErrorKind::Usage, message).hint("Give each role once."));
            }
        }
        Ok(Self(map))
    }

    /// Whether no role is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a role is called from now on.
    pub(crate) fn new_name(&self, old: &str) -> Option<&str> {
        self.0.get(old).map(String::as_str)
    }

    /// Refuses roles that the archive, and the globals if they are wanted, do not know: typing mistakes.
    ///
    /// # Errors
    /// Naming those, and what there is.
    pub fn check_known(&self, entries: &[Entry], globals: Option<&str>) -> Result<()> {
        let mut known = BTreeSet::new();
        for entry in entries.iter().filter(|_| !self.is_empty()) {
            known.extend(entry.owner.iter().filter(|owner| !owner.is_empty()).cloned());
            if NAMING_ROLES.contains(&entry.desc.as_str()) {
                for sql in [&entry.definition, &entry.drop_statement].into_iter().flatten() {
                    known.extend(roles(sql).map_err(|error| error.on(entry.label()))?);
                }
            }
        }
        if let Some(text) = globals.filter(|_| !self.is_empty()) {
            for sql in globals::naming_roles(text) {
                known.extend(roles(&sql).map_err(|error| error.on("globals"))?);
            }
        }
        let unknown: Vec<&str> =
            self.0.keys().filter(|old| !known.contains(*old)).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message =
            format!("the backup has no role {}, which the role map is to rename", unknown.join(", "));
        Err(Error::new(ErrorKind::Usage, message).hint(format!(
            "Its roles are: {}. Names are taken as they are, capitals too. Nothing was restored.",
            known.join(", ")
        )))
    }

    /// Refuses new names that the target does not have, and that are not `made` by the restore before they are needed.
    ///
    /// # Errors
    /// Naming them, each with the statement that makes it.
    pub async fn check_target(&self, session: &Session, made: &BTreeSet<String>) -> Result<()> {
        let is_made = |new: &String| made.contains(new) && !self.0.contains_key(new);
        let names: BTreeSet<&String> = self.0.values().filter(|new| !is_made(new)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let list = names.iter().map(|name| format!("({})", literal(name))).collect::<Vec<_>>().join(", ");
        let rows = session
            .rows(&format!(
                "SELECT n.name FROM (VALUES {list}) AS n(name) WHERE NOT EXISTS \
                 (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = n.name) ORDER BY 1"
            ))
            .await?;
        let missing: Vec<String> =
            rows.iter().map(|row| row.text("name").map(identifier)).collect::<Result<_>>()?;
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("the target has no role {}, which the role map names", missing.join(", "));
        let cures = missing.iter().map(|name| format!("CREATE ROLE {name};")).collect::<Vec<_>>().join(" ");
        Err(Error::new(ErrorKind::Target, message).hint(format!(
            "Make it there first, with the rights it should have: {cures} Nothing was restored."
        )))
    }

    /// Renames the roles of an archive's entries.
    ///
    /// # Errors
    /// On SQL of a form that is not known.
    pub fn rename(&self, entries: &mut [Entry]) -> Result<()> {
        for entry in entries.iter_mut().filter(|_| !self.is_empty()) {
            if let Some(new) = entry.owner.as_deref().and_then(|owner| self.new_name(owner)) {
                entry.owner = Some(new.to_owned());
            }
            if NAMING_ROLES.contains(&entry.desc.as_str()) {
                let label = entry.label();
                for sql in [&mut entry.definition, &mut entry.drop_statement].into_iter().flatten() {
                    *sql = self.rename_in(sql).map_err(|error| error.on(&*label))?;
                }
            }
        }
        Ok(())
    }

    /// Renames the roles of statements.
    pub(crate) fn rename_in(&self, sql: &str) -> Result<String> {
        let tokens = tokens(sql);
        let mut renamed = String::with_capacity(sql.len());
        for statement in statements(&tokens) {
            let places = places(statement)?;
            for (at, token) in statement.iter().enumerate() {
                let name = if places.contains(&at) { token.name() } else { None };
                match name.as_deref().and_then(|name| self.new_name(name)) {
                    Some(new) => renamed.push_str(&identifier(new)),
                    None => renamed.push_str(token.text),
                }
            }
        }
        Ok(renamed)
    }
}

/// `OLD=NEW`, with or without quotes.
fn pair(text: &str) -> Option<(String, String)> {
    let (old, rest) = name(text, |char| char == '=')?;
    let (new, rest) = name(rest.strip_prefix('=')?, |_| false)?;
    (rest.is_empty() && !old.is_empty() && !new.is_empty()).then_some((old, new))
}

/// A name up to what ends it, or in double quotes, and the rest.
fn name(text: &str, ends: impl Fn(char) -> bool) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        let (name, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        return (!name.contains('"')).then(|| (name.to_owned(), rest));
    }
    let first = tokens(text).first().copied()?;
    let closed = first.text.len() > 1 && first.text.ends_with('"');
    closed.then(|| first.name().map(|name| (name.into_owned(), &text[first.text.len()..]))).flatten()
}

/// The roles that statements name.
pub(super) fn roles(sql: &str) -> Result<BTreeSet<String>> {
    let tokens = tokens(sql);
    let mut roles = BTreeSet::new();
    for statement in statements(&tokens) {
        let places = places(statement)?;
        roles.extend(places.iter().filter_map(|at| statement[*at].name().map(Cow::into_owned)));
    }
    // PUBLIC is everybody and no role.
    roles.remove("public");
    Ok(roles)
}

/// Where in a statement roles stand.
fn places(statement: &[Token<'_>]) -> Result<Vec<usize>> {
    let words: Vec<(usize, &Token<'_>)> =
        statement.iter().enumerate().filter(|(_, token)| token.kind != Kind::Space).collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let found = Words(&words).roles();
    let places =
        found.filter(|found| found.iter().all(|at| words.get(*at).is_some_and(|(_, t)| t.name().is_some())));
    places.map(|found| found.into_iter().map(|at| words[at].0).collect()).ok_or_else(|| {
        let start: String = words.iter().take(4).map(|(_, token)| token.text).collect::<Vec<_>>().join(" ");
        Error::new(ErrorKind::Archive, format!("holds a statement whose roles cannot be told: {start} …"))
            .hint("Restore without --role-map, and give the objects to other roles afterwards.")
    })
}

/// A statement without its space.
struct Words<'a>(&'a [(usize, &'a Token<'a>)]);

impl Words<'_> {
    fn is(&self, at: usize, keyword: &str) -> bool {
        self.0.get(at).is_some_and(|(_, token)| token.is(keyword))
    }

    fn begins(&self, keywords: &str) -> bool {
        keywords.split(' ').enumerate().all(|(at, keyword)| self.is(at, keyword))
    }

    fn first(&self, keyword: &str) -> Option<usize> {
        (0..self.0.len()).find(|at| self.is(*at, keyword))
    }

    fn last(&self, keyword: &str) -> Option<usize> {
        (0..self.0.len()).rev().find(|at| self.is(*at, keyword))
    }

    /// Where the statement ends, its semicolon aside.
    fn end(&self) -> usize {
        self.0.len() - usize::from(self.0.last().is_some_and(|(_, token)| token.text == ";"))
    }

    /// The places of roles, `None` for a statement of a form that is not known. Keywords that stand before a role are
    /// reserved, so that a name like one is quoted, and no keyword.
    fn roles(&self) -> Option<Vec<usize>> {
        let label = self.begins("SECURITY LABEL FOR") && self.is(4, "ON");
        if WITHOUT_ROLES.iter().any(|start| self.begins(start)) || (label && self.is(5, "TABLESPACE")) {
            Some(Vec::new())
        } else if self.begins("SET SESSION AUTHORIZATION") {
            Some(vec![3])
        } else if self.begins("ALTER DEFAULT PRIVILEGES FOR ROLE") {
            Some(vec![5, self.grantee()?])
        } else if self.begins("GRANT") && self.first("ON").is_none() {
            // These two words are no reserved ones: a role may be called so.
            let last = self.end().checked_sub(1)?;
            let by = last >= 6 && self.is(last - 1, "BY") && self.is(last - 2, "GRANTED");
            Some([1, self.first("TO")? + 1].into_iter().chain(by.then_some(last)).collect())
        } else if self.begins("GRANT") || self.begins("REVOKE") {
            Some(vec![self.grantee()?])
        } else if self.begins("CREATE POLICY") {
            Some(self.of_policy())
        } else if ["CREATE USER MAPPING FOR", "DROP USER MAPPING FOR"].iter().any(|start| self.begins(start))
            || (self.begins("CREATE TABLESPACE") && self.is(3, "OWNER"))
        {
            Some(vec![4])
        } else if self.begins("CREATE ROLE") || self.begins("ALTER ROLE") {
            Some(vec![2])
        } else if self.begins("COMMENT ON ROLE") {
            Some(vec![3])
        } else if label && self.is(5, "ROLE") {
            Some(vec![6])
        } else {
            None
        }
    }

    /// GRANT … TO role, REVOKE … FROM role; behind it nothing but WITH GRANT OPTION.
    fn grantee(&self) -> Option<usize> {
        let at = self.last("TO").or_else(|| self.last("FROM"))? + 1;
        let end = self.end();
        let with_option = ["WITH", "GRANT", "OPTION"];
        let rest = with_option.iter().enumerate().all(|(by, keyword)| self.is(at + 1 + by, keyword));
        (at + 1 == end || (rest && at + 4 == end)).then_some(at)
    }

    /// CREATE POLICY name ON table … TO role, role USING (…) WITH CHECK (…).
    fn of_policy(&self) -> Vec<usize> {
        let end =
            [self.first("USING"), self.first("WITH")].into_iter().flatten().min().unwrap_or(self.0.len());
        let from = self.first("TO").filter(|at| *at < end).map_or(end, |at| at + 1);
        (from..end).filter(|at| self.0[*at].1.name().is_some()).collect()
    }
}

#[cfg(test)]
mod tests;
