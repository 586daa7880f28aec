//! Sequences and their values (`dumpSequence`, `dumpSequenceData`).

use std::fmt::Write as _;

use crate::catalog::tables::Table;
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::quote::{identifier, literal};
use crate::session::Session;
use crate::toc::{Entry, Section};
use crate::{Error, ErrorKind, Result};

/// How a sequence counts, and where it stands. Numbers stay text: they are only put into statements.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Type: `smallint`, `integer` or `bigint`.
    pub type_name: String,
    /// `seqstart`.
    pub start: String,
    /// `seqincrement`.
    pub increment: String,
    /// `seqmax`.
    pub max: String,
    /// `seqmin`.
    pub min: String,
    /// `seqcache`.
    pub cache: String,
    /// `seqcycle`.
    pub cycle: bool,
    /// `last_value` and `is_called`, if data is dumped.
    pub value: Option<(String, bool)>,
}

/// Sequences whose values one statement reads.
const BATCH: usize = 500;

/// Reads the parameters and the values of all dumped sequences.
pub(super) async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let rows = session
        .rows(
            "SELECT seqrelid, pg_catalog.format_type(seqtypid, NULL) AS type_name, seqstart, seqincrement, seqmax, \
             seqmin, seqcache, seqcycle FROM pg_catalog.pg_sequence",
        )
        .await?;
    for row in rows {
        let Some(id) = catalog.find(Address::new(class::CLASS, row.number("seqrelid")?)) else { continue };
        if let Kind::Table(table) = &mut catalog.get_mut(id).kind {
            table.sequence = Some(Box::new(Sequence {
                type_name: row.string("type_name")?,
                start: row.string("seqstart")?,
                increment: row.string("seqincrement")?,
                max: row.string("seqmax")?,
                min: row.string("seqmin")?,
                cache: row.string("seqcache")?,
                cycle: row.flag("seqcycle")?,
                value: None,
            }));
        }
    }
    if catalog.selection.data { read_values(catalog, session).await } else { Ok(()) }
}

/// Where each sequence stands, from the sequences themselves: only there is `is_called`. They are not transactional,
/// so the values are those of now, never older than the snapshot. Those that the role may not read are left to the
/// check of rights.
async fn read_values(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let wanted: Vec<(u32, String)> = catalog
        .tables()
        .filter(|(object, table)| table.relkind == 'S' && object.dump.has(Parts::DATA) && !table.unreadable)
        .map(|(object, _)| (object.address.oid, catalog.qualified(object)))
        .collect();
    for batch in wanted.chunks(BATCH) {
        let each =
            batch.iter().map(|(oid, name)| format!("SELECT {oid} AS oid, last_value, is_called FROM {name}"));
        let sql = each.collect::<Vec<_>>().join(" UNION ALL ");
        for row in session.rows(&sql).await? {
            let value = (row.string("last_value")?, row.flag("is_called")?);
            super::tables::with_table(catalog, &row, |table| {
                if let Some(sequence) = &mut table.sequence {
                    sequence.value = Some(value);
                }
            })?;
        }
    }
    Ok(())
}

fn parameters<'a>(object: &Object, table: &'a Table) -> Result<&'a Sequence> {
    table.sequence.as_deref().ok_or_else(|| {
        Error::new(ErrorKind::Catalog, "pg_sequence has no row for it")
            .on(format!("sequence {}", object.name))
    })
}

/// Writes a sequence's entries: CREATE SEQUENCE, or the identity of a column; and its owner.
pub fn emit(out: &mut Emitter<'_>, object: &Object, table: &Table) -> Result<()> {
    let catalog = out.catalog;
    let sequence = parameters(object, table)?;
    let qualified = catalog.qualified(object);
    let owner = owner(catalog, object, table)?;
    let mut sql = match &owner {
        Some(owner) if table.identity_sequence => identity_head(catalog, table, owner, &qualified),
        _ => {
            let unlogged = if table.persistence == 'u' { "UNLOGGED " } else { "" };
            let mut sql = format!("CREATE {unlogged}SEQUENCE {qualified}\n");
            if sequence.type_name != "bigint" {
                let _ = writeln!(sql, "    AS {}", sequence.type_name);
            }
            sql
        }
    };
    sql.push_str(&counting(object, sequence)?);
    sql.push_str(if table.identity_sequence { "\n);\n" } else { ";\n" });
    let drop = if table.identity_sequence { String::new() } else { format!("DROP SEQUENCE {qualified};\n") };
    out.define(
        object,
        Definition {
            tag: object.name.clone(),
            desc: "SEQUENCE",
            section: Section::PreData,
            create: sql,
            drop,
        },
    );
    if let Some(owner) =
        owner.filter(|owner| !table.identity_sequence && owner.object.dump.has(Parts::DEFINITION))
    {
        emit_owner(out, object, &qualified, &owner);
    }
    out.describe(object, "SEQUENCE", &identifier(&object.name));
    Ok(())
}

