//! The roles of a backup on a server that is there for a test and then gone.
//!
//! Only what owns and what is granted matters there: roles, their attributes and memberships. Settings of roles are left
//! out, because they could keep the test from connecting, and so are tablespaces, whose folders are elsewhere.

use super::{Applied, exists_already};
use crate::quote::identifier;
use crate::restore::sql_text::SqlText;
use crate::session::Session;
use crate::{ErrorKind, Result};

/// The name for the superuser that makes the server: of the source's superusers the one which most likely made the
/// source, so that what belongs to it there, and what it granted, belongs to it here. From 16 on, nobody else may be
/// named as the grantor of a membership without an ADMIN OPTION.
pub fn superuser(text: &str) -> Result<Option<String>> {
    let statements = SqlText::statements(text)?;
    let superusers: Vec<String> = statements.iter().filter_map(|sql| superuser_of(sql)).collect();
    let usual = superusers.iter().find(|name| *name == "postgres");
    Ok(usual.or_else(|| superusers.first()).cloned())
}

fn superuser_of(statement: &str) -> Option<String> {
    let (name, rest) = name(without_comments(statement).strip_prefix("ALTER ROLE ")?)?;
    rest.trim_start().strip_prefix("WITH SUPERUSER ").map(|_| name)
}

/// Makes the roles. What cannot be made is told, each with the server's words: whatever needs it fails by itself.
///
/// # Errors
/// When the connection is lost, or the text is not what a backup holds.
pub async fn apply_roles(session: &Session, text: &str, superuser: &str) -> Result<(Applied, Vec<String>)> {
    session.execute("SET standard_conforming_strings = on; SET client_encoding = 'UTF8'").await?;
    let (mut applied, mut failures) = (Applied::default(), Vec::new());
    for statement in SqlText::statements(text)? {
        let statement = without_comments(&statement);
        if !makes_role(statement, superuser) {
            continue;
        }
        match session.execute(statement).await {
            Ok(()) => applied.statements += 1,
            Err(error) if exists_already(&error) => applied.existed += 1,
            Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
            Err(error) => failures.push(format!("{}: {}", statement.trim_end(), error.message)),
        }
    }
    Ok((applied, failures))
}

/// Whether a statement makes a role what it is. The superuser is there, and stays what it is.
fn makes_role(statement: &str, superuser: &str) -> bool {
    let own = |rest: &str| {
        rest.strip_prefix(&identifier(superuser)).is_some_and(|rest| rest.starts_with([' ', ';']))
    };
    if let Some(role) = statement.strip_prefix("CREATE ROLE ") {
        return !own(role);
    }
    if let Some(role) = statement.strip_prefix("ALTER ROLE ") {
        let attributes = name(role).is_some_and(|(_, rest)| rest.trim_start().starts_with("WITH "));
        return attributes && !own(role);
    }
    // Grants on tablespaces and parameters have an ON.
    statement.starts_with("GRANT ")
        && name(statement.trim_start_matches("GRANT "))
            .is_some_and(|(_, rest)| rest.trim_start().starts_with("TO "))
}

/// The name that a text begins with, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || c == ';')?;
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut from = 0;
    loop {
        let at = from + quoted[from..].find('"')?;
        if quoted[at + 1..].starts_with('"') {
            from = at + 2;
        } else {
            return Some((quoted[..at].replace("\"\"", "\""), &quoted[at + 1..]));
        }
    }
}

/// A statement without the headings above it.
fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    while let Some(comment) = rest.strip_prefix("--") {
        rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- Roles, without passwords\n\nCREATE ROLE \"a\"\"b\";\n\
        ALTER ROLE \"a\"\"b\" WITH SUPERUSER INHERIT LOGIN;\nCREATE ROLE postgres;\n\
        ALTER ROLE postgres WITH SUPERUSER INHERIT;\nCREATE ROLE app;\nALTER ROLE app WITH NOSUPERUSER;\n\
        COMMENT ON ROLE app IS 'x;y';\n\n-- Memberships\n\nGRANT app TO \"a\"\"b\" GRANTED BY postgres;\n\n\
        -- Settings of roles\n\nALTER ROLE app SET work_mem TO '1MB';\nALTER ROLE ALL SET x.y TO '1';\n\n\
        -- Tablespaces\n\nCREATE TABLESPACE fast OWNER app LOCATION '/fast';\nGRANT CREATE ON TABLESPACE fast TO app;\n";

    #[test]
    fn the_superuser_is_the_one_that_made_the_source() {
        assert_eq!(superuser(TEXT).unwrap().as_deref(), Some("postgres"));
        let managed = TEXT.replace("postgres WITH SUPERUSER", "postgres WITH NOSUPERUSER");
        assert_eq!(superuser(&managed).unwrap().as_deref(), Some("a\"b"));
        assert_eq!(superuser("").unwrap(), None);
    }

    #[test]
    fn roles_and_memberships_are_made_and_nothing_else() {
        let statements = SqlText::statements(TEXT).unwrap();
        let made: Vec<&str> = statements
            .iter()
            .map(|statement| without_comments(statement).trim_end())
            .filter(|statement| makes_role(statement, "postgres"))
            .collect();
        assert_eq!(
            made,
            [
                "CREATE ROLE \"a\"\"b\";",
                "ALTER ROLE \"a\"\"b\" WITH SUPERUSER INHERIT LOGIN;",
                "CREATE ROLE app;",
                "ALTER ROLE app WITH NOSUPERUSER;",
                "GRANT app TO \"a\"\"b\" GRANTED BY postgres;",
            ]
        );
    }
}
