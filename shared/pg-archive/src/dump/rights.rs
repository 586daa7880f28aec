//! Whether the role may read everything that the dump is to hold, found out before the first row is read.
//!
//! A backup that fails at the last table, or night after night at one more, helps nobody: all that is in the way is
//! named at once, each with the statement that cures it. Row security could also make a table look smaller than it
//! is; the dump's sessions refuse to read such a table (`row_security = off`), and here it is named.
//!
//! Tables without SELECT are left unlocked and sequences unread by the catalog ([`Table::unreadable`]), so that they
//! come to be named here together.

use std::collections::BTreeSet;

use crate::catalog::tables::Table;
use crate::catalog::{Catalog, DumpId, Kind, Object};
use crate::session::Session;
use crate::{Error, ErrorKind, Result, quote};

/// Something that the role cannot read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lack {
    /// As a person would name it.
    object: String,
    /// The statement that ends it.
    cure: String,
}

/// Refuses a dump that could not be complete. Objects which the role may not even see are accepted with
/// `allow_missing`: the census lists them.
pub(super) async fn check(catalog: &Catalog, session: &Session, allow_missing: bool) -> Result<()> {
    let role = session.row("SELECT current_user AS role").await?.string("role")?;
    let role = quote::identifier(&role);
    let mut lacks = unreadable(catalog, session, &role).await?;
    lacks.extend(filtered(catalog, session, &role).await?);
    lacks.extend(large_objects(catalog, session, &role).await?);
    if catalog.selection.schema && !allow_missing {
        lacks.extend(catalog.hidden.iter().map(|hidden| Lack {
            object: format!("{} {}", hidden.kind, hidden.identity),
            cure: format!("GRANT SELECT ON TABLE pg_catalog.{} TO {role}", hidden.catalog),
        }));
    }
    if lacks.is_empty() { Ok(()) } else { Err(refusal(&role, catalog.server.version_num, &lacks)) }
}

/// Whether the dump needs to read a relation: tables to lock them, sequences for their values.
fn is_read(catalog: &Catalog, object: &Object, table: &Table) -> bool {
    match table.relkind {
        'S' => catalog.selection.data && table.data.is_some(),
        _ => table.is_locked(object),
    }
}

/// Relations without SELECT, and the schemas that keep the role from relations.
async fn unreadable(catalog: &Catalog, session: &Session, role: &str) -> Result<Vec<Lack>> {
    let mut relations: Vec<(&Object, &Table)> = catalog
        .tables()
        .filter(|(object, table)| table.unreadable && is_read(catalog, object, table))
        .collect();
    relations.sort_by_key(|(object, table)| {
        (table.relkind == 'S', catalog.schema_name(object).to_owned(), object.name.clone())
    });
    if relations.is_empty() {
        return Ok(Vec::new());
    }
    let schemas: BTreeSet<&str> = relations.iter().map(|(object, _)| catalog.schema_name(object)).collect();
    let schema_list = schemas.iter().map(|name| quote::literal(name)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname IN ({schema_list}) \
         AND NOT pg_catalog.has_schema_privilege(oid, 'USAGE') ORDER BY 1"
    );
    let mut lacks = Vec::new();
    for row in session.rows(&sql).await? {
        let name = quote::identifier(row.text("nspname")?);
        let cure = format!("GRANT USAGE ON SCHEMA {name} TO {role}");
        lacks.push(Lack { object: format!("schema {name}"), cure });
    }
    let oids = list(relations.iter().map(|(object, _)| object.address.oid));
    let sql = format!(
        "SELECT oid FROM pg_catalog.unnest({oids}) AS r(oid) \
         WHERE NOT pg_catalog.has_table_privilege(oid, 'SELECT')"
    );
    let refused = oids_of(session, &sql).await?;
    for (object, table) in relations.iter().filter(|(object, _)| refused.contains(&object.address.oid)) {
        let name = catalog.qualified(object);
        let kind = if table.relkind == 'S' { "SEQUENCE" } else { "TABLE" };
        let cure = format!("GRANT SELECT ON {kind} {name} TO {role}");
        lacks.push(Lack { object: format!("{} {name}", kind.to_lowercase()), cure });
    }
    Ok(lacks)
}

/// Tables whose rows row security filters for this role.
async fn filtered(catalog: &Catalog, session: &Session, role: &str) -> Result<Vec<Lack>> {
    let secured: Vec<&Object> = catalog
        .objects()
        .iter()
        .filter_map(|object| match object.kind {
            Kind::TableData { table } => secured(catalog, table),
            _ => None,
        })
        .collect();
    if secured.is_empty() {
        return Ok(Vec::new());
    }
    let oids = list(secured.iter().map(|object| object.address.oid));
    let sql = format!(
        "SELECT oid FROM pg_catalog.unnest({oids}) AS r(oid) WHERE pg_catalog.row_security_active(oid)"
    );
    let filtered = oids_of(session, &sql).await?;
    let mut names: Vec<String> = secured
        .iter()
        .filter(|object| filtered.contains(&object.address.oid))
        .map(|object| catalog.qualified(object))
        .collect();
    names.sort();
    let lack = |name| Lack {
        object: format!("table {name} (row-level security would hide rows)"),
        cure: format!("ALTER ROLE {role} BYPASSRLS"),
    };
    Ok(names.into_iter().map(lack).collect())
}

