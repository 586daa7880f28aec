//! `pgark verify`

use pgark::app::App;
use pgark::jobs::verify::{BackupLine, Finding, Level, Share, SourceReport, Verify, VerifyReport};
use pgark::{Error, ErrorKind, Exit, Result};

use super::answer;
use crate::args::{self, VerifyLevel};
use crate::output::{self, bytes, count};
use crate::progress::VerifyProgress;
use crate::stop;

pub(crate) async fn run(app: &App, args: &args::Verify, json: bool) -> Result<Exit> {
    let sample = args.sample.as_deref().map(|text| {
        text.parse::<Share>()
            .map_err(|_| Error::new(ErrorKind::Usage, format!("{text:?} is no share")).hint(Share::RULE))
    });
    let job = Verify {
        backup: args.backup.clone(),
        source: None,
        level: args.level.map(|level| match level {
            VerifyLevel::Stored => Level::Stored,
            VerifyLevel::Content => Level::Content,
        }),
        sample: sample.transpose()?,
        no_report: args.no_report,
    };
    let progress = VerifyProgress::new(json);
    let answer = job.watched(app, &progress, &stop::token()).await;
    progress.finish();
    Ok(answer::give(&answer?, json, print, VerifyReport::exit))
}

pub(crate) fn print(report: &VerifyReport) {
    for source in &report.reports {
        print_source(source);
    }
}

fn print_source(report: &SourceReport) {
    let mut rows = vec![["BACKUP", "LEVEL", "OBJECTS", "READ", "ROWS", "FOUND"].map(str::to_owned)];
    rows.extend(report.backups.iter().map(backup));
    output::table(&rows);
    for finding in &report.findings {
        print_finding("DAMAGE", finding);
    }
    for failure in &report.failures {
        print_finding("NOT CHECKED", failure);
    }
    output::note(&format!("signatures {}", report.signature));
    if let Some(sample) = &report.sample {
        output::note(&format!(
            "a sample of {}: the rotation is at {:.0}% of the stored bytes",
            sample.share,
            sample.position * 100.0
        ));
    }
    for run in &report.incomplete {
        output::note(&format!(
            "{run}: no manifest, so it is no backup: a run in progress, or one that failed"
        ));
    }
    if let Some(key) = &report.kept_as {
        output::note(&format!("the report is kept as {key}"));
    }
}

fn backup(line: &BackupLine) -> [String; 6] {
    let (level, rows) = match line.level {
        Level::Stored => ("stored", "-".to_owned()),
        Level::Content => ("content", count(line.rows_counted)),
    };
    [
        line.backup.clone(),
        level.to_owned(),
        format!("{} of {}", line.objects_read, line.objects),
        bytes(line.stored_bytes_read),
        rows,
        match line.findings {
            0 => "nothing".to_owned(),
            1 => "1 finding".to_owned(),
            findings => format!("{findings} findings"),
        },
    ]
}

fn print_finding(what: &str, finding: &Finding) {
    let object = finding.object.as_deref().unwrap_or("manifest.json");
    output::line(&format!("{what} {}/{object}: {} [{}]", finding.backup, finding.message, finding.code));
    output::line(&format!("  affects: {}", finding.affects.escape_debug()));
    for cause in &finding.causes {
        output::line(&format!("  because: {cause}"));
    }
    if let Some(hint) = &finding.hint {
        output::line(&format!("  hint: {hint}"));
    }
}
