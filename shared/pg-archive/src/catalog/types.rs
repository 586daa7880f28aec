//! Types: enums, composites, domains, ranges, base types and the shells that stand in for them.
//!
//! Every row of `pg_type` becomes an object, built-in types too, because others depend on them; the order of
//! restore and the loops between a type and its functions are left to the sort. What only one kind of type has
//! is read in a file of its own below, for the types that are dumped and in one query for all of them.

use crate::catalog::grants::Grants;
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts, class};
use crate::emit::{Definition, Emitter};
use crate::session::{Row, Session};
use crate::toc::Section;
use crate::{Error, ErrorKind, Result, quote};

mod bases;
mod composites;
mod domains;
mod enums;
mod ranges;

/// A type (`pg_type`). Every type of the database is read, built-in ones too, because others depend on them.
#[derive(Clone, Debug, Default)]
pub struct Type {
    /// `typtype`: `b` base, `c` composite, `d` domain, `e` enum, `r` range, `p` pseudo-type.
    pub kind: char,
    /// The shell type that stands in for it while its I/O functions are created.
    pub shell: Option<DumpId>,
    /// CHECK (and from 17 NOT NULL) constraints of a domain; `constraints.rs` reads them and adds them here.
    pub constraints: Vec<DumpId>,
    /// OID of the relation that holds the columns of a composite type (`typrelid`), or 0.
    pub relation: u32,
    detail: Detail,
}

/// What the CREATE statement of a type is made of.
#[derive(Clone, Debug, Default)]
enum Detail {
    /// The definition of this type is not dumped, so nobody asked.
    #[default]
    Unread,
    /// Everything behind `CREATE TYPE name`.
    Text(String),
    /// A composite type.
    Composite(composites::Composite),
    /// A domain.
    Domain(domains::Domain),
}

/// What the system calls a type, quoted and with its schema where it needs one (`getFormattedTypeName`).
pub fn formatted(catalog: &Catalog, oid: u32) -> Option<&str> {
    catalog.type_names.get(&oid).map(String::as_str)
}

/// Like [`formatted`], for a type that something else refers to and that must therefore be there.
pub(super) fn formatted_or_error(catalog: &Catalog, oid: u32) -> Result<&str> {
    formatted(catalog, oid).ok_or_else(|| {
        Error::new(ErrorKind::Catalog, format!("type with OID {oid} is not in the catalogs"))
            .hint("A type was dropped while the catalogs were read. Run the backup again.")
    })
}

/// An array literal of OIDs, to ask for many objects in one query.
pub(super) fn oid_array(oids: &[u32]) -> String {
    let oids: Vec<String> = oids.iter().map(u32::to_string).collect();
    format!("'{{{}}}'::pg_catalog.oid[]", oids.join(","))
}

/// The types with what decides their dumping. An array type is known by the `typarray` of its element.
const TYPES: &str = "SELECT oid, typname, typnamespace, typowner, typacl, \
    pg_catalog.acldefault('T', typowner) AS acldefault, typelem, typrelid, \
    CASE WHEN typrelid = 0 THEN ' '::\"char\" \
    ELSE (SELECT relkind FROM pg_catalog.pg_class WHERE oid = typrelid) END AS typrelkind, \
    typtype, typisdefined, pg_catalog.format_type(oid, NULL) AS formatted, \
    typname[0] = '_' AND typelem <> 0 AND \
    (SELECT typarray FROM pg_catalog.pg_type te WHERE oid = pg_type.typelem) = oid AS isarray \
    FROM pg_catalog.pg_type";

/// Reads all types (`getTypes`).
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    for row in session.rows(TYPES).await? {
        read_type(catalog, &row)?;
    }
    let mut details = enums::read(session, &dumped(catalog, 'e')).await?;
    details.extend(bases::read(catalog, session, &dumped(catalog, 'b')).await?);
    details.extend(composites::read(session, &dumped(catalog, 'c')).await?);
    details.extend(domains::read(session, &dumped(catalog, 'd')).await?);
    details.extend(ranges::read(catalog, session, &dumped(catalog, 'r')).await?);
    for (oid, detail) in details {
        if let Some(id) = catalog.find(Address::new(class::TYPE, oid))
            && let Kind::Type(type_) = &mut catalog.get_mut(id).kind
        {
            type_.detail = detail;
        }
    }
    Ok(())
}

/// OIDs of the types of one kind whose definition is dumped.
fn dumped(catalog: &Catalog, kind: char) -> Vec<u32> {
    let types = catalog.objects().iter().filter(|object| match &object.kind {
        Kind::Type(type_) => type_.kind == kind && object.dumps(Parts::DEFINITION),
        _ => false,
    });
    types.map(|object| object.address.oid).collect()
}

