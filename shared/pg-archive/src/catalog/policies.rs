//! Row security and its policies (`getPolicies`, `dumpPolicy` in `pg_dump.c`).

use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::session::{Row, Session};
use crate::toc::Section;
use crate::{Error, ErrorKind, Result, quote};

/// A policy (`pg_policy`), or, without a rule, that row security is enabled for the table.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The table.
    pub table: DumpId,
    /// What the policy says.
    pub rule: Option<PolicyRule>,
}

/// What a policy says.
#[derive(Clone, Debug, Default)]
pub struct PolicyRule {
    /// `polcmd`: `*` all, `r` SELECT, `a` INSERT, `w` UPDATE, `d` DELETE.
    pub command: char,
    /// Whether it is one of those of which one must hold, not of those which must all hold.
    pub permissive: bool,
    /// Roles, quoted and separated by commas; `None` for PUBLIC.
    pub roles: Option<String>,
    /// The expression for rows that exist.
    pub using: Option<String>,
    /// The expression for new rows.
    pub check: Option<String>,
}

/// Reads which tables have row security, and all policies. Only tables whose policies are dumped are asked for: the
/// others are not locked, and `pg_get_expr` could fail on them.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let mut oids = Vec::new();
    let mut secured = Vec::new();
    for (object, table) in catalog.tables() {
        if !object.dump.has(Parts::POLICY) || !matches!(table.relkind, 'r' | 'p') {
            continue;
        }
        oids.push(object.address.oid.to_string());
        if table.row_security {
            secured.push(object.id);
        }
    }
    for table in secured {
        // With no catalog's OID, so that no row of pg_depend is taken for this object's.
        let address = Address::new(0, catalog.get(table).address.oid);
        add(catalog, address, catalog.get(table).name.clone(), Policy { table, rule: None });
    }
    if oids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT pol.oid, pol.polrelid, pol.polname, pol.polcmd, pol.polpermissive, \
         CASE WHEN pol.polroles = '{{0}}' THEN NULL ELSE pg_catalog.array_to_string(ARRAY( \
             SELECT pg_catalog.quote_ident(rolname) FROM pg_catalog.pg_roles \
             WHERE oid = ANY(pol.polroles) ORDER BY rolname), ', ') END AS polroles, \
         pg_catalog.pg_get_expr(pol.polqual, pol.polrelid) AS polqual, \
         pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid) AS polwithcheck \
         FROM pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) AS src(tbloid) \
         JOIN pg_catalog.pg_policy pol ON src.tbloid = pol.polrelid",
        oids.join(",")
    );
    for row in session.rows(&sql).await? {
        read_policy(catalog, &row)?;
    }
    Ok(())
}

fn read_policy(catalog: &mut Catalog, row: &Row) -> Result<()> {
    let table_oid: u32 = row.number("polrelid")?;
    let table = catalog.find(Address::new(class::CLASS, table_oid)).ok_or_else(|| {
        Error::new(
            ErrorKind::Catalog,
            format!("the policy's table with OID {table_oid} is not in the catalogs"),
        )
    })?;
    let rule = PolicyRule {
        command: row.letter("polcmd")?,
        permissive: row.flag("polpermissive")?,
        roles: row.optional_string("polroles")?,
        using: row.optional_string("polqual")?,
        check: row.optional_string("polwithcheck")?,
    };
    let address = Address::new(class::POLICY, row.number("oid")?);
    add(catalog, address, row.string("polname")?, Policy { table, rule: Some(rule) });
    Ok(())
}

fn add(catalog: &mut Catalog, address: Address, name: String, policy: Policy) {
    let table = catalog.get_mut(policy.table);
    table.parts = table.parts.with(Parts::POLICY);
    let (schema, owner) = (table.schema, table.owner.clone());
    let mut object = Object::new(address, name, Kind::Policy(policy));
    object.schema = schema;
    object.owner = owner;
    object.dump = Parts::ALL;
    catalog.add(object);
}

/// Writes a policy's entries.
pub fn emit(out: &mut Emitter<'_>, object: &Object, policy: &Policy) -> Result<()> {
    let catalog = out.catalog;
    if !catalog.selection.schema {
        return Ok(());
    }
    let table = catalog.get(policy.table);
    let qualified = catalog.qualified(table);
    let Some(rule) = &policy.rule else {
        let definition = Definition {
            tag: object.name.clone(),
            desc: "ROW SECURITY",
            section: Section::PostData,
            create: format!("ALTER TABLE {qualified} ENABLE ROW LEVEL SECURITY;"),
            drop: String::new(),
        };
        if object.dumps(Parts::DEFINITION) {
            // Nothing in pg_depend says so.
            out.define(object, definition).dependencies = vec![policy.table];
        }
        return Ok(());
    };
    let name = quote::identifier(&object.name);
    if object.dumps(Parts::DEFINITION) {
        let definition = Definition {
            tag: format!("{} {}", table.name, object.name),
            desc: "POLICY",
            section: Section::PostData,
            create: create(&name, &qualified, rule).map_err(|error| error.on(format!("policy {name}")))?,
            drop: format!("DROP POLICY {name} ON {qualified};\n"),
        };
        out.define(object, definition);
    }
    out.describe(object, &format!("POLICY {name} ON"), &quote::identifier(&table.name));
    Ok(())
}

fn create(name: &str, table: &str, rule: &PolicyRule) -> Result<String> {
    let command = match rule.command {
        '*' => "",
        'r' => " FOR SELECT",
        'a' => " FOR INSERT",
        'w' => " FOR UPDATE",
        'd' => " FOR DELETE",
        other => {
            return Err(Error::new(ErrorKind::Catalog, format!("policy command {other:?} is not known")));
        }
    };
    let restrictive = if rule.permissive { "" } else { " AS RESTRICTIVE" };
    let roles = rule.roles.as_ref().map(|roles| format!(" TO {roles}")).unwrap_or_default();
    let using = rule.using.as_ref().map(|using| format!(" USING ({using})")).unwrap_or_default();
    let check = rule.check.as_ref().map(|check| format!(" WITH CHECK ({check})")).unwrap_or_default();
    Ok(format!("CREATE POLICY {name} ON {table}{restrictive}{command}{roles}{using}{check};\n"))
}
