//! The command line: every command and flag, and nothing of what they do.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use pgark::config::RawSettings;

/// PostgreSQL backups that prove that they restore.
#[derive(Debug, Parser)]
#[command(name = "pgark", version, about, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command. Settings come from flags, then PGARK_* variables, then pgark.toml.
#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// Print one JSON document on standard output, and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Settings file [default: ./pgark.toml, if there is one; PGARK_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where backups are kept: s3://bucket/prefix or file:///folder [PGARK_STORE]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Name of the database in the store, or which of the sources in the settings [PGARK_SOURCE; default: the database's
    /// own, or all sources]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// What is to be done once, such as a scheduled time: skip the job if a run of this slot has done it
    #[arg(long, global = true, value_name = "SLOT")]
    pub(crate) slot: Option<String>,
    /// Wait so long for another run of the same job to end, instead of doing nothing: 30m
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) wait: Option<String>,
    /// Connections and objects at the same time [PGARK_JOBS; default: the cores, at most 4]
    #[arg(short, long, global = true, value_name = "N")]
    pub(crate) jobs: Option<String>,
    /// File of age secret keys, for reading encrypted backups [PGARK_IDENTITY_FILE]
    #[arg(short = 'i', long, global = true, value_name = "FILE")]
    pub(crate) identity_file: Option<String>,
    /// minisign public keys, or files of them: refuse what none of them signed [PGARK_VERIFICATION_KEY]
    #[arg(long, global = true, value_name = "KEYS")]
    pub(crate) verification_key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Back a database up
    Backup(Backup),
    /// List the backups
    List(List),
    /// Show what a backup holds
    Show(Show),
    /// Check backups against their manifests
    Verify(Verify),
    /// Write a backup as a directory for pg_restore
    Fetch(Fetch),
    /// Restore a backup into a database
    Restore(Restore),
    /// Restore a backup into a scratch database, compare, and keep the evidence
    RestoreTest(RestoreTest),
    /// Say whether each database could be recovered now, from the store alone; exit code 4 if not
    Health(Health),
    /// Delete backups by policy; without --apply, only say which and why
    Prune(Prune),
    /// Keep a backup whatever the policy says
    Hold(Hold),
    /// Leave a held backup to the policy again
    Release(Release),
    /// Say how each source is: its last backup, its last proofs, sizes and times
    Status(Status),
    /// List the runs of all jobs
    History(History),
    /// Write a page about all sources
    Report(Report),
    /// Forecast what a month costs at Amazon
    Cost(Cost),
    /// Say what changed between two backups
    Diff(Diff),
    /// Make an age key pair, or one that signs
    Keys(Keys),
    /// Check everything that a backup needs, and say what to do
    Doctor(Doctor),
    /// Back up, list, verify, restore and compare a throw-away shop database
    Demo(Demo),
}

/// Which database, and how backups are written.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Writing {
    /// Connection string, as psql takes it [PGARK_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// age public keys, comma separated [PGARK_RECIPIENTS]
    #[arg(long, value_name = "KEYS")]
    pub(crate) recipients: Option<String>,
    /// File of the minisign secret key that signs backups [PGARK_SIGNING_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_key_file: Option<String>,
    /// `none` to store backups readable by anyone who can read the store [PGARK_ENCRYPTION]
    #[arg(long, value_name = "age|none")]
    pub(crate) encryption: Option<String>,
    /// zstd, gzip or none, with an optional level: zstd:3 [PGARK_COMPRESSION; default: zstd:1]
    #[arg(long, value_name = "CODEC")]
    pub(crate) compression: Option<String>,
    /// Longest wait for a table's lock: 30s [PGARK_LOCK_TIMEOUT]
    #[arg(long, value_name = "TIME")]
    pub(crate) lock_timeout: Option<String>,
    /// daily, weekly, monthly or yearly, instead of the tier by date [PGARK_TIER]
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<String>,
    /// Cut tables that are larger on disk into chunks of this size: 1GiB [PGARK_CHUNK_BYTES]
    #[arg(long, value_name = "SIZE")]
    pub(crate) chunk_bytes: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// Connect, plan and estimate, but write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Definitions only
    #[arg(long)]
    pub(crate) schema_only: bool,
    /// Rows, sequence values and large objects only
    #[arg(long)]
    pub(crate) data_only: bool,
    /// Leave out tables, views and sequences that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_table: Vec<String>,
    /// Leave out the rows of tables that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_table_data: Vec<String>,
    /// Leave out schemas that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_schema: Vec<String>,
    /// Go on although user objects exist that cannot be dumped yet; the manifest lists them
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// Put the hashes of roles' passwords into the globals
    #[arg(long)]
    pub(crate) role_passwords: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct List {
    /// Only of this tier
    #[arg(long)]
    pub(crate) tier: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Show {
    /// An id, a unique prefix of one, or `latest`
    pub(crate) backup: String,
    /// Show each table with its rows, bytes and fingerprint
    #[arg(long)]
    pub(crate) tables: bool,
}

/// How thoroughly to check.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum VerifyLevel {
    /// The stored bytes; needs no secret key
    Stored,
    /// What a restore would read
    Content,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    /// An id, a unique prefix of one, `latest` or `all`
    #[arg(default_value = "latest")]
    pub(crate) backup: String,
    /// How thoroughly [default: content where the keys at hand allow it, else stored]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<VerifyLevel>,
    /// Read only a share of the stored bytes, such as 10%: what follows on the run before
    #[arg(long, value_name = "SHARE")]
    pub(crate) sample: Option<String>,
    /// Keep no report in the store
    #[arg(long)]
    pub(crate) no_report: bool,
}

