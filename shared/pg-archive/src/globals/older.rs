//! Globals of a newer server on an older one: what it can hold is given in its own words, and what it cannot is named.

use std::borrow::Cow;

use tokio_postgres::error::SqlState;

use super::statement::{About, Membership, Statement};
use crate::quote::{identifier, literal};
use crate::session::Session;
use crate::{Error, Result};

/// The version from which a membership has INHERIT and SET of its own (release notes of 16).
const OPTIONS_SINCE: u32 = 160_000;
/// The version from which parameters have privileges (release notes of 15).
const PARAMETERS_SINCE: u32 = 150_000;

/// A statement as the server understands it, or nothing if it cannot hold what it says; that is added to the warnings.
///
/// Before 16 a member inherits as its own attribute says, and may always SET ROLE.
pub(super) async fn in_its_words<'a>(
    session: &Session,
    statement: &'a Statement,
    warnings: &mut Vec<String>,
) -> Result<Option<Cow<'a, Statement>>> {
    let About::Membership(membership) = &statement.about else { return Ok(Some(Cow::Borrowed(statement))) };
    let plain = membership.inherit.is_none() && membership.set;
    if session.version_num() >= OPTIONS_SINCE || plain {
        return Ok(Some(Cow::Borrowed(statement)));
    }
    let sql = format!(
        "SELECT COALESCE((SELECT rolinherit FROM pg_catalog.pg_roles WHERE rolname = {}), true) AS inherits",
        literal(&membership.member)
    );
    let inherits = session.row(&sql).await?.flag("inherits")?;
    warnings.extend(difference(membership, inherits, session.version_num() / 10_000));
    let gives_nothing = !membership.set && !membership.admin && !membership.inherit.unwrap_or(inherits);
    Ok((!gives_nothing).then(|| Cow::Owned(whole(membership))))
}

/// A membership without options of 16.
fn whole(membership: &Membership) -> Statement {
    let Membership { role, member, admin, grantor, .. } = membership;
    let with = if *admin { " WITH ADMIN OPTION" } else { "" };
    let by = grantor.as_ref().map(|by| format!(" GRANTED BY {}", identifier(by))).unwrap_or_default();
    let sql = format!("GRANT {} TO {}{with}{by};", identifier(role), identifier(member));
    let about = Membership { inherit: None, set: true, ..membership.clone() };
    Statement { sql, about: About::Membership(about) }
}

/// How a membership differs on a server before 16, if it does. `inherits` is the member's own attribute.
fn difference(membership: &Membership, inherits: bool, major: u32) -> Option<String> {
    let Membership { role, member, admin, inherit, set, .. } = membership;
    let (role, member) = (identifier(role), identifier(member));
    let wanted = inherit.unwrap_or(inherits);
    if !wanted && !set && !admin {
        return Some(format!(
            "{member} is no member of {role}: a membership that neither inherits nor allows SET ROLE is not known to \
             PostgreSQL {major}"
        ));
    }
    let mut differs = Vec::new();
    if wanted != inherits {
        differs.push(if wanted { "does not inherit its rights" } else { "inherits its rights" });
    }
    if !set {
        differs.push("may SET ROLE to it");
    }
    (!differs.is_empty()).then(|| {
        format!(
            "{member} is a member of {role} and {} here, other than in the backup: PostgreSQL {major} knows no options of \
             memberships",
            differs.join(" and ")
        )
    })
}

/// Whether a statement failed because it speaks of what came with a newer version: predefined roles, parameters,
/// privileges on these.
pub(super) fn does_not_know(version_num: u32, about: &About, error: &Error) -> bool {
    let undefined = error.sqlstate() == Some(&SqlState::UNDEFINED_OBJECT);
    match about {
        About::Membership(membership) => undefined && membership.role.starts_with("pg_"),
        // ALTER ROLE … SET of a parameter that is not there.
        About::Role(_) | About::Other => undefined && error.message.contains("configuration parameter"),
        About::Privilege => {
            version_num < PARAMETERS_SINCE && error.sqlstate() == Some(&SqlState::SYNTAX_ERROR)
        }
        _ => false,
    }
}

/// What is said of such a statement.
pub(super) fn left_out(session: &Session, statement: &Statement, error: &Error) -> String {
    format!(
        "PostgreSQL {} does not know what this is about, so it was left out: {} ({})",
        session.version_num() / 10_000,
        statement.shown(),
        error.message
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_server_cannot_hold_is_said() {
        for (with, inherits, sql, said) in [
            ("INHERIT TRUE", true, "GRANT a TO b;", None),
            ("ADMIN OPTION, INHERIT FALSE", false, "GRANT a TO b WITH ADMIN OPTION;", None),
            ("INHERIT FALSE", true, "GRANT a TO b;", Some("and inherits its rights here")),
            ("INHERIT TRUE", false, "GRANT a TO b;", Some("and does not inherit its rights here")),
            ("SET FALSE", true, "GRANT a TO b;", Some("and may SET ROLE to it here")),
            ("INHERIT FALSE, SET FALSE", true, "GRANT a TO b;", Some("b is no member of a")),
        ] {
            let statement = &Statement::all(&format!("GRANT a TO b WITH {with};"))[0];
            let About::Membership(membership) = &statement.about else { panic!("{with}") };
            assert_eq!(whole(membership).sql, sql, "{with}");
            let difference = difference(membership, inherits, 15);
            assert_eq!(difference.is_some(), said.is_some(), "{with}: {difference:?}");
            assert!(difference.unwrap_or_default().contains(said.unwrap_or_default()), "{with}");
        }
    }
}
