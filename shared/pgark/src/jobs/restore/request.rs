//! What a restore is asked to do, as options; and what makes no sense.

use pg_archive::restore::{Content, LeaveOut, RestoreOptions};
use pg_archive::toc::Section;

use super::Restore;
use crate::app::App;
use crate::error::{Error, ErrorKind, Result};

impl Restore {
    /// The options of the restore.
    pub(super) fn options(&self, app: &App) -> Result<RestoreOptions> {
        self.refuse_nonsense()?;
        let content = match (self.schema_only, self.data_only) {
            (true, _) => Content::Definitions,
            (_, true) => Content::Data,
            _ => Content::All,
        };
        let mut options = RestoreOptions {
            jobs: app.settings.jobs.get(),
            content,
            schemas: self.schemas.clone(),
            tables: self.tables.clone(),
            exclude_schemas: self.exclude_schemas.clone(),
            exclude_tables: self.exclude_tables.clone(),
            leave_out: LeaveOut {
                owners: self.no_owner,
                privileges: self.no_privileges,
                tablespaces: self.no_tablespaces,
            },
            clean: self.clean,
            exit_on_error: self.exit_on_error,
            ..RestoreOptions::default()
        };
        if !self.sections.is_empty() {
            options.sections = self.sections.iter().map(|name| section(name)).collect::<Result<_>>()?;
        }
        if self.disable_triggers {
            // Foreign keys are triggers; those of replicas alone fire then (manual, session_replication_role).
            options.session_settings.push(("session_replication_role".to_owned(), "replica".to_owned()));
        }
        Ok(options)
    }

    fn refuse_nonsense(&self) -> Result<()> {
        let part = [&self.tables, &self.schemas, &self.exclude_tables, &self.exclude_schemas, &self.sections];
        let some = part.iter().any(|list| !list.is_empty()) || self.schema_only || self.data_only;
        let pre_data = self.sections.is_empty() || self.sections.iter().any(|section| section == "pre-data");
        let renamed = self.no_owner || self.no_privileges || !self.role_map.is_empty();
        let nonsense = [
            (
                self.schema_only && self.data_only,
                "schema only and data only leave nothing to restore",
                "Give one of them.",
            ),
            (
                self.create.is_some() && (self.data_only || !pre_data),
                "a database that is yet to be created has no tables for rows, indexes or constraints",
                "Leave --create away.",
            ),
            (
                self.clean && (self.create.is_some() || self.data_only || !pre_data),
                "there is nothing to clean in a new database, or where no definitions are restored",
                "Leave --clean away.",
            ),
            (
                self.disable_triggers && (!self.data_only && pre_data),
                "triggers are made after the rows, so there is nothing to disable",
                "Leave --disable-triggers away: it is for --data-only.",
            ),
            (
                self.replace && (self.create.is_some() || self.clean || some),
                "a database is replaced by a whole backup, in a new database",
                "Leave --create, --clean and what names a part away, or leave --replace away.",
            ),
            (
                self.replace && renamed,
                "a database is replaced by the same one, with its owners and grants",
                "Leave --no-owner, --no-privileges and --role-map away, or restore with --create NAME.",
            ),
        ];
        match nonsense.into_iter().find(|(is_so, ..)| *is_so) {
            None => Ok(()),
            Some((_, message, hint)) => Err(Error::new(ErrorKind::Usage, message).hint(hint)),
        }
    }
}

fn section(name: &str) -> Result<Section> {
    match name {
        "pre-data" => Ok(Section::PreData),
        "data" => Ok(Section::Data),
        "post-data" => Ok(Section::PostData),
        _ => Err(Error::new(ErrorKind::Usage, format!("there is no section {name:?}"))
            .hint("Give pre-data, data or post-data.")),
    }
}
