//! The order in which the families are read (`getSchemaData` in `src/bin/pg_dump/common.c`).

use crate::Result;
use crate::catalog::Catalog;
use crate::catalog::{
    aggregates, comments, constraints, dangling, extensions, functions, grants, indexes, large_objects,
    plain, policies, rules, schemas, statistics, tables, triggers, types,
};
use crate::session::Session;

/// Reads the whole catalog. Extension membership and schemas come first, because what is dumped is decided
/// by them; tables next, to lock them soon; everything that refers to tables and types after those.
///
/// The catalog is the caller's, who can tell from it how far a failed reading came.
pub async fn catalog(catalog: &mut Catalog, session: &Session) -> Result<()> {
    for row in session.rows("SELECT oid, rolname FROM pg_catalog.pg_roles").await? {
        catalog.roles.insert(row.number("oid")?, row.string("rolname")?);
    }
    if catalog.contradicts_itself {
        dangling::note(catalog, session).await?;
    }
    extensions::read(catalog, session).await?;
    schemas::read(catalog, session).await?;
    tables::read(catalog, session).await?;
    functions::read(catalog, session).await?;
    types::read(catalog, session).await?;
    aggregates::read(catalog, session).await?;
    plain::read(catalog, session).await?;
    grants::read(catalog, session).await?;
    indexes::read(catalog, session).await?;
    statistics::read(catalog, session).await?;
    constraints::read(catalog, session).await?;
    tables::keep_names_apart(catalog);
    triggers::read(catalog, session).await?;
    rules::read(catalog, session).await?;
    policies::read(catalog, session).await?;
    large_objects::read(catalog, session).await?;
    grants::read_initial(catalog, session).await?;
    comments::read(catalog, session).await?;
    Ok(())
}
