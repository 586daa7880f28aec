//! What the system catalogs say of a database: every object, with what it depends on.
//!
//! Each family of objects has a file of its own, which reads it in bulk (never one query an object) and
//! writes its entries of the table of contents. This file holds what they share: the list of objects and
//! the ways to find one. The model is `pg_dump`'s (`src/bin/pg_dump/pg_dump.h`, `DumpableObject`), because
//! its order and its text are the yardstick.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::catalog::selection::NamePattern;
use crate::{Error, ErrorKind, Result};

pub mod aggregates;
pub mod comments;
pub mod constraints;
mod dangling;
pub mod extensions;
pub mod functions;
pub mod grants;
pub mod indexes;
pub mod large_objects;
pub mod plain;
pub mod policies;
pub mod read;
pub mod rules;
pub mod schemas;
pub mod selection;
pub mod sequences;
pub mod statistics;
mod table_parts;
pub mod tables;
pub mod triggers;
pub mod types;
pub mod views;

/// The OIDs of the system catalogs whose objects are addressed (`src/include/catalog/pg_*.h`). They have
/// never changed.
pub mod class {
    /// `pg_type`
    pub const TYPE: u32 = 1247;
    /// `pg_proc`
    pub const PROC: u32 = 1255;
    /// `pg_class`
    pub const CLASS: u32 = 1259;
    /// `pg_database`
    pub const DATABASE: u32 = 1262;
    /// `pg_attrdef`
    pub const ATTRDEF: u32 = 2604;
    /// `pg_am`
    pub const ACCESS_METHOD: u32 = 2601;
    /// `pg_cast`
    pub const CAST: u32 = 2605;
    /// `pg_conversion`
    pub const CONVERSION: u32 = 2607;
    /// `pg_language`
    pub const LANGUAGE: u32 = 2612;
    /// `pg_opclass`
    pub const OPERATOR_CLASS: u32 = 2616;
    /// `pg_operator`
    pub const OPERATOR: u32 = 2617;
    /// `pg_opfamily`
    pub const OPERATOR_FAMILY: u32 = 2753;
    /// `pg_collation`
    pub const COLLATION: u32 = 3456;
    /// `pg_transform`
    pub const TRANSFORM: u32 = 3576;
    /// `pg_constraint`
    pub const CONSTRAINT: u32 = 2606;
    /// `pg_largeobject`; comments and grants of large objects are filed under this one
    pub const LARGEOBJECT: u32 = 2613;
    /// `pg_namespace`
    pub const NAMESPACE: u32 = 2615;
    /// `pg_rewrite`
    pub const REWRITE: u32 = 2618;
    /// `pg_trigger`
    pub const TRIGGER: u32 = 2620;
    /// `pg_largeobject_metadata`
    pub const LARGEOBJECT_METADATA: u32 = 2995;
    /// `pg_extension`
    pub const EXTENSION: u32 = 3079;
    /// `pg_policy`
    pub const POLICY: u32 = 3256;
    /// `pg_statistic_ext`
    pub const STATISTIC_EXT: u32 = 3381;
    /// `pg_default_acl`
    pub const DEFAULT_ACL: u32 = 826;
    /// `pg_foreign_server`
    pub const FOREIGN_SERVER: u32 = 1417;
    /// `pg_user_mapping`
    pub const USER_MAPPING: u32 = 1418;
    /// `pg_foreign_data_wrapper`
    pub const FOREIGN_DATA_WRAPPER: u32 = 2328;
    /// `pg_event_trigger`
    pub const EVENT_TRIGGER: u32 = 3466;
    /// `pg_ts_dict`
    pub const TEXT_SEARCH_DICTIONARY: u32 = 3600;
    /// `pg_ts_parser`
    pub const TEXT_SEARCH_PARSER: u32 = 3601;
    /// `pg_ts_config`
    pub const TEXT_SEARCH_CONFIGURATION: u32 = 3602;
    /// `pg_ts_template`
    pub const TEXT_SEARCH_TEMPLATE: u32 = 3764;
    /// `pg_subscription`
    pub const SUBSCRIPTION: u32 = 6100;
    /// `pg_publication`
    pub const PUBLICATION: u32 = 6104;
    /// `pg_publication_rel`
    pub const PUBLICATION_REL: u32 = 6106;
    /// `pg_publication_namespace`
    pub const PUBLICATION_NAMESPACE: u32 = 6237;
}

/// The lowest OID that `initdb` does not hand out (`FirstNormalObjectId` in `src/include/access/transam.h`).
pub const FIRST_NORMAL_OID: u32 = 16384;

/// The number of an object in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DumpId(pub u32);

/// Where an object stands in the catalogs: the catalog's OID and the row's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// OID of the catalog (`tableoid`).
    pub class: u32,
    /// OID of the row.
    pub oid: u32,
}

impl Address {
    /// An address.
    pub fn new(class: u32, oid: u32) -> Self {
        Self { class, oid }
    }
}

