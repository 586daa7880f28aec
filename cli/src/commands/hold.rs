//! `pgark hold` and `pgark release`

use jiff::Timestamp;
use jiff::civil::Date;
use pgark::app::App;
use pgark::jobs::hold::{Hold, HoldReport, Release};
use pgark::retention::Zone;
use pgark::{Error, ErrorKind, Exit, Result};

use crate::args;
use crate::output;

pub(crate) async fn hold(app: &App, args: &args::Hold, json: bool) -> Result<Exit> {
    let zone = &app.settings.retention.policy.zone;
    let until = args.until.as_deref().map(|text| time(text, zone)).transpose()?;
    let job = Hold { backup: args.backup.clone(), reason: args.reason.clone(), until };
    output::report(&job.run(app).await?, json, print);
    Ok(Exit::Done)
}

pub(crate) async fn release(app: &App, args: &args::Release, json: bool) -> Result<Exit> {
    let job = Release { backup: args.backup.clone(), reason: args.reason.clone() };
    output::report(&job.run(app).await?, json, print);
    Ok(Exit::Done)
}

/// A time, or the end of a day.
fn time(text: &str, zone: &Zone) -> Result<Timestamp> {
    let time = text.parse::<Timestamp>();
    let end = || text.parse::<Date>().and_then(|day| zone.end_of(day));
    time.or_else(|_| end()).map_err(|_| {
        Error::new(ErrorKind::Usage, format!("{text:?} is no day and no time"))
            .hint("Give a day such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z.")
    })
}

fn print(report: &HoldReport) {
    if !report.held {
        output::line(&format!("{} is released: the policy decides on it again", report.backup));
        return;
    }
    let until = report.until.map_or("until it is released".to_owned(), |until| format!("until {until:.0}"));
    output::line(&format!("{} is held {until}", report.backup));
}
