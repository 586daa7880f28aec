//! Finds loops among dependencies and breaks them (`findDependencyLoops`, `repairDependencyLoop`).
//!
//! Most loops are natural: a view and its rule, a type and its input function, a table and its CHECK constraint. A
//! loop of only the two is cut where the statement that makes one makes the other too; a longer one is cut by making
//! one of them a statement of its own, after the data.

use std::collections::HashSet;

use crate::catalog::{Catalog, DumpId, Kind, Parts};
use crate::{Error, ErrorKind, Result};

/// Breaks as many disjoint loops among the objects that could not be sorted as there are.
pub(super) fn repair(catalog: &mut Catalog, stuck: &[DumpId], post_data: DumpId) -> Result<()> {
    let mut search = Search { processed: HashSet::new(), failed: vec![None; catalog.objects().len() + 1] };
    let mut repaired = false;
    for start in stuck {
        if let Some(members) = search.find_loop(catalog, *start) {
            search.processed.extend(&members);
            repair_one(catalog, &members, post_data);
            repaired = true;
        } else {
            search.processed.insert(*start);
        }
    }
    if repaired {
        Ok(())
    } else {
        Err(Error::new(
            ErrorKind::Catalog,
            "the dependencies of the catalog contradict each other, and no loop was found",
        ))
    }
}

struct Search {
    processed: HashSet<DumpId>,
    /// The start for which a search from here has failed already.
    failed: Vec<Option<DumpId>>,
}

/// An object on the path of the search, and which of its dependencies comes next.
struct Step {
    id: DumpId,
    next: usize,
}

impl Search {
    /// A loop through `start` without processed objects. Depth first, without recursion: chains can be long.
    fn find_loop(&mut self, catalog: &Catalog, start: DumpId) -> Option<Vec<DumpId>> {
        if self.processed.contains(&start) {
            return None;
        }
        let mut path = vec![Step { id: start, next: 0 }];
        let mut on_path = HashSet::from([start]);
        while let Some(step) = path.last_mut() {
            let dependencies = &catalog.get(step.id).dependencies;
            if step.next == 0 && dependencies.contains(&start) {
                return Some(path.iter().map(|step| step.id).collect());
            }
            let Some(next) = dependencies.get(step.next) else {
                self.failed[step.id.0 as usize] = Some(start);
                on_path.remove(&step.id);
                path.pop();
                continue;
            };
            step.next += 1;
            let dead_end = self.processed.contains(next)
                || self.failed[next.0 as usize] == Some(start)
                || on_path.contains(next);
            if !dead_end {
                on_path.insert(*next);
                path.push(Step { id: *next, next: 0 });
            }
        }
        None
    }
}

fn repair_one(catalog: &mut Catalog, members: &[DumpId], post_data: DumpId) {
    let cut = match members {
        [one] => Some((*one, *one)),
        [a, b] => direct(catalog, *a, *b).or_else(|| direct(catalog, *b, *a)),
        _ => None,
    };
    if let Some((from, to)) = cut {
        // A table that depends on itself has a column that depends on another: nothing to say about it.
        if from == to && !matches!(catalog.get(from).kind, Kind::Table(_)) {
            warn(catalog, members);
        }
        catalog.get_mut(from).no_longer_depend_on(to);
        return;
    }
    if members.len() > 2 && indirect(catalog, members, post_data) {
        return;
    }
    warn(catalog, members);
    catalog.get_mut(members[0]).no_longer_depend_on(members[1]);
}

/// The dependency to cut in a loop of two, if `a` and `b` are, in this order, a pair that is known. The shell type
/// takes the place of the type that a function needs.
fn direct(catalog: &mut Catalog, a: DumpId, b: DumpId) -> Option<(DumpId, DumpId)> {
    let a_oid = catalog.get(a).address.oid;
    match (&catalog.get(a).kind, &catalog.get(b).kind) {
        (Kind::Type(of), Kind::Function(_)) => {
            let shell = of.shell;
            let wanted = catalog.get(b).dump;
            if let Some(shell) = shell {
                catalog.get_mut(b).depend_on(shell);
                if wanted != Parts::NONE {
                    catalog.get_mut(shell).dump = wanted.with(Parts::DEFINITION);
                }
            }
            Some((b, a))
        }
        (Kind::Table(table), Kind::Rule(rule))
            if "vm".contains(table.relkind) && rule.event == '1' && rule.instead && rule.table == a =>
        {
            Some((b, a))
        }
        (Kind::Table(_), Kind::Constraint(constraint))
            if constraint.kind == 'c' && constraint.table == Some(a) =>
        {
            Some((b, a))
        }
        (Kind::Table(_), Kind::ColumnDefault(default)) if default.table == a => Some((b, a)),
        (Kind::Index(_), Kind::Index(part)) if part.parent_oid == a_oid => Some((a, b)),
        (Kind::Type(_), Kind::Constraint(constraint))
            if matches!(constraint.kind, 'c' | 'n') && constraint.domain == Some(a) =>
        {
            Some((b, a))
        }
        _ => None,
    }
}

