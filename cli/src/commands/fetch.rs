//! `pgark fetch`

use std::num::NonZeroUsize;

use pgark::app::App;
use pgark::jobs::fetch::{Fetch, FetchReport};
use pgark::{Error, ErrorKind, Exit, Result};

use crate::args::{self, FetchCodec};
use crate::output::{self, bytes};
use crate::progress::ByteProgress;
use crate::stop;

pub(crate) async fn run(app: &App, args: &args::Fetch, json: bool) -> Result<Exit> {
    let codec = match args.compress {
        FetchCodec::Gzip => "gzip",
        FetchCodec::Zstd => "zstd",
        FetchCodec::None => "none",
    };
    let compression = codec
        .parse()
        .map_err(|_| Error::new(ErrorKind::Internal, "a codec of the command line is not known"))?;
    let job = Fetch {
        backup: args.backup.clone(),
        source: app.settings.source.clone(),
        directory: args.directory.clone(),
        compression,
    };
    let progress = ByteProgress::new("fetching", json);
    let report = job.run(app, &|bytes| progress.add(bytes), &stop::token()).await;
    progress.finish();
    let report = report?;
    output::report(&report, json, |report| print(report, app.settings.jobs));
    Ok(Exit::Done)
}

fn print(report: &FetchReport, jobs: NonZeroUsize) {
    output::line(&format!("backup {} is in {}", report.backup, report.directory));
    output::fields(&[
        ("files", files(report)),
        ("read", bytes(report.stored_bytes)),
        ("content", bytes(report.plain_bytes)),
        ("signature", report.signature.to_string()),
        ("restore with", format!("pg_restore -j {jobs} -d DATABASE {}", report.directory)),
    ]);
}

fn files(report: &FetchReport) -> String {
    match report.files_kept {
        0 => report.files.to_string(),
        kept => format!("{}, of which {kept} were there already, and whole", report.files),
    }
}
