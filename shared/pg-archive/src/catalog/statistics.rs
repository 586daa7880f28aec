//! Extended statistics objects: what the planner is told to learn of columns together. What it learned is
//! not dumped.

use crate::Result;
use crate::catalog::{Address, Catalog, Kind, Object, Parts};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::Session;
use crate::toc::Section;

/// An extended statistics object (`pg_statistic_ext`).
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// `pg_get_statisticsobjdef`.
    pub definition: String,
    /// `stxstattarget`, -1 for the default.
    pub target: i32,
}

/// Reads the extended statistics objects of dumped tables (`getExtendedStatistics` in `pg_dump.c`). One of
/// another table is never dumped, whatever its schema (`selectDumpableStatisticsObject`).
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let Some(tables) = catalog.table_oids(|object, _| object.dump.has(Parts::DEFINITION)) else {
        return Ok(());
    };
    // The default target is -1 up to 16, and NULL from 17 on.
    let sql = format!(
        "SELECT s.tableoid, s.oid, s.stxname, s.stxnamespace, s.stxowner, \
         coalesce(s.stxstattarget, -1) AS target, \
         pg_catalog.pg_get_statisticsobjdef(s.oid) AS definition \
         FROM pg_catalog.unnest({tables}) AS src(tbloid) \
         JOIN pg_catalog.pg_statistic_ext s ON (src.tbloid = s.stxrelid) \
         ORDER BY s.oid"
    );
    for row in session.rows(&sql).await? {
        let statistics = Statistics { definition: row.string("definition")?, target: row.number("target")? };
        let address = Address::new(row.number("tableoid")?, row.number("oid")?);
        let mut object = Object::new(address, row.text("stxname")?, Kind::Statistics(statistics));
        object.schema = Some(catalog.schema(row.number("stxnamespace")?)?);
        catalog.role(row.number("stxowner")?)?.clone_into(&mut object.owner);
        catalog.decide(&mut object);
        catalog.add(object);
    }
    Ok(())
}

/// Writes the entries of a statistics object (`dumpStatisticsExt` in `pg_dump.c`).
pub fn emit(out: &mut Emitter<'_>, object: &Object, statistics: &Statistics) -> Result<()> {
    let qualified = out.catalog.qualified(object);
    if object.dumps(Parts::DEFINITION) {
        let target = match statistics.target {
            ..0 => String::new(),
            target => format!("ALTER STATISTICS {qualified} SET STATISTICS {target};\n"),
        };
        out.define(
            object,
            Definition {
                tag: object.name.clone(),
                desc: "STATISTICS",
                section: Section::PostData,
                create: format!("{};\n{target}", statistics.definition),
                drop: format!("DROP STATISTICS {qualified};\n"),
            },
        );
    }
    out.describe(object, "STATISTICS", &quote::identifier(&object.name));
    Ok(())
}
