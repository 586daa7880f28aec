//! What must be so before a restore may change anything. Facts are read first ([`Facts::read`]); the rest is pure:
//! all problems at once, each with its cure. What is certain to fail is a problem; what may fail is a warning.
//!
//! What no such list can know (definitions that another version does not take, rights) is for the
//! [rehearsal](super::rehearsal).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::loading;
use super::older;
use super::options::{Content, RestoreOptions};
use super::present::Present;
use super::role_map::{NAMING_ROLES, roles};
use super::select::{self, Kept, Selection, is_made_by_initdb};
use super::statements;
use crate::quote::{identifier, literal, qualified};
use crate::session::Session;
use crate::toc::{Entry, Section};
use crate::{Error, ErrorKind, Result};

/// How many names a message lists.
const NAMED_MAX: usize = 5;

/// The version from which `public` of a new database belongs to the database's owner (release notes of 15).
const PUBLIC_OF_DATABASE_OWNER_SINCE: u32 = 150_000;

/// What a server and a database are like.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `server_version_num`.
    pub version_num: u32,
    /// The restoring role.
    pub role: String,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// All roles.
    pub roles: HashSet<String>,
    /// Those whose objects the restoring role may make.
    pub may_become: HashSet<String>,
    /// Extensions that can be made, or are there.
    pub extensions: HashSet<String>,
    /// Tablespaces.
    pub tablespaces: HashSet<String>,
    /// What the database has; of a new one, if it is yet to be made.
    pub present: Present,
    /// Tables with rows, of those that rows alone would go into.
    pub filled: Vec<String>,
    /// Whether the server is a standby.
    pub standby: bool,
    /// Whether transactions are read-only unless they say otherwise.
    pub read_only: bool,
}

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// When the catalogs cannot be read.
    pub async fn read(session: &Session, new_database: bool) -> Result<Self> {
        let version_num = session.version_num();
        // From 16 on a member may lack the right to become the role (manual, Role Membership).
        let become_role = if version_num >= 160_000 { "SET" } else { "MEMBER" };
        let row = session
            .row(
                "SELECT current_user AS role, rolsuper, pg_catalog.pg_get_userbyid(10) AS made_by_initdb, \
                 pg_catalog.pg_is_in_recovery() AS standby, \
                 pg_catalog.current_setting('default_transaction_read_only')::boolean AS read_only \
                 FROM pg_catalog.pg_roles WHERE rolname = current_user",
            )
            .await?;
        let superuser = row.flag("rolsuper")?;
        let present = if !new_database {
            Present::read(session).await?
        } else if superuser || version_num >= PUBLIC_OF_DATABASE_OWNER_SINCE {
            Present::in_new_database()
        } else {
            Present::in_new_database().with_public_of(row.string("made_by_initdb")?)
        };
        Ok(Self {
            version_num,
            role: row.string("role")?,
            superuser,
            roles: names(session, "SELECT rolname AS name FROM pg_catalog.pg_roles").await?,
            may_become: names(
                session,
                &format!("SELECT rolname AS name FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, '{become_role}')"),
            )
            .await?,
            extensions: names(
                session,
                "SELECT name FROM pg_catalog.pg_available_extensions UNION SELECT extname FROM pg_catalog.pg_extension",
            )
            .await?,
            tablespaces: names(session, "SELECT spcname AS name FROM pg_catalog.pg_tablespace").await?,
            present: present.on_version(version_num),
            filled: Vec::new(),
            standby: row.flag("standby")?,
            read_only: row.flag("read_only")?,
        })
    }

    /// Looks which of the tables that rows alone would go into have rows already.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub async fn look_for_rows(
        &mut self,
        session: &Session,
        entries: &[Entry],
        options: &RestoreOptions,
    ) -> Result<()> {
        let selection = select::select(entries, options)?;
        let mut tables: Vec<(&str, &str)> = rows_alone(entries, &selection)
            .map(|entry| (entry.schema.as_deref().unwrap_or_default(), entry.tag.as_str()))
            .filter(|(schema, name)| self.present.has_relation(schema, name))
            .collect();
        tables.dedup();
        for some in tables.chunks(100) {
            let parts: Vec<String> = some
                .iter()
                .map(|(schema, name)| {
                    let name = qualified(schema, name);
                    format!("SELECT {} AS name WHERE EXISTS (SELECT FROM ONLY {name})", literal(&name))
                })
                .collect();
            for row in session.rows(&parts.join(" UNION ALL ")).await? {
                self.filled.push(row.string("name")?);
            }
        }
        Ok(())
    }
}

