//! Runs the globals of a backup on a server. May be done again: what is there already is left, or set anew.
//!
//! A server without a superuser for its users refuses some statements. What it refuses is compared with what it has:
//! if that is the same, nothing is lost. Roles of a provider are left to the provider, and said. Whatever else was
//! refused fails by name, once all the others have been tried.

use tokio_postgres::error::SqlState;

use super::older;
use super::reserved::is_reserved;
use super::restricted;
use super::statement::{About, Membership, Statement};
use crate::quote::{identifier, literal};
use crate::restore::RoleMap;
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

/// What of the globals is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Roles that are there under another name. They stay as they are, and get memberships and privileges.
    pub roles: RoleMap,
    /// Tablespaces.
    pub tablespaces: bool,
    /// Privileges on parameters and tablespaces.
    pub privileges: bool,
}

/// What became of globals that were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Statements that were run.
    pub statements: usize,
    /// Statements for what existed already, which changed nothing.
    pub existed: usize,
    /// What a user should know.
    pub warnings: Vec<String>,
}

/// Runs the text of a backup's globals.
///
/// # Errors
/// When a statement fails. All are tried, and each that failed is named.
pub async fn apply(session: &Session, text: &str, wanted: &Wanted) -> Result<Applied> {
    session.execute("SET standard_conforming_strings = on").await?;
    let all = whole_statements(text)?;
    let mut run = Run::new(session).await?;
    let mut failures = Vec::new();
    for statement in &all {
        let Some(statement) = select(statement, wanted)? else { continue };
        match run.execute(&statement).await? {
            None => {}
            Some(error) => failures.push((statement, error)),
        }
    }
    if failures.is_empty() { Ok(run.finish(&all)) } else { Err(refusal(session, &failures).await?) }
}

/// Whether the text of a backup's globals is one that could be run.
///
/// # Errors
/// When it ends in the middle of a statement.
pub fn check(text: &str) -> Result<()> {
    whole_statements(text).map(drop)
}

fn whole_statements(text: &str) -> Result<Vec<Statement>> {
    let all = Statement::all(text);
    if restricted::is_cut(text) || all.last().is_some_and(|last| !last.sql.ends_with(';')) {
        return Err(Error::new(ErrorKind::Archive, "ends in the middle of a statement").on("globals"));
    }
    Ok(all)
}

/// The statement as it is to be run, if it is.
fn select(statement: &Statement, wanted: &Wanted) -> Result<Option<Statement>> {
    let is_mapped = |role: &str| wanted.roles.new_name(role).is_some();
    let unwanted = match &statement.about {
        About::CreateRole(role) | About::Attributes(role, _) | About::Password(role) | About::Role(role) => {
            is_mapped(role)
        }
        About::Tablespace => {
            let privilege = statement.sql.starts_with("GRANT") || statement.sql.starts_with("REVOKE");
            !wanted.tablespaces || (privilege && !wanted.privileges)
        }
        About::Privilege => !wanted.privileges,
        About::Membership(_) | About::Session | About::Other => false,
    };
    if unwanted {
        return Ok(None);
    }
    if statement.about == About::Session {
        return Ok(Some(statement.clone()));
    }
    let renamed = Statement::all(&wanted.roles.rename_in(&statement.sql)?).into_iter().next();
    // Two roles that become one are no members of each other.
    Ok(renamed.filter(|renamed| !matches!(&renamed.about, About::Membership(it) if it.role == it.member)))
}

struct Run<'a> {
    session: &'a Session,
    /// The role that restores.
    ourselves: String,
    superuser: bool,
    applied: Applied,
    /// Roles that were made.
    made: Vec<String>,
    /// Roles of the provider that were left as they are.
    left: Vec<String>,
}

impl<'a> Run<'a> {
    async fn new(session: &'a Session) -> Result<Self> {
        let sql = "SELECT rolname, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        let row = session.row(sql).await?;
        let (ourselves, superuser) = (row.string("rolname")?, row.flag("rolsuper")?);
        let applied = Applied::default();
        Ok(Self { session, ourselves, superuser, applied, made: Vec::new(), left: Vec::new() })
    }

