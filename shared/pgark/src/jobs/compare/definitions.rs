//! Definitions of two tables of contents, told apart by kind, schema and name. Pure.
//!
//! A server words some definitions differently once it has read its own text. So where texts differ, and their contents do
//! not ([`pg_archive::wording`]), what counts is what the server makes of the backup's text when it reads it once more.
//!
//! Numbers and OIDs differ between databases and are not compared. Neither is what belongs to the database itself, which
//! has another name, nor sequence values, which move on; rows are compared by their fingerprint.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use pg_archive::toc::settings::is_setting;
use pg_archive::toc::{Entry, Section};
use pg_archive::wording::same_content;

use super::{Difference, DifferenceKind, Scope};

/// Kinds whose owner a restore does not set: they belong to whoever restores, or to what they hang on.
const WITHOUT_OWNER: [&str; 2] = ["EXTENSION", "USER MAPPING"];

/// What `dumped` has and `present` has not, and the other way round.
pub(crate) fn differences(dumped: &[Entry], present: &[Entry], scope: Scope) -> Vec<Difference> {
    compared(dumped, present, None, scope).0
}

/// Whether there are definitions that may only be worded differently.
pub(crate) fn are_reworded(dumped: &[Entry], present: &[Entry], scope: Scope) -> bool {
    compared(dumped, present, None, scope).1 > 0
}

/// What differs between `dumped` and `present`, and how many definitions are the same in other words: `again` is what the
/// server makes of the dumped ones when it reads them. Without it, the same content counts as a difference.
pub(super) fn compared(
    dumped: &[Entry],
    present: &[Entry],
    again: Option<&[Entry]>,
    scope: Scope,
) -> (Vec<Difference>, usize) {
    let (mut dumped, mut present) = (by_label(dumped, scope), by_label(present, scope));
    let mut again = again.map(|again| by_label(again, scope));
    let labels: BTreeSet<String> = dumped.keys().chain(present.keys()).cloned().collect();
    let (mut differences, mut reworded) = (Vec::new(), 0);
    for label in labels {
        let ours = dumped.remove(&label).unwrap_or_default();
        let theirs = present.remove(&label).unwrap_or_default();
        let mut found = of_label(&label, ours.clone(), theirs.clone(), scope);
        let differ = found.iter().any(|difference| difference.code == DifferenceKind::DefinitionDiffers);
        if differ && contents_agree(&ours, &theirs) {
            reworded += 1;
            if let Some(again) = &mut again {
                found = of_label(&label, again.remove(&label).unwrap_or_default(), theirs, scope);
            }
        }
        differences.extend(found);
    }
    (differences, reworded)
}

/// Whether each text of the one has one with the same content in the other.
fn contents_agree(ours: &[Compared<'_>], theirs: &[Compared<'_>]) -> bool {
    let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
    take_equal(&mut ours, &mut theirs, |a, b| same_content(&a.0, &b.0));
    ours.is_empty() && theirs.is_empty()
}

/// Whether an entry can be the same in both.
pub(super) fn is_compared(entry: &Entry, scope: Scope) -> bool {
    let of_database = entry.desc.starts_with("DATABASE") || entry.tag.starts_with("DATABASE ");
    let privileges = matches!(entry.desc.as_str(), "ACL" | "DEFAULT ACL");
    // How a session is set up is no definition of the database's.
    entry.section != Section::Data && !is_setting(entry) && !of_database && (scope.privileges || !privileges)
}

/// What is compared of an entry: its text and, where a restore sets it, its owner.
type Compared<'a> = (Cow<'a, str>, Option<&'a str>);