/// Codecs that pg_restore reads in a directory.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FetchCodec {
    /// Read by every pg_restore since 12
    Gzip,
    /// Read by pg_restore 16 and newer
    Zstd,
    /// Not compressed
    None,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Fetch {
    /// An id, a unique prefix of one, or `latest`
    pub(crate) backup: String,
    /// The directory to write; one that was begun for the same backup is finished
    pub(crate) directory: PathBuf,
    /// Codec of the data files
    #[arg(long, value_name = "CODEC", default_value = "gzip")]
    pub(crate) compress: FetchCodec,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Restore {
    /// An id, a unique prefix of one, or `latest`
    pub(crate) backup: String,
    /// Connection string of the database to restore into; with --create, of one to connect to first
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Create a database of this name and restore into it
    #[arg(long, value_name = "NAME")]
    pub(crate) create: Option<String>,
    /// Restore beside the database of --to, compare, and give the restored one its name; asks first
    #[arg(long)]
    pub(crate) replace: bool,
    /// Only tables, views and sequences that match, with all that belongs to them; may be repeated
    #[arg(short, long, value_name = "PATTERN")]
    pub(crate) table: Vec<String>,
    /// Only what is in schemas that match; may be repeated
    #[arg(short = 'n', long, value_name = "PATTERN")]
    pub(crate) schema: Vec<String>,
    /// Leave out tables, views and sequences that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_table: Vec<String>,
    /// Leave out schemas that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_schema: Vec<String>,
    /// Only this section; may be repeated
    #[arg(long, value_name = "SECTION", value_parser = ["pre-data", "data", "post-data"])]
    pub(crate) section: Vec<String>,
    /// Definitions only
    #[arg(long)]
    pub(crate) schema_only: bool,
    /// Rows only, into empty tables that are there
    #[arg(long)]
    pub(crate) data_only: bool,
    /// With --data-only: check no foreign key and fire no trigger; superusers only
    #[arg(long)]
    pub(crate) disable_triggers: bool,
    /// Everything belongs to the role that restores
    #[arg(short = 'O', long)]
    pub(crate) no_owner: bool,
    /// No grants
    #[arg(short = 'x', long)]
    pub(crate) no_privileges: bool,
    /// Everything in the default tablespace
    #[arg(long)]
    pub(crate) no_tablespaces: bool,
    /// Drop what the backup holds before making it; asks first
    #[arg(short, long)]
    pub(crate) clean: bool,
    /// Make the backup's roles, memberships, settings and tablespaces first
    #[arg(long)]
    pub(crate) globals: bool,
    /// Give what is of role OLD in the backup to role NEW of the target; may be repeated
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) role_map: Vec<String>,
    /// End at the first object that the server does not take; otherwise a restore into a new or empty database goes on
    /// without it, lists it and exits with 5
    #[arg(short, long)]
    pub(crate) exit_on_error: bool,
    /// Check everything, try the definitions and say what would be done, but change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RestoreTest {
    /// An id, a unique prefix of one, `latest`, or `oldest-tested`: the one whose last test is longest ago
    #[arg(default_value = "latest")]
    pub(crate) backup: String,
    /// Connection string of a server on which databases may be created, or `embedded` for one that pgark starts itself
    /// [PGARK_RESTORE_TEST_URL; default: embedded]
    #[arg(long, value_name = "URL")]
    pub(crate) on: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Prune {
    /// Delete what the plan says
    #[arg(long)]
    pub(crate) apply: bool,
    /// Which backups are kept, such as `daily 7, weekly 4, monthly 12, yearly 7` or `last 10` [PGARK_KEEP]
    #[arg(long, value_name = "RULES")]
    pub(crate) keep: Option<String>,
    /// Only this backup, by its whole id, whatever the policy says, and nothing else; may be repeated
    #[arg(long, value_name = "ID", conflicts_with = "keep")]
    pub(crate) remove: Vec<pgark::repository::BackupId>,
    /// Although more of the good backups would go at once than PGARK_PRUNE_SHARE_MAX allows
    #[arg(long, requires = "apply")]
    pub(crate) allow_share: bool,
    /// Although no good backup would remain
    #[arg(long, requires = "apply")]
    pub(crate) allow_no_good: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Hold {
    /// An id, a unique prefix of one, or `latest`
    pub(crate) backup: String,
    /// Why, for whoever comes to it later
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Until the end of this day (in PGARK_TIME_ZONE), or this time: 2027-01-31, 2027-01-31T12:00:00Z [default: until it is released]
    #[arg(long, value_name = "DATE")]
    pub(crate) until: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Release {
    /// An id, a unique prefix of one, or `latest`
    pub(crate) backup: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Status {
    /// Look so far back: 12h, 30d, 8w, or a date
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub(crate) since: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct History {
    /// Only this job
    #[arg(long, value_name = "JOB", value_parser = ["backup", "verify", "restore-test", "prune", "health"])]
    pub(crate) job: Option<String>,
    /// Look so far back: 12h, 30d, 8w, or a date
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub(crate) since: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Report {
    /// The file to write: one page that needs no network
    #[arg(long, value_name = "FILE")]
    pub(crate) html: PathBuf,
    /// Look so far back: 12h, 30d, 8w, or a date
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub(crate) since: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Cost {}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// The earlier backup: an id, a unique prefix of one, or `latest`
    pub(crate) before: String,
    /// The later one
    #[arg(default_value = "latest")]
    pub(crate) after: String,
    /// Compare backups of two sources
    #[arg(long)]
    pub(crate) across_sources: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Health {
    /// Keep no report in the store
    #[arg(long)]
    pub(crate) no_report: bool,
    /// Tell nobody, and publish no metrics
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Keys {
    /// File for the secret key; never overwritten [default: pgark-key.txt; with --signing, pgark-signing.key]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Make a minisign key pair, whose secret key signs backups; the public one goes into FILE.pub
    #[arg(long)]
    pub(crate) signing: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Folder for the demo's backup and key [default: a folder in the temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

impl Args {
    /// What the flags say of the settings.
    pub(crate) fn settings(&self) -> RawSettings {
        let global = &self.global;
        let none = Writing::default();
        let writing = match &self.command {
            Command::Backup(backup) => &backup.writing,
            Command::Doctor(doctor) => &doctor.writing,
            _ => &none,
        };
        let restore_test_url = match &self.command {
            Command::RestoreTest(test) => test.on.clone(),
            _ => None,
        };
        let keep = match &self.command {
            Command::Prune(prune) => prune.keep.clone(),
            _ => None,
        };
        RawSettings {
            keep,
            restore_test_url,
            store: global.store.clone(),
            source: global.source.clone(),
            jobs: global.jobs.clone(),
            identity_file: global.identity_file.clone(),
            verification_key: global.verification_key.clone(),
            signing_key_file: writing.signing_key_file.clone(),
            database_url: writing.database_url.clone(),
            recipients: writing.recipients.clone(),
            encryption: writing.encryption.clone(),
            compression: writing.compression.clone(),
            lock_timeout: writing.lock_timeout.clone(),
            tier: writing.tier.clone(),
            chunk_bytes: writing.chunk_bytes.clone(),
            ..RawSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Args::command().debug_assert();
    }
}