    /// Runs a statement. Returns its failure, if it is one.
    async fn execute(&mut self, statement: &Statement) -> Result<Option<Error>> {
        if matches!(&statement.about, About::Attributes(role, _) | About::Password(role) if *role == self.ourselves)
        {
            return self.keep_ourselves(&statement.about).await.map(|()| None);
        }
        if let About::Attributes(role, _) | About::Password(role) | About::Role(role) = &statement.about
            && self.is_providers(role)
        {
            if !self.is_so(&statement.about).await? {
                self.leave(role);
            }
            return Ok(None);
        }
        let Some(statement) =
            older::in_its_words(self.session, statement, &mut self.applied.warnings).await?
        else {
            return Ok(None);
        };
        let statement = statement.as_ref();
        let error = match self.session.execute_unlogged(&statement.sql).await {
            Ok(()) => {
                self.applied.statements += 1;
                if let About::CreateRole(role) = &statement.about {
                    self.made.push(role.clone());
                }
                return Ok(None);
            }
            Err(error) if error.kind == ErrorKind::ConnectionLost => return Err(error),
            Err(error) => error,
        };
        if error.sqlstate() == Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) {
            self.leave_unreadable(statement);
            return Ok(None);
        }
        if error.sqlstate() == Some(&SqlState::DUPLICATE_OBJECT) || self.is_so(&statement.about).await? {
            self.applied.existed += 1;
            return Ok(None);
        }
        match &statement.about {
            About::Membership(membership) if self.is_providers(&membership.member) => {
                self.leave(&membership.member);
            }
            About::Membership(membership) if membership.grantor.is_some() => {
                return self.grant_as_ourselves(statement, membership, error).await;
            }
            _ if older::does_not_know(self.session.version_num(), &statement.about, &error) => {
                self.applied.warnings.push(older::left_out(self.session, statement, &error));
            }
            _ => return Ok(Some(error)),
        }
        Ok(None)
    }

    /// Names of roles are bytes, which databases of several encodings share. One that was made in another encoding than
    /// that of the database which takes these statements cannot be said here, and is in nobody else's way.
    fn leave_unreadable(&mut self, statement: &Statement) {
        let text =
            "is left out: its name is no text in the encoding of the database that the globals are run in";
        let warning = format!("{} {text}", statement.shown().trim_end());
        if !self.applied.warnings.contains(&warning) {
            self.applied.warnings.push(warning);
        }
    }

    /// The role that restores would shut itself out: without its rights in the midst of the work, or with another
    /// password than that of the connections to come.
    async fn keep_ourselves(&mut self, about: &About) -> Result<()> {
        let text = "the role that restores was left as it is, with its own attributes and password";
        if self.is_so(about).await? {
            self.applied.existed += 1;
        } else if !self.applied.warnings.iter().any(|warning| warning.ends_with(text)) {
            self.applied.warnings.push(format!("{}: {text}", identifier(&self.ourselves)));
        }
        Ok(())
    }

    /// Whether a role was there before us and is called like those of providers. A superuser is the provider itself.
    fn is_providers(&self, role: &str) -> bool {
        !self.superuser && is_reserved(role) && !self.made.iter().any(|made| made == role)
    }

    fn leave(&mut self, role: &str) {
        if !self.left.iter().any(|left| left == role) {
            self.left.push(role.to_owned());
        }
    }

    /// Only who has a role's rights may grant in its name.
    async fn grant_as_ourselves(
        &mut self,
        statement: &Statement,
        membership: &Membership,
        refusal: Error,
    ) -> Result<Option<Error>> {
        let Some((sql, grantor)) = statement.sql.rsplit_once(" GRANTED BY ") else {
            return Ok(Some(refusal));
        };
        match self.session.execute(sql).await {
            Ok(()) => {
                self.applied.statements += 1;
                self.applied.warnings.push(format!(
                    "role {} is a member of {} by our grant, not by one of {}: {}",
                    identifier(&membership.member),
                    identifier(&membership.role),
                    grantor.trim_end_matches(';'),
                    refusal.message
                ));
                Ok(None)
            }
            Err(error) if error.kind == ErrorKind::ConnectionLost => Err(error),
            Err(_) => Ok(Some(refusal)),
        }
    }

    /// Whether the server has already what a statement asks for.
    async fn is_so(&self, about: &About) -> Result<bool> {
        let condition = match about {
            About::Attributes(role, words) => {
                let Some(conditions) = words.iter().map(|word| attribute(word)).collect::<Option<Vec<_>>>()
                else {
                    return Ok(false);
                };
                format!(
                    "SELECT FROM pg_catalog.pg_roles WHERE rolname = {} AND {}",
                    literal(role),
                    conditions.join(" AND ")
                )
            }
            About::Membership(membership) => is_member(membership, self.session.version_num()),
            _ => return Ok(false),
        };
        self.session.row(&format!("SELECT EXISTS ({condition}) AS so")).await?.flag("so")
    }

    fn finish(mut self, all: &[Statement]) -> Applied {
        if !self.left.is_empty() {
            self.left.sort();
            self.applied
                .warnings
                .push(format!("roles of the server's provider were left as they are: {}", list(&self.left)));
        }
        let logs_in = |role: &String| {
            all.iter().any(|statement| {
                matches!(&statement.about, About::Attributes(of, words) if of == role && words.iter().any(|w| w == "LOGIN"))
            })
        };
        let has_password = |role: &String| {
            all.iter().any(|statement| matches!(&statement.about, About::Password(of) if of == role))
        };
        let bare: Vec<String> =
            self.made.iter().filter(|role| logs_in(role) && !has_password(role)).cloned().collect();
        if !bare.is_empty() {
            self.applied.warnings.push(format!(
                "roles that log in were made without a password, which the backup does not hold: {}",
                list(&bare)
            ));
        }
        self.applied
    }
}

