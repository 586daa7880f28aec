//! The plots of a source, as SVG that scales. Colours are stand-ins that the page's style replaces, so that they suit a
//! dark page as well as a light one.

use jiff::{SignedDuration, Timestamp};
use pgark::jobs::overview::{BackupPoint, Overview};
use pgark::runs::{JobName, Outcome};
use pgark::{Error, ErrorKind, Result};
use plotters::coord::Shift;
use plotters::coord::combinators::BindKeyPoints as _;
use plotters::prelude::*;

/// A plot is about as wide as a phone, so that its text needs no shrinking there.
const SIZE: (u32, u32) = (360, 190);
// What the style looks for: attributes of SVG are hexadecimal and in capitals.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const LINE: RGBColor = RGBColor(3, 3, 3);
const GOOD: RGBColor = RGBColor(4, 4, 4);
const BAD: RGBColor = RGBColor(5, 5, 5);
const TEXT_PIXELS: u32 = 12;
const LABELS_MAX: usize = 6;

/// A plot with its title.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What it shows, for whoever cannot see it.
    pub(super) description: String,
    pub(super) svg: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Units, the largest first, and from which value on each is used: round numbers stand at the axis then.
type Units = [(f64, &'static str)];
const BYTES: [(f64, &str); 5] = [
    (1_099_511_627_776.0, "TiB"),
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
    (1.0, "B"),
];
const TIMES: [(f64, &str); 3] = [(3600.0, "h"), (60.0, "min"), (1.0, "s")];
const COUNTS: [(f64, &str); 4] = [(1e9, "billion"), (1e6, "million"), (1e3, "thousand"), (1.0, "")];

/// All plots of a source.
pub(super) fn draw(source: &Overview, since: Timestamp, now: Timestamp) -> Result<Vec<Chart>> {
    let span = span(source, since, now);
    let measured = |measure: fn(&BackupPoint) -> f64| -> Vec<(i64, f64)> {
        source.backups.iter().map(|backup| (backup.started_at.as_second(), measure(backup))).collect()
    };
    let recoveries: Vec<(i64, f64)> = source
        .proofs
        .iter()
        .filter_map(|proof| Some((proof.finished_at.as_second(), proof.recovery_seconds?)))
        .collect();
    let mut charts = vec![
        line("Size as stored", &measured(|backup| float(backup.stored_bytes)), span, &BYTES)?,
        line("Time of a backup", &measured(|backup| backup.seconds), span, &TIMES)?,
        line("Rows", &measured(|backup| float(backup.rows)), span, &COUNTS)?,
        proof(source, span)?,
    ];
    if !recoveries.is_empty() {
        charts.push(line("Time of a recovery", &recoveries, span, &TIMES)?);
    }
    Ok(charts)
}

/// From the first that there is to see, for what happened yesterday not to be a dot at the edge.
fn span(source: &Overview, since: Timestamp, now: Timestamp) -> (i64, i64) {
    let backups = source.backups.iter().map(|backup| backup.started_at);
    let proofs = source.proofs.iter().map(|proof| proof.finished_at);
    let troubles = source.troubles.iter().map(|trouble| trouble.started_at);
    let first = backups.chain(proofs).chain(troubles).min().unwrap_or(since).max(since);
    let shortest = now - SignedDuration::from_hours(24);
    let first = first.min(shortest).as_second();
    let margin = (now.as_second() - first) / 40;
    (first - margin, now.as_second() + margin)
}

fn line(title: &'static str, points: &[(i64, f64)], span: (i64, i64), units: &Units) -> Result<Chart> {
    let max = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let (unit, name) =
        units.iter().copied().find(|(unit, _)| max >= *unit).unwrap_or((1.0, units[units.len() - 1].1));
    let label = |value: f64| if value == 0.0 { "0".to_owned() } else { format!("{} {name}", rounded(value)) };
    let description = match points.last() {
        None => format!("{title}: nothing yet"),
        Some((_, last)) => {
            let (count, last, max) = (points.len(), label(last / unit), label(max / unit));
            format!("{title}: {count} values, the last {last}, at most {max}")
        }
    };
    let points: Vec<(i64, f64)> = points.iter().map(|(second, value)| (*second, value / unit)).collect();
    let top = if max > 0.0 { max / unit * 1.15 } else { 1.0 };
    let svg = svg(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(14)
            .set_label_area_size(LabelAreaPosition::Left, 62)
            .set_label_area_size(LabelAreaPosition::Bottom, 22)
            .build_cartesian_2d((span.0..span.1).with_key_points(days(span)), 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .label_style(text())
            .x_labels(LABELS_MAX)
            .y_labels(4)
            .x_label_formatter(&|second| day(*second, span))
            .y_label_formatter(&|value| label(*value))
            .draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), LINE.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 2, LINE.filled())))?;
        Ok(())
    })?;
    Ok(Chart { title, description, svg })
}

