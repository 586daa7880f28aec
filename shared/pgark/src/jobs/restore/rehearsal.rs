//! Whether all definitions would be taken: tried in a transaction that is rolled back, before anything is changed.
//!
//! A restore that must bring all is refused for what the server does not take. One that goes on without it needs no
//! rehearsal: it says in the end what it left out. A dry run always rehearses, and tells.

use pg_archive::connect::Target;
use pg_archive::databases;
use pg_archive::restore::{Content, Rehearsal, rehearse, user_objects};
use pg_archive::session::Session;
use pg_archive::toc::Section;
use tokio_util::sync::CancellationToken;

use super::left_out::WouldLeaveOut;
use super::{Prepared, stopped};
use crate::app::App;
use crate::error::{Error, ErrorKind, Result};

/// How many refusals are named in an error. What hangs on something that is to be dropped is named all.
const NAMED_MAX: usize = 5;

impl Prepared {
    /// Tries all definitions in a transaction that is rolled back, where something is not certain: another major
    /// version, a role with limits, a target that is not empty. Elsewhere the definitions that data needs come first anyway,
    /// and the price would be that of all definitions, with a lock on each.
    pub(super) async fn rehearse(
        &mut self,
        app: &App,
        target: &Target,
        stop: &CancellationToken,
    ) -> Result<()> {
        let (from, to) = self.majors();
        let uncertain = from != to || !self.superuser || self.present > 0 || self.options.is_part();
        if !self.has_definitions() || !uncertain {
            return Ok(());
        }
        let rehearsal = self.try_definitions(app, target, stop).await?;
        refuse(&rehearsal, from > to, (from, to))
            .map_err(|error| error.on(format!("database {}", target.display())))
    }

    /// What a dry run finds: what the server would not take.
    ///
    /// # Errors
    /// When the restore would be refused for it.
    pub async fn foresee(&mut self, app: &App, stop: &CancellationToken) -> Result<Vec<WouldLeaveOut>> {
        if !self.has_definitions() {
            return Ok(Vec::new());
        }
        let Some(target) = self.rehearsal_place().await? else {
            self.warnings.push(
                "the definitions were not tried: the new database is not there yet, and no other database of the server \
                 is empty. The restore itself will report what the server refuses"
                    .to_owned(),
            );
            return Ok(Vec::new());
        };
        let (from, to) = self.majors();
        let rehearsal = self.try_definitions(app, &target, stop).await?;
        if self.options.exit_on_error {
            refuse(&rehearsal, from > to, (from, to))
                .map_err(|error| error.on(format!("database {}", target.display())))?;
        }
        let refused = rehearsal.in_the_way.into_iter().chain(rehearsal.refused);
        Ok(refused.map(|(object, reason)| WouldLeaveOut { object, reason }).collect())
    }

    /// Where definitions can be tried: in the target, or, if that is yet to be made, in a database that is empty too.
    async fn rehearsal_place(&self) -> Result<Option<Target>> {
        let place = match &self.create {
            Some(create) => create.through.clone(),
            None if self.replace => databases::beside(&self.target, self.target.database()).await?.0,
            None => return Ok(Some(self.target.clone())),
        };
        let is_empty = user_objects(&Session::open(&place).await?).await?.is_empty();
        Ok(is_empty.then_some(place))
    }

    fn majors(&self) -> (u32, u32) {
        (self.manifest().server.version_num / 10_000, self.version_num / 10_000)
    }

    fn has_definitions(&self) -> bool {
        self.options.content != Content::Data && self.options.sections.contains(&Section::PreData)
    }

    async fn try_definitions(
        &mut self,
        app: &App,
        target: &Target,
        stop: &CancellationToken,
    ) -> Result<Rehearsal> {
        let rehearsal = rehearse(target, &self.entries, &self.options, &[], app.settings.lock_timeout);
        let rehearsal = tokio::select! {
            result = rehearsal => result?,
            () = stop.cancelled() => return Err(stopped()),
        };
        if let Some(reason) = &rehearsal.incomplete {
            self.warnings.push(format!(
                "only {} definitions could be tried before the restore: {reason}",
                rehearsal.tried
            ));
        }
        Ok(rehearsal)
    }
}

fn refuse(rehearsal: &Rehearsal, older: bool, (from, to): (u32, u32)) -> Result<()> {
    let error = |message: String, hint: &str| {
        Err(Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Target), message)
            .hint(format!("{hint} Nothing was changed.")))
    };
    if let Some((first, _)) = rehearsal.in_the_way.first() {
        let depend: Vec<&str> = rehearsal.in_the_way.iter().map(|(_, depends)| depends.as_str()).collect();
        return error(
            format!("{first} cannot be dropped: {}", depend.join("; ")),
            "Restore what depends on it too, with a further --table if the backup holds it; or drop it by hand, and make it \
             again afterwards; or restore into a new database with --create NAME.",
        );
    }
    let Some((first, why)) = rehearsal.refused.first() else { return Ok(()) };
    let others: Vec<&str> =
        rehearsal.refused.iter().skip(1).take(NAMED_MAX - 1).map(|(label, _)| label.as_str()).collect();
    let more = match rehearsal.refused.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more: {}", others.join(", ")),
    };
    let message = format!("the server does not take {first}: {why}{more}");
    if older {
        let hint = format!(
            "The backup uses what PostgreSQL {to} does not have. Restore it into PostgreSQL {from} or newer, or leave these \
             out with --exclude-table or --exclude-schema, or go on without them: leave --exit-on-error away."
        );
        return error(message, &hint);
    }
    error(
        message,
        "Restore as a role that may do this, or leave these out with --exclude-table, --exclude-schema, --no-owner or \
         --no-privileges. A restore into a new or empty database goes on without them, if --exit-on-error is left away.",
    )
}