/// The table and column that a sequence belongs to.
struct Owner<'a> {
    object: &'a Object,
    table: &'a Table,
    column: &'a super::tables::Column,
}

fn owner<'a>(catalog: &'a Catalog, object: &Object, table: &Table) -> Result<Option<Owner<'a>>> {
    let Some((oid, number)) = table.owned_by else { return Ok(None) };
    let found = catalog.find(Address::new(class::CLASS, oid)).and_then(|id| {
        let object = catalog.get(id);
        let Kind::Table(table) = &object.kind else { return None };
        let column = table.columns.iter().find(|column| column.number == number)?;
        Some(Owner { object, table, column })
    });
    match found {
        Some(owner) => Ok(Some(owner)),
        None => Err(Error::new(
            ErrorKind::Catalog,
            format!("column {number} of its table (OID {oid}) is not known"),
        )
        .on(format!("sequence {}", object.name))),
    }
}

fn identity_head(catalog: &Catalog, table: &Table, owner: &Owner<'_>, qualified: &str) -> String {
    let always = if owner.column.identity == 'a' { "ALWAYS" } else { "BY DEFAULT" };
    let mut sql = format!(
        "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {always} AS IDENTITY (\n    SEQUENCE NAME {qualified}\n",
        catalog.qualified(owner.object),
        identifier(&owner.column.name)
    );
    if table.persistence != owner.table.persistence {
        sql.push_str(if table.persistence == 'u' { "    UNLOGGED\n" } else { "    LOGGED\n" });
    }
    sql
}

/// START to CYCLE, with the limits only where they are not the type's own.
fn counting(object: &Object, sequence: &Sequence) -> Result<String> {
    let (type_min, type_max) = match &*sequence.type_name {
        "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        "bigint" => (i64::MIN, i64::MAX),
        other => {
            return Err(Error::new(
                ErrorKind::Catalog,
                format!("its type {other} is not one that sequences have"),
            )
            .on(format!("sequence {}", object.name)));
        }
    };
    let (min, max) = if sequence.increment.starts_with('-') { (type_min, -1) } else { (1, type_max) };
    let limit = |word: &str, value: &str, own: i64| {
        if value == own.to_string() { format!("    NO {word}\n") } else { format!("    {word} {value}\n") }
    };
    Ok(format!(
        "    START WITH {}\n    INCREMENT BY {}\n{}{}    CACHE {}{}",
        sequence.start,
        sequence.increment,
        limit("MINVALUE", &sequence.min, min),
        limit("MAXVALUE", &sequence.max, max),
        sequence.cache,
        if sequence.cycle { "\n    CYCLE" } else { "" }
    ))
}

fn emit_owner(out: &mut Emitter<'_>, object: &Object, qualified: &str, owner: &Owner<'_>) {
    let table = out.catalog.qualified(owner.object);
    let sql = format!("ALTER SEQUENCE {qualified} OWNED BY {table}.{};\n", identifier(&owner.column.name));
    push_dependent(out, object, "SEQUENCE OWNED BY", Section::PreData, sql);
}

/// Writes the `setval` of a sequence.
pub fn emit_set(out: &mut Emitter<'_>, _: &Object, id: DumpId) -> Result<()> {
    let object = out.catalog.get(id);
    let Kind::Table(table) = &object.kind else { return Ok(()) };
    let (last, called) = parameters(object, table)?.value.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Catalog, "its value was not read").on(format!("sequence {}", object.name))
    })?;
    let name = literal(&out.catalog.qualified(object));
    push_dependent(
        out,
        object,
        "SEQUENCE SET",
        Section::Data,
        format!("SELECT pg_catalog.setval({name}, {last}, {called});\n"),
    );
    Ok(())
}

fn push_dependent(out: &mut Emitter<'_>, object: &Object, desc: &str, section: Section, sql: String) {
    let id = out.next_id();
    let schema = out.catalog.schema_name(object).to_owned();
    out.push(Entry {
        id,
        address: Address::default(),
        tag: object.name.clone(),
        desc: desc.to_owned(),
        section,
        definition: Some(sql),
        drop_statement: None,
        copy_statement: None,
        schema: Some(schema),
        tablespace: None,
        table_access_method: None,
        owner: Some(object.owner.clone()),
        dependencies: vec![object.id],
        data_file: None,
    });
}
