//! Triggers of tables, constraint triggers too. Those that implement foreign keys come with these, and those
//! of partitions with the partitioned table's; only their state may need an entry.

use crate::catalog::table_parts::part;
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::Session;
use crate::toc::Section;
use crate::{Error, ErrorKind, Result};

/// A trigger (`pg_trigger`).
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The table.
    pub table: DumpId,
    /// `pg_get_triggerdef`.
    pub definition: String,
    /// `tgenabled`: `O`, `D`, `R`, `A`.
    pub enabled: char,
    /// Whether it was cloned from the partitioned table's, so that only its state may differ.
    pub of_partition: bool,
}

/// Reads the triggers of all dumped tables (`getTriggers` in `pg_dump.c`).
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let wanted = |object: &Object, table: &super::tables::Table| {
        table.has_triggers && object.dump.has(Parts::DEFINITION)
    };
    let Some(tables) = catalog.table_oids(wanted) else { return Ok(()) };
    for row in session.rows(&query(catalog.server.version_num, &tables)).await? {
        let table = catalog.table_with_oid(row.number("tgrelid")?)?;
        let trigger = Trigger {
            table: table.id,
            definition: row.string("definition")?,
            enabled: row.letter("tgenabled")?,
            of_partition: row.flag("of_partition")?,
        };
        let address = Address::new(row.number("tableoid")?, row.number("oid")?);
        let object = part(table, address, row.text("tgname")?, Parts::ALL, Kind::Trigger(trigger));
        catalog.add(object);
    }
    Ok(())
}

/// A clone on a partition is wanted only where its state differs from its parent's. Up to 14 clones are
/// marked as internal; from 15 on only their parent tells them.
///
/// The definition must not be the pretty one, whose WHEN clauses lack parentheses that later versions may need.
fn query(version_num: u32, tables: &str) -> String {
    let (of_partition, own) = if version_num >= 150_000 {
        ("t.tgparentid <> 0", "NOT t.tgisinternal AND t.tgparentid = 0")
    } else {
        ("t.tgisinternal", "NOT t.tgisinternal")
    };
    format!(
        "SELECT t.tgrelid, t.tgname, t.tgenabled, t.tableoid, t.oid, {of_partition} AS of_partition, \
         pg_catalog.pg_get_triggerdef(t.oid, false) AS definition \
         FROM pg_catalog.unnest({tables}) AS src(tbloid) \
         JOIN pg_catalog.pg_trigger t ON (src.tbloid = t.tgrelid) \
         LEFT JOIN pg_catalog.pg_trigger u ON (u.oid = t.tgparentid) \
         WHERE ({own}) OR t.tgenabled <> u.tgenabled \
         ORDER BY t.tgrelid, t.tgname"
    )
}

/// Writes a trigger's entries (`dumpTrigger` in `pg_dump.c`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, trigger: &Trigger) -> Result<()> {
    let catalog = out.catalog;
    let table = catalog.owner(trigger.table)?;
    let name = quote::identifier(&object.name);
    let identity = format!("{name} ON {}", table.qualified);
    if object.dumps(Parts::DEFINITION) {
        let state = || -> Result<String> {
            let state = state(trigger.enabled).map_err(|error| error.on(format!("trigger {identity}")))?;
            Ok(format!("\nALTER {}TABLE {} {state} TRIGGER {name};\n", table.foreign, table.qualified))
        };
        let (create, drop) = if trigger.of_partition {
            // It comes and goes with the partitioned table's.
            (state()?, String::new())
        } else {
            let mut create = format!("{};\n", trigger.definition);
            create += &out.extension_dependencies(object, "TRIGGER", &identity);
            if trigger.enabled != 'O' {
                create += &state()?;
            }
            (create, format!("DROP TRIGGER {identity};\n"))
        };
        out.define(
            object,
            Definition {
                tag: format!("{} {}", table.object.name, object.name),
                desc: "TRIGGER",
                section: Section::PostData,
                create,
                drop,
            },
        );
    }
    out.describe(object, &format!("TRIGGER {name} ON"), &table.quoted);
    Ok(())
}

/// The words of ALTER TABLE for a `tgenabled`.
fn state(enabled: char) -> Result<&'static str> {
    match enabled {
        'O' => Ok("ENABLE"),
        'D' => Ok("DISABLE"),
        'R' => Ok("ENABLE REPLICA"),
        'A' => Ok("ENABLE ALWAYS"),
        other => Err(Error::new(ErrorKind::Catalog, format!("tgenabled is {other:?}, which is not known"))),
    }
}
