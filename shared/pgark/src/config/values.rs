//! How single values are written: durations, sizes, recipients.

use std::time::Duration;

use crate::seal::Recipient;

/// `500ms`, `30s`, `5m`, `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "" => return Err(format!("`{text}` has no unit")),
        unit => return Err(format!("`{unit}` is no unit of time")),
    };
    match number.checked_mul(milliseconds) {
        // PostgreSQL keeps lock_timeout in 32 bits of milliseconds, and takes 0 for "for ever".
        Some(milliseconds) if (1..=i32::MAX as u64).contains(&milliseconds) => {
            Ok(Duration::from_millis(milliseconds))
        }
        _ => Err(format!("`{text}` is not between 1ms and 24 days")),
    }
}

/// `90m`, `26h`, `8d`, `4w`: how old something may be.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    const YEAR_SECONDS: u64 = 366 * 86_400;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    let seconds: u64 = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "" => return Err(format!("`{text}` has no unit")),
        unit => return Err(format!("`{unit}` is no unit of time")),
    };
    match number.checked_mul(seconds) {
        Some(seconds) if (1..=100 * YEAR_SECONDS).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("`{text}` is not between 1s and 100 years")),
    }
}

/// `1073741824`, `512MiB`, `1GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    let factor: u64 = match unit.trim() {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("`{unit}` is no unit of size")),
    };
    match number.checked_mul(factor) {
        // Smaller than a page of PostgreSQL nothing can be cut.
        Some(bytes) if bytes >= 8192 => Ok(bytes),
        _ => Err(format!("`{text}` is out of range; at least 8KiB")),
    }
}

/// Comma separated recipients, each validated; doubles are dropped.
pub(super) fn recipients(text: &str) -> Result<Vec<Recipient>, String> {
    let mut recipients = Vec::new();
    let mut wrong = Vec::new();
    for (number, item) in (1..).zip(text.split(',').map(str::trim)).filter(|(_, item)| !item.is_empty()) {
        match item.parse::<Recipient>() {
            Ok(recipient) if recipients.contains(&recipient) => {}
            Ok(recipient) => recipients.push(recipient),
            // Not quoted: it may be a secret key put in the wrong place.
            Err(message) => wrong.push(format!("item {number}: {message}")),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    if recipients.is_empty() { Err("no recipient in it".to_owned()) } else { Ok(recipients) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        for wrong in ["", "30", "s", "0s", "-1s", "1.5s", "1d", "99999999999h", "5 parsecs", "30ß"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages() {
        for (text, seconds) in
            [("45s", 45), ("90m", 5_400), ("26h", 93_600), ("8d", 691_200), ("4w", 2_419_200)]
        {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "8", "d", "0d", "-1d", "1.5d", "1y", "99999999999999999999d", "100000000w", "8ß"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("8192", 8192), ("64KiB", 65_536), ("1 GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for wrong in ["", "1", "8191", "1GB", "GiB", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
