//! Operator classes and families (`dumpOpclass`, `dumpOpfamily`).
//!
//! Both have operators and functions as members. All are rows that name a family; whether a member belongs to a
//! class or is a loose one of the family is said by `pg_depend` alone.

use std::collections::HashMap;

use super::{Plain, object, qualified};
use crate::catalog::{Address, Catalog, FIRST_NORMAL_OID, class};
use crate::session::{Row, Session};
use crate::{Result, quote};

/// The members of each class and family, as SQL.
type Members = HashMap<Address, Vec<String>>;

pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let members = read_members(session).await?;
    for row in session.rows(&classes()).await? {
        let plain = operator_class(catalog, &row, &members)?;
        let object = object(catalog, &row, class::OPERATOR_CLASS, plain)?;
        catalog.add(object);
    }
    for row in session.rows(&families()).await? {
        let plain = operator_family(catalog, &row, &members)?;
        let object = object(catalog, &row, class::OPERATOR_FAMILY, plain)?;
        catalog.add(object);
    }
    Ok(())
}

fn classes() -> String {
    format!(
        "SELECT c.oid, c.opcname AS name, c.opcnamespace AS namespace, c.opcowner AS owner, \
         c.opcintype::pg_catalog.regtype, c.opckeytype::pg_catalog.regtype, c.opcdefault, a.amname, \
         f.opfname, n.nspname AS opfnamespace FROM pg_catalog.pg_opclass c \
         JOIN pg_catalog.pg_am a ON a.oid = c.opcmethod \
         JOIN pg_catalog.pg_opfamily f ON f.oid = c.opcfamily \
         JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace WHERE c.oid >= {FIRST_NORMAL_OID}"
    )
}

fn families() -> String {
    format!(
        "SELECT f.oid, f.opfname AS name, f.opfnamespace AS namespace, f.opfowner AS owner, a.amname \
         FROM pg_catalog.pg_opfamily f JOIN pg_catalog.pg_am a ON a.oid = f.opfmethod \
         WHERE f.oid >= {FIRST_NORMAL_OID}"
    )
}

/// Reads the members that users added: operators by strategy, then functions by number.
async fn read_members(session: &Session) -> Result<Members> {
    let mut members = Members::new();
    let operators = format!(
        "SELECT d.refclassid, d.refobjid, m.amopstrategy, m.amopopr::pg_catalog.regoperator, \
         f.opfname, n.nspname AS opfnamespace \
         FROM pg_catalog.pg_amop m JOIN pg_catalog.pg_depend d \
         ON d.classid = 'pg_catalog.pg_amop'::pg_catalog.regclass AND d.objid = m.oid \
         LEFT JOIN pg_catalog.pg_opfamily f ON f.oid = m.amopsortfamily \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace \
         WHERE m.oid >= {FIRST_NORMAL_OID} \
         AND (d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass \
         OR d.refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND d.refobjid = m.amopfamily) \
         ORDER BY m.amopstrategy, m.oid"
    );
    for row in session.rows(&operators).await? {
        let mut member = format!("OPERATOR {} {}", row.text("amopstrategy")?, row.text("amopopr")?);
        if let Some(family) = row.optional("opfname")? {
            member.push_str(" FOR ORDER BY ");
            member.push_str(&quote::qualified(row.text("opfnamespace")?, family));
        }
        members.entry(owner(&row)?).or_default().push(member);
    }
    let functions = format!(
        "SELECT d.refclassid, d.refobjid, m.amprocnum, m.amproc::pg_catalog.regprocedure, \
         m.amproclefttype::pg_catalog.regtype, m.amprocrighttype::pg_catalog.regtype \
         FROM pg_catalog.pg_amproc m JOIN pg_catalog.pg_depend d \
         ON d.classid = 'pg_catalog.pg_amproc'::pg_catalog.regclass AND d.objid = m.oid \
         WHERE m.oid >= {FIRST_NORMAL_OID} AND d.refclassid IN \
         ('pg_catalog.pg_opclass'::pg_catalog.regclass, 'pg_catalog.pg_opfamily'::pg_catalog.regclass) \
         ORDER BY m.amprocnum, m.oid"
    );
    for row in session.rows(&functions).await? {
        let member = format!(
            "FUNCTION {} ({}, {}) {}",
            row.text("amprocnum")?,
            row.text("amproclefttype")?,
            row.text("amprocrighttype")?,
            row.text("amproc")?
        );
        members.entry(owner(&row)?).or_default().push(member);
    }
    Ok(members)
}

fn owner(row: &Row) -> Result<Address> {
    Ok(Address::new(row.number("refclassid")?, row.number("refobjid")?))
}

fn operator_class(catalog: &Catalog, row: &Row, members: &Members) -> Result<Plain> {
    let name = qualified(catalog, row)?;
    let method = quote::identifier(row.text("amname")?);
    let input = row.text("opcintype")?;
    let storage = row.text("opckeytype")?;
    let mut parts: Vec<String> = (storage != "-").then(|| format!("STORAGE {storage}")).into_iter().collect();
    let address = Address::new(class::OPERATOR_CLASS, row.number("oid")?);
    parts.extend(members.get(&address).into_iter().flatten().cloned());
    if parts.is_empty() {
        // Something has to stand there; the server takes its own type for storage as none.
        parts.push(format!("STORAGE {input}"));
    }
    let create = format!(
        "CREATE OPERATOR CLASS {name}\n    {}FOR TYPE {input} USING {method} FAMILY {} AS\n    {};\n",
        if row.flag("opcdefault")? { "DEFAULT " } else { "" },
        quote::qualified(row.text("opfnamespace")?, row.text("opfname")?),
        parts.join(" ,\n    ")
    );
    plain(row, "OPERATOR CLASS", "0", create, &name)
}

fn operator_family(catalog: &Catalog, row: &Row, members: &Members) -> Result<Plain> {
    let name = qualified(catalog, row)?;
    let method = quote::identifier(row.text("amname")?);
    let mut create = format!("CREATE OPERATOR FAMILY {name} USING {method};\n");
    let address = Address::new(class::OPERATOR_FAMILY, row.number("oid")?);
    if let Some(loose) = members.get(&address) {
        let loose = loose.join(" ,\n    ");
        create = format!("{create}ALTER OPERATOR FAMILY {name} USING {method} ADD\n    {loose};\n");
    }
    plain(row, "OPERATOR FAMILY", "1", create, &name)
}

/// What classes and families have alike. Classes go before families of the same name.
fn plain(row: &Row, desc: &'static str, rank: &str, create: String, name: &str) -> Result<Plain> {
    let using = format!("USING {}", quote::identifier(row.text("amname")?));
    Ok(Plain {
        desc,
        priority: 120,
        sort_key: vec![rank.to_owned(), row.string("amname")?],
        tag: row.string("name")?,
        create,
        drop: format!("DROP {desc} {name} {using};\n"),
        described_as: (desc, format!("{} {using}", quote::identifier(row.text("name")?))),
        ..Plain::default()
    })
}
