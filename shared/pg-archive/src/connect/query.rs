//! The little that this module asks a server, over the simple query protocol, which every pooler passes on.

use tokio_postgres::{Client, SimpleQueryMessage};

/// The columns of the last row that a query returned; empty if it returned none.
pub(super) async fn single_row(
    client: &Client,
    sql: &str,
) -> Result<Vec<Option<String>>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let row = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(row.map(|row| (0..row.len()).map(|n| row.get(n).map(str::to_owned)).collect()).unwrap_or_default())
}
