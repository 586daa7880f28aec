//! The coordinator: the session that exports the snapshot, holds the locks and reads the catalogs.

use std::time::Duration;

use crate::catalog::{Server, tables};
use crate::connect::{self, ServerIdentity, Target};
use crate::dump::turns;
use crate::session::Session;
use crate::text_settings::TextForm;
use crate::{Error, ErrorKind, Result};

/// The newest server that this version was tested against. Newer ones work as far as the census says so.
const NEWEST_TESTED_MAJOR: u32 = 18;
/// The oldest server that is supported.
const OLDEST_MAJOR: u32 = 13;

/// How often an idle coordinator says something, lest a firewall or a proxy cut it off.
pub(super) const PING_EVERY: Duration = Duration::from_secs(30);

/// What people are told of the coordinator.
const NAME: &str = "the session that holds the snapshot";

/// The snapshot that a backup was taken in.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Name under which other sessions import it (`pg_export_snapshot`).
    pub exported: String,
    /// Which transactions it sees (`pg_current_snapshot`).
    pub transactions: String,
    /// WAL position when it was taken; on a standby, how far it had replayed. `None` where the role may not ask.
    pub wal_lsn: Option<String>,
    /// Server's clock when it was taken, ISO 8601 in UTC.
    pub taken_at: String,
}

pub(super) struct Coordinator {
    pub(super) session: Session,
    identity: ServerIdentity,
    pub(super) server: Server,
    pub(super) snapshot: Snapshot,
    pub(super) warnings: Vec<String>,
}

/// Opens a session with the settings of a dump, whatever the role or the database was configured with: they fix the text
/// of every value, leave no room for other objects of the same name, and make the server refuse to filter rows by row
/// security instead of doing so silently.
async fn open(target: &Target, form: &TextForm, lock_timeout: Duration) -> Result<Session> {
    let session = Session::open(target).await?;
    let settings = form.reading(lock_timeout.as_millis());
    session.execute(&settings).await.map_err(|error| error.on("the settings of the session"))?;
    Ok(session)
}

/// Begins the transaction of the coordinator.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Takes the snapshot, and says what it was taken of.
async fn look(session: &Session, form: &TextForm) -> Result<(Server, Snapshot)> {
    let row = session
        .row(
            "SELECT pg_catalog.pg_export_snapshot() AS exported, pg_catalog.pg_current_snapshot() AS transactions, \
             pg_catalog.pg_is_in_recovery() AS in_recovery, pg_catalog.current_database() AS database, \
             pg_catalog.current_setting('server_version') AS version, \
             pg_catalog.to_char(pg_catalog.statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS taken_at, \
             pg_catalog.current_setting('block_size') AS block_size, \
             pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, \
             pg_catalog.pg_client_encoding() AS client_encoding, d.datcollate, d.datctype, \
             pg_catalog.to_json(d)->>'datlocprovider' AS provider \
             FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
        )
        .await?;
    let in_recovery = row.flag("in_recovery")?;
    let server = Server {
        version_num: session.version_num(),
        version: row.string("version")?,
        database: row.string("database")?,
        encoding: row.string("encoding")?,
        text_settings: form.recorded(row.text("client_encoding")?),
        client_encoding: row.string("client_encoding")?,
        archive_settings: form.for_readers_of_the_archive(),
        collation: row.optional_string("datcollate")?,
        ctype: row.optional_string("datctype")?,
        locale_provider: row.optional("provider")?.map(|letter| provider(letter).to_owned()),
        system_identifier: system_identifier(session).await?,
        block_bytes: row.number("block_size")?,
        in_recovery,
    };
    let snapshot = Snapshot {
        exported: row.string("exported")?,
        transactions: row.string("transactions")?,
        taken_at: row.string("taken_at")?,
        wal_lsn: wal_position(session, in_recovery).await?,
    };
    Ok((server, snapshot))
}

impl Coordinator {
    /// Opens the session, makes sure that it is a direct one, and takes the snapshot.
    pub(super) async fn open(target: &Target, form: &TextForm, lock_timeout: Duration) -> Result<Self> {
        let session = open(target, form, lock_timeout).await?;
        refuse_indirect(target, &session).await?;
        let identity = session.identity().await?;
        let version_num = session.version_num();
        let mut warnings = Vec::new();
        let major = version_num / 10_000;
        if major < OLDEST_MAJOR {
            return Err(Error::new(ErrorKind::Usage, format!("the server is PostgreSQL {major}")).hint(
                format!(
                    "pgark backs up PostgreSQL {OLDEST_MAJOR} and newer. Use that version's own pg_dump."
                ),
            ));
        }
        if major > NEWEST_TESTED_MAJOR {
            warnings.push(format!(
                "the server is PostgreSQL {major}, newer than {NEWEST_TESTED_MAJOR}, the newest that this version was \
                 tested with; the census decides whether every object could be dumped"
            ));
        }
        session.execute(BEGIN).await?;
        let (server, snapshot) = look(&session, form).await?;
        Ok(Self { session, identity, server, snapshot, warnings })
    }