/// A lane for each kind of proof, and one for backups: what went well, and what did not.
fn proof(source: &Overview, span: (i64, i64)) -> Result<Chart> {
    const LANES: [(&str, JobName); 3] =
        [("restore test", JobName::RestoreTest), ("verify", JobName::Verify), ("backup", JobName::Backup)];
    let lane = |job: JobName| LANES.iter().position(|(_, of)| *of == job);
    let mut dots: Vec<(i64, usize, bool)> = Vec::new();
    for backup in &source.backups {
        dots.extend(lane(JobName::Backup).map(|lane| (backup.started_at.as_second(), lane, true)));
    }
    for proof in &source.proofs {
        let good = proof.outcome == Outcome::Done;
        dots.extend(lane(proof.job).map(|lane| (proof.finished_at.as_second(), lane, good)));
    }
    // Proofs that failed are above; a run without an end, or a backup that failed, stands here alone.
    for trouble in source.troubles.iter().filter(|one| one.outcome.is_none() || one.job == JobName::Backup) {
        dots.extend(lane(trouble.job).map(|lane| (trouble.started_at.as_second(), lane, false)));
    }
    let bad = dots.iter().filter(|(_, _, good)| !good).count();
    let description = format!("Runs: {} went well, {bad} did not", dots.len() - bad);
    // The bad ones are drawn last, on top.
    dots.sort_by_key(|(_, _, good)| !good);
    let svg = svg(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(14)
            .set_label_area_size(LabelAreaPosition::Left, 78)
            .set_label_area_size(LabelAreaPosition::Bottom, 22)
            .build_cartesian_2d((span.0..span.1).with_key_points(days(span)), -0.5..2.5)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_y_mesh()
            .axis_style(GRID)
            .label_style(text())
            .x_labels(LABELS_MAX)
            .y_labels(0)
            .x_label_formatter(&|second| day(*second, span))
            .draw()?;
        for (number, (name, _)) in LANES.iter().enumerate() {
            let y = height(number);
            chart.draw_series([PathElement::new([(span.0, y), (span.1, y)], GRID)])?;
            let (_, pixel) = chart.backend_coord(&(span.0, y));
            area.draw(&Text::new(*name, (4, pixel - 5), text()))?;
        }
        chart.draw_series(dots.iter().map(|(second, lane, good)| {
            let color = if *good { GOOD } else { BAD };
            Circle::new((*second, height(*lane)), if *good { 3 } else { 4 }, color.filled())
        }))?;
        Ok(())
    })?;
    Ok(Chart { title: "Runs and proof", description, svg })
}

fn height(lane: usize) -> f64 {
    [0.0, 1.0, 2.0][lane.min(2)]
}

fn text() -> TextStyle<'static> {
    TextStyle::from(("sans-serif", TEXT_PIXELS)).color(&INK)
}

/// Draws on a surface of its own.
fn svg(
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
) -> Result<String> {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?))
    };
    drawn.map_err(|source| Error::new(ErrorKind::Internal, "a plot cannot be drawn").because(source))?;
    // Its size is the page's affair; its proportions are in the viewBox.
    let fixed = format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1);
    Ok(text.replacen(&fixed, "", 1))
}

/// Where days begin, a few of them, evenly.
fn days(span: (i64, i64)) -> Vec<i64> {
    const HOUR: i64 = 3600;
    const STEPS: [i64; 10] = [6, 12, 24, 48, 7 * 24, 14 * 24, 30 * 24, 90 * 24, 180 * 24, 365 * 24];
    let most = i64::try_from(LABELS_MAX).unwrap_or(i64::MAX);
    let fits = |step: &i64| (span.1 - span.0) / (step * HOUR) < most;
    let step =
        STEPS.into_iter().find(fits).unwrap_or(((span.1 - span.0) / (24 * HOUR) / most + 1) * 24) * HOUR;
    let first = (span.0.div_euclid(24 * HOUR) + 1) * 24 * HOUR;
    let first = if step < 24 * HOUR { first - 24 * HOUR } else { first };
    let steps = (0..).map(|number| first + number * step).take_while(|second| *second < span.1);
    steps.filter(|second| *second > span.0).collect()
}

fn day(second: i64, span: (i64, i64)) -> String {
    let time = Timestamp::from_second(second).unwrap_or_default();
    let days = (span.1 - span.0) / 86_400;
    let format = match days {
        0..3 => "%d, %H:%M",
        3..400 => "%m-%d",
        _ => "%Y-%m",
    };
    time.strftime(format).to_string()
}

/// With as many digits as tell something.
fn rounded(value: f64) -> String {
    let text = match value {
        100.0.. => return format!("{value:.0}"),
        1.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[allow(clippy::cast_precision_loss)] // for a plot
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_where_days_begin() {
        let midnight = 20_000 * 86_400;
        for (days_back, count) in [(1, 4), (2, 4), (9, 5), (30, 5), (90, 4), (400, 5), (3650, 5)] {
            let labels = days((midnight - days_back * 86_400 - 5000, midnight + 3000));
            assert!(labels.len() <= count + 1 && labels.len() >= 2, "{days_back}: {}", labels.len());
            assert!(labels.iter().all(|label| label % (6 * 3600) == 0), "{labels:?}");
        }
    }

    #[test]
    fn numbers_are_round() {
        for (value, text) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (0.1, "0.1"),
            (1.25, "1.2"),
            (20.0, "20"),
            (99.95, "100"),
            (123.4, "123"),
        ] {
            assert_eq!(rounded(value), text);
        }
    }
}
