//! Finds all relations, decides which are dumped, and reads what is in those (`getTables`, `getOwnedSeqs`).

use crate::catalog::tables::{ForeignTable, Table, columns, inheritance, lock};
use crate::catalog::{Address, Catalog, Kind, Object, Parts, class, sequences};
use crate::session::{Row, Session};
use crate::{Error, ErrorKind, Result};

/// Every relation that could have columns, system catalogs too, because user tables may inherit from them. Nothing
/// here may look at the relation itself: it is not locked yet.
const RELATIONS: &str = "\
SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.reltype, c.relowner, c.relhasindex, c.relhasrules,
  c.relhastriggers, c.relpersistence, c.relacl,
  pg_catalog.acldefault(CASE WHEN c.relkind = 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, c.relowner) AS acldefault,
  tc.reloptions AS toast_reloptions, tsp.spcname, c.relispopulated, c.relreplident,
  c.relrowsecurity, c.relforcerowsecurity, c.relispartition, am.amname, c.reltuples,
  pg_catalog.array_remove(pg_catalog.array_remove(c.reloptions, 'check_option=local'), 'check_option=cascaded')
    AS reloptions,
  CASE WHEN 'check_option=local' = ANY (c.reloptions) THEN 'LOCAL'
       WHEN 'check_option=cascaded' = ANY (c.reloptions) THEN 'CASCADED' END AS check_option,
  CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END AS of_type,
  NOT COALESCE(pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
    AND pg_catalog.has_table_privilege(c.oid, 'SELECT'), true) AS unreadable,
  d.refobjid AS owning_table, d.refobjsubid AS owning_column, (d.deptype = 'i') IS TRUE AS identity_sequence
FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_depend d ON c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.deptype IN ('a', 'i')
LEFT JOIN pg_catalog.pg_tablespace tsp ON tsp.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_am am ON c.relam = am.oid
LEFT JOIN pg_catalog.pg_class tc ON c.reltoastrelid = tc.oid AND tc.relkind = 't' AND c.relkind <> 'p'
WHERE c.relkind IN ('r', 'S', 'v', 'c', 'm', 'f', 'p')
ORDER BY c.oid";

/// Reads all relations, locks those that are dumped, and reads their columns, parents and definitions.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    for row in session.rows(RELATIONS).await? {
        relation(catalog, &row)?;
    }
    dump_owned_sequences(catalog)?;
    configuration_tables(catalog);
    lock::lock(catalog, session).await?;
    inheritance::read(catalog, session).await?;
    columns::read(catalog, session).await?;
    inheritance::flag_columns(catalog);
    definitions(catalog, session).await?;
    sequences::read(catalog, session).await?;
    sizes(catalog, session).await
}

fn relation(catalog: &mut Catalog, row: &Row) -> Result<()> {
    let table = Table {
        relkind: row.letter("relkind")?,
        persistence: row.letter("relpersistence")?,
        has_indexes: row.flag("relhasindex")?,
        has_triggers: row.flag("relhastriggers")?,
        has_rules: row.flag("relhasrules")?,
        row_security: row.flag("relrowsecurity")?,
        force_row_security: row.flag("relforcerowsecurity")?,
        replica_identity: row.letter("relreplident")?,
        is_partition: row.flag("relispartition")?,
        tablespace: row.optional_string("spcname")?.unwrap_or_default(),
        access_method: row.optional_string("amname")?,
        options: row.optional_string("reloptions")?,
        toast_options: row.optional_string("toast_reloptions")?,
        check_option: row.optional_string("check_option")?,
        of_type: row.optional_string("of_type")?,
        owned_by: match row.optional("owning_table")? {
            Some(_) => Some((row.number("owning_table")?, row.number("owning_column")?)),
            None => None,
        },
        identity_sequence: row.flag("identity_sequence")?,
        populated: row.flag("relispopulated")?,
        rows_estimate: row.number("reltuples")?,
        row_type: row.number("reltype")?,
        unreadable: row.flag("unreadable")?,
        ..Table::default()
    };
    let relkind = table.relkind;
    let name = row.string("relname")?;
    let address = Address::new(class::CLASS, row.number("oid")?);
    let mut object = Object::new(address, name, Kind::Table(Box::new(table)));
    object.schema = Some(catalog.schema(row.number("relnamespace")?)?);
    catalog.role(row.number("relowner")?)?.clone_into(&mut object.owner);
    object.grants.acl = row.optional_string("relacl")?;
    object.grants.default = row.string("acldefault")?;
    object.parts = Parts::DEFINITION.with(Parts::DATA);
    if object.grants.acl.is_some() {
        object.parts = object.parts.with(Parts::GRANTS);
    }
    if relkind != 'c' {
        catalog.decide(&mut object);
        let schema = catalog.schema_name(&object).to_owned();
        if catalog.matches(&catalog.selection.exclude_tables, &schema, &object.name) {
            object.dump = Parts::NONE;
        }
    }
    let dump = object.dump;
    let id = catalog.add(object);
    if let Kind::Table(table) = &mut catalog.get_mut(id).kind {
        table.interesting = dump.has(Parts::DEFINITION.with(Parts::DATA));
    }
    Ok(())
}

