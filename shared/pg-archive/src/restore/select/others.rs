//! What the target has before the restore and keeps as it is: extensions that an administrator made, the schemas that
//! they lie in, and whatever else hangs on a schema or an extension that the restoring role may not change.
//!
//! Such a thing is no reason to refuse everything: it is there, which is what the rest of the archive needs of it.

use super::{Selection, Wanted, hangs_on_parent};
use crate::restore::options::RestoreOptions;
use crate::restore::present::Present;
use crate::toc::Entry;

/// Why an entry stays as the target has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::restore) enum Kept {
    /// It is there already.
    There,
    /// Only the owner of what it hangs on may do it.
    OfOwner,
    /// Only the owner of `public` may give it away.
    PublicOwner,
    /// Rows of an extension's table that this role may not insert into.
    Rows,
}

/// Takes out of a selection what stays as the target has it.
pub(super) fn keep(
    entries: &[Entry],
    present: &Present,
    options: &RestoreOptions,
    selection: &mut Selection,
) {
    let of_others = present.tags_of_others();
    for (index, entry) in entries.iter().enumerate() {
        let wanted = selection.wanted[index];
        if wanted.data && entry.desc == "TABLE DATA" {
            if present.is_closed(entry.schema.as_deref().unwrap_or_default(), &entry.tag) {
                selection.wanted[index] = Wanted::default();
                if !is_empty(entry, options) {
                    selection.kept.push((index, Kept::Rows));
                }
            }
            continue;
        }
        if !wanted.definition {
            continue;
        }
        let kept = match entry.desc.as_str() {
            _ if hangs_on_parent(entry) => of_others.contains(&entry.tag).then_some(Kept::OfOwner),
            "EXTENSION" => {
                present.extension(&entry.tag).filter(|extension| !extension.ours).map(|_| Kept::There)
            }
            "SCHEMA" => schema(entry, present, options),
            _ => None,
        };
        let Some(kept) = kept else { continue };
        selection.wanted[index] = Wanted::default();
        let already_so = kept == Kept::PublicOwner
            && present.schema(&entry.tag).map(|schema| schema.owner.as_str()) == entry.owner.as_deref();
        // The comment goes with an extension that is said to stay, and is the extension's own in nearly all cases.
        let is_comment = entry.desc == "COMMENT" && entry.tag.starts_with("EXTENSION ");
        let unwanted = kept == Kept::PublicOwner && options.leave_out.owners;
        if !(already_so || is_comment || unwanted) {
            selection.kept.push((index, kept));
        }
    }
}

fn schema(entry: &Entry, present: &Present, options: &RestoreOptions) -> Option<Kept> {
    let schema = present.schema(&entry.tag)?;
    // initdb makes `public`, so an archive only gives it to its owner.
    if is_made_by_initdb(entry) {
        return (!schema.ours).then_some(Kept::PublicOwner);
    }
    let stays = !options.clean && (schema.holds_extension || options.is_part());
    (stays || (!schema.ours && schema.holds_extension)).then_some(Kept::There)
}

/// Whether an entry stands for a schema that every database has: its definition is a comment.
pub(in crate::restore) fn is_made_by_initdb(entry: &Entry) -> bool {
    entry.desc == "SCHEMA" && entry.definition.as_deref().is_some_and(|text| text.starts_with("--"))
}

fn is_empty(entry: &Entry, options: &RestoreOptions) -> bool {
    let expected = options.expected.as_ref().zip(entry.data_file.as_ref());
    expected.and_then(|(expected, file)| expected.get(file)).is_some_and(|expected| expected.rows == 0)
}
