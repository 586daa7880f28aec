//! Foreign data wrappers, foreign servers and user mappings (`dumpForeignDataWrapper`, `dumpForeignServer`,
//! `dumpUserMappings`).
//!
//! The options of a user mapping can be passwords, so most roles may not see those of others. The view that shows
//! mappings to everybody shows hidden options as none; such a mapping is not dumped as one without options, but noted
//! as hidden, and the dump fails by its name. `pg_dump` writes it without its options.

use std::collections::HashMap;

use super::{Entry, Plain, object};
use crate::catalog::grants::Grants;
use crate::catalog::{Address, Catalog, Hidden, Object, Parts, class};
use crate::session::{Row, Session};
use crate::{Result, quote};

/// Formats an array of options for OPTIONS (…).
fn options(column: &str) -> String {
    format!(
        "pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_ident(option_name) || ' ' || \
         pg_catalog.quote_literal(option_value) FROM pg_catalog.pg_options_to_table({column}) \
         ORDER BY option_name), E',\\n    ') AS options"
    )
}

/// The OPTIONS clause of a row, if it has options.
fn options_clause(row: &Row) -> Result<String> {
    Ok(match row.text("options")? {
        "" => String::new(),
        options => format!(" OPTIONS (\n    {options}\n)"),
    })
}

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = format!(
        "SELECT oid, fdwname AS name, NULL AS namespace, fdwowner AS owner, fdwhandler::pg_catalog.regproc, \
         fdwvalidator::pg_catalog.regproc, fdwacl AS acl, \
         pg_catalog.acldefault('F', fdwowner) AS acldefault, {} FROM pg_catalog.pg_foreign_data_wrapper",
        options("fdwoptions")
    );
    for row in session.rows(&sql).await? {
        let name = quote::identifier(row.text("name")?);
        let mut create = format!("CREATE FOREIGN DATA WRAPPER {name}");
        for (option, column) in [("HANDLER", "fdwhandler"), ("VALIDATOR", "fdwvalidator")] {
            let function = row.text(column)?;
            if function != "-" {
                create = format!("{create} {option} {function}");
            }
        }
        let plain = Plain {
            desc: "FOREIGN DATA WRAPPER",
            priority: 135,
            tag: row.string("name")?,
            create: format!("{create}{};\n", options_clause(&row)?),
            drop: format!("DROP FOREIGN DATA WRAPPER {name};\n"),
            described_as: ("FOREIGN DATA WRAPPER", name),
            granted_as: Some("FOREIGN DATA WRAPPER"),
            ..Plain::default()
        };
        let object = with_grants(catalog, &row, class::FOREIGN_DATA_WRAPPER, plain)?;
        catalog.add(object);
    }
    let mappings = user_mappings(catalog, session).await?;
    servers(catalog, session, mappings).await
}

async fn servers(
    catalog: &mut Catalog,
    session: &Session,
    mut mappings: HashMap<u32, Vec<Entry>>,
) -> Result<()> {
    let sql = format!(
        "SELECT s.oid, s.srvname AS name, NULL AS namespace, s.srvowner AS owner, s.srvtype, s.srvversion, w.fdwname, \
         s.srvacl AS acl, pg_catalog.acldefault('S', s.srvowner) AS acldefault, {} \
         FROM pg_catalog.pg_foreign_server s \
         JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw",
        options("s.srvoptions")
    );
    for row in session.rows(&sql).await? {
        let name = quote::identifier(row.text("name")?);
        let mut create = format!("CREATE SERVER {name}");
        for (option, column) in [("TYPE", "srvtype"), ("VERSION", "srvversion")] {
            if let Some(value) = row.optional(column)?.filter(|value| !value.is_empty()) {
                create = format!("{create} {option} {}", quote::literal(value));
            }
        }
        let wrapper = quote::identifier(row.text("fdwname")?);
        let plain = Plain {
            desc: "SERVER",
            priority: 136,
            tag: row.string("name")?,
            create: format!("{create} FOREIGN DATA WRAPPER {wrapper}{};\n", options_clause(&row)?),
            drop: format!("DROP SERVER {name};\n"),
            described_as: ("SERVER", name),
            granted_as: Some("FOREIGN SERVER"),
            further: mappings.remove(&row.number("oid")?).unwrap_or_default(),
            ..Plain::default()
        };
        let mut object = with_grants(catalog, &row, class::FOREIGN_SERVER, plain)?;
        // What users map onto the server of an extension is theirs, not the extension's.
        object.dump = object.dump.with(Parts::FURTHER);
        object.parts = object.parts.with(Parts::FURTHER);
        catalog.add(object);
    }
    Ok(())
}

