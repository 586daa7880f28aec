//! The order in which objects are restored (`src/bin/pg_dump/pg_dump_sort.c`).
//!
//! Objects are first sorted by kind and name, so that equal schemas give equal archives, and then moved as little as
//! their dependencies demand. Loops are broken as `pg_dump` breaks them (`order/loops`).

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use crate::catalog::{Address, Catalog, DumpId, Kind, Object, tables};
use crate::emit::Emitted;
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

mod loops;
mod priority;

/// Reads `pg_depend` (`getDependencies`). Dependencies of columns are those of their tables. Pins do not matter, and
/// membership in extensions was read before.
///
/// The rows are sorted here, which takes the server five times as long: so the order does not depend on how the server
/// reads its catalog.
pub(crate) async fn read_dependencies(catalog: &mut Catalog, session: &Session) -> Result<()> {
    let sql = "
        SELECT classid, objid, refclassid, refobjid, deptype FROM pg_catalog.pg_depend
        WHERE deptype NOT IN ('p', 'e')
        UNION ALL
        SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass::oid, amopfamily, refclassid, refobjid, deptype
        FROM pg_catalog.pg_depend d, pg_catalog.pg_amop o
        WHERE deptype NOT IN ('p', 'e', 'i') AND classid = 'pg_catalog.pg_amop'::pg_catalog.regclass AND objid = o.oid
          AND NOT (refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND amopfamily = refobjid)
        UNION ALL
        SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass::oid, amprocfamily, refclassid, refobjid, deptype
        FROM pg_catalog.pg_depend d, pg_catalog.pg_amproc p
        WHERE deptype NOT IN ('p', 'e', 'i') AND classid = 'pg_catalog.pg_amproc'::pg_catalog.regclass AND objid = p.oid
          AND NOT (refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND amprocfamily = refobjid)";
    let mut dependencies = Vec::new();
    for row in session.rows(sql).await? {
        let object = Address::new(row.number("classid")?, row.number("objid")?);
        let needed = Address::new(row.number("refclassid")?, row.number("refobjid")?);
        dependencies.push((object, needed, row.letter("deptype")?));
    }
    dependencies.sort_unstable();
    dependencies.dedup(); // several columns of a table are one dependency
    for (object, needed, kind) in dependencies {
        // TOAST tables and their like are in pg_depend and not among our objects.
        let (Some(object), Some(needed)) = (catalog.find(object), catalog.find(needed)) else { continue };
        if kind == 'x' {
            catalog.get_mut(object).depends_on_extension = true;
        }
        // A composite type owns its relation in pg_depend, which is right for DROP and wrong for the order here.
        let reversed = kind == 'i'
            && matches!(catalog.get(object).kind, Kind::Table(_))
            && matches!(catalog.get(needed).kind, Kind::Type(_) | Kind::DummyType);
        let (object, needed) = if reversed { (needed, object) } else { (object, needed) };
        catalog.get_mut(object).depend_on(needed);
    }
    Ok(())
}

/// Adds the section boundaries and sorts. Changes the catalog where a loop had to be broken.
pub(crate) fn sort(catalog: &mut Catalog) -> Result<Vec<DumpId>> {
    let post_data = add_boundaries(catalog);
    let mut order: Vec<DumpId> = catalog.objects().iter().map(|object| object.id).collect();
    order.sort_by(|a, b| priority::compare(catalog, catalog.get(*a), catalog.get(*b)));
    loop {
        match topological(catalog, &order) {
            Ok(sorted) => return Ok(sorted),
            Err(stuck) => loops::repair(catalog, &stuck, post_data)?,
        }
    }
}

/// Adds the two objects that part pre-data, data and post-data. Returns the second.
fn add_boundaries(catalog: &mut Catalog) -> DumpId {
    let pre_data = catalog.add(Object::new(Address::default(), "PRE-DATA BOUNDARY", Kind::PreDataBoundary));
    let post_data =
        catalog.add(Object::new(Address::default(), "POST-DATA BOUNDARY", Kind::PostDataBoundary));
    let (mut before_data, mut before_post_data) = (Vec::new(), vec![pre_data]);
    for object in catalog.objects_mut() {
        match priority::section(&object.kind) {
            priority::Place::PreData => before_data.push(object.id),
            priority::Place::Data => {
                object.depend_on(pre_data);
                before_post_data.push(object.id);
            }
            priority::Place::PostData => object.depend_on(post_data),
            priority::Place::Anywhere => {}
        }
    }
    catalog.get_mut(pre_data).dependencies = before_data;
    catalog.get_mut(post_data).dependencies = before_post_data;
    post_data
}

/// Knuth's topological sort (volume 1, 2.2.3) from the end: of all objects that nothing left needs, the last in the
/// given order goes last. On failure returns the objects that are in loops, or needed by one, by number.
fn topological(catalog: &Catalog, order: &[DumpId]) -> std::result::Result<Vec<DumpId>, Vec<DumpId>> {
    let mut needed_by = vec![0_usize; order.len() + 1];
    let mut position = vec![0_usize; order.len() + 1];
    for (at, id) in order.iter().enumerate() {
        position[id.0 as usize] = at;
        for needed in &catalog.get(*id).dependencies {
            needed_by[needed.0 as usize] += 1;
        }
    }
    let mut ready: BinaryHeap<usize> =
        (0..order.len()).filter(|at| needed_by[order[*at].0 as usize] == 0).collect();
    let mut sorted = Vec::with_capacity(order.len());
    while let Some(at) = ready.pop() {
        sorted.push(order[at]);
        for needed in &catalog.get(order[at]).dependencies {
            let count = &mut needed_by[needed.0 as usize];
            *count -= 1;
            if *count == 0 {
                ready.push(position[needed.0 as usize]);
            }
        }
    }
    if sorted.len() == order.len() {
        sorted.reverse();
        return Ok(sorted);
    }
    let mut stuck: Vec<DumpId> = order.iter().copied().filter(|id| needed_by[id.0 as usize] > 0).collect();
    stuck.sort_unstable();
    Err(stuck)
}