/// A set of the parts of an object which can be dumped apart (`DumpComponents` in `pg_dump.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The statement that creates it.
    pub const DEFINITION: Self = Self(1);
    /// Its rows.
    pub const DATA: Self = Self(2);
    /// Comments on it.
    pub const COMMENT: Self = Self(4);
    /// Security labels on it.
    pub const LABEL: Self = Self(8);
    /// Privileges on it.
    pub const GRANTS: Self = Self(16);
    /// Row security of it.
    pub const POLICY: Self = Self(32);
    /// What stands beside its definition in entries of their own: the user mappings of a foreign server.
    pub const FURTHER: Self = Self(64);
    /// Everything.
    pub const ALL: Self = Self(0xff);

    /// Whether any part of `other` is in the set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The set with the parts of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set without the parts of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The parts that both sets have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What an object is, with what only its kind has.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // each names the struct that documents it
pub enum Kind {
    Schema(schemas::Schema),
    Extension(extensions::Extension),
    Type(Box<types::Type>),
    ShellType {
        base: DumpId,
    },
    Function(Box<functions::Function>),
    Aggregate(Box<aggregates::Aggregate>),
    Plain(Box<plain::Plain>),
    Table(Box<tables::Table>),
    TableAttach(tables::TableAttach),
    ColumnDefault(tables::ColumnDefault),
    Index(Box<indexes::Index>),
    IndexAttach(indexes::IndexAttach),
    Statistics(statistics::Statistics),
    Rule(rules::Rule),
    Trigger(triggers::Trigger),
    Constraint(Box<constraints::Constraint>),
    ForeignKey(Box<constraints::Constraint>),
    TableData {
        table: DumpId,
    },
    SequenceSet {
        sequence: DumpId,
    },
    /// An array type, or the row type of a table: never dumped, but other objects depend on it.
    DummyType,
    DefaultGrants(grants::DefaultGrants),
    LargeObject(large_objects::LargeObject),
    LargeObjectData(large_objects::LargeObjectData),
    PreDataBoundary,
    PostDataBoundary,
    RefreshMaterializedView {
        view: DumpId,
    },
    Policy(policies::Policy),
}

/// An object of the database.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its number in the archive.
    pub id: DumpId,
    /// Its place in the catalogs; zeros if it stands for no single row.
    pub address: Address,
    /// Its name, unquoted.
    pub name: String,
    /// Its schema.
    pub schema: Option<DumpId>,
    /// The role that owns it, unquoted; empty if its kind has no owner.
    pub owner: String,
    /// Its privileges.
    pub grants: grants::Grants,
    /// The parts of it that go into the archive.
    pub dump: Parts,
    /// The parts that it has at all.
    pub parts: Parts,
    /// Whether an extension created it.
    pub extension_member: bool,
    /// Whether it says `DEPENDS ON EXTENSION`.
    pub depends_on_extension: bool,
    /// The objects that must come before it.
    pub dependencies: Vec<DumpId>,
    /// What it is.
    pub kind: Kind,
}

impl Object {
    /// A new object, which nothing has yet decided to dump. [`Catalog::add`] numbers it.
    pub fn new(address: Address, name: impl Into<String>, kind: Kind) -> Self {
        Self {
            id: DumpId(0),
            address,
            name: name.into(),
            schema: None,
            owner: String::new(),
            grants: grants::Grants::default(),
            dump: Parts::NONE,
            parts: Parts::DEFINITION,
            extension_member: false,
            depends_on_extension: false,
            dependencies: Vec::new(),
            kind,
        }
    }

    /// Whether any part which the object has is to be dumped.
    pub fn dumps(&self, part: Parts) -> bool {
        self.dump.and(self.parts).has(part)
    }

    /// Adds a dependency, once.
    pub fn depend_on(&mut self, other: DumpId) {
        self.dependencies.push(other);
    }

    /// Takes a dependency away, however often it is there.
    pub fn no_longer_depend_on(&mut self, other: DumpId) {
        self.dependencies.retain(|dependency| *dependency != other);
    }
}

/// What is true of the server and the database as a whole.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// `server_version_num`, such as 150018.
    pub version_num: u32,
    /// `server_version`, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    /// Name of the database.
    pub database: String,
    /// Encoding of the database.
    pub encoding: String,
    /// Encoding of everything that is read: names, definitions, rows.
    pub client_encoding: String,
    /// Settings, with their values, that the text of rows depends on.
    pub text_settings: Vec<(String, String)>,
    /// Statements for the sessions of a restore, without which they would read that text in another way.
    pub archive_settings: String,
    /// `datcollate` of the database.
    pub collation: Option<String>,
    /// `datctype` of the database.
    pub ctype: Option<String>,
    /// `datlocprovider` of the database in words (from 15): `libc`, `icu`, `builtin`.
    pub locale_provider: Option<String>,
    /// System identifier of the cluster (`pg_control_system`), where the role may ask for it.
    pub system_identifier: Option<String>,
    /// `block_size`, in bytes.
    pub block_bytes: u32,
    /// Whether the server is a standby.
    pub in_recovery: bool,
}

