//! The one catalogue of metrics: names, units, dimensions. docs/metrics.md lists the same, and a test holds the two
//! together.
//!
//! Names and units are public, because alarms and dashboards are built on them: none is renamed or reused.
//! What value each has is decided in `of_run` and `of_health`.

/// What kind of thing a metric tells of, and so where it comes from and which dimensions it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A run of a job, when it has ended.
    Run,
    /// A source, whenever the health check looks at it.
    Source,
}

impl Subject {
    /// The dimensions. Each value is also published without them, for one alarm to watch all sources.
    pub const fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::Run => &[Dimension::Job, Dimension::Source],
            Self::Source => &[Dimension::Source],
        }
    }

    /// The dimensions of the sums over all sources.
    pub const fn dimensions_of_all(self) -> &'static [Dimension] {
        match self {
            Self::Run => &[Dimension::Job],
            Self::Source => &[],
        }
    }
}

/// The dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The job: `backup`, `verify`, `restore-test`, `prune` or `health`.
    Job,
    /// The source.
    Source,
}

impl Dimension {
    /// As CloudWatch knows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "Job",
            Self::Source => "Source",
        }
    }
}

/// Units, as CloudWatch knows them (MetricDatum, CloudWatch API reference).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// None of CloudWatch's: a ratio, or US dollars.
    None,
}

impl Unit {
    /// As CloudWatch knows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
            Self::Count => "Count",
            Self::None => "None",
        }
    }
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $metric:ident: $subject:ident, $unit:ident;)*) => {
        /// A metric; it is called in CloudWatch as it is here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric {
            $($(#[doc = $doc])+ $metric,)*
        }

        impl Metric {
            /// All, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$metric),*];

            /// As CloudWatch knows it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$metric => stringify!($metric),)* }
            }

            /// Its unit.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$metric => Unit::$unit,)* }
            }

            /// What it tells of.
            pub const fn subject(self) -> Subject {
                match self { $(Self::$metric => Subject::$subject,)* }
            }
        }
    };
}

metrics! {
    /// 1 if the run did what it should and found no damage, else 0.
    RunSuccess: Run, Count;
    /// 1 if the run failed or found damage, else 0.
    RunFailure: Run, Count;
    /// 1 for a run that left the work to another one.
    RunSkipped: Run, Count;
    /// How long the run took.
    RunDuration: Run, Seconds;
    /// Bytes before compression.
    PlainBytes: Run, Bytes;
    /// Bytes as stored: written, read or deleted.
    StoredBytes: Run, Bytes;
    /// Rows that were backed up, counted or restored.
    Rows: Run, Count;
    /// Plain bytes for each stored byte of a backup.
    CompressionRatio: Run, None;
    /// What a verification, a restore test or a health check found.
    Findings: Run, Count;
    /// From the empty database to the restored one, in a restore test.
    RestoreTime: Run, Seconds;
    /// Backups that were deleted.
    BackupsDeleted: Run, Count;
    /// What storing the new backup for a month costs, in US dollars.
    EstimatedStorageCost: Run, None;
    /// What requests and computing of the run cost, in US dollars.
    EstimatedRunCost: Run, None;
    /// 1 if the source is healthy, else 0.
    Healthy: Source, Count;
    /// Good backups that are there.
    GoodBackups: Source, Count;
    /// Age of the newest good backup; no value if there is none.
    NewestBackupAge: Source, Seconds;
    /// Age of the last verification that found nothing; no value if there is none.
    LastVerifyAge: Source, Seconds;
    /// Age of the last restore test that passed; no value if there is none.
    LastRestoreTestAge: Source, Seconds;
    /// 1 if size or rows of the newest backup are far from those of the ones before, else 0.
    SizeAnomaly: Source, Count;
    /// The longest time without a good backup in the last 30 days.
    AchievedRecoveryPoint: Source, Seconds;
    /// What the restore took in the last restore test that passed; no value if there is none.
    AchievedRecoveryTime: Source, Seconds;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/metrics.md");

    /// docs/metrics.md: each metric with its unit, under the heading of its subject, and no other.
    #[test]
    fn the_documentation_lists_the_catalogue() {
        let mut documented = BTreeMap::new();
        let mut subject = None;
        for line in PAGE.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                subject = match heading {
                    "Of a run" => Some(Subject::Run),
                    "Of a source" => Some(Subject::Source),
                    _ => None,
                };
            }
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            if let (Some(subject), [_, name, unit, what, _]) = (subject, &cells[..])
                && let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'))
            {
                assert!(!what.is_empty(), "{line}");
                assert_eq!(documented.insert(name, (format!("{subject:?}"), *unit)), None, "{name} twice");
            }
        }
        let known: BTreeMap<_, _> = Metric::ALL
            .iter()
            .map(|metric| (metric.as_str(), (format!("{:?}", metric.subject()), metric.unit().as_str())))
            .collect();
        assert_eq!(documented, known);
    }

    /// What CloudWatch takes: names of at most 255 printable ASCII characters that do not begin with a colon.
    #[test]
    fn names_are_distinct_and_such_as_cloudwatch_takes() {
        let names: std::collections::BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.as_str()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric())));
    }
}