fn with_grants(catalog: &Catalog, row: &Row, class: u32, plain: Plain) -> Result<Object> {
    let mut object = object(catalog, row, class, plain)?;
    object.grants = Grants { acl: row.optional_string("acl")?, default: row.string("acldefault")? };
    if object.grants.acl.is_some() {
        object.parts = object.parts.with(Parts::GRANTS);
    }
    Ok(object)
}

/// The entries of the user mappings of each server. Whoever may read `pg_user_mapping` sees all options there; the
/// others ask the view, and the condition under which it hides them (`pg_user_mappings` in `system_views.sql`).
async fn user_mappings(catalog: &mut Catalog, session: &Session) -> Result<HashMap<u32, Vec<Entry>>> {
    let may_read_all = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_user_mapping', 'SELECT') AS may";
    let from = if session.row(may_read_all).await?.flag("may")? {
        "SELECT m.oid AS umid, m.umserver AS srvid, s.srvname, m.umoptions, false AS hidden, \
         CASE WHEN m.umuser = 0 THEN 'public' ELSE r.rolname END AS usename \
         FROM pg_catalog.pg_user_mapping m JOIN pg_catalog.pg_foreign_server s ON s.oid = m.umserver \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = m.umuser"
    } else {
        "SELECT m.umid, m.srvid, m.srvname, m.umoptions, m.usename, m.umoptions IS NULL AND NOT ( \
         m.umuser <> 0 AND m.usename = current_user AND (pg_catalog.pg_has_role(s.srvowner, 'USAGE') \
         OR pg_catalog.has_server_privilege(s.oid, 'USAGE')) \
         OR m.umuser = 0 AND pg_catalog.pg_has_role(s.srvowner, 'USAGE')) AS hidden \
         FROM pg_catalog.pg_user_mappings m JOIN pg_catalog.pg_foreign_server s ON s.oid = m.srvid"
    };
    let sql = format!(
        "SELECT umid, srvid, srvname, usename, hidden, {} FROM ({from}) AS m ORDER BY srvid, usename",
        options("umoptions")
    );
    let mut mappings: HashMap<u32, Vec<Entry>> = HashMap::new();
    for row in session.rows(&sql).await? {
        let address = Address::new(class::USER_MAPPING, row.number("umid")?);
        if catalog.extension_members.contains_key(&address) {
            continue;
        }
        let (server, user) = (row.text("srvname")?, row.text("usename")?);
        if row.flag("hidden")? {
            catalog.hidden.push(Hidden {
                kind: "user mapping".to_owned(),
                identity: format!("{} on server {}", quote::identifier(user), quote::identifier(server)),
                catalog: "pg_user_mapping",
            });
            continue;
        }
        let subject = format!("FOR {} SERVER {}", quote::identifier(user), quote::identifier(server));
        mappings.entry(row.number("srvid")?).or_default().push(Entry {
            tag: format!("USER MAPPING {user} SERVER {server}"),
            desc: "USER MAPPING",
            create: format!("CREATE USER MAPPING {subject}{};\n", options_clause(&row)?),
            drop: format!("DROP USER MAPPING {subject};\n"),
        });
    }
    Ok(mappings)
}