async fn names(session: &Session, sql: &str) -> Result<HashSet<String>> {
    session.rows(sql).await?.iter().map(|row| row.string("name")).collect()
}

/// Something that would make the restore fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub what: String,
    /// What to do, in a full sentence.
    pub cure: String,
}

/// What the look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What would make the restore fail.
    pub problems: Vec<Problem>,
    /// What a user should know before.
    pub warnings: Vec<String>,
    /// How many entries would be restored.
    pub entries: usize,
    /// Data files that would be loaded.
    pub files: Vec<String>,
}

/// What the restore itself makes before it needs it.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// Roles.
    pub roles: BTreeSet<String>,
    /// Whether tablespaces are.
    pub tablespaces: bool,
}

/// Checks a restore against what its target is like.
///
/// # Errors
/// When the options contradict themselves, or name what is not in the archive.
pub fn check(entries: &[Entry], options: &RestoreOptions, facts: &Facts, made: &Made) -> Result<Checked> {
    let selection = select::select(entries, options)?;
    let mut checked = Checked::default();
    for (entry, wanted) in entries.iter().zip(&selection.wanted) {
        checked.entries += usize::from(wanted.anything());
        checked.files.extend(entry.data_file.clone().filter(|_| wanted.data));
    }
    check_target(entries, options, &selection, facts, &mut checked);
    check_needed(entries, &selection, &mut checked);
    note_kept(entries, &selection, facts, &mut checked);
    check_roles(entries, options, &selection, (facts, made), &mut checked);
    let wanted = || {
        entries.iter().zip(&selection.wanted).filter(|(_, wanted)| wanted.definition).map(|(entry, _)| entry)
    };
    let extensions =
        wanted().filter(|entry| entry.desc == "EXTENSION" && !facts.extensions.contains(&entry.tag));
    let missing: Vec<String> = extensions.map(|entry| entry.tag.clone()).collect();
    if !missing.is_empty() {
        checked.problems.push(Problem {
            what: format!("the server has no extension {}", list(&missing)),
            cure: "Install the packages that bring them, or enable them at your provider.".to_owned(),
        });
    }
    let tablespaces: BTreeSet<&String> = wanted()
        .filter(|_| !options.leave_out.tablespaces && !made.tablespaces)
        .filter_map(|entry| entry.tablespace.as_ref())
        .filter(|name| !name.is_empty() && !facts.tablespaces.contains(*name))
        .collect();
    if !tablespaces.is_empty() {
        checked.problems.push(Problem {
            what: format!("the server has no tablespace {}", list(&tablespaces.into_iter().cloned().collect::<Vec<_>>())),
            cure: "Put everything into the default one with --no-tablespaces, or make them first with --globals.".to_owned(),
        });
    }
    check_existing(entries, options, &selection, facts, &mut checked);
    check_rows_alone(entries, options, &selection, facts, &mut checked);
    note_slots(entries, options, &selection, facts, &mut checked);
    Ok(checked)
}