/// Gives each entry that names no dependencies yet those of its object, through objects that have no entry of their
/// own (`BuildArchiveDependencies`), and makes everything that is restored after a table's data wait for all of its
/// data files.
pub(crate) fn link_entries(catalog: &Catalog, emitted: &mut Emitted) -> Result<()> {
    let Emitted { entries, data_entries } = emitted;
    let mut has_entry = vec![false; catalog.objects().len() + 1];
    for entry in entries.iter() {
        if let Some(slot) = has_entry.get_mut(entry.id.0 as usize) {
            *slot = true;
        }
    }
    let waits = data_to_wait_for(catalog, data_entries);
    for entry in entries.iter_mut() {
        let is_object = (entry.id.0 as usize) < has_entry.len();
        let is_chunk = entry.desc == "TABLE DATA";
        if entry.dependencies.is_empty() && is_object && !is_chunk {
            let mut found = Vec::new();
            let mut seen = std::collections::HashSet::new();
            collect(catalog, entry.id, &has_entry, &mut found, &mut seen, 0)?;
            entry.dependencies = found;
        }
        // An attachment reads no rows, and waits for the index of its partition, which waits for those. With the rows of
        // all partitions in each, the table of contents would grow with the square of their number.
        let reads_rows = !is_object || !matches!(catalog.get(entry.id).kind, Kind::IndexAttach(_));
        if entry.section == crate::toc::Section::PostData && reads_rows {
            let needed: Vec<DumpId> = entry.dependencies.clone();
            let waited: BTreeSet<DumpId> =
                needed.iter().filter_map(|table| waits.get(table)).flatten().copied().collect();
            entry.dependencies.extend(waited.into_iter().filter(|data| !needed.contains(data)));
        }
    }
    Ok(())
}

/// For each table, the data entries that pg_restore must be told to wait for before it restores what belongs behind
/// the table's data. A single entry of the table itself is not among them: pg_restore waits for that by itself
/// (`repoint_table_dependencies` in `pg_backup_archiver.c`).
///
/// Constraints and triggers of a parent hold for the rows of its partitions and children, so these must be loaded
/// first; pg_dump does not say so, and its archives fail there now and then under `pg_restore -j`. Rows that are
/// loaded through the root of a partition tree can land anywhere in it.
fn data_to_wait_for(
    catalog: &Catalog,
    data_entries: &HashMap<DumpId, Vec<DumpId>>,
) -> HashMap<DumpId, BTreeSet<DumpId>> {
    let mut waits: HashMap<DumpId, BTreeSet<DumpId>> = HashMap::new();
    let mut through_root: HashMap<DumpId, Vec<DumpId>> = HashMap::new();
    for (object, table) in catalog.tables() {
        let Some(data) = data_entries.get(&object.id) else { continue };
        if data.len() > 1 {
            waits.entry(object.id).or_default().extend(data);
        }
        for ancestor in ancestors(catalog, object.id) {
            waits.entry(ancestor).or_default().extend(data);
        }
        if let Some(root) = tables::load_root(catalog, table) {
            through_root.entry(root).or_default().extend(data);
        }
    }
    if !through_root.is_empty() {
        for (object, table) in catalog.tables().filter(|(_, table)| table.is_partition) {
            if let Some(data) = tables::load_root(catalog, table).and_then(|root| through_root.get(&root)) {
                waits.entry(object.id).or_default().extend(data);
            }
        }
    }
    waits
}

/// The tables that a table inherits from or is a partition of, at any distance.
fn ancestors(catalog: &Catalog, id: DumpId) -> BTreeSet<DumpId> {
    let mut found = BTreeSet::new();
    let mut next = vec![id];
    while let Some(id) = next.pop() {
        if let Kind::Table(table) = &catalog.get(id).kind {
            next.extend(table.parents.iter().filter(|parent| found.insert(**parent)));
        }
    }
    found
}

fn collect(
    catalog: &Catalog,
    id: DumpId,
    has_entry: &[bool],
    found: &mut Vec<DumpId>,
    seen: &mut std::collections::HashSet<DumpId>,
    depth: usize,
) -> Result<()> {
    // The sort has broken all loops, so this only guards against a mistake in it.
    if depth > catalog.objects().len() {
        return Err(Error::new(ErrorKind::Catalog, "the dependencies of the catalog have a loop left"));
    }
    let object = catalog.get(id);
    if matches!(object.kind, Kind::PreDataBoundary | Kind::PostDataBoundary) {
        return Ok(());
    }
    for needed in &object.dependencies {
        if !seen.insert(*needed) {
            continue;
        }
        if has_entry[needed.0 as usize] {
            found.push(*needed);
        } else {
            collect(catalog, *needed, has_entry, found, seen, depth + 1)?;
        }
    }
    Ok(())
}

/// Orders by bytes, as `strcmp` does.
fn by_bytes(a: &str, b: &str) -> Ordering {
    a.as_bytes().cmp(b.as_bytes())
}