/// A sequence that belongs to a column is dumped whenever its table is; one of an identity column in exactly the
/// same parts, because no statement makes it apart from its table.
fn dump_owned_sequences(catalog: &mut Catalog) -> Result<()> {
    let sequences: Vec<_> = catalog
        .tables()
        .filter_map(|(object, table)| Some((object.id, table.owned_by?.0, table.identity_sequence)))
        .collect();
    for (sequence, owner_oid, identity) in sequences {
        let owner = catalog.find(Address::new(class::CLASS, owner_oid)).ok_or_else(|| {
            let name = &catalog.get(sequence).name;
            Error::new(
                ErrorKind::Catalog,
                format!("its owner, the table with OID {owner_oid}, is not in the catalogs"),
            )
            .on(format!("sequence {name}"))
        })?;
        let wanted = catalog.get(owner).dump;
        let object = catalog.get_mut(sequence);
        object.dump = if identity { wanted } else { object.dump.with(wanted) };
        if object.dump != Parts::NONE {
            set_interesting(catalog, sequence);
            set_interesting(catalog, owner);
        }
    }
    Ok(())
}

/// The rows that a user put into an extension's configuration tables are data of the user (`processExtensionTables`).
fn configuration_tables(catalog: &mut Catalog) {
    for (extension, table_oid, condition) in super::super::extensions::config_tables(catalog) {
        let Some(id) = catalog.find(Address::new(class::CLASS, table_oid)) else { continue };
        if !catalog.get(extension).dump.has(Parts::DEFINITION) {
            continue;
        }
        let schema = catalog.schema_name(catalog.get(id)).to_owned();
        let name = catalog.get(id).name.clone();
        if catalog.matches(&catalog.selection.exclude_tables, &schema, &name) {
            continue;
        }
        let object = catalog.get_mut(id);
        object.dump = object.dump.with(Parts::DATA);
        if let Kind::Table(table) = &mut object.kind {
            table.interesting = true;
            table.filter = (!condition.is_empty()).then_some(condition);
        }
    }
}

fn set_interesting(catalog: &mut Catalog, id: crate::catalog::DumpId) {
    if let Kind::Table(table) = &mut catalog.get_mut(id).kind {
        table.interesting = true;
    }
}

/// The OIDs of the tables that a test accepts, as an array literal.
pub(super) fn oids(catalog: &Catalog, accept: impl Fn(&Object, &Table) -> bool) -> String {
    let oids: Vec<String> = catalog
        .tables()
        .filter(|(object, table)| accept(object, table))
        .map(|(object, _)| object.address.oid.to_string())
        .collect();
    format!("'{{{}}}'::pg_catalog.oid[]", oids.join(","))
}