fn by_label(entries: &[Entry], scope: Scope) -> BTreeMap<String, Vec<Compared<'_>>> {
    let mut by_label: BTreeMap<String, Vec<Compared<'_>>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_compared(entry, scope)) {
        let text = if scope.texts { entry.definition.as_deref().unwrap_or_default() } else { "" };
        let text = comparable(text);
        // As a restore does: what can be dropped has an owner of its own.
        let has_owner = entry.drop_statement.as_deref().is_some_and(|drop| !drop.is_empty())
            && !WITHOUT_OWNER.contains(&entry.desc.as_str());
        let owner = entry.owner.as_deref().filter(|_| scope.owners && has_owner);
        by_label.entry(label(entry, scope)).or_default().push((text, owner));
    }
    by_label
}

/// From 14 on, the arguments of procedures are told with IN.
fn label(entry: &Entry, scope: Scope) -> String {
    let label = entry.label();
    if scope.texts { label } else { label.replace("(IN ", "(").replace(", IN ", ", ") }
}

/// The extensions that an object says it depends on come in the order of their OIDs, which a restore does not keep.
fn comparable(text: &str) -> Cow<'_, str> {
    if !text.contains(" DEPENDS ON EXTENSION ") {
        return text.into();
    }
    let (depends, mut lines): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("ALTER ") && line.contains(" DEPENDS ON EXTENSION "));
    let depends: BTreeSet<&str> = depends.into_iter().collect();
    lines.extend(depends);
    lines.join("\n").into()
}

/// Entries of one label are mostly one on each side.
fn of_label<'a>(
    label: &str,
    mut ours: Vec<Compared<'a>>,
    mut theirs: Vec<Compared<'a>>,
    scope: Scope,
) -> Vec<Difference> {
    take_equal(&mut ours, &mut theirs, |a, b| a == b);
    let mut differences = Vec::new();
    let with_owner = ours.len();
    take_equal(&mut ours, &mut theirs, |a, b| a.0 == b.0);
    for _ in ours.len()..with_owner {
        differences.push(Difference::new(
            DifferenceKind::Owner,
            label,
            "belongs to another role than in the backup",
        ));
    }
    let changed = ours.len().min(theirs.len());
    let (missing, unexpected) = (ours.len() - changed, theirs.len() - changed);
    let what = if scope.texts { "this definition" } else { "it" };
    for (count, kind, message) in [
        (changed, DifferenceKind::DefinitionDiffers, "has another definition than in the backup".to_owned()),
        (missing, DifferenceKind::DefinitionMissing, format!("only the backup has {what}")),
        (unexpected, DifferenceKind::DefinitionUnexpected, format!("only the database has {what}")),
    ] {
        differences.extend((0..count).map(|_| Difference::new(kind, label, message.clone())));
    }
    differences
}

/// Takes pairs that are the same out of both lists.
fn take_equal<T>(ours: &mut Vec<T>, theirs: &mut Vec<T>, same: impl Fn(&T, &T) -> bool) {
    ours.retain(|entry| match theirs.iter().position(|other| same(entry, other)) {
        Some(at) => {
            theirs.swap_remove(at);
            false
        }
        None => true,
    });
}

#[cfg(test)]
mod tests {
    use pg_archive::catalog::{Address, DumpId};

    use super::*;

    fn entry(desc: &str, tag: &str, definition: &str, owner: &str) -> Entry {
        Entry {
            id: DumpId(1),
            address: Address::default(),
            tag: tag.to_owned(),
            desc: desc.to_owned(),
            section: Section::PreData,
            definition: Some(definition.to_owned()),
            drop_statement: Some("DROP it;".to_owned()),
            copy_statement: None,
            schema: Some("public".to_owned()),
            tablespace: None,
            table_access_method: None,
            owner: Some(owner.to_owned()),
            dependencies: Vec::new(),
            data_file: None,
        }
    }

    const STRICT: Scope = Scope { texts: true, owners: true, privileges: true };

