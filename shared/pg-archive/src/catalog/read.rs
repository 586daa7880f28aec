//! The order in which the families are read (`getSchemaData` in `src/bin/pg_dump/common.c`).

use crate::Result;
use crate::catalog::selection::Selection;
use crate::catalog::{Catalog, Server};
use crate::catalog::{
    aggregates, comments, constraints, extensions, functions, grants, indexes, large_objects, plain,
    policies, rules, schemas, statistics, tables, triggers, types,
};
use crate::session::Session;

/// Reads the whole catalog. Extension membership and schemas come first, because what is dumped is decided
/// by them; tables next, to lock them soon; everything that refers to tables and types after those.
pub async fn catalog(session: &Session, server: Server, selection: Selection) -> Result<Catalog> {
    let mut catalog = Catalog::new(server, selection);
    for row in session.rows("SELECT oid, rolname FROM pg_catalog.pg_roles").await? {
        catalog.roles.insert(row.number("oid")?, row.string("rolname")?);
    }
    extensions::read(&mut catalog, session).await?;
    schemas::read(&mut catalog, session).await?;
    tables::read(&mut catalog, session).await?;
    functions::read(&mut catalog, session).await?;
    types::read(&mut catalog, session).await?;
    aggregates::read(&mut catalog, session).await?;
    plain::read(&mut catalog, session).await?;
    grants::read(&mut catalog, session).await?;
    indexes::read(&mut catalog, session).await?;
    statistics::read(&mut catalog, session).await?;
    constraints::read(&mut catalog, session).await?;
    tables::keep_names_apart(&mut catalog);
    triggers::read(&mut catalog, session).await?;
    rules::read(&mut catalog, session).await?;
    policies::read(&mut catalog, session).await?;
    large_objects::read(&mut catalog, session).await?;
    grants::read_initial(&mut catalog, session).await?;
    comments::read(&mut catalog, session).await?;
    Ok(catalog)
}
