//! Objects whose statements are known as soon as their row is read: procedural languages, collations, conversions,
//! casts, transforms, access methods, operators and what groups them, text search, foreign servers, event triggers,
//! publications, subscriptions, and the database itself.
//!
//! Nothing that is read later changes them, and no loop of dependencies runs through them, so they need no more than
//! their text. Each kind has a file below that makes it; here is what they share. Objects that `initdb` made are not
//! read: nothing depends on them in `pg_depend`, and they are never dumped.

use crate::Result;
use crate::catalog::{Address, Catalog, Kind, Object, Parts};
use crate::emit::{Definition, Emitter};
use crate::quote;
use crate::session::{Row, Session};
use crate::toc::Section;

mod access_methods;
mod casts;
mod collations;
mod conversions;
mod database;
mod event_triggers;
mod foreign_servers;
mod languages;
mod operator_classes;
mod operators;
mod publications;
mod subscriptions;
mod text_search;
mod transforms;

/// What the entries of such an object are made of.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    /// Kind, in `pg_dump`'s words.
    pub desc: &'static str,
    /// The kind's place in the order of restore; see `order/priority.rs`. Below 150 it is restored before data.
    pub priority: u8,
    /// What orders objects of the kind that have the same schema and name (`DOTypeNameCompare`).
    pub sort_key: Vec<String>,
    /// Name for people.
    tag: String,
    /// SQL that creates it.
    create: String,
    /// SQL that drops it; empty if dropping another object drops it.
    drop: String,
    /// The words and the name of COMMENT ON, the name quoted but not qualified.
    described_as: (&'static str, String),
    /// The word of GRANT, if privileges on it can be granted.
    granted_as: Option<&'static str>,
    /// Entries that go with it and stand for no object of their own.
    further: Vec<Entry>,
}

/// An entry beside an object's own.
#[derive(Clone, Debug)]
struct Entry {
    tag: String,
    desc: &'static str,
    create: String,
    drop: String,
}

impl Plain {
    /// The section of its kind: what comes before the boundary at 150 makes the database that data is loaded into.
    pub fn section(&self) -> Section {
        if self.priority < 150 { Section::PreData } else { Section::PostData }
    }
}

/// Reads all of them. Functions, types and tables must have been read.
pub async fn read(catalog: &mut Catalog, session: &Session) -> Result<()> {
    languages::read(catalog, session).await?;
    operators::read(catalog, session).await?;
    access_methods::read(catalog, session).await?;
    operator_classes::read(catalog, session).await?;
    collations::read(catalog, session).await?;
    conversions::read(catalog, session).await?;
    casts::read(catalog, session).await?;
    transforms::read(catalog, session).await?;
    text_search::read(catalog, session).await?;
    foreign_servers::read(catalog, session).await?;
    event_triggers::read(catalog, session).await?;
    publications::read(catalog, session).await?;
    subscriptions::read(catalog, session).await?;
    database::read(catalog, session).await
}

/// The name of a row's object, quoted and qualified, from its columns `name` and `namespace`.
fn qualified(catalog: &Catalog, row: &Row) -> Result<String> {
    let schema = catalog.schema(row.number("namespace")?)?;
    Ok(quote::qualified(&catalog.get(schema).name, row.text("name")?))
}

/// Adds the object of a row: its columns `oid` and `name`, and `namespace` and `owner` where its kind has them.
fn object(catalog: &Catalog, row: &Row, class: u32, plain: Plain) -> Result<Object> {
    let kind = Kind::Plain(Box::new(plain));
    let mut object = Object::new(Address::new(class, row.number("oid")?), row.text("name")?, kind);
    if row.optional("namespace")?.is_some() {
        object.schema = Some(catalog.schema(row.number("namespace")?)?);
    }
    if row.optional("owner")?.is_some() {
        catalog.role(row.number("owner")?)?.clone_into(&mut object.owner);
    }
    catalog.decide(&mut object);
    Ok(object)
}

/// Writes the entries of such an object.
pub fn emit(out: &mut Emitter<'_>, object: &Object, plain: &Plain) -> Result<()> {
    if object.dumps(Parts::DEFINITION) {
        let definition = Definition {
            tag: plain.tag.clone(),
            desc: plain.desc,
            section: plain.section(),
            create: plain.create.clone(),
            drop: plain.drop.clone(),
        };
        out.define(object, definition);
    }
    let (word, name) = &plain.described_as;
    out.describe(object, word, name);
    if let Some(word) = plain.granted_as {
        out.grants(object, word, name);
    }
    if object.dumps(Parts::FURTHER) {
        for further in &plain.further {
            let Entry { tag, desc, create, drop } = further.clone();
            out.accompany(object, Definition { tag, desc, section: plain.section(), create, drop });
        }
    }
    Ok(())
}
