//! Names that are no text. A database with encoding SQL_ASCII takes any bytes for a name, and an archive is UTF-8 (as are
//! the keys of its files, its manifest and its reports), so such names are refused before anything is read. Rows may hold
//! any bytes: they are never read as text.

use crate::session::Session;
use crate::{Error, ErrorKind, Result};

/// How many names an error lists.
const SHOWN: usize = 10;

/// Names with other bytes than ASCII, of all that an archive names.
const NAMES: &str = r"
SELECT kind, pg_catalog.encode(pg_catalog.convert_to(name, 'SQL_ASCII'), 'hex') AS name,
  pg_catalog.encode(pg_catalog.convert_to(of, 'SQL_ASCII'), 'hex') AS of
FROM (
  SELECT 'role' AS kind, rolname::pg_catalog.text AS name, NULL::pg_catalog.text AS of FROM pg_catalog.pg_roles
  UNION ALL SELECT 'schema', nspname, NULL FROM pg_catalog.pg_namespace
  UNION ALL SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
    WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' ELSE 'index' END,
    relname, NULL FROM pg_catalog.pg_class WHERE relkind <> 't'
  UNION ALL SELECT 'column', attname, attrelid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_attribute
    WHERE attnum > 0 AND NOT attisdropped
  UNION ALL SELECT 'function', proname, NULL FROM pg_catalog.pg_proc
  UNION ALL SELECT 'type', typname, NULL FROM pg_catalog.pg_type WHERE typrelid = 0 AND typname !~ '^_'
  UNION ALL SELECT 'label', enumlabel, enumtypid::pg_catalog.regtype::pg_catalog.text FROM pg_catalog.pg_enum
  UNION ALL SELECT 'constraint', conname, NULL FROM pg_catalog.pg_constraint
  UNION ALL SELECT 'trigger', tgname, tgrelid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_trigger
  UNION ALL SELECT 'policy', polname, polrelid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_policy
  UNION ALL SELECT 'rule', rulename, ev_class::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_rewrite
) AS names
WHERE name ~ '[^\x01-\x7f]'";

/// Refuses a database with names that are not UTF-8. Other text of the catalogs is refused where it is read.
pub(super) async fn check(session: &Session, encoding: &str) -> Result<()> {
    if encoding != "SQL_ASCII" {
        return Ok(());
    }
    let mut broken = Vec::new();
    for row in session.rows(NAMES).await? {
        let (kind, name) = (row.text("kind")?, bytes(row.text("name")?));
        if std::str::from_utf8(&name).is_err() {
            let of = row.optional("of")?.map(|of| format!(" of {}", bytes(of).escape_ascii()));
            broken.push(format!("{kind} {}{}", name.escape_ascii(), of.unwrap_or_default()));
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let (count, more) = (broken.len(), if broken.len() > SHOWN { "; …" } else { "" });
    broken.truncate(SHOWN);
    let message = format!("{count} names are not UTF-8: {}{more}", broken.join("; "));
    Err(Error::new(ErrorKind::Catalog, message).hint(
        "A SQL_ASCII database takes any bytes for a name, and a backup is UTF-8. Rename these, or use pg_dump for this \
         database.",
    ))
}

/// The bytes of hexadecimal digits, as the server's `encode` writes them.
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| hex.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    (0..hex.len()).step_by(2).filter_map(digit).collect()
}
