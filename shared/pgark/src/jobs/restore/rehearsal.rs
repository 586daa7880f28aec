//! Whether all definitions would be taken: tried in a transaction that is rolled back, before anything is changed.

use pg_archive::connect::Target;
use pg_archive::restore::{Content, Rehearsal, rehearse};
use pg_archive::toc::Section;
use tokio_util::sync::CancellationToken;

use super::{Prepared, stopped};
use crate::app::App;
use crate::error::{Error, ErrorKind, Result};

/// How many refusals are named.
const NAMED_MAX: usize = 5;

impl Prepared {
    /// Tries all definitions in a transaction that is rolled back, where something is not certain: another major
    /// version, a role with limits, a target that is not empty.
    pub(super) async fn rehearse(
        &mut self,
        app: &App,
        target: &Target,
        stop: &CancellationToken,
    ) -> Result<()> {
        let from = self.manifest().server.version_num / 10_000;
        let to = self.version_num / 10_000;
        let definitions =
            self.options.content != Content::Data && self.options.sections.contains(&Section::PreData);
        let uncertain = from != to || !self.superuser || self.present > 0 || self.options.is_part();
        if !definitions || !uncertain {
            return Ok(());
        }
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
        refuse(&rehearsal, from > to, self.present > 0, (from, to))
            .map_err(|error| error.on(format!("database {}", target.display())))
    }
}

fn refuse(rehearsal: &Rehearsal, older: bool, in_use: bool, (from, to): (u32, u32)) -> Result<()> {
    let Some((first, why)) = rehearsal.refused.first() else { return Ok(()) };
    let others: Vec<&str> =
        rehearsal.refused.iter().skip(1).take(NAMED_MAX - 1).map(|(label, _)| label.as_str()).collect();
    let more = match rehearsal.refused.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more: {}", others.join(", ")),
    };
    let hint = if older {
        format!(
            "The backup uses what PostgreSQL {to} does not have. Restore it into PostgreSQL {from} or newer, or leave \
             these out with --exclude-table or --exclude-schema."
        )
    } else if in_use {
        "Something in the target is in the way, or hangs on what would be dropped. Restore into a new database with \
         --create NAME, or drop that by hand."
            .to_owned()
    } else {
        "Restore as a role that may do this, or leave these out with --exclude-table, --exclude-schema, --no-owner or \
         --no-privileges."
            .to_owned()
    };
    let message = format!("the server does not take {first}: {why}{more}");
    Err(Error::new(ErrorKind::Archive(pg_archive::ErrorKind::Target), message)
        .hint(format!("{hint} Nothing was changed.")))
}
