//! What backups cost at Amazon, estimated. Plain functions of sizes, times and the price table (`cost/prices.toml`), which
//! says where its prices are from and of which day they are.
//!
//! Left out are transfer, KMS, metrics, logs, retrieval out of cold classes, and other versions of objects in buckets
//! that keep them. Where the store is not Amazon's, this is what it would cost there.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::repository::Tier;

pub mod forecast;

const TABLE: &str = include_str!("cost/prices.toml");
const GB: f64 = 1_073_741_824.0;
/// Manifest, signature, two records of the run and two moves of its lease, and the listings around them.
const WRITES_BESIDE_OBJECTS: u64 = 12;
/// Smaller objects stay in STANDARD: infra/storage.yaml, `ColdBytesMin`.
pub const COLD_BYTES_MIN: u64 = 1 << 20;
/// Until then all are in STANDARD: infra/storage.yaml, `ColdAfterDays`.
pub const COLD_AFTER_DAYS: u32 = 35;

/// A storage class of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StorageClass {
    /// For what is read at any time.
    Standard,
    /// Read at once, for a fee.
    StandardIa,
    /// Read at once, for a higher fee.
    GlacierIr,
    /// Read after hours.
    Glacier,
    /// Read after half a day or two.
    DeepArchive,
}

impl StorageClass {
    const ALL: [Self; 5] =
        [Self::Standard, Self::StandardIa, Self::GlacierIr, Self::Glacier, Self::DeepArchive];

    /// As S3 spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::GlacierIr => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StorageClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|class| class.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("`{text}` is no storage class"))
    }
}

/// In which class the backups of each tier end up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageClasses([StorageClass; 4]);

impl StorageClasses {
    /// How they are written, as a sentence.
    pub const FORM: &'static str = "Give one class for all, or `daily STANDARD, weekly STANDARD_IA, monthly GLACIER, yearly DEEP_ARCHIVE`; the classes are STANDARD, STANDARD_IA, GLACIER_IR, GLACIER and DEEP_ARCHIVE.";

    /// The class of a tier.
    pub fn of(self, tier: Tier) -> StorageClass {
        self.0[tier as usize]
    }
}

/// Those of infra/storage.yaml.
impl Default for StorageClasses {
    fn default() -> Self {
        use StorageClass::{DeepArchive, Glacier, Standard, StandardIa};
        Self([Standard, StandardIa, Glacier, DeepArchive])
    }
}

impl FromStr for StorageClasses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(class) = text.trim().parse() {
            return Ok(Self([class; 4]));
        }
        let mut classes = Self::default();
        for part in text.split(',') {
            let mut words = part.split_whitespace();
            let (Some(tier), Some(class), None) = (words.next(), words.next(), words.next()) else {
                return Err(format!("`{}` is not a tier and a class", part.trim()));
            };
            let tier: Tier = tier.parse().map_err(|_| format!("`{tier}` is no tier"))?;
            classes.0[tier as usize] = class.parse()?;
        }
        Ok(classes)
    }
}

/// The price table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The day of the prices.
    pub as_of: Date,
    /// The region.
    pub region: String,
    /// The currency.
    pub currency: String,
    storage: BTreeMap<StorageClass, StoragePrices>,
    lambda: LambdaPrices,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoragePrices {
    gb_month: f64,
    write_1000: f64,
    read_1000: f64,
    transition_1000: f64,
    object_bytes_min: u64,
    overhead_bytes: u64,
    overhead_standard_bytes: u64,
    days_min: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct LambdaPrices {
    gb_second_x86_64: f64,
    gb_second_aarch64: f64,
    request_1000000: f64,
}

/// The prices that this version knows.
///
/// # Panics
/// Never: a test reads the table.
pub fn prices() -> &'static Prices {
    static PRICES: LazyLock<Prices> =
        LazyLock::new(|| toml::from_str(TABLE).unwrap_or_else(|error| unreachable!("{error}")));
    &PRICES
}

#[allow(clippy::cast_precision_loss)] // money is told in cents
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

impl Prices {
    fn of(&self, class: StorageClass) -> StoragePrices {
        self.storage[&class]
    }

    /// Storing objects of these sizes in a class for a month.
    pub fn storage_month(&self, class: StorageClass, object_bytes: &[u64]) -> f64 {
        object_bytes.iter().map(|bytes| self.object_month(class, *bytes)).sum()
    }

    /// One object. A small one stays in STANDARD, where no lifecycle rule moves it.
    fn object_month(&self, class: StorageClass, bytes: u64) -> f64 {
        let standard = self.of(StorageClass::Standard).gb_month;
        if class == StorageClass::Standard || bytes < COLD_BYTES_MIN {
            return number(bytes) / GB * standard;
        }
        let prices = self.of(class);
        let billed = bytes.max(prices.object_bytes_min) + prices.overhead_bytes;
        number(billed) / GB * prices.gb_month + number(prices.overhead_standard_bytes) / GB * standard
    }

    /// Writing objects of these sizes, and what a backup writes beside them. They are written to STANDARD.
    pub fn writing(&self, object_bytes: &[u64]) -> f64 {
        let requests: u64 = object_bytes.iter().map(|bytes| crate::store::s3::upload_requests(*bytes)).sum();
        number(requests + WRITES_BESIDE_OBJECTS) / 1000.0 * self.of(StorageClass::Standard).write_1000
    }

    /// Reading so many objects from STANDARD.
    pub fn reading(&self, objects: u64) -> f64 {
        number(objects) / 1000.0 * self.of(StorageClass::Standard).read_1000
    }

    /// Moving the objects that are large enough into a class.
    pub fn transition(&self, class: StorageClass, object_bytes: &[u64]) -> f64 {
        let moved = object_bytes.iter().filter(|bytes| **bytes >= COLD_BYTES_MIN).count();
        number(moved as u64) / 1000.0 * self.of(class).transition_1000
    }

    /// A function with so much memory that ran for so long.
    pub fn function(&self, memory_mb: u64, seconds: f64, architecture: &str) -> f64 {
        let gb_second = match architecture {
            "aarch64" => self.lambda.gb_second_aarch64,
            _ => self.lambda.gb_second_x86_64,
        };
        number(memory_mb) / 1024.0 * seconds * gb_second + self.lambda.request_1000000 / 1_000_000.0
    }

    /// How many days are billed at least for what is in a class.
    pub fn days_min(&self, class: StorageClass) -> u32 {
        self.of(class).days_min
    }
}

#[cfg(test)]
mod tests;
