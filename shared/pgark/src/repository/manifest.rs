//! The manifest: what a backup holds, and what proves it. Specified in docs/format.md and manifest.schema.json.
//!
//! Readers tolerate unknown fields within the major version they know and refuse a newer major version.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use pg_archive::census::LeftOut;
use pg_archive::fingerprint::Fingerprint;
use pg_archive::text_settings::TextForm;
use serde::{Deserialize, Serialize};

use super::{BackupId, SourceName, Tier};
use crate::error::{Error, ErrorKind, Result};
use crate::seal::{Compression, Sealed};

/// The version that this pgark writes.
pub const FORMAT_VERSION: &str = "1.1";
const FORMAT_MAJOR: u32 = 1;

/// A backup's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// The backup's id.
    pub id: BackupId,
    /// What was backed up.
    pub source: SourceName,
    /// The tier it was filed under.
    pub tier: Tier,
    /// The version of pgark that wrote it.
    pub pgark_version: String,
    /// When the job started.
    pub started_at: Timestamp,
    /// When the snapshot was taken: the state of the database that a restore brings back.
    pub snapshot_at: Timestamp,
    /// When the last object was written.
    pub finished_at: Timestamp,
    /// The server.
    pub server: Server,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The codec of data objects.
    pub compression: Compression,
    /// The encryption; `null` for none.
    pub encryption: Option<EncryptionRecord>,
    /// What the backup was asked to leave out.
    pub options: BackupOptions,
    /// What may be missing, by the user's word, and was.
    pub allow_missing: Vec<String>,
    /// User objects that no backup holds, as `pg_dump` leaves them out too, each with the reason. Not in a manifest of
    /// format 1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutRecord>,
    /// The number of entries in toc.dat.
    pub toc_entries: u64,
    /// Every table whose rows are in the backup.
    pub tables: Vec<TableRecord>,
    /// Large objects; `null` if there are none or they were left out.
    pub large_objects: Option<LargeObjectsRecord>,
    /// Every object of the backup but the manifest and its signature.
    pub objects: Vec<ObjectRecord>,
    /// Sums.
    pub totals: Totals,
    /// What the user should know, in full sentences.
    pub warnings: Vec<String>,
}

/// The server that was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version`.
    pub version: String,
    /// `server_version_num`.
    pub version_num: u32,
    /// `current_database()`.
    pub database: String,
    /// `server_encoding`.
    pub encoding: String,
    /// The settings that the text of rows depends on, `client_encoding` among them, and their values when it was made.
    /// Backups of format 1.0 say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_settings: Option<BTreeMap<String, String>>,
    /// `datcollate`.
    pub collation: Option<String>,
    /// `datctype`.
    pub ctype: Option<String>,
    /// `datlocprovider`, spelled out: `libc`, `icu` or `builtin`.
    pub locale_provider: Option<String>,
    /// `pg_control_system()`, where it may be read.
    pub system_identifier: Option<String>,
}

/// The snapshot that everything was read in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `pg_current_snapshot()`.
    pub xids: String,
    /// The WAL position; `null` where it may not be read.
    pub wal_lsn: Option<String>,
}

/// How the objects are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionRecord {
    /// `age-x25519`.
    pub scheme: String,
    /// The public keys; any one of their secret keys decrypts.
    pub recipients: Vec<String>,
}

/// A user object that no backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutRecord {
    /// Its kind, in the server's words: `index`, `function` …
    pub kind: String,
    /// Its identity, in the server's words.
    pub identity: String,
    /// Why.
    pub reason: String,
}

impl From<&LeftOut> for LeftOutRecord {
    fn from(object: &LeftOut) -> Self {
        let LeftOut { kind, identity, reason } = object.clone();
        Self { kind, identity, reason }
    }
}

/// What was asked for, as far as it changes what the backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackupOptions {
    /// No rows.
    pub schema_only: bool,
    /// No definitions.
    pub data_only: bool,
    /// Patterns of tables that were left out.
    pub exclude_tables: Vec<String>,
    /// Patterns of tables whose rows were left out.
    pub exclude_table_data: Vec<String>,
    /// Patterns of schemas that were left out.
    pub exclude_schemas: Vec<String>,
    /// Large objects were left out.
    pub exclude_large_objects: bool,
    /// The globals hold the hashes of roles' passwords.
    pub role_passwords: bool,
}

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// The order-independent fingerprint of the rows.
    pub fingerprint: String,
    /// The columns, in the order that the fingerprint was taken in.
    pub columns: Vec<String>,
    /// The `name` of each object that holds its rows.
    pub objects: Vec<String>,
    /// Bytes of COPY text.
    pub plain_bytes: u64,
    /// `schema.name` of the root of the partition tree, if the rows are restored through it, because which partition
    /// they belong to depends on OIDs. Only the sum over all its partitions can be compared after a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_through: Option<String>,
}

