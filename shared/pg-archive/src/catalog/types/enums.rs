//! The labels of enums (`dumpEnumType`).

use std::collections::HashMap;

use super::{Detail, oid_array};
use crate::session::Session;
use crate::{Result, quote};

/// Reads the labels of the given enums. An enum may have none.
pub(super) async fn read(session: &Session, oids: &[u32]) -> Result<Vec<(u32, Detail)>> {
    let mut labels: HashMap<u32, Vec<String>> = oids.iter().map(|oid| (*oid, Vec::new())).collect();
    let sql = format!(
        "SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = ANY ({}) \
         ORDER BY enumtypid, enumsortorder",
        oid_array(oids)
    );
    for row in session.rows(&sql).await? {
        let label = format!("\n    {}", quote::literal(row.text("enumlabel")?));
        labels.entry(row.number("enumtypid")?).or_default().push(label);
    }
    let body = |labels: Vec<String>| Detail::Text(format!(" AS ENUM ({}\n)", labels.join(",")));
    Ok(labels.into_iter().map(|(oid, labels)| (oid, body(labels))).collect())
}
