//! What a generated script has made so far, so that what follows can refer to it.

use std::fmt::Write as _;

use super::random::Random;

/// Roles belong to the server: all scripts share these. Quoted.
pub(super) const ROLES: [&str; 4] = ["gen_owner", "\"Gen Alice\"", "\"gen \"\"bob\"\"\"", "\"gén\\reader\""];

/// Names that are easy to get wrong. Each gets a number, so that it is unique.
const AWKWARD: [&str; 22] = [
    "order",
    "Table",
    "se lect",
    "quo\"te",
    "it's",
    "ünïcode",
    "😀",
    "new\nline",
    "tab\there",
    "back\\slash",
    "a.b",
    "%s",
    "$1",
    "--",
    "/*",
    "semi;colon",
    "user",
    "1st",
    " lead",
    "trail ",
    "a,b",
    "(x)",
];

/// Index of a type in [`World::types`].
pub(super) type TypeId = usize;

/// A type that columns, arguments and attributes can have.
#[derive(Clone)]
pub(super) struct DataType {
    pub(super) sql: String,
    /// ` COLLATE …`, for columns.
    pub(super) collation: String,
    /// Values, as SQL expressions of exactly this type.
    pub(super) samples: Vec<String>,
    /// It has a B-tree operator class.
    pub(super) ordered: bool,
    /// It has a collation of its own, so that expressions may not mix it with others.
    pub(super) collated: bool,
    /// PostgreSQL's own, all through.
    pub(super) builtin: bool,
    /// Partitions can be made by its hash, and it is not PostgreSQL's own.
    pub(super) hashed: bool,
    /// Its values can be stored out of line.
    pub(super) toastable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Filled by INSERT.
    Given,
    /// The number of the row.
    Number,
    Generated,
}

#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) of: TypeId,
    pub(super) source: Source,
    pub(super) not_null: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Table,
    Partitioned,
    Partition,
    View,
    MaterializedView,
    Foreign,
}

/// A table, a view, or what can be read like one.
#[derive(Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) columns: Vec<Column>,
    /// The columns of the primary key.
    pub(super) key: Vec<String>,
    /// It was filled with the numbers from 1 to this.
    pub(super) rows: usize,
    /// It has parents or children.
    pub(super) related: bool,
    /// It can be read: no materialized view without data is behind it.
    pub(super) readable: bool,
    /// A materialized view is behind it.
    pub(super) over_materialized: bool,
    /// A view whose rows are those of one table.
    pub(super) updatable: bool,
    pub(super) logged: bool,
    /// Nothing stands against a primary key of the number alone.
    pub(super) keyed_by_number: bool,
}

/// A function that expressions can call.
#[derive(Clone)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) arguments: Vec<TypeId>,
    /// How many of the last arguments have defaults.
    pub(super) defaults: usize,
    pub(super) returns: TypeId,
    /// It depends on its arguments alone.
    pub(super) pure: bool,
}

/// An object that can be described, owned or granted.
#[derive(Clone)]
pub(super) struct Thing {
    /// As in `COMMENT ON`.
    pub(super) kind: &'static str,
    pub(super) name: String,
}

/// What is there, and how it was made.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) major: u32,
    /// All relations and schemas belong to a role that is no superuser; then nothing is revoked, because it would
    /// not be able to restore.
    pub(super) one_owner: bool,
    /// Who is granted something grants it on. A parallel `pg_restore` then fails now and then, also with archives of
    /// `pg_dump`: no grant waits for that of the schema.
    pub(super) chains: bool,
    pub(super) schemas: Vec<String>,
    pub(super) types: Vec<DataType>,
    pub(super) functions: Vec<Function>,
    pub(super) trigger_functions: Vec<String>,
    pub(super) relations: Vec<Relation>,
    pub(super) things: Vec<Thing>,
    script: String,
    named: usize,
}

impl World {
    pub(super) fn new(seed: u64, major: u32) -> Self {
        let mut random = Random::new(seed);
        let one_owner = random.chance(30);
        Self {
            random,
            major,
            one_owner,
            chains: seed.is_multiple_of(2),
            schemas: vec!["public".to_owned()],
            types: Vec::new(),
            functions: Vec::new(),
            trigger_functions: Vec::new(),
            relations: Vec::new(),
            things: Vec::new(),
            script: String::new(),
            named: 0,
        }
    }

    /// Adds a statement.
    pub(super) fn run(&mut self, statement: &str) {
        let _ = writeln!(self.script, "{statement};"); // a String takes all that is written to it
    }

    pub(super) fn finish(self) -> String {
        self.script
    }

    /// A new name, not quoted.
    pub(super) fn bare_name(&mut self) -> String {
        self.named += 1;
        let number = self.named;
        if self.random.chance(45) {
            return format!("n{number}");
        }
        let awkward = *self.random.pick(&AWKWARD);
        match self.random.below(6) {
            0 => {
                // The longest there can be: 63 bytes.
                let name = format!("{awkward}{number}");
                format!("{name}{}", "x".repeat(63 - name.len()))
            }
            1 | 2 => format!("{number}{awkward}"),
            _ => format!("{awkward}{number}"),
        }
    }

    /// A new name.
    pub(super) fn name(&mut self) -> String {
        quoted(&self.bare_name())
    }

    /// A new name that needs no quotes.
    pub(super) fn plain_name(&mut self) -> String {
        self.named += 1;
        format!("n{}", self.named)
    }

    /// A new name in some schema.
    pub(super) fn new_in_schema(&mut self) -> String {
        let schema = self.random.pick(&self.schemas).clone();
        format!("{schema}.{}", self.name())
    }

    /// Remembers an object.
    pub(super) fn made(&mut self, kind: &'static str, name: &str) {
        self.things.push(Thing { kind, name: name.to_owned() });
    }

    pub(super) fn role(&mut self) -> &'static str {
        let role: &&str = self.random.pick(&ROLES);
        role
    }

    pub(super) fn any_type(&mut self) -> TypeId {
        // The newer half is made of the older one, and more interesting.
        let from = if self.random.chance(50) { self.types.len() / 2 } else { 0 };
        self.random.between(from, self.types.len() - 1)
    }

    /// A type for which `wanted` holds; INTEGER if chance finds none.
    pub(super) fn type_where(&mut self, wanted: impl Fn(&DataType) -> bool) -> TypeId {
        for _ in 0..20 {
            let id = self.any_type();
            if wanted(&self.types[id]) {
                return id;
            }
        }
        super::data_types::INTEGER
    }

    /// A relation for which `wanted` holds.
    pub(super) fn relation_where(&mut self, wanted: impl Fn(&Relation) -> bool) -> Option<usize> {
        let found: Vec<usize> =
            (0..self.relations.len()).filter(|index| wanted(&self.relations[*index])).collect();
        if found.is_empty() { None } else { Some(*self.random.pick(&found)) }
    }

    /// A value of a type.
    pub(super) fn sample(&mut self, of: TypeId) -> String {
        self.random.pick(&self.types[of].samples).clone()
    }
}

/// An SQL identifier (manual, section 4.1.1).
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An SQL string (manual, section 4.1.2.1).
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
