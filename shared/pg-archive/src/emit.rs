//! Turns the objects of a catalog, in their order, into entries of the table of contents.
//!
//! Each family writes its own entries (`emit` in its file); what all of them do the same way is here.

use std::collections::HashMap;

use crate::catalog::{Address, Catalog, DumpId, Kind, Object, Parts};
use crate::toc::settings::Settings;
use crate::toc::{Entry, Section};
use crate::{Error, Result, catalog};

/// The SQL of an object's main entry.
pub struct Definition<'a> {
    /// Name for people and for pg_restore's selection.
    pub tag: String,
    /// Kind, in pg_dump's words.
    pub desc: &'a str,
    /// Section of the restore.
    pub section: Section,
    /// SQL that creates the object.
    pub create: String,
    /// SQL that drops it; empty if dropping another object drops it.
    pub drop: String,
}

/// What an emitter collected.
pub struct Emitted {
    /// The entries, in the order of restore.
    pub entries: Vec<Entry>,
    /// The numbers of the entries that hold the rows of each table.
    pub data_entries: HashMap<DumpId, Vec<DumpId>>,
}

/// Collects entries.
pub struct Emitter<'a> {
    /// What is being dumped.
    pub catalog: &'a Catalog,
    files: &'a HashMap<DumpId, Vec<String>>,
    entries: Vec<Entry>,
    data_entries: HashMap<DumpId, Vec<DumpId>>,
    /// The ACL entry of each schema that has one.
    pub(crate) schema_grants: HashMap<String, DumpId>,
    /// Whether what comes now is restored behind the data.
    behind_data: bool,
    next_id: u32,
    failure: Option<Error>,
}

impl<'a> Emitter<'a> {
    /// An emitter that numbers further entries from above the catalog's objects.
    ///
    /// # Panics
    /// With more than 2^32 objects.
    pub fn new(catalog: &'a Catalog, files: &'a HashMap<DumpId, Vec<String>>) -> Self {
        let next_id = u32::try_from(catalog.objects().len() + 1).expect("fewer than 2^32 objects");
        Self {
            catalog,
            files,
            entries: Vec::new(),
            data_entries: HashMap::new(),
            schema_grants: HashMap::new(),
            behind_data: false,
            next_id,
            failure: None,
        }
    }