/// Breaks a loop of more than two; says whether it knew how. The order of the attempts is `pg_dump`'s.
fn indirect(catalog: &mut Catalog, members: &[DumpId], post_data: DumpId) -> bool {
    if let Some((view, rule)) = pair(catalog, members, |a, id, b| match (a, b) {
        (Kind::Table(table), Kind::Rule(rule)) => {
            table.relkind == 'v' && rule.event == '1' && rule.instead && rule.table == id
        }
        _ => false,
    }) {
        split_view(catalog, view, rule, post_data);
        return true;
    }
    let has_matview =
        members.iter().any(|id| matches!(&catalog.get(*id).kind, Kind::Table(table) if table.relkind == 'm'));
    let has_function = members.iter().any(|id| matches!(catalog.get(*id).kind, Kind::Function(_)));
    let boundary = members.iter().position(|id| matches!(catalog.get(*id).kind, Kind::PreDataBoundary));
    if let Some(at) = boundary.filter(|_| has_matview || has_function) {
        postpone(catalog, members[at], members[(at + 1) % members.len()], has_matview);
        return true;
    }
    if let Some((table, constraint)) = pair(catalog, members, |a, id, b| match (a, b) {
        (Kind::Table(_), Kind::Constraint(constraint)) => {
            constraint.kind == 'c' && constraint.table == Some(id)
        }
        _ => false,
    }) {
        split_constraint(catalog, table, constraint, post_data);
        return true;
    }
    if let Some((table, default)) = pair(catalog, members, |a, id, b| match (a, b) {
        (Kind::Table(_), Kind::ColumnDefault(default)) => default.table == id,
        _ => false,
    }) {
        catalog.get_mut(table).no_longer_depend_on(default);
        let object = catalog.get_mut(default);
        object.depend_on(table);
        if let Kind::ColumnDefault(default) = &mut object.kind {
            default.separate = true;
        }
        return true;
    }
    if let Some((domain, constraint)) = pair(catalog, members, |a, id, b| match (a, b) {
        (Kind::Type(_), Kind::Constraint(constraint)) => {
            matches!(constraint.kind, 'c' | 'n') && constraint.domain == Some(id)
        }
        _ => false,
    }) {
        split_constraint(catalog, domain, constraint, post_data);
        return true;
    }
    false
}

/// The first two members that a test accepts.
fn pair(
    catalog: &Catalog,
    members: &[DumpId],
    accept: impl Fn(&Kind, DumpId, &Kind) -> bool,
) -> Option<(DumpId, DumpId)> {
    members.iter().find_map(|a| {
        let b = members.iter().find(|b| accept(&catalog.get(*a).kind, *a, &catalog.get(**b).kind))?;
        Some((*a, *b))
    })
}

/// Makes a view as a dummy first, and gives it its query by CREATE OR REPLACE after the data.
fn split_view(catalog: &mut Catalog, view: DumpId, rule: DumpId, post_data: DumpId) {
    let object = catalog.get_mut(view);
    object.no_longer_depend_on(rule);
    if let Kind::Table(table) = &mut object.kind {
        table.dummy_view = true;
    }
    let object = catalog.get_mut(rule);
    if let Kind::Rule(rule) = &mut object.kind {
        rule.separate = true;
    }
    object.depend_on(view);
    object.depend_on(post_data);
}

/// Moves what comes next in the loop behind the data: it stays whole, only its section changes.
fn postpone(catalog: &mut Catalog, boundary: DumpId, next: DumpId, matview: bool) {
    catalog.get_mut(boundary).no_longer_depend_on(next);
    match &mut catalog.get_mut(next).kind {
        Kind::Table(table) if matview && table.relkind == 'm' => table.postponed = true,
        Kind::Function(function) if !matview => function.postponed = true,
        _ => {}
    }
}

/// Takes a constraint out of the definition of its table or domain, and adds it after the data.
fn split_constraint(catalog: &mut Catalog, owner: DumpId, constraint: DumpId, post_data: DumpId) {
    catalog.get_mut(owner).no_longer_depend_on(constraint);
    let object = catalog.get_mut(constraint);
    if let Kind::Constraint(constraint) = &mut object.kind {
        constraint.separate = true;
    }
    object.depend_on(owner);
    object.depend_on(post_data);
}

fn warn(catalog: &mut Catalog, members: &[DumpId]) {
    let names: Vec<String> = members.iter().map(|id| catalog.qualified(catalog.get(*id))).collect();
    let names = names.join(", ");
    let all_data = members.iter().all(|id| matches!(catalog.get(*id).kind, Kind::TableData { .. }));
    catalog.warnings.push(if all_data {
        format!(
            "foreign keys among these tables are circular: {names}; a data-only restore of them needs \
             --disable-triggers or its constraints dropped"
        )
    } else {
        format!("these objects depend on each other in a circle that could not be resolved: {names}")
    });
}