fn list(roles: &[String]) -> String {
    roles.iter().map(|role| identifier(role)).collect::<Vec<_>>().join(", ")
}

/// The condition on `pg_roles` for a word of ALTER ROLE that is no option with a value.
fn attribute(word: &str) -> Option<String> {
    let (no, name) = match word.strip_prefix("NO") {
        Some(name) => ("NOT ", name),
        None => ("", word),
    };
    let column = match name {
        "SUPERUSER" => "rolsuper",
        "INHERIT" => "rolinherit",
        "CREATEROLE" => "rolcreaterole",
        "CREATEDB" => "rolcreatedb",
        "LOGIN" => "rolcanlogin",
        "REPLICATION" => "rolreplication",
        "BYPASSRLS" => "rolbypassrls",
        _ => return None,
    };
    Some(format!("{no}{column}"))
}

/// A query for memberships, by whomever they were granted, that give at least this.
fn is_member(membership: &Membership, version_num: u32) -> String {
    let Membership { role, member, admin, inherit, set, .. } = membership;
    let mut sql = format!(
        "SELECT FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles r ON r.oid = a.roleid \
         JOIN pg_catalog.pg_roles m ON m.oid = a.member WHERE r.rolname = {} AND m.rolname = {}",
        literal(role),
        literal(member)
    );
    if *admin {
        sql.push_str(" AND a.admin_option");
    }
    if version_num >= 160_000 {
        if *inherit == Some(true) {
            sql.push_str(" AND a.inherit_option");
        }
        if *set {
            sql.push_str(" AND a.set_option");
        }
    }
    sql
}

async fn refusal(session: &Session, failures: &[(Statement, Error)]) -> Result<Error> {
    let row = session
        .row(
            "SELECT rolsuper, pg_catalog.quote_ident(rolname) AS role FROM pg_catalog.pg_roles \
             WHERE rolname = current_user",
        )
        .await?;
    let shown: Vec<String> = failures
        .iter()
        .map(|(statement, error)| format!("{} {}", statement.shown(), error.message))
        .collect();
    let message = format!("{} of its statements failed: {}", failures.len(), shown.join(" | "));
    let mut who = if row.flag("rolsuper")? {
        "Run these statements by hand, in a form that this server takes, or do without what they give."
            .to_owned()
    } else {
        format!(
            "Role {} is no superuser at the target. Let a superuser run these statements, or do without what they give.",
            row.text("role")?
        )
    };
    if failures.iter().any(|(statement, _)| statement.about == About::Tablespace) {
        who.push_str(
            " Folders of tablespaces must exist and be empty; --no-tablespaces leaves tablespaces out.",
        );
    }
    Ok(Error::new(ErrorKind::Target, message).on("globals").hint(format!(
        "{who} All other statements were run: restore again without --globals, once that is settled. No database was \
         touched."
    )))
}
