//! Rewrite rules. The rule that makes a view is part of the view's entry, unless the view takes part in a
//! loop: then it becomes an entry of its own, which replaces the dummy view.

use crate::catalog::table_parts::{Owner, part};
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, views};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::{Row, Session};
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

/// A rule (`pg_rewrite`).
#[derive(Clone, Debug)]
pub struct Rule {
    /// The table or view.
    pub table: DumpId,
    /// `ev_type`: `1` SELECT, `2` UPDATE, `3` INSERT, `4` DELETE.
    pub event: char,
    /// `is_instead`.
    pub instead: bool,
    /// `ev_enabled`: `O`, `D`, `R`, `A`.
    pub enabled: char,
    /// `pg_get_ruledef`, for rules that are made by a statement of their own.
    pub definition: String,
    /// Whether it is made by a statement of its own rather than with its view.
    pub separate: bool,
}

impl Rule {
    /// Whether it is the query of a view.
    fn is_view(&self) -> bool {
        self.event == '1' && self.instead
    }
}

/// Reads all rules (`getRules` in `pg_dump.c`), those of tables that are not dumped too, because
/// dependencies lead through them.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let tables = catalog
        .table_oids(|object, _| object.dump.has(Parts::DEFINITION))
        .unwrap_or_else(|| "'{}'::pg_catalog.oid[]".to_owned());
    let sql = format!(
        "SELECT r.tableoid, r.oid, r.rulename, r.ev_class, r.ev_type, r.is_instead, r.ev_enabled, \
         CASE WHEN src.tbloid IS NOT NULL AND NOT (r.ev_type = '1' AND r.is_instead) \
         THEN pg_catalog.pg_get_ruledef(r.oid) END AS definition \
         FROM pg_catalog.pg_rewrite r \
         LEFT JOIN pg_catalog.unnest({tables}) AS src(tbloid) ON (src.tbloid = r.ev_class) \
         ORDER BY r.oid"
    );
    for row in session.rows(&sql).await? {
        add(catalog, &row)?;
    }
    Ok(())
}

fn add(catalog: &mut Catalog, row: &Row) -> Result<()> {
    let table = catalog.table_with_oid(row.number("ev_class")?)?;
    let table_id = table.id;
    let mut rule = Rule {
        table: table_id,
        event: row.letter("ev_type")?,
        instead: row.flag("is_instead")?,
        enabled: row.letter("ev_enabled")?,
        definition: row.optional_string("definition")?.unwrap_or_default(),
        separate: true,
    };
    let view = matches!(&table.kind, Kind::Table(table) if matches!(table.relkind, 'v' | 'm'));
    rule.separate = !(view && rule.is_view());
    let separate = rule.separate;
    let address = Address::new(row.number("tableoid")?, row.number("oid")?);
    let mut object = part(table, address, row.text("rulename")?, table.dump, Kind::Rule(rule));
    if separate {
        object.depend_on(table_id);
        catalog.add(object);
    } else {
        // The rule goes before its view, so that what the query needs decides where the view goes.
        let id = catalog.add(object);
        catalog.get_mut(table_id).depend_on(id);
    }
    Ok(())
}

/// Writes a rule's entries (`dumpRule` in `pg_dump.c`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, rule: &Rule) -> Result<()> {
    if !rule.separate {
        return Ok(());
    }
    let catalog = out.catalog;
    let table = catalog.owner(rule.table)?;
    let name = quote::identifier(&object.name);
    if object.dumps(Parts::DEFINITION) {
        let (mut create, drop) = if rule.is_view() {
            // A view cannot be without its rule, so dropping it means going back to the dummy.
            let dummy = views::dummy(catalog, table.object, table.table);
            let drop = format!("CREATE OR REPLACE VIEW {} AS\n{dummy};\n", table.qualified);
            (view_statement(&table)?, drop)
        } else if rule.definition.is_empty() {
            return Err(Error::new(ErrorKind::Catalog, "pg_get_ruledef gave nothing for the rule")
                .on(format!("rule {name} ON {}", table.qualified))
                .hint("The rule was dropped while the catalogs were read. Run the backup again."));
        } else {
            // pg_get_ruledef gives the semicolon too.
            (format!("{}\n", rule.definition), format!("DROP RULE {name} ON {};\n", table.qualified))
        };
        create += &state_statement(&table, &name, rule.enabled)?;
        out.define(
            object,
            Definition {
                tag: format!("{} {}", table.object.name, object.name),
                desc: "RULE",
                section: Section::PostData,
                create,
                drop,
            },
        );
    }
    out.describe(object, &format!("RULE {name} ON"), &table.quoted);
    Ok(())
}

/// The statement that puts a view in place of its dummy.
fn view_statement(view: &Owner<'_>) -> Result<String> {
    let query = view.table.view_definition.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::Catalog, "the query of the view was not read").on(view.qualified.clone())
    })?;
    let options = views::options(view.table.options.as_deref().unwrap_or_default(), "");
    let options = if options.is_empty() { options } else { format!(" WITH ({options})") };
    let check = match &view.table.check_option {
        Some(check) => format!("\n  WITH {check} CHECK OPTION"),
        None => String::new(),
    };
    Ok(format!("CREATE OR REPLACE VIEW {}{options} AS\n{query}{check};\n", view.qualified))
}

/// The statement that sets when a rule fires, unless that is the usual.
fn state_statement(table: &Owner<'_>, name: &str, enabled: char) -> Result<String> {
    let state = match enabled {
        'O' => return Ok(String::new()),
        'A' => "ENABLE ALWAYS",
        'R' => "ENABLE REPLICA",
        'D' => "DISABLE",
        other => {
            return Err(Error::new(
                ErrorKind::Catalog,
                format!("ev_enabled is {other:?}, which is not known"),
            )
            .on(format!("rule {name} ON {}", table.qualified)));
        }
    };
    Ok(format!("ALTER TABLE {} {state} RULE {name};\n", table.qualified))
}
