//! Procedural languages (`dumpProcLang`). Nearly all come with an extension, so that only privileges remain.

use super::{Plain, object};
use crate::catalog::grants::Grants;
use crate::catalog::{Address, Catalog, FIRST_NORMAL_OID, Kind, Parts, class};
use crate::session::{Row, Session};
use crate::{Result, quote};

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = "SELECT oid, lanname AS name, NULL AS namespace, lanowner AS owner, lanpltrusted, \
        lanplcallfoid, laninline, lanvalidator, lanacl, \
        pg_catalog.acldefault('l', lanowner) AS acldefault \
        FROM pg_catalog.pg_language WHERE lanispl ORDER BY oid";
    for row in session.rows(sql).await? {
        let name = quote::identifier(row.text("name")?);
        let plain = Plain {
            desc: "PROCEDURAL LANGUAGE",
            priority: 20,
            tag: row.string("name")?,
            create: create(catalog, &row, &name)?,
            drop: format!("DROP PROCEDURAL LANGUAGE {name};\n"),
            described_as: ("LANGUAGE", name),
            granted_as: row.flag("lanpltrusted")?.then_some("LANGUAGE"),
            ..Plain::default()
        };
        let mut object = object(catalog, &row, class::LANGUAGE, plain)?;
        object.grants = Grants { acl: row.optional_string("lanacl")?, default: row.string("acldefault")? };
        if object.grants.acl.is_some() {
            object.parts = object.parts.with(Parts::GRANTS);
        }
        if object.address.oid < FIRST_NORMAL_OID {
            object.dump = Parts::GRANTS;
        }
        catalog.add(object);
    }
    Ok(())
}

/// Names the support functions if all of them are dumped. If not, the restoring server has to know the language.
fn create(catalog: &Catalog, row: &Row, name: &str) -> Result<String> {
    let mut clauses = String::new();
    for (clause, column) in
        [("HANDLER", "lanplcallfoid"), ("INLINE", "laninline"), ("VALIDATOR", "lanvalidator")]
    {
        let oid = row.number(column)?;
        if oid == 0 && clause != "HANDLER" {
            continue;
        }
        let function = catalog.find(Address::new(class::PROC, oid)).map(|id| catalog.get(id));
        match function {
            Some(function) if matches!(function.kind, Kind::Function(_)) && function.dump != Parts::NONE => {
                clauses = format!("{clauses} {clause} {}", catalog.qualified(function));
            }
            _ => return Ok(format!("CREATE OR REPLACE PROCEDURAL LANGUAGE {name};\n")),
        }
    }
    let trusted = if row.flag("lanpltrusted")? { "TRUSTED " } else { "" };
    Ok(format!("CREATE {trusted}PROCEDURAL LANGUAGE {name}{clauses};\n"))
}