    /// What was collected, or the first failure that was reported with [`Self::fail`].
    pub fn finish(self) -> Result<Emitted> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(Emitted { entries: self.entries, data_entries: self.data_entries }),
        }
    }

    /// Reports that entries are missing, where there is no caller to return an error to. The first report wins.
    pub fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// The data files that the rows of a table were planned into.
    pub fn files_of(&self, table: DumpId) -> &'a [String] {
        self.files.get(&table).map_or(&[], Vec::as_slice)
    }

    /// Remembers that an entry holds rows of a table.
    pub fn note_data_entry(&mut self, table: DumpId, entry: DumpId) {
        self.data_entries.entry(table).or_default().push(entry);
    }

    /// The entries of the rows that must be loaded before those of this object. `pg_dump` only puts them first, which is
    /// not enough for a parallel restore.
    pub fn data_entries_before(&self, data: &Object) -> Vec<DumpId> {
        let tables = data.dependencies.iter().filter_map(|needed| match self.catalog.get(*needed).kind {
            Kind::TableData { table } => Some(table),
            _ => None,
        });
        tables.filter_map(|table| self.data_entries.get(&table)).flatten().copied().collect()
    }

    /// A number for an entry that stands for no object of its own.
    pub fn next_id(&mut self) -> DumpId {
        let id = DumpId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Adds an entry as it is, but without empty texts: where there is no statement, `pg_dump` writes none.
    pub fn push(&mut self, mut entry: Entry) {
        for text in [&mut entry.definition, &mut entry.drop_statement, &mut entry.copy_statement] {
            text.take_if(|text| text.is_empty());
        }
        self.entries.push(entry);
    }

    /// Adds the main entry of an object: its number, address, schema and owner, and the given SQL.
    /// Returns it, so that the few kinds which have more can set it.
    ///
    /// # Panics
    /// Never: the entry was just pushed.
    pub fn define(&mut self, object: &Object, definition: Definition<'_>) -> &mut Entry {
        let mut entry = self.entry(object, object.id, object.address, definition);
        // Of kinds without owners; what hangs on them has an empty one.
        entry.owner.take_if(|owner| owner.is_empty());
        self.push(entry);
        self.entries.last_mut().expect("an entry was just pushed")
    }

    /// Adds an entry that goes with an object's and stands for none of its own, with the object's schema and owner.
    pub fn accompany(&mut self, object: &Object, definition: Definition<'_>) {
        let id = self.next_id();
        let entry = self.entry(object, id, Address::default(), definition);
        self.push(entry);
    }

    fn entry(&self, object: &Object, id: DumpId, address: Address, definition: Definition<'_>) -> Entry {
        let schema = object.schema.map(|_| self.catalog.schema_name(object).to_owned());
        Entry {
            id,
            address,
            tag: definition.tag,
            desc: definition.desc.to_owned(),
            section: match definition.section {
                Section::PreData if self.behind_data => Section::PostData,
                section => section,
            },
            definition: Some(definition.create),
            drop_statement: Some(definition.drop),
            copy_statement: None,
            schema,
            tablespace: None,
            table_access_method: None,
            owner: Some(object.owner.clone()),
            dependencies: Vec::new(),
            data_file: None,
        }
    }

    /// Adds an entry that hangs on another: a comment, a grant, a label. Returns its number.
    pub fn attach(&mut self, object: &Object, tag: String, desc: &str, sql: String, on: &[DumpId]) -> DumpId {
        let id = self.next_id();
        let definition = Definition { tag, desc, section: Section::None, create: sql, drop: String::new() };
        let mut entry = self.entry(object, id, Address::default(), definition);
        entry.dependencies = on.to_vec();
        self.push(entry);
        id
    }

    /// The comment and the security labels of an object, if it has any and they are wanted.
    /// `kind` and `name` are the words of `COMMENT ON`, the name quoted but not qualified:
    /// `("FUNCTION", "f(integer)")`.
    pub fn describe(&mut self, object: &Object, kind: &str, name: &str) {
        catalog::comments::emit(self, object, kind, name);
    }

    /// `ALTER … DEPENDS ON EXTENSION` for each extension that the object says it depends on, to be put behind
    /// its definition (`append_depends_on_extension`). `kind` and `name` are those of the ALTER statement,
    /// the name qualified.
    pub fn extension_dependencies(&self, object: &Object, kind: &str, name: &str) -> String {
        catalog::extensions::depends_on(self.catalog, object, kind, name)
    }

    /// The privileges of an object that differ from what its creation gives (`dumpACL`).
    /// `kind` is the word of GRANT (`FUNCTION`), `name` the quoted but unqualified name; the entry's tag is made of
    /// these two. Returns the number of the entry, if there had to be one.
    pub fn grants(&mut self, object: &Object, kind: &str, name: &str) -> Option<DumpId> {
        if object.dumps(Parts::GRANTS) { catalog::grants::emit(self, object, kind, name) } else { None }
    }
}

/// Writes all entries of the objects in the given order. `files` names the data files of each table.
pub(crate) fn entries<'a>(
    catalog: &'a Catalog,
    order: &[DumpId],
    files: &'a HashMap<DumpId, Vec<String>>,
) -> Result<Emitter<'a>> {
    let mut out = Emitter::new(catalog, files);
    let ids = [out.next_id(), out.next_id(), out.next_id()];
    let mut settings = Settings::default();
    catalog.server.client_encoding.clone_into(&mut settings.encoding);
    settings.search_path.get_or_insert_default().push_str(&catalog.server.archive_settings);
    for entry in settings.entries(ids) {
        out.push(entry);
    }
    for id in order {
        let object = catalog.get(*id);
        // What has to wait for a definition of that section belongs to it, whatever it is: a view of a materialized
        // view that needs a primary key. pg_dump leaves such entries in PRE_DATA, where they come too early in a
        // restore by sections.
        out.behind_data |= matches!(object.kind, Kind::PostDataBoundary);
        if catalog.selection.schema || is_data(&object.kind) {
            emit_object(&mut out, object)?;
        }
    }
    Ok(out)
}

