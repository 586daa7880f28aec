//! The roles of a backup on a server that is there for a test and then gone.
//!
//! Only what owns and what is granted matters there: roles, their attributes and memberships. Settings of roles are left
//! out, because they could keep the test from connecting, and so are tablespaces, whose folders are elsewhere.

use tokio_postgres::error::SqlState;

use super::statement::{About, Statement};
use crate::session::Session;
use crate::{ErrorKind, Result};

/// The name for the superuser that makes the server: of the source's superusers the one which most likely made the
/// source, so that what belongs to it there, and what it granted, belongs to it here. From 16 on, nobody else may be
/// named as the grantor of a membership without an ADMIN OPTION (`check_role_grantor` in `user.c`).
pub fn superuser(text: &str) -> Option<String> {
    let superusers: Vec<String> = Statement::all(text)
        .into_iter()
        .filter_map(|statement| match statement.about {
            About::Attributes(role, words) if words.iter().any(|word| word == "SUPERUSER") => Some(role),
            _ => None,
        })
        .collect();
    let usual = superusers.iter().find(|name| *name == "postgres");
    usual.or_else(|| superusers.first()).cloned()
}

/// Makes the roles. What cannot be made is returned, each with the server's words: whatever needs it fails by itself.
///
/// # Errors
/// When the connection is lost.
pub async fn apply_roles(session: &Session, text: &str, superuser: &str) -> Result<Vec<String>> {
    session.execute("SET standard_conforming_strings = on").await?;
    let mut failures = Vec::new();
    for statement in Statement::all(text).iter().filter(|statement| makes_role(&statement.about, superuser)) {
        match session.execute(&statement.sql).await {
            Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
            Err(error) if error.sqlstate() != Some(&SqlState::DUPLICATE_OBJECT) => {
                failures.push(format!("{}: {}", statement.shown().trim_end(), error.message));
            }
            _ => {}
        }
    }
    Ok(failures)
}

/// Whether a statement makes a role what it is. The superuser is there, and stays what it is.
fn makes_role(about: &About, superuser: &str) -> bool {
    match about {
        About::CreateRole(role) | About::Attributes(role, _) => role != superuser,
        About::Membership(_) | About::Session => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- Roles, without passwords\n\nCREATE ROLE \"a\"\"b\";\nALTER ROLE \"a\"\"b\" WITH LOGIN;\n\
        ALTER ROLE \"a\"\"b\" WITH SUPERUSER NOREPLICATION BYPASSRLS;\nCREATE ROLE postgres;\n\
        ALTER ROLE postgres WITH SUPERUSER REPLICATION BYPASSRLS;\nCREATE ROLE app;\n\
        ALTER ROLE app WITH NOSUPERUSER NOREPLICATION NOBYPASSRLS;\nALTER ROLE app PASSWORD 'SCRAM-SHA-256$x';\n\
        COMMENT ON ROLE app IS 'x;y';\n\n-- Settings of roles\n\nALTER ROLE app SET work_mem TO '1MB';\n\
        ALTER ROLE ALL SET x.y TO '1';\n\n-- Memberships\n\nGRANT app TO \"a\"\"b\" GRANTED BY postgres;\n\n\
        -- Tablespaces\n\nCREATE TABLESPACE fast OWNER app LOCATION '/fast';\nGRANT CREATE ON TABLESPACE fast TO app;\n";

    #[test]
    fn the_superuser_is_the_one_that_made_the_source() {
        assert_eq!(superuser(TEXT).as_deref(), Some("postgres"));
        let managed = TEXT.replace("postgres WITH SUPERUSER", "postgres WITH NOSUPERUSER");
        assert_eq!(superuser(&managed).as_deref(), Some("a\"b"));
        assert_eq!(superuser(""), None);
    }

    #[test]
    fn roles_and_memberships_are_made_and_nothing_else() {
        let statements = Statement::all(TEXT);
        let made = statements.iter().filter(|statement| makes_role(&statement.about, "postgres"));
        let made: Vec<&str> = made.map(|statement| statement.sql.trim_end_matches([';', '\n'])).collect();
        assert_eq!(
            made,
            [
                "CREATE ROLE \"a\"\"b\"",
                "ALTER ROLE \"a\"\"b\" WITH LOGIN",
                "ALTER ROLE \"a\"\"b\" WITH SUPERUSER NOREPLICATION BYPASSRLS",
                "CREATE ROLE app",
                "ALTER ROLE app WITH NOSUPERUSER NOREPLICATION NOBYPASSRLS",
                "GRANT app TO \"a\"\"b\" GRANTED BY postgres",
            ]
        );
    }
}