    #[test]
    fn each_difference_has_its_kind_and_names_its_object() {
        let archive = [
            entry("TABLE", "same", "CREATE same", "app"),
            entry("TABLE", "changed", "CREATE changed (a)", "app"),
            entry("TABLE", "gone", "CREATE gone", "app"),
            entry("TABLE", "sold", "CREATE sold", "app"),
            entry("ACL", "TABLE same", "GRANT", "app"),
            entry("DATABASE", "shop", "CREATE DATABASE shop", "app"),
        ];
        let database = [
            entry("TABLE", "sold", "CREATE sold", "other"),
            entry("TABLE", "new", "CREATE new", "app"),
            entry("TABLE", "changed", "CREATE changed (b)", "app"),
            entry("TABLE", "same", "CREATE same", "app"),
            entry("DATABASE", "copy", "CREATE DATABASE copy", "app"),
        ];
        let found = |scope| -> Vec<(DifferenceKind, String)> {
            let differences = differences(&archive, &database, scope);
            differences.into_iter().map(|difference| (difference.code, difference.object)).collect()
        };
        let of = |kind, name: &str| (kind, format!("TABLE public.{name}"));
        let acl = (DifferenceKind::DefinitionMissing, "ACL public.TABLE same".to_owned());
        let (changed, gone) =
            (of(DifferenceKind::DefinitionDiffers, "changed"), of(DifferenceKind::DefinitionMissing, "gone"));
        let (sold, new) =
            (of(DifferenceKind::Owner, "sold"), of(DifferenceKind::DefinitionUnexpected, "new"));
        assert_eq!(found(STRICT), [acl, changed.clone(), gone.clone(), new.clone(), sold]);
        let without_roles = Scope { owners: false, privileges: false, ..STRICT };
        assert_eq!(found(without_roles), [changed, gone.clone(), new.clone()]);
        assert_eq!(found(Scope { texts: false, ..without_roles }), [gone, new]);
    }

    /// What the server makes of the backup's text decides, and only where the content is the same.
    #[test]
    fn other_words_for_the_same_are_no_difference() {
        let dumped = [entry("TABLE", "t", "CHECK ((a AND b) AND c)", "app")];
        let again = [entry("TABLE", "t", "CHECK (a AND b AND c)", "app")];
        let kinds = |present: &[Entry], again: Option<&[Entry]>| -> Vec<DifferenceKind> {
            let (found, _) = compared(&dumped, present, again, STRICT);
            found.iter().map(|difference| difference.code).collect()
        };
        let differs = [DifferenceKind::DefinitionDiffers];
        assert_eq!(kinds(&again, Some(&again)), []);
        assert_eq!(kinds(&again, None), differs);
        assert!(are_reworded(&dumped, &again, STRICT));
        let owned = [entry("TABLE", "t", "CHECK (a AND b AND c)", "other")];
        assert_eq!(kinds(&owned, Some(&again)), [DifferenceKind::Owner]);
        let grouped = [entry("TABLE", "t", "CHECK (a AND (b AND c))", "app")];
        assert_eq!(kinds(&grouped, Some(&again)), differs);
        for text in ["CHECK (a AND b AND d)", "CHECK (a AND b)"] {
            let changed = [entry("TABLE", "t", text, "app")];
            assert_eq!(kinds(&changed, Some(&again)), differs, "{text}");
            // What was lost on the way is lost in both.
            assert_eq!(kinds(&changed, Some(&changed)), differs, "{text}");
            assert!(!are_reworded(&dumped, &changed, STRICT));
        }
        assert_eq!(kinds(&[], Some(&again)), [DifferenceKind::DefinitionMissing]);
    }

    #[test]
    fn entries_of_one_name_are_counted() {
        let archive =
            [entry("CAST", "c", "one", ""), entry("CAST", "c", "one", ""), entry("CAST", "c", "two", "")];
        let database = [entry("CAST", "c", "one", ""), entry("CAST", "c", "three", "")];
        let kinds: Vec<_> = differences(&archive, &database, STRICT).iter().map(|found| found.code).collect();
        assert_eq!(kinds, [DifferenceKind::DefinitionDiffers, DifferenceKind::DefinitionMissing]);
    }
}