/// Whether an object is part of a data-only dump. Large objects are: their numbers are data.
fn is_data(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::TableData { .. }
            | Kind::SequenceSet { .. }
            | Kind::LargeObject(_)
            | Kind::LargeObjectData(_)
            | Kind::RefreshMaterializedView { .. }
    )
}

fn emit_object(out: &mut Emitter<'_>, object: &Object) -> Result<()> {
    if object.dump.and(object.parts) == Parts::NONE {
        return Ok(());
    }
    match &object.kind {
        Kind::Schema(schema) => catalog::schemas::emit(out, object, schema),
        Kind::Extension(extension) => catalog::extensions::emit(out, object, extension),
        Kind::Type(type_) => catalog::types::emit(out, object, type_),
        Kind::ShellType { base } => catalog::types::emit_shell(out, object, *base),
        Kind::Function(function) => catalog::functions::emit(out, object, function),
        Kind::Aggregate(aggregate) => catalog::aggregates::emit(out, object, aggregate),
        Kind::Plain(plain) => catalog::plain::emit(out, object, plain),
        Kind::Table(table) => catalog::tables::emit(out, object, table),
        Kind::TableAttach(attach) => catalog::tables::emit_attach(out, object, attach),
        Kind::ColumnDefault(default) => catalog::tables::emit_default(out, object, default),
        Kind::Index(index) => catalog::indexes::emit(out, object, index),
        Kind::IndexAttach(attach) => catalog::indexes::emit_attach(out, object, attach),
        Kind::Statistics(statistics) => catalog::statistics::emit(out, object, statistics),
        Kind::Rule(rule) => catalog::rules::emit(out, object, rule),
        Kind::Trigger(trigger) => catalog::triggers::emit(out, object, trigger),
        Kind::Constraint(constraint) | Kind::ForeignKey(constraint) => {
            catalog::constraints::emit(out, object, constraint)
        }
        Kind::TableData { table } => catalog::tables::emit_data(out, object, *table),
        Kind::SequenceSet { sequence } => catalog::sequences::emit_set(out, object, *sequence),
        Kind::DefaultGrants(grants) => catalog::grants::emit_default(out, object, grants),
        Kind::LargeObject(large) => catalog::large_objects::emit(out, object, large),
        Kind::LargeObjectData(data) => catalog::large_objects::emit_data(out, object, data),
        Kind::RefreshMaterializedView { view } => catalog::tables::emit_refresh(out, object, *view),
        Kind::Policy(policy) => catalog::policies::emit(out, object, policy),
        Kind::DummyType | Kind::PreDataBoundary | Kind::PostDataBoundary => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_no_empty_texts() {
        let (catalog, files) = (Catalog::default(), HashMap::new());
        let mut out = Emitter::new(&catalog, &files);
        let object = Object::new(Address::default(), "x", Kind::DummyType);
        let definition = |create: &str| Definition {
            tag: "x".to_owned(),
            desc: "CAST",
            section: Section::PreData,
            create: create.to_owned(),
            drop: String::new(),
        };
        out.define(&object, definition("CREATE …"));
        out.attach(&object, "CAST x".to_owned(), "COMMENT", "COMMENT ON …".to_owned(), &[object.id]);
        out.accompany(&object, definition(""));
        let texts: Vec<_> = out
            .finish()
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| (entry.definition, entry.drop_statement, entry.owner))
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts,
            [(text("CREATE …"), None, None), (text("COMMENT ON …"), None, text("")), (None, None, text(""))]
        );
    }
}
