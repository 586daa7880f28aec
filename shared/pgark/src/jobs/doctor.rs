//! Looks at everything that a backup needs, and says what to do about what is missing. Changes nothing but one small
//! object in the store, which it removes again.

use bytes::Bytes;
use pg_archive::dump::{Dump, DumpOptions};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::keys;
use crate::seal::{Compression, Encryption, Identities, Sealer};
use crate::store::{StoreRead as _, StoreWrite as _};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// A backup works, but somebody should know something.
    Warning,
    /// A backup, or a restore, does not work.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub status: Status,
    /// The finding in words.
    pub finding: String,
    /// The stable code of the failure.
    pub code: Option<&'static str>,
    /// What to do.
    pub hint: Option<String>,
}

/// All checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// The checks, in the order in which a backup needs them.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// Whether a backup would work.
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.status != Status::Failed)
    }

    fn ok(&mut self, name: &'static str, finding: impl Into<String>) {
        self.checks.push(Check { name, status: Status::Ok, finding: finding.into(), code: None, hint: None });
    }

    fn warn(&mut self, name: &'static str, finding: impl Into<String>, hint: &str) {
        let hint = Some(hint.to_owned());
        self.checks.push(Check { name, status: Status::Warning, finding: finding.into(), code: None, hint });
    }

    fn fail(&mut self, name: &'static str, error: &Error) {
        self.checks.push(Check {
            name,
            status: Status::Failed,
            finding: error.to_string(),
            code: Some(error.code()),
            hint: error.hint_text().map(str::to_owned),
        });
    }
}

/// Runs all checks.
pub async fn run(app: &App, stop: &CancellationToken) -> DoctorReport {
    let mut report = DoctorReport { checks: Vec::new() };
    check_database(app, &mut report, stop).await;
    check_store(app, &mut report).await;
    check_keys(app, &mut report);
    check_signing(app, &mut report);
    report
}

/// Connection, direct line, version, snapshot, rights and census: all that planning a backup takes.
async fn check_database(app: &App, report: &mut DoctorReport, stop: &CancellationToken) {
    let target = match app.database() {
        Ok(target) => target,
        Err(error) => return report.fail("database", &error),
    };
    let connected = format!("{} as {}", target.display(), target.user());
    // As a backup is planned, so that the same words come out.
    let options = DumpOptions { allow_missing: false, ..super::whole_database(app) };
    let dump = match Dump::plan(&target, options, stop).await {
        Ok(dump) => dump,
        Err(error) => {
            let name = match error.kind {
                pg_archive::ErrorKind::Permission => "rights",
                pg_archive::ErrorKind::Census => "census",
                _ => return report.fail("database", &error.into()),
            };
            report.ok("connection", connected);
            return report.fail(name, &error.into());
        }
    };
    let plan = &dump.plan;
    report.ok("connection", connected);
    report.ok("server", format!("PostgreSQL {}, encoding {}", plan.server.version, plan.server.encoding));
    report.ok("snapshot", format!("exported as {}", plan.snapshot.exported));
    report.ok("rights", format!("{} tables can be read and locked", plan.tables.len()));
    for warning in &plan.warnings {
        report.warn("server", warning.clone(), "The manifest of each backup records it.");
    }
    let left_out = match plan.left_out.len() {
        0 => String::new(),
        count => format!(", but for {count} that no backup holds"),
    };
    report.ok("census", format!("every user object is dumped, in {} entries{left_out}", plan.entries.len()));
    dump.abandon().await;
}