fn read_type(catalog: &mut Catalog, row: &Row) -> Result<()> {
    let oid = row.number("oid")?;
    catalog.type_names.insert(oid, row.string("formatted")?);

    let kind = row.letter("typtype")?;
    let relation: u32 = row.number("typrelid")?;
    let is_row_type = relation != 0 && row.letter("typrelkind")? != 'c';
    let is_dummy = is_row_type || kind == 'm' || row.flag("isarray")?;

    let mut object = Object::new(Address::new(class::TYPE, oid), row.text("typname")?, Kind::DummyType);
    object.schema = Some(catalog.schema(row.number("typnamespace")?)?);
    catalog.role(row.number("typowner")?)?.clone_into(&mut object.owner);
    object.grants = Grants { acl: row.optional_string("typacl")?, default: row.string("acldefault")? };
    if object.grants.acl.is_some() {
        object.parts = object.parts.with(Parts::GRANTS);
    }
    select(catalog, &mut object, is_row_type.then_some(relation));
    if is_dummy {
        catalog.add(object);
        return Ok(());
    }

    let detail = match (kind, row.flag("typisdefined")?) {
        ('p', false) => Detail::Text(String::new()),
        _ => Detail::Unread,
    };
    object.kind = Kind::Type(Box::new(Type { kind, relation, detail, ..Type::default() }));
    let needs_shell = matches!(kind, 'b' | 'r') && object.dumps(Parts::DEFINITION);
    let shell = needs_shell.then(|| (object.name.clone(), object.schema, object.owner.clone()));
    let base = catalog.add(object);
    if let Some((name, schema, owner)) = shell {
        // Without an address, or the shell would be found in place of the type. Nothing of it is dumped unless
        // the sort finds functions that need it.
        let mut shell = Object::new(Address::default(), name, Kind::ShellType { base });
        shell.schema = schema;
        shell.owner = owner;
        let shell = catalog.add(shell);
        if let Kind::Type(type_) = &mut catalog.get_mut(base).kind {
            type_.shell = Some(shell);
        }
    }
    Ok(())
}

/// Decides what of a type is dumped (`selectDumpableType`). The row type of a table goes with its table.
/// Arrays and multiranges follow the rule of their schema, as their element or range does.
fn select(catalog: &Catalog, object: &mut Object, row_type_of: Option<u32>) {
    let Some(relation) = row_type_of else { return catalog.decide(object) };
    let table = catalog.find(Address::new(class::CLASS, relation));
    object.dump = table.map_or(Parts::NONE, |table| catalog.get(table).dump);
}

/// Writes a type's entries (`dumpType` and what it calls).
pub fn emit(out: &mut Emitter<'_>, object: &Object, type_: &Type) -> Result<()> {
    let word = if type_.kind == 'd' { "DOMAIN" } else { "TYPE" };
    let name = quote::identifier(&object.name);
    if object.dumps(Parts::DEFINITION) {
        let qualified = out.catalog.qualified(object);
        let body = match &type_.detail {
            Detail::Text(text) => text.clone(),
            Detail::Composite(composite) => composite.body(),
            Detail::Domain(domain) => domain.body(out.catalog, object, type_),
            Detail::Unread => return Err(unknown(object, type_)),
        };
        // The loop between a base type and its I/O functions leaves no other way to drop it.
        let cascade = if type_.kind == 'b' { " CASCADE" } else { "" };
        let definition = Definition {
            tag: object.name.clone(),
            desc: word,
            section: Section::PreData,
            create: format!("CREATE {word} {qualified}{body};\n"),
            drop: format!("DROP {word} {qualified}{cascade};\n"),
        };
        out.define(object, definition);
    }
    out.describe(object, word, &name);
    out.grants(object, "TYPE", &name);
    match &type_.detail {
        Detail::Composite(composite) => composite.describe_columns(out, object, type_.relation),
        Detail::Domain(_) => domains::describe_constraints(out, object, type_),
        Detail::Unread | Detail::Text(_) => {}
    }
    Ok(())
}

fn unknown(object: &Object, type_: &Type) -> Error {
    let message = format!("typtype {:?} is not one that can be created", type_.kind);
    Error::new(ErrorKind::Catalog, message)
        .on(format!("type {}", object.name))
        .hint("Drop the type if nothing uses it, or report what kind of type it is.")
}

/// Writes a shell type's entry (`dumpShellType`). It has no statement to drop it: the type itself has, and a
/// statement here would make `pg_restore` set the owner of a type that is still a shell.
pub fn emit_shell(out: &mut Emitter<'_>, object: &Object, _base: DumpId) -> Result<()> {
    if object.dumps(Parts::DEFINITION) {
        let definition = Definition {
            tag: object.name.clone(),
            desc: "SHELL TYPE",
            section: Section::PreData,
            create: format!("CREATE TYPE {};\n", out.catalog.qualified(object)),
            drop: String::new(),
        };
        out.define(object, definition).drop_statement = None;
    }
    Ok(())
}

/// The collation that a row names in `collnamespace` and `collname`, quoted and qualified.
fn collation(row: &Row) -> Result<Option<String>> {
    let Some(name) = row.optional("collname")? else { return Ok(None) };
    Ok(Some(quote::qualified(row.text("collnamespace")?, name)))
}

/// The default of a base type or domain: an expression, or else a literal.
fn default(row: &Row) -> Result<Option<String>> {
    match row.optional("typdefaultbin")? {
        Some(expression) => Ok(Some(expression.to_owned())),
        None => Ok(row.optional("typdefault")?.map(quote::literal)),
    }
}