/// What is wrong with the target as a whole.
fn check_target(
    entries: &[Entry],
    options: &RestoreOptions,
    selection: &Selection,
    facts: &Facts,
    checked: &mut Checked,
) {
    if facts.standby {
        checked.problems.push(Problem {
            what: "the server is a standby, and takes no changes".to_owned(),
            cure: "Connect to the primary, or give target_session_attrs=read-write with several hosts."
                .to_owned(),
        });
    } else if facts.read_only {
        let me = identifier(&facts.role);
        checked.problems.push(Problem {
            what: "transactions are read-only by default: default_transaction_read_only is on".to_owned(),
            cure: format!(
                "If the database may be written to, set it off where it was set, for the database (ALTER DATABASE … SET \
                 default_transaction_read_only = off;), the role (ALTER ROLE {me} SET default_transaction_read_only = off;) or the \
                 server; or for this restore alone: PGOPTIONS='-c default_transaction_read_only=off'."
            ),
        });
    }
    let in_public = |entry: &Entry| entry.schema.as_deref() == Some("public");
    let made = |entry: &Entry| entry.desc == "SCHEMA" && entry.tag == "public" && !is_made_by_initdb(entry);
    let wanted = || {
        entries.iter().zip(&selection.wanted).filter(|(_, wanted)| wanted.anything()).map(|(entry, _)| entry)
    };
    if !facts.present.has_schema("public") && wanted().any(in_public) && !wanted().any(made) {
        checked.problems.push(Problem {
            what: "the target has no schema public, which initdb makes and no backup does".to_owned(),
            cure: "Make it first: CREATE SCHEMA public;".to_owned(),
        });
    }
    let in_other_words = wanted().filter_map(|entry| {
        older::in_its_words(facts.version_num, entry).map(|(_, how)| (how, entry.label()))
    });
    let mut by_how: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (how, label) in in_other_words {
        by_how.entry(how).or_default().push(label);
    }
    for (how, labels) in by_how {
        let major = facts.version_num / 10_000;
        checked.warnings.push(format!("PostgreSQL {major} gets {how}: {}", list(&labels)));
    }
    if facts.present.has_default_privileges() && !options.leave_out.privileges {
        checked.warnings.push(format!(
            "the target has default privileges for what role {} makes: what is restored gets the backup's privileges instead. \
             --no-privileges leaves the target's",
            identifier(&facts.role)
        ));
    }
}

/// What came along and what was left out; what cannot be made.
fn check_needed(entries: &[Entry], selection: &Selection, checked: &mut Checked) {
    let needed = &selection.needed;
    let labels: Vec<String> = needed.brought.iter().map(|index| entries[*index].label()).collect();
    if !labels.is_empty() {
        checked.warnings.push(format!("comes along, because the target lacks it: {}", list(&labels)));
    }
    for (index, needs) in &needed.left_out {
        let (label, needs) = (entries[*index].label(), entries[*needs].label());
        checked.warnings.push(format!("{label} is left out: it needs {needs}, which the target lacks"));
    }
    if let Some(problem) = lacking(entries, selection) {
        checked.problems.push(problem);
    }
}

fn lacking(entries: &[Entry], selection: &Selection) -> Option<Problem> {
    let texts: Vec<String> = selection
        .needed
        .lacking
        .iter()
        .map(|(index, needs)| format!("{} needs {}", entries[*index].label(), entries[*needs].label()))
        .collect();
    (!texts.is_empty()).then(|| Problem {
        what: format!("the target lacks what is needed: {}", list(&texts)),
        cure: "Restore these too, with further --table, or leave out what needs them, with --exclude-table."
            .to_owned(),
    })
}

/// The last guard before a restore: what nobody checked before is refused here.
pub(super) fn refuse_lacking(entries: &[Entry], selection: &Selection) -> Result<()> {
    match lacking(entries, selection) {
        None => Ok(()),
        Some(problem) => Err(Error::new(ErrorKind::Target, problem.what).hint(problem.cure)),
    }
}

fn check_roles(
    entries: &[Entry],
    options: &RestoreOptions,
    selection: &Selection,
    (facts, made): (&Facts, &Made),
    checked: &mut Checked,
) {
    let mut missing: BTreeMap<String, &str> = BTreeMap::new();
    let mut foreign: BTreeSet<String> = BTreeSet::new();
    for (entry, _) in entries.iter().zip(&selection.wanted).filter(|(_, wanted)| wanted.definition) {
        let owner = statements::new_owner(entry).filter(|_| !options.leave_out.owners);
        let mut named: Vec<(String, &str)> =
            owner.map(|owner| (owner.to_owned(), "an owner")).into_iter().collect();
        if NAMING_ROLES.contains(&entry.desc.as_str())
            // Of a form that is not known: the server will say.
            && let Ok(roles) = roles(entry.definition.as_deref().unwrap_or_default())
        {
            named.extend(roles.into_iter().map(|role| (role, "named in grants or policies")));
        }
        for (role, why) in
            named.into_iter().filter(|(role, _)| !facts.roles.contains(role) && !made.roles.contains(role))
        {
            missing.entry(role).or_insert(why);
        }
        let is_foreign = |owner: &&str| facts.roles.contains(*owner) && !facts.may_become.contains(*owner);
        foreign.extend(owner.filter(|_| !facts.superuser).filter(is_foreign).map(identifier));
    }
    if !missing.is_empty() {
        let roles: Vec<String> =
            missing.iter().map(|(role, why)| format!("{} ({why})", identifier(role))).collect();
        checked.problems.push(Problem {
            what: format!("the server has no role {}", list(&roles)),
            cure: "Make the backup's roles first with --globals, give other ones with --role-map OLD=NEW, or do without: \
                   --no-owner for owners, --no-privileges for grants."
                .to_owned(),
        });
    }
    if !foreign.is_empty() {
        let roles: Vec<String> = foreign.into_iter().collect();
        let grant = format!("GRANT {} TO {};", roles.join(", "), identifier(&facts.role));
        checked.problems.push(Problem {
            what: format!("role {} may not give objects to {}", identifier(&facts.role), list(&roles)),
            cure: format!("Restore as a superuser, with --no-owner, or after: {grant}"),
        });
    }
}

