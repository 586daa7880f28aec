//! How numbers read in messages.

use jiff::Timestamp;

/// `512 B`, `1.03 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    #[allow(clippy::cast_precision_loss)] // two decimals are shown
    let mut value = count as f64;
    let mut unit = "B";
    for larger in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.2} {unit}") }
}

/// `90,528`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 backup`, `2 backups`.
pub(crate) fn things(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {one}s", count(number as u64)) }
}

/// `0.4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 2 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a span of time, in whole seconds
    let whole = seconds as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (days, hours) {
        (0, 0) => two(minutes, "min", whole % 60, "s"),
        (0, hours) => two(hours, "h", minutes, "min"),
        (days, hours) => two(days, "d", hours, "h"),
    }
}

/// From one time to another, never negative.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// `2026-11-21 02:00 UTC`.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// One line, whatever a server or a file name put into it.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    words.collect::<Vec<_>>().join("; ").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let sizes = [0, 1023, 1024, 1_078_984, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.00 KiB", "1.03 MiB", "16.00 EiB"]);
        let counts = [0, 999, 1_000, 90_528, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "90,528", "1,234,567"]);
        let times = [-1.0, 0.44, 59.9, 60.0, 200.0, 3_600.0, 7_500.0, 86_400.0, 266_400.0].map(duration);
        assert_eq!(
            times,
            ["0.0 s", "0.4 s", "59.9 s", "1 min", "3 min 20 s", "1 h", "2 h 5 min", "1 d", "3 d 2 h"]
        );
        assert_eq!([things(1, "backup"), things(1200, "backup")], ["1 backup", "1,200 backups"]);
    }

    #[test]
    fn a_line_stays_one() {
        assert_eq!(one_line(" a\r\n\n b\u{1b}[31m\t "), "a; b[31m");
    }
}
