//! The order by kind and name that comes before any dependency (`DOTypeNameCompare`).

use std::cmp::Ordering;

use super::by_bytes;
use crate::catalog::{Address, Catalog, DumpId, Kind, Object, class};
use crate::toc::Section;

/// The section that an object belongs to (`addBoundaryDependencies`).
pub(super) enum Place {
    PreData,
    Data,
    PostData,
    Anywhere,
}

/// Where objects of a kind go. Rules and constraints that are part of their table's definition go nowhere of
/// their own.
pub(super) fn section(kind: &Kind) -> Place {
    match kind {
        Kind::Plain(plain) if plain.section() == Section::PostData => Place::PostData,
        Kind::Schema(_)
        | Kind::Extension(_)
        | Kind::Type(_)
        | Kind::ShellType { .. }
        | Kind::Plain(_)
        | Kind::Function(_)
        | Kind::Aggregate(_)
        | Kind::Table(_)
        | Kind::TableAttach(_)
        | Kind::ColumnDefault(_)
        | Kind::DummyType
        | Kind::LargeObject(_) => Place::PreData,
        Kind::TableData { .. } | Kind::SequenceSet { .. } | Kind::LargeObjectData(_) => Place::Data,
        Kind::Index(_)
        | Kind::IndexAttach(_)
        | Kind::Statistics(_)
        | Kind::RefreshMaterializedView { .. }
        | Kind::Trigger(_)
        | Kind::DefaultGrants(_)
        | Kind::Policy(_) => Place::PostData,
        Kind::Rule(rule) if rule.separate => Place::PostData,
        Kind::Constraint(constraint) | Kind::ForeignKey(constraint) if constraint.separate => Place::PostData,
        Kind::Rule(_)
        | Kind::Constraint(_)
        | Kind::ForeignKey(_)
        | Kind::PreDataBoundary
        | Kind::PostDataBoundary => Place::Anywhere,
    }
}

/// The kind's place among kinds (`dbObjectTypePriorities`). Gaps are left for kinds that come between.
fn priority(kind: &Kind) -> u8 {
    match kind {
        Kind::Schema(_) => 10,
        Kind::Extension(_) => 50,
        Kind::Type(_) | Kind::ShellType { .. } => 60,
        Kind::Function(_) => 80,
        Kind::Aggregate(_) => 90,
        Kind::Plain(plain) => plain.priority,
        Kind::Table(_) => 140,
        Kind::TableAttach(_) => 141,
        Kind::DummyType => 142,
        Kind::ColumnDefault(_) => 143,
        Kind::LargeObject(_) => 144,
        Kind::PreDataBoundary => 150,
        Kind::TableData { .. } => 151,
        Kind::SequenceSet { .. } => 152,
        Kind::LargeObjectData(_) => 153,
        Kind::PostDataBoundary => 160,
        Kind::Constraint(_) => 161,
        Kind::Index(_) => 162,
        Kind::IndexAttach(_) => 163,
        Kind::Statistics(_) => 164,
        Kind::Rule(_) => 165,
        Kind::Trigger(_) => 166,
        Kind::ForeignKey(_) => 167,
        Kind::Policy(_) => 168,
        Kind::DefaultGrants(_) => 180,
        Kind::RefreshMaterializedView { .. } => 190,
    }
}

/// Compares two objects: by kind, schema, name, and what else makes objects of the kind distinct; last by OID.
pub(super) fn compare(catalog: &Catalog, a: &Object, b: &Object) -> Ordering {
    priority(&a.kind)
        .cmp(&priority(&b.kind))
        .then_with(|| match (a.schema, b.schema) {
            (Some(_), Some(_)) => by_bytes(catalog.schema_name(a), catalog.schema_name(b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        })
        .then_with(|| by_bytes(&a.name, &b.name))
        .then_with(|| natural_key(catalog, &a.kind, &b.kind))
        .then_with(|| a.address.oid.cmp(&b.address.oid))
}

/// The rest of the natural key, for kinds where schema and name are not all of it.
fn natural_key(catalog: &Catalog, a: &Kind, b: &Kind) -> Ordering {
    match (a, b) {
        (Kind::Type(_), Kind::ShellType { .. }) => Ordering::Less,
        (Kind::ShellType { .. }, Kind::Type(_)) => Ordering::Greater,
        (Kind::Function(a), Kind::Function(b)) => arguments(catalog, &a.argument_types, &b.argument_types),
        (Kind::Aggregate(a), Kind::Aggregate(b)) => arguments(catalog, &a.argument_types, &b.argument_types),
        (Kind::Plain(a), Kind::Plain(b)) => a.sort_key.cmp(&b.sort_key),
        (Kind::ColumnDefault(a), Kind::ColumnDefault(b)) => a.column.cmp(&b.column),
        (Kind::Policy(a), Kind::Policy(b)) => by_name(catalog, a.table, b.table),
        (Kind::Rule(a), Kind::Rule(b)) => by_name(catalog, a.table, b.table),
        (Kind::Trigger(a), Kind::Trigger(b)) => by_name(catalog, a.table, b.table),
        (Kind::Constraint(a), Kind::Constraint(b)) | (Kind::ForeignKey(a), Kind::ForeignKey(b)) => {
            // Domains are made before tables, and so are their constraints.
            let domains_first = b.domain.is_some().cmp(&a.domain.is_some());
            domains_first.then_with(|| match (a.domain.or(a.table), b.domain.or(b.table)) {
                (Some(a), Some(b)) => by_name(catalog, a, b),
                _ => Ordering::Equal,
            })
        }
        (Kind::DefaultGrants(a), Kind::DefaultGrants(b)) => by_bytes(&a.role, &b.role),
        _ => Ordering::Equal,
    }
}

fn by_name(catalog: &Catalog, a: DumpId, b: DumpId) -> Ordering {
    by_bytes(&catalog.get(a).name, &catalog.get(b).name)
}

/// By number of arguments, then by the names of their types with their schemas.
fn arguments(catalog: &Catalog, a: &[u32], b: &[u32]) -> Ordering {
    let type_of = |oid: u32| catalog.find(Address::new(class::TYPE, oid)).map(|id| catalog.get(id));
    a.len().cmp(&b.len()).then_with(|| {
        a.iter().zip(b).fold(Ordering::Equal, |order, (a, b)| {
            order.then_with(|| match (type_of(*a), type_of(*b)) {
                (Some(a), Some(b)) => by_bytes(catalog.schema_name(a), catalog.schema_name(b))
                    .then_with(|| by_bytes(&a.name, &b.name)),
                _ => Ordering::Equal,
            })
        })
    })
}