fn secured(catalog: &Catalog, table: DumpId) -> Option<&Object> {
    let object = catalog.get(table);
    matches!(&object.kind, Kind::Table(table) if table.row_security).then_some(object)
}

/// The data of large objects is read from their catalog, which only superusers may do unless it is granted.
async fn large_objects(catalog: &Catalog, session: &Session, role: &str) -> Result<Option<Lack>> {
    let count = catalog.objects().iter().filter(|object| matches!(object.kind, Kind::LargeObject(_))).count();
    if count == 0 {
        return Ok(None);
    }
    let may = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT') AS may";
    let may = session.row(may).await?.flag("may")?;
    Ok((!may).then(|| Lack {
        object: format!("the data of {count} large objects"),
        cure: format!("GRANT SELECT ON TABLE pg_catalog.pg_largeobject TO {role}"),
    }))
}

fn list(oids: impl Iterator<Item = u32>) -> String {
    format!("'{{{}}}'::pg_catalog.oid[]", oids.map(|oid| oid.to_string()).collect::<Vec<_>>().join(","))
}

async fn oids_of(session: &Session, sql: &str) -> Result<BTreeSet<u32>> {
    session.rows(sql).await?.iter().map(|row| row.number("oid")).collect()
}

/// The error that names what the role lacks: all of it, for whoever grants rights does it once. Role and objects come
/// quoted.
fn refusal(role: &str, version_num: u32, lacks: &[Lack]) -> Error {
    let objects: Vec<&str> = lacks.iter().map(|lack| lack.object.as_str()).collect();
    let message = format!(
        "permission denied: role {role} may not read all that is to be dumped ({} in all): {}",
        lacks.len(),
        objects.join("; ")
    );
    let mut cures: Vec<String> = Vec::new();
    for Lack { cure, .. } in lacks {
        let line = format!("\n  {cure};");
        if !cures.contains(&line) {
            cures.push(line);
        }
    }
    // The role came with 14.
    let shortcut = if version_num >= 140_000 {
        format!(
            " GRANT pg_read_all_data TO {role} stands for every GRANT among them, also on future tables, and is the \
             only way where nobody may grant on system catalogs; row security needs BYPASSRLS beside it."
        )
    } else {
        String::new()
    };
    Error::new(ErrorKind::Permission, message).hint(format!(
        "Run these statements as a superuser or as who owns the objects:{}\nOr back up as a role that may read all of \
         it.{shortcut} No rows were read.",
        cures.concat()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(count: usize) -> Vec<Lack> {
        let lack = |number| Lack {
            object: format!("table public.t{number}"),
            cure: format!("GRANT SELECT ON TABLE public.t{number} TO \"Backup\""),
        };
        (1..=count).map(lack).collect()
    }

    #[test]
    fn every_lack_is_named_with_its_cure() {
        let error = refusal("\"Backup\"", 130_000, &lacks(2));
        assert_eq!(error.kind, ErrorKind::Permission);
        assert_eq!(
            error.message,
            "permission denied: role \"Backup\" may not read all that is to be dumped (2 in all): \
             table public.t1; table public.t2"
        );
        let hint = error.hint.unwrap();
        let cures = "\n  GRANT SELECT ON TABLE public.t1 TO \"Backup\";\n  GRANT SELECT ON TABLE public.t2 TO \"Backup\";\n";
        assert!(hint.contains(cures), "{hint}");
        assert!(!hint.contains("pg_read_all_data"), "13 has no such role");
    }

    #[test]
    fn a_long_list_is_whole_and_no_cure_is_said_twice() {
        let mut many = lacks(100);
        many.extend(lacks(1));
        let error = refusal("\"Backup\"", 140_000, &many);
        assert!(
            error.message.contains("(101 in all)") && error.message.contains("public.t100"),
            "{}",
            error.message
        );
        let hint = error.hint.unwrap();
        assert_eq!(hint.matches("TABLE public.t1 TO").count(), 1);
        assert!(hint.contains("public.t100") && hint.contains("GRANT pg_read_all_data TO \"Backup\""));
    }

    #[test]
    fn oids_become_an_array() {
        assert_eq!(list([1, 16_384].into_iter()), "'{1,16384}'::pg_catalog.oid[]");
    }
}