/// What server functions say of views, partitioned tables, partitions and foreign tables, all in one query each.
async fn definitions(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let views =
        oids(catalog, |object, table| "vm".contains(table.relkind) && object.dump.has(Parts::DEFINITION));
    let sql =
        format!("SELECT t.oid, pg_catalog.pg_get_viewdef(t.oid) AS text FROM unnest({views}) AS t(oid)");
    for row in session.rows(&sql).await? {
        let definition = row.string("text")?;
        // The closing semicolon would end the CREATE VIEW too early (`createViewAsClause`).
        let definition = definition.strip_suffix(';').unwrap_or(&definition).to_owned();
        with_table(catalog, &row, |table| table.view_definition = Some(definition))?;
    }
    let partitioned =
        oids(catalog, |object, table| table.relkind == 'p' && object.dump.has(Parts::DEFINITION));
    let sql = format!(
        "SELECT t.oid, pg_catalog.pg_get_partkeydef(t.oid) AS text FROM unnest({partitioned}) AS t(oid)"
    );
    for row in session.rows(&sql).await? {
        let key = row.string("text")?;
        with_table(catalog, &row, |table| table.partition_key = Some(key))?;
    }
    let partitions = oids(catalog, |object, table| table.is_partition && object.dump.has(Parts::DEFINITION));
    let sql = format!(
        "SELECT c.oid, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS text
         FROM pg_catalog.pg_class c WHERE c.oid = ANY ({partitions})"
    );
    for row in session.rows(&sql).await? {
        let bound = row.string("text")?;
        with_table(catalog, &row, |table| table.partition_bound = Some(bound))?;
    }
    let foreign = oids(catalog, |object, table| table.relkind == 'f' && object.dump.has(Parts::DEFINITION));
    let sql = format!(
        "SELECT ft.ftrelid AS oid, fs.srvname, pg_catalog.array_to_string(ARRAY(
           SELECT pg_catalog.quote_ident(option_name) || ' ' || pg_catalog.quote_literal(option_value)
           FROM pg_catalog.pg_options_to_table(ft.ftoptions) ORDER BY option_name), E',\\n    ') AS options
         FROM pg_catalog.pg_foreign_table ft JOIN pg_catalog.pg_foreign_server fs ON fs.oid = ft.ftserver
         WHERE ft.ftrelid = ANY ({foreign})"
    );
    for row in session.rows(&sql).await? {
        let foreign = ForeignTable { server: row.string("srvname")?, options: row.string("options")? };
        with_table(catalog, &row, |table| table.foreign = Some(foreign))?;
    }
    unsafe_partitions(catalog, session).await
}

/// Hash partitions on a column of enum type: where a row goes depends on the OIDs of the enum's labels, which a
/// restore does not keep (`getPartitioningInfo`).
async fn unsafe_partitions(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = "SELECT partrelid AS oid FROM pg_catalog.pg_partitioned_table WHERE
        (SELECT c.oid FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_am a ON c.opcmethod = a.oid
         WHERE c.opcname = 'enum_ops' AND c.opcnamespace = 'pg_catalog'::pg_catalog.regnamespace
         AND a.amname = 'hash') = ANY (partclass)";
    for row in session.rows(sql).await? {
        with_table(catalog, &row, |table| table.unsafe_partitions = true)?;
    }
    Ok(())
}

/// Sizes on disk, for planning: exact in contrast to `relpages`, which is as old as the last VACUUM.
async fn sizes(catalog: &mut Catalog, session: &Session) -> Result<()> {
    if !catalog.selection.data {
        return Ok(());
    }
    let tables = oids(catalog, |object, table| table.relkind == 'r' && object.dump.has(Parts::DATA));
    let sql = format!(
        "SELECT c.oid, pg_catalog.pg_relation_size(c.oid) AS heap,
           COALESCE(pg_catalog.pg_relation_size(NULLIF(c.reltoastrelid, 0)), 0) AS toast
         FROM pg_catalog.pg_class c WHERE c.oid = ANY ({tables})"
    );
    for row in session.rows(&sql).await? {
        let (heap, toast) = (row.number::<u64>("heap")?, row.number::<u64>("toast")?);
        with_table(catalog, &row, |table| {
            table.heap_bytes = heap;
            table.total_bytes = heap + toast;
        })?;
    }
    Ok(())
}

/// Changes the table whose OID is the row's `oid`.
pub(in crate::catalog) fn with_table(
    catalog: &mut Catalog,
    row: &Row,
    change: impl FnOnce(&mut Table),
) -> Result<()> {
    let oid = row.number("oid")?;
    let id = catalog.find(Address::new(class::CLASS, oid));
    match id.map(|id| &mut catalog.get_mut(id).kind) {
        Some(Kind::Table(table)) => {
            change(table);
            Ok(())
        }
        _ => Err(Error::new(ErrorKind::Catalog, format!("relation with OID {oid} is not in the catalogs"))),
    }
}