/// Write, read back, create only once, delete.
async fn check_store(app: &App, report: &mut DoctorReport) {
    let store = app.repository.store();
    let address = store.address();
    let key = keys::doctor((app.outside.now)(), (app.outside.random)());
    let content = Bytes::from_static(b"pgark doctor\n");
    if let Err(error) = store.put_small(&key, content.clone()).await {
        return report.fail("store write", &error);
    }
    report.ok("store write", format!("{address} takes objects"));
    match store.get_small(&key, 1024).await {
        Ok(read) if read == content => report.ok("store read", "gives back what was written"),
        Ok(_) => report
            .fail("store read", &Error::new(ErrorKind::ObjectDamaged, "gives back other bytes").on(&*key)),
        Err(error) => report.warn(
            "store read",
            format!("this role cannot read back: {error}"),
            "Right for a role that only backs up; restore, verify and fetch need another role.",
        ),
    }
    match store.put_small(&key, Bytes::from_static(b"second\n")).await {
        Err(error) if error.kind() == ErrorKind::ObjectExists => {
            report.ok("store create-only", "refuses to overwrite an object");
        }
        Err(error) => report.fail("store create-only", &error),
        Ok(_) => report.warn(
            "store create-only",
            "the store ignores If-None-Match and overwrites objects",
            "Two runs that take the same id could mix. Use a store with conditional writes, or bucket versioning.",
        ),
    }
    match store.delete(std::slice::from_ref(&key)).await {
        Ok(()) => report.ok("store delete", "removes objects, so that failed runs leave nothing"),
        Err(error) => report.warn(
            "store delete",
            format!("this role cannot delete: {error}"),
            "Right for a role that only backs up; prune needs another role, and removes what failed runs leave.",
        ),
    }
}

/// That what is encrypted can be decrypted, by trying.
fn check_keys(app: &App, report: &mut DoctorReport) {
    let encryption = match app.settings.encryption() {
        Ok(encryption) => encryption,
        Err(error) => return report.fail("keys", &error),
    };
    let Encryption::Age(recipients) = encryption else {
        return report.warn(
            "keys",
            "backups are not encrypted",
            "Make a key with pgark keys, and set PGARK_RECIPIENTS to its public half.",
        );
    };
    match app.settings.identities() {
        Err(error) => report.fail("keys", &error),
        Ok(None) => report.ok(
            "keys",
            format!(
                "{} recipients; no identity here, as it should be where backups are written",
                recipients.len()
            ),
        ),
        Ok(Some(identities)) => match try_keys(encryption, &identities) {
            Ok(()) => report.ok("keys", "the identity file opens what the recipients are given"),
            Err(error) => report.fail("keys", &error),
        },
    }
}

/// That what is signed here is accepted where the same settings hold.
fn check_signing(app: &App, report: &mut DoctorReport) {
    let check = super::backup::signer(app).and_then(|key| Ok((key, app.settings.verification_keys()?)));
    match check {
        Err(error) => report.fail("signing", &error),
        Ok((Some(key), _)) => report.ok("signing", format!("manifests are signed by the key {}", key.public().id())),
        Ok((None, Some(_))) => report.warn(
            "signing",
            "a verification key is set, and backups are not signed",
            "Set PGARK_SIGNING_KEY_FILE or PGARK_SIGNING_KEY_SECRET: an unsigned backup is refused with these settings.",
        ),
        Ok((None, None)) => report.warn(
            "signing",
            "backups are not signed",
            "Whoever can write to the store can replace a backup unnoticed. Make a key with `pgark keys --signing`, and \
             set PGARK_SIGNING_KEY_FILE.",
        ),
    }
}

fn try_keys(encryption: &Encryption, identities: &Identities) -> Result<()> {
    // Sealing proves that the recipients are usable; which of them the identities open shows in their public halves.
    let mut trial = Sealer::new(Compression::None, encryption)?;
    let mut stored = Vec::new();
    trial.write(b"pgark", &mut stored)?;
    trial.finish(&mut stored)?;
    let ours: Vec<String> = identities.recipients().iter().map(ToString::to_string).collect();
    if encryption.recipients().iter().any(|recipient| ours.contains(recipient)) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::IdentityMismatch, "none of the identities belongs to a recipient")
        .on("PGARK_IDENTITY_FILE")
        .hint("Set PGARK_RECIPIENTS to the public key that the identity file names, or name the right file."))
}