/// What stays as the target has it, and what its owner can do about it.
fn note_kept(entries: &[Entry], selection: &Selection, facts: &Facts, checked: &mut Checked) {
    let of = |wanted: Kept| {
        selection.kept.iter().filter(move |(_, kept)| *kept == wanted).map(|(index, _)| &entries[*index])
    };
    let there: Vec<String> = of(Kept::There).map(Entry::label).collect();
    if !there.is_empty() {
        checked.warnings.push(format!("is there already and is used as it is: {}", list(&there)));
    }
    let me = identifier(&facts.role);
    for entry in of(Kept::PublicOwner) {
        let owner = entry.owner.as_deref().unwrap_or_default();
        let has =
            facts.present.schema(&entry.tag).map(|schema| identifier(&schema.owner)).unwrap_or_default();
        checked.warnings.push(format!(
            "{} stays with its owner {has}, since role {me} may not give it to another. Its owner can: ALTER SCHEMA {} OWNER TO {};",
            entry.label(),
            identifier(&entry.tag),
            identifier(owner)
        ));
    }
    for entry in of(Kept::OfOwner) {
        let sql = entry.definition.as_deref().unwrap_or_default().trim().replace('\n', " ");
        checked.warnings.push(format!(
            "{} is left out: role {me} does not own what it is about. Its owner can run: {sql}",
            entry.label()
        ));
    }
    for entry in of(Kept::Rows) {
        let table = qualified(entry.schema.as_deref().unwrap_or_default(), &entry.tag);
        checked.warnings.push(format!(
            "{} is left out: role {me} may not insert into this table of an extension. To bring the rows: GRANT INSERT ON {table} \
             TO {me}; and restore with --data-only --table {table}",
            entry.label()
        ));
    }
    for entry in entries
        .iter()
        .zip(&selection.wanted)
        .filter(|(_, wanted)| wanted.anything())
        .map(|(entry, _)| entry)
        .chain(of(Kept::There))
    {
        note_other_schema(entry, facts, checked);
    }
}

/// An extension that lies in another schema than the backup's makes all that names its members by schema fail.
fn note_other_schema(entry: &Entry, facts: &Facts, checked: &mut Checked) {
    let Some(extension) = facts.present.extension(&entry.tag).filter(|_| entry.desc == "EXTENSION") else {
        return;
    };
    let asked = entry.definition.as_deref().and_then(|text| text.split_once(" WITH SCHEMA "));
    let asked = asked.map(|(_, schema)| schema.trim_end_matches([';', '\n']));
    if let Some(asked) =
        asked.filter(|asked| **asked != *identifier(&extension.schema) && *asked != "pg_catalog")
    {
        checked.warnings.push(format!(
            "extension {} lies in schema {} here, and in {asked} in the backup: what names its members by schema will fail. \
             Its owner can move it, if it can be moved: ALTER EXTENSION {0} SET SCHEMA {asked};",
            identifier(&entry.tag),
            identifier(&extension.schema),
        ));
    }
}