    /// Gives the snapshot up and takes another, with locks on these tables before it. `LOCK` as the first statement takes
    /// no snapshot (manual, "Data Consistency Checks at the Application Level"), so nobody can have changed such a table
    /// in between. A table that is gone is no matter: the new catalog does not have it either.
    pub(super) async fn renew(&mut self, form: &TextForm, before: &[String]) -> Result<()> {
        self.session.execute("ROLLBACK").await?;
        self.session.execute(BEGIN).await?;
        tables::lock_before(before, &self.session).await?;
        (self.server, self.snapshot) = look(&self.session, form).await?;
        Ok(())
    }

    /// A session that sees the same snapshot.
    pub(super) async fn join(
        &self,
        target: &Target,
        form: &TextForm,
        lock_timeout: Duration,
    ) -> Result<Session> {
        let session = open(target, form, lock_timeout).await?;
        connect::check_same_server(target, &self.identity, &session.identity().await?)?;
        let import = format!(
            "{BEGIN}; SET TRANSACTION SNAPSHOT {}; {}",
            crate::quote::literal(&self.snapshot.exported),
            turns::BEFORE_ALL
        );
        session.execute(&import).await.map_err(|error| {
            error.on(format!("snapshot {}", self.snapshot.exported)).hint(
                "Every session of a backup must reach the same server. Connect to an instance, not to a pooler or a \
                 load-balanced endpoint.",
            )
        })?;
        Ok(session)
    }

    /// Says something, so that nobody takes the session for dead, and learns whether it is.
    pub(super) async fn ping(&self) -> Result<()> {
        self.session.execute("SELECT 1").await.map_err(|error| error.on(NAME))
    }

    /// Waits until the session is lost: from then on, nothing holds the locks.
    pub(super) async fn lost(&self) -> Error {
        self.session.lost().await.on(NAME)
    }

    /// Ends the snapshot after all went well.
    pub(super) async fn finish(self) -> Result<()> {
        match self.session.execute("COMMIT").await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.session.explain(error).await.on(NAME)),
        }
    }

    /// Adds the reason why the connection ended, where the driver only knows that it did.
    pub(super) async fn explain(&self, error: Error) -> Error {
        self.session.explain(error).await
    }

    /// Cancels whatever runs and ends the session.
    pub(super) async fn abort(self) {
        self.session.cancel().await;
    }
}

/// Poolers that hand a server session to whoever has a transaction would give the snapshot and its locks away.
async fn refuse_indirect(target: &Target, first: &Session) -> Result<()> {
    let second = Session::open(target).await?;
    Ok(connect::check_direct(target, first.client(), second.client()).await?)
}

/// The words for `datlocprovider` (manual, `pg_database`).
fn provider(letter: &str) -> &str {
    match letter {
        "c" => "libc",
        "i" => "icu",
        "b" => "builtin",
        other => other,
    }
}

/// The WAL position.
async fn wal_position(session: &Session, in_recovery: bool) -> Result<Option<String>> {
    let function = if in_recovery { "pg_last_wal_replay_lsn" } else { "pg_current_wal_lsn" };
    if_allowed(session, &format!("SELECT pg_catalog.{function}() AS value")).await
}

async fn system_identifier(session: &Session) -> Result<Option<String>> {
    if_allowed(session, "SELECT system_identifier AS value FROM pg_catalog.pg_control_system()").await
}

/// Asks for something that some managed servers keep from ordinary roles. A savepoint keeps a refusal from ending the
/// transaction.
async fn if_allowed(session: &Session, sql: &str) -> Result<Option<String>> {
    session.execute("SAVEPOINT pgark_ask").await?;
    match session.row(sql).await {
        Ok(row) => {
            session.execute("RELEASE SAVEPOINT pgark_ask").await?;
            row.optional_string("value")
        }
        Err(error) if error.kind == ErrorKind::ConnectionLost => Err(error),
        Err(_) => {
            session.execute("ROLLBACK TO SAVEPOINT pgark_ask").await?;
            Ok(None)
        }
    }
}
