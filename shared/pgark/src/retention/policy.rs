//! The policy: how it is written, and what its words mean.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::repository::Tier;

/// Which backups of a source are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What is to be kept.
    pub rules: Rules,
    /// The time zone of days, weeks, months and years.
    pub zone: Zone,
    /// The newest good backups, this many, are kept whatever the rules say.
    pub keep_min: NonZeroU32,
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// One good backup for each of the newest days, weeks, months or years that have any.
    Calendar(Tier, NonZeroU32),
    /// The newest good backups.
    Last(NonZeroU32),
    /// Good backups that are at most this much older than the newest good one.
    Within(Age),
}

/// A length of time by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    number: NonZeroU32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

const UNITS: [(&str, Unit); 5] =
    [("h", Unit::Hours), ("d", Unit::Days), ("w", Unit::Weeks), ("mo", Unit::Months), ("y", Unit::Years)];
/// More than any calendar needs, and far from what a date cannot hold.
const NUMBER_MAX: u32 = 9999;

impl Age {
    /// The time that is so much earlier, by a calendar.
    pub(super) fn before(self, time: Timestamp, zone: &Zone) -> Timestamp {
        let number = i64::from(self.number.get());
        let span = match self.unit {
            Unit::Hours => Span::new().hours(number),
            Unit::Days => Span::new().days(number),
            Unit::Weeks => Span::new().weeks(number),
            Unit::Months => Span::new().months(number),
            Unit::Years => Span::new().years(number.min(2000)),
        };
        time.to_zoned(zone.0.clone()).saturating_sub(span).timestamp()
    }
}

/// The rules, in the order in which they were written. A backup stays if any of them keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// How they are written, as a sentence.
    pub const FORM: &'static str = "Give rules such as `daily 7, weekly 4, monthly 12, yearly 7`, `last 10` or `within 30d` (h, d, w, mo, y), with commas in between.";

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Rule> + '_ {
        self.0.iter().copied()
    }
}

/// Daily 7, weekly 4, monthly 12, yearly 7.
impl Default for Rules {
    fn default() -> Self {
        let of = |tier, number| NonZeroU32::new(number).map(|number| Rule::Calendar(tier, number));
        let rules = [(Tier::Daily, 7), (Tier::Weekly, 4), (Tier::Monthly, 12), (Tier::Yearly, 7)];
        Self(rules.into_iter().filter_map(|(tier, number)| of(tier, number)).collect())
    }
}

impl FromStr for Rules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rules: Vec<Rule> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let rule: Rule = part.parse()?;
            let same = |known: &Rule| match (known, &rule) {
                (Rule::Calendar(known, _), Rule::Calendar(tier, _)) => known == tier,
                (known, rule) => std::mem::discriminant(known) == std::mem::discriminant(rule),
            };
            if rules.iter().any(same) {
                return Err(format!("has two rules of the kind of `{part}`"));
            }
            rules.push(rule);
        }
        Ok(Self(rules))
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no rule");
        let mut words = text.split_whitespace();
        let (Some(word), Some(value), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        match word {
            "last" => number(value).map(Self::Last),
            "within" => value.parse().map(Self::Within),
            tier => {
                tier.parse().map_err(|_| wrong()).and_then(|tier| Ok(Self::Calendar(tier, number(value)?)))
            }
        }
    }
}

fn number(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse::<NonZeroU32>().ok().filter(|number| number.get() <= NUMBER_MAX);
    number.ok_or_else(|| format!("`{text}` is not a number from 1 to {NUMBER_MAX}"))
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let unit = UNITS.into_iter().find(|(word, _)| *word == &text[digits..]);
        let (_, unit) = unit.ok_or_else(|| format!("`{text}` is no age such as 30d"))?;
        Ok(Self { number: number(&text[..digits])?, unit })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = UNITS.into_iter().find(|(_, unit)| *unit == self.unit).map_or("", |(word, _)| word);
        write!(f, "{}{word}", self.number)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calendar(tier, number) => write!(f, "{tier} {number}"),
            Self::Last(number) => write!(f, "last {number}"),
            Self::Within(age) => write!(f, "within {age}"),
        }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.iter().map(|rule| rule.to_string()).collect();
        f.write_str(&rules.join(", "))
    }
}

/// A time zone of the IANA database, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The day on which a time falls.
    pub fn date(&self, time: Timestamp) -> Date {
        time.to_zoned(self.0.clone()).date()
    }

    /// When a day ends.
    pub fn end_of(&self, day: Date) -> Result<Timestamp, jiff::Error> {
        Ok(day.tomorrow()?.to_zoned(self.0.clone())?.timestamp())
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        TimeZone::get(text).map(Self).map_err(|_| format!("`{text}` is no time zone"))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}