/// The large objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjectsRecord {
    /// How many.
    pub count: u64,
    /// The order-independent fingerprint of ids and contents.
    pub fingerprint: String,
    /// The `name` of each object that holds them.
    pub objects: Vec<String>,
    /// Bytes of content.
    pub plain_bytes: u64,
}

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// The key, relative to the backup: `data/public.orders.dat.zst.age`.
    pub name: String,
    /// The file name in the archive: `public.orders.dat`.
    pub archive_name: String,
    /// Lengths and hashes.
    #[serde(flatten)]
    pub sealed: Sealed,
    /// How many rows, if it holds rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The fingerprint of its lines, if it holds rows: what a restore finds in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Sums over the backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Tables with rows in the backup.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes before compression.
    pub plain_bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
}

impl Totals {
    /// The sums of these records.
    pub fn of(tables: &[TableRecord], objects: &[ObjectRecord]) -> Self {
        Self {
            tables: tables.len() as u64,
            rows: tables.iter().map(|table| table.rows).sum(),
            objects: objects.len() as u64,
            plain_bytes: objects.iter().map(|object| object.sealed.plain_bytes).sum(),
            stored_bytes: objects.iter().map(|object| object.sealed.stored_bytes).sum(),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    format_version: String,
}

impl Manifest {
    /// The form of the text of definitions and rows. Format 1.0 had all in UTF-8, but for databases that never said
    /// what their bytes mean, and money as the database's own settings have it.
    pub fn text_form(&self) -> TextForm {
        let setting = |name: &str| self.server.text_settings.as_ref()?.get(name).cloned();
        let usual = if self.server.encoding == "SQL_ASCII" { "SQL_ASCII" } else { "UTF8" };
        TextForm {
            encoding: Some(setting("client_encoding").unwrap_or_else(|| usual.to_owned())),
            lc_monetary: setting("lc_monetary"),
        }
    }

    /// The text that is stored: JSON, indented, with a final newline.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write the manifest as JSON").because(source)
        })?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads a manifest, checking its version first and its own sums after.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let version: Version =
            serde_json::from_slice(json).map_err(|source| damaged("is no manifest").because(source))?;
        check_version(&version.format_version)?;
        let manifest: Self = serde_json::from_slice(json)
            .map_err(|source| damaged("lacks what a manifest has").because(source))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The record of an object.
    pub fn object(&self, name: &str) -> Option<&ObjectRecord> {
        self.objects.iter().find(|object| object.name == name)
    }

    fn check(&self) -> Result<()> {
        if self.totals != Totals::of(&self.tables, &self.objects) {
            return Err(damaged("has totals that are not the sums of its records"));
        }
        let mut names: Vec<_> = self.objects.iter().map(|object| object.name.as_str()).collect();
        names.sort_unstable();
        // Names become keys and paths: none may leave the backup's folder or meet another.
        let leaves = |name: &&str| name.split('/').any(|part| matches!(part, "" | "." | ".."));
        let archive_names = self.objects.iter().map(|object| object.archive_name.as_str());
        if names.windows(2).any(|pair| pair[0] == pair[1])
            || names.iter().copied().chain(archive_names).any(|name| leaves(&name))
        {
            return Err(damaged("names an object twice, or one outside of its folder"));
        }
        let of_tables = self.tables.iter().flat_map(|table| &table.objects);
        let of_large = self.large_objects.iter().flat_map(|large| &large.objects);
        match of_tables.chain(of_large).find(|name| names.binary_search(&name.as_str()).is_err()) {
            Some(name) => Err(damaged(format!("refers to the object {name:?}, which it does not list"))),
            None => self.check_rows(),
        }
    }

    /// The rows of each table must be those of its objects: a restore compares the one, people read the other.
    fn check_rows(&self) -> Result<()> {
        let records: HashMap<&str, _> =
            self.objects.iter().map(|object| (object.name.as_str(), object)).collect();
        for table in &self.tables {
            let mut sum = Fingerprint::default();
            for object in table.objects.iter().filter_map(|name| records.get(name.as_str())) {
                let (Some(rows), Some(text)) = (object.rows, &object.fingerprint) else {
                    return Err(damaged(format!("does not say which rows {} holds", object.name)));
                };
                sum.merge(fingerprint(rows, text)?);
            }
            if sum != fingerprint(table.rows, &table.fingerprint)? {
                let (schema, name) = (&table.schema, &table.name);
                return Err(damaged(format!(
                    "has other rows for table {schema}.{name} than for its objects"
                )));
            }
        }
        Ok(())
    }
}

fn fingerprint(rows: u64, text: &str) -> Result<Fingerprint> {
    Fingerprint::parse(rows, text).map_err(|error| damaged("has a fingerprint that is none").because(error))
}

fn damaged(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::ManifestDamaged, message)
        .hint("The manifest is not what was written. Use another backup, and run `pgark verify all`.")
}

fn check_version(version: &str) -> Result<()> {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(FORMAT_MAJOR), Ok(_)) => Ok(()),
        (Ok(major), Ok(_)) if major > FORMAT_MAJOR => Err(Error::new(
            ErrorKind::ManifestTooNew,
            format!("has format version {version}, and this pgark reads {FORMAT_MAJOR}.x"),
        )
        .hint("Use the pgark that wrote the backup, or a newer one.")),
        _ => Err(damaged("has no valid format version")),
    }
}

#[cfg(test)]
pub(crate) mod tests;
