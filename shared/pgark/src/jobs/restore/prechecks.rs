//! The look at the target before anything is changed. Facts and most rules are `pg_archive`'s; here all problems become
//! one error, with what only the backup as a whole can tell.

use pg_archive::quote;
use pg_archive::restore::{Content, Problem, RestoreOptions};
use pg_archive::session::Session;
use pg_archive::toc::Section;

use super::marker::{Marker, State};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::Manifest;

/// A problem and its cure.
pub(super) fn problem(what: impl Into<String>, cure: impl Into<String>) -> Problem {
    Problem { what: what.into(), cure: cure.into() }
}

/// One error for all of them.
pub(super) fn refuse(problems: &[Problem], database: &str) -> Result<()> {
    let kind = ErrorKind::Archive(pg_archive::ErrorKind::Target);
    let error = match problems {
        [] => return Ok(()),
        [one] => Error::new(kind, &*one.what).hint(format!("{} Nothing was changed.", one.cure)),
        many => {
            let texts = |text: fn(&Problem) -> &str| -> Vec<String> {
                (1..).zip(many).map(|(number, problem)| format!("({number}) {}", text(problem))).collect()
            };
            let what = texts(|problem| &problem.what).join("; ");
            let cures = texts(|problem| &problem.cure).join(" ");
            Error::new(kind, format!("{} problems: {what}", many.len()))
                .hint(format!("{cures} Nothing was changed."))
        }
    };
    Err(error.on(format!("database {database}")))
}

/// Whether the target must be empty: for whole definitions that drop nothing first.
pub(super) fn must_be_empty(options: &RestoreOptions) -> bool {
    let definitions = options.content != Content::Data && options.sections.contains(&Section::PreData);
    definitions && !options.clean && !options.is_part()
}

/// Why a target that has objects cannot be restored into.
pub(super) fn not_empty(count: u64, first: &[String], marker: Option<&Marker>) -> Problem {
    let what = format!("is not empty: it has {count} objects, among them {}", first.join(", "));
    match marker {
        Some(Marker { state: State::Restoring, backup, begun, .. }) => problem(
            format!("{what}: a restore of backup {backup} began at {begun} and did not end"),
            "Run the same command again with --clean, which drops what the backup holds first; or drop the database, make \
             it anew, and run the same command again.",
        ),
        _ => problem(
            what,
            "Restore into a new database with --create NAME, or drop what the backup holds first with --clean.",
        ),
    }
}

/// Refuses to make a database that is there, and says what is in it.
pub(super) async fn existing(session: &Session, name: &str) -> Result<Option<Problem>> {
    let sql = format!(
        "SELECT pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database WHERE datname = {}",
        quote::literal(name)
    );
    let rows = session.rows(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let marker = row.optional("comment")?.and_then(Marker::read);
    Ok(Some(match marker {
        Some(Marker { state: State::Restoring, backup, begun, .. }) => problem(
            format!(
                "exists already, half restored: a restore of backup {backup} began at {begun} and did not end"
            ),
            format!(
                "Drop it with DROP DATABASE {}; and run the same command again.",
                quote::identifier(name)
            ),
        ),
        _ => problem(
            "exists already",
            "Give another name, or restore into the existing database without --create.",
        ),
    }))
}

/// The marker on the database that a session is in, or else its comment.
pub(super) async fn comment(session: &Session) -> Result<Option<String>> {
    let sql = "SELECT pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database \
               WHERE datname = pg_catalog.current_database()";
    Ok(session.row(sql).await?.optional_string("comment")?)
}

/// How the target's text differs from the original's. Nothing of it is certain to fail.
pub(super) async fn text_differences(session: &Session, manifest: &Manifest) -> Result<Vec<String>> {
    let provider = if session.version_num() >= 150_000 { "datlocprovider" } else { "'c'" };
    let row = session
        .row(&format!(
            "SELECT pg_catalog.pg_encoding_to_char(encoding) AS encoding, datcollate, datctype, {provider} AS provider \
             FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
        ))
        .await?;
    let original = &manifest.server;
    let mut warnings = Vec::new();
    let encoding = row.text("encoding")?;
    let converts =
        encoding == "UTF8" && !["SQL_ASCII", "MULE_INTERNAL"].contains(&original.encoding.as_str());
    if encoding != original.encoding && !converts {
        warnings.push(format!(
            "the target's encoding is {encoding}, the backup's {}: text that {encoding} cannot hold makes the restore fail. \
             --create NAME makes a database with the backup's encoding",
            original.encoding
        ));
    }
    let provider = match row.letter("provider")? {
        'i' => "icu",
        'b' => "builtin",
        _ => "libc",
    };
    let differs =
        |original: Option<&String>, target: &str| original.is_some_and(|original| original != target);
    if differs(original.collation.as_ref(), row.text("datcollate")?)
        || differs(original.ctype.as_ref(), row.text("datctype")?)
        || differs(original.locale_provider.as_ref(), provider)
    {
        warnings.push(format!(
            "the target's locale is {} ({provider}), the backup's {} ({}): text may sort and compare in another way. \
             --create NAME makes a database with the backup's locale",
            row.text("datcollate")?,
            original.collation.as_deref().unwrap_or("unknown"),
            original.locale_provider.as_deref().unwrap_or("libc"),
        ));
    }
    Ok(warnings)
}

/// A backup that lacks something cannot take the place of the database that has it.
pub(super) fn incomplete(manifest: &Manifest) -> Vec<Problem> {
    let options = &manifest.options;
    let left_out = [
        (options.schema_only, "rows"),
        (options.data_only, "definitions"),
        (options.exclude_large_objects, "large objects"),
        (!options.exclude_tables.is_empty(), "tables (--exclude-table)"),
        (!options.exclude_table_data.is_empty(), "rows of tables (--exclude-table-data)"),
        (!options.exclude_schemas.is_empty(), "schemas (--exclude-schema)"),
        (!manifest.allow_missing.is_empty(), "objects that could not be dumped (--allow-missing)"),
    ];
    let missing: Vec<&str> = left_out.into_iter().filter_map(|(is_so, what)| is_so.then_some(what)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    vec![problem(
        format!("the backup was made without {}, which would be lost", missing.join(", ")),
        "Use a backup of everything, or restore beside with --create NAME and move over what you need.",
    )]
}
