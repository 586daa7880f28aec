//! `pgark report`

use pgark::app::App;
use pgark::jobs::history;
use pgark::jobs::overview::overviews;
use pgark::{Error, ErrorKind, Exit, Result};

use crate::args;
use crate::html_report;
use crate::output;

pub(crate) async fn run(app: &App, args: &args::Report, json: bool) -> Result<Exit> {
    let now = (app.outside.now)();
    let since = history::since(&args.since, now)?;
    let sources = overviews(app, app.settings.source.as_ref(), Some(since)).await?;
    let store = app.settings.store()?.to_string();
    let page = html_report::render(&store, &sources, since, now)?;
    let file = args.html.display().to_string();
    std::fs::write(&args.html, &page)
        .map_err(|source| Error::new(ErrorKind::LocalFile, "cannot be written").on(&file).because(source))?;
    let written = serde_json::json!({ "file": file, "bytes": page.len(), "sources": sources.len() });
    output::report(&written, json, |_| {
        output::line(&format!("{file}: {} sources, since {since:.0}", sources.len()));
    });
    Ok(Exit::Done)
}