/// An object that is there, but of which the role may not see all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its kind, in the server's words (`pg_identify_object`).
    pub kind: String,
    /// Its identity, quoted.
    pub identity: String,
    /// The system catalog that the role would have to read.
    pub catalog: &'static str,
}

/// Everything that was read from the catalogs.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The server.
    pub server: Server,
    /// What the user asked to leave out.
    pub selection: selection::Selection,
    /// Role names by OID.
    pub roles: HashMap<u32, String>,
    /// Comments, security labels.
    pub comments: comments::Comments,
    /// The privileges that objects had when `initdb` or an extension made them.
    pub initial_grants: grants::InitialGrants,
    /// What `format_type` calls each type, by OID; see [`types::formatted`].
    pub type_names: HashMap<u32, String>,
    /// Members of extensions, with their extension.
    pub extension_members: HashMap<Address, DumpId>,
    /// What a user should know, though the dump goes on.
    pub warnings: Vec<String>,
    /// Objects that are left out because the role may not see all of them.
    pub hidden: Vec<Hidden>,
    /// Whether to look for objects that lack their schema or owner, because the catalogs were found to contradict
    /// themselves.
    pub contradicts_itself: bool,
    /// Those that were found.
    pub dangling: Vec<crate::census::Missing>,
    objects: Vec<Object>,
    by_address: HashMap<Address, DumpId>,
}

impl Catalog {
    /// A catalog of the given server, with nothing read yet.
    pub fn new(server: Server, selection: selection::Selection) -> Self {
        Self { server, selection, ..Self::default() }
    }

    /// Adds an object and numbers it.
    ///
    /// # Panics
    /// With more than 2^32 objects.
    pub fn add(&mut self, mut object: Object) -> DumpId {
        let id = DumpId(u32::try_from(self.objects.len() + 1).expect("fewer than 2^32 objects"));
        object.id = id;
        if object.address.class != 0 {
            self.by_address.insert(object.address, id);
        }
        self.objects.push(object);
        id
    }

    /// All objects, in the order in which they were added.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// All objects, to be changed.
    pub fn objects_mut(&mut self) -> &mut [Object] {
        &mut self.objects
    }

    /// The object with a number that this catalog handed out.
    pub fn get(&self, id: DumpId) -> &Object {
        &self.objects[id.0 as usize - 1]
    }

    /// The object with a number that this catalog handed out, to be changed.
    pub fn get_mut(&mut self, id: DumpId) -> &mut Object {
        &mut self.objects[id.0 as usize - 1]
    }

    /// The number of the object at an address.
    pub fn find(&self, address: Address) -> Option<DumpId> {
        self.by_address.get(&address).copied()
    }

    /// The number of the schema with an OID.
    pub fn schema(&self, oid: u32) -> Result<DumpId> {
        self.find(Address::new(class::NAMESPACE, oid)).ok_or_else(|| {
            Error::new(ErrorKind::Catalog, format!("schema with OID {oid} is not in the catalogs"))
                .hint("A schema was dropped or created while the catalogs were read. Run the backup again.")
        })
    }

    /// The name of a role.
    pub fn role(&self, oid: u32) -> Result<&str> {
        self.roles.get(&oid).map(String::as_str).ok_or_else(|| {
            Error::new(ErrorKind::Catalog, format!("role with OID {oid} does not exist"))
                .hint("An object's owner is missing from pg_roles: repair it with ALTER … OWNER TO.")
        })
    }

    /// The name of an object's schema, unquoted; empty if it has none.
    pub fn schema_name(&self, object: &Object) -> &str {
        object.schema.map_or("", |schema| &self.get(schema).name)
    }

    /// `schema.name` of an object, quoted for SQL (`fmtQualifiedDumpable` in `pg_dump.c`).
    pub fn qualified(&self, object: &Object) -> String {
        crate::quote::qualified(self.schema_name(object), &object.name)
    }

    /// A name in the characters that it stands for, as people see and give it.
    pub fn readable<'a>(&self, name: &'a str) -> Cow<'a, str> {
        crate::encodings::readable(name, &self.server.client_encoding)
    }

    /// Whether a relation matches one of the patterns.
    pub(crate) fn matches(&self, patterns: &[NamePattern], schema: &str, name: &str) -> bool {
        let (schema, name) = (self.readable(schema), self.readable(name));
        patterns.iter().any(|pattern| pattern.matches(&schema, &name))
    }

    /// Whether a schema is one of those to leave out.
    pub(crate) fn excludes_schema(&self, name: &str) -> bool {
        let name = self.readable(name);
        self.selection.exclude_schemas.iter().any(|pattern| pattern.matches_schema(&name))
    }

    /// The objects of `pg_class` that can hold rows or columns.
    pub fn tables(&self) -> impl Iterator<Item = (&Object, &tables::Table)> {
        self.objects.iter().filter_map(|object| match &object.kind {
            Kind::Table(table) => Some((object, &**table)),
            _ => None,
        })
    }
}