/// A part may go into a database that is in use, but not over what is there.
fn check_existing(
    entries: &[Entry],
    options: &RestoreOptions,
    selection: &Selection,
    facts: &Facts,
    checked: &mut Checked,
) {
    if options.clean || !options.is_part() {
        return;
    }
    let wanted = entries.iter().zip(&selection.wanted).filter(|(_, wanted)| wanted.definition);
    // An extension is only made if it does not exist, and `public` never.
    let replaces = |entry: &Entry| entry.desc != "EXTENSION" && !is_made_by_initdb(entry);
    let existing: Vec<String> = wanted
        .filter(|(entry, _)| replaces(entry) && facts.present.has(entry))
        .map(|(entry, _)| entry.label())
        .collect();
    if !existing.is_empty() {
        checked.problems.push(Problem {
            what: format!("exists in the target already: {}", list(&existing)),
            cure: "Replace it with --clean, which asks first; or restore beside it, into a new database with --create \
                   NAME; or load its rows alone with --data-only."
                .to_owned(),
        });
    }
}

/// Data entries of tables that this restore does not make.
fn rows_alone<'a>(entries: &'a [Entry], selection: &'a Selection) -> impl Iterator<Item = &'a Entry> {
    let made: HashSet<_> = entries
        .iter()
        .zip(&selection.wanted)
        .filter(|(entry, wanted)| entry.desc == "TABLE" && wanted.definition)
        .map(|(entry, _)| (entry.schema.clone(), entry.tag.clone()))
        .collect();
    let data = entries
        .iter()
        .zip(&selection.wanted)
        .filter(|(entry, wanted)| entry.desc == "TABLE DATA" && wanted.data);
    data.map(|(entry, _)| entry)
        .filter(move |entry| !made.contains(&(entry.schema.clone(), entry.tag.clone())))
}

fn check_rows_alone(
    entries: &[Entry],
    options: &RestoreOptions,
    selection: &Selection,
    facts: &Facts,
    checked: &mut Checked,
) {
    let definitions = options.content == Content::Data || !options.sections.contains(&Section::PreData);
    let mut missing: Vec<String> = rows_alone(entries, selection)
        .filter(|entry| {
            definitions
                && !facts.present.has_relation(entry.schema.as_deref().unwrap_or_default(), &entry.tag)
        })
        .map(|entry| qualified(entry.schema.as_deref().unwrap_or_default(), &entry.tag))
        .collect();
    missing.dedup();
    if !missing.is_empty() {
        checked.problems.push(Problem {
            what: format!("rows are to go into tables that the target lacks: {}", list(&missing)),
            cure: "Make the tables first with --schema-only or --section pre-data, or leave them out with --exclude-table."
                .to_owned(),
        });
    }
    if !facts.filled.is_empty() {
        checked.problems.push(Problem {
            what: format!("tables have rows already, and would have them twice: {}", list(&facts.filled)),
            cure: format!(
                "Empty them: TRUNCATE {}; or leave them out with --exclude-table.",
                facts.filled.join(", ")
            ),
        });
    }
    let circular = loading::circular(entries, &selection.wanted, &options.foreign_keys);
    if !circular.is_empty() {
        checked.problems.push(Problem {
            what: format!("foreign keys go round in a circle, so no order loads the rows of {}", list(&circular)),
            cure: "Give --disable-triggers, as a superuser: no foreign key is checked then, and no trigger fires. Or drop \
                   the foreign keys, and make them again afterwards."
                .to_owned(),
        });
    }
}

/// The slot of a subscription that is replaced stays with the publisher.
fn note_slots(
    entries: &[Entry],
    options: &RestoreOptions,
    selection: &Selection,
    facts: &Facts,
    checked: &mut Checked,
) {
    let subscriptions = entries
        .iter()
        .zip(&selection.wanted)
        .filter(|(entry, wanted)| entry.desc == "SUBSCRIPTION" && wanted.definition);
    let names: Vec<String> = subscriptions.map(|(entry, _)| entry.tag.clone()).collect();
    if options.clean && !names.is_empty() && facts.version_num > 0 {
        checked.warnings.push(format!(
            "subscription {}: if it is there, it is parted from its slot before it is dropped; the slot stays on the \
             publisher and holds back its WAL until somebody drops it there or enables the new subscription",
            list(&names)
        ));
    }
}

/// The first names, and how many more there are.
fn list(names: &[String]) -> String {
    match names.len().checked_sub(NAMED_MAX) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMED_MAX].join(", ")),
    }
}

#[cfg(test)]
mod tests;
