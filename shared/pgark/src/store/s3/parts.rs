//! How large the parts of an upload are.
//!
//! S3 takes 10,000 parts an upload, and some others 1,000, so the hint is cut into at most 900; memory caps that at
//! 64 MiB a part as long as 10,000 parts suffice. A writer holds at most two parts: one filling, one under way.

const MIB: u64 = 1024 * 1024;

/// Above the 5 MiB which S3 asks of all parts but the last.
pub(super) const PART_BYTES_MIN: u64 = 8 * MIB;
const PART_BYTES_EASY: u64 = 64 * MIB;
/// What S3 takes at most.
const PART_BYTES_MAX: u64 = 5 * 1024 * MIB;

/// What S3 takes at most.
pub(super) const PARTS_MAX: i32 = 10_000;
const PARTS_AIM: u64 = 900;
/// Leaves room for a hint that is a tenth too low.
const PARTS_AT_WORST: u64 = 9_000;

/// The size of each part but the last.
pub(super) fn part_bytes(size_hint: Option<u64>) -> usize {
    let hint = size_hint.unwrap_or(0);
    let aim = hint.div_ceil(PARTS_AIM).clamp(PART_BYTES_MIN, PART_BYTES_EASY);
    let needed = hint.div_ceil(PARTS_AT_WORST);
    let bytes = aim.max(needed).div_ceil(MIB).saturating_mul(MIB).min(PART_BYTES_MAX);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// How many requests it takes to write an object of this size, as far as its size was known before.
pub(super) fn upload_requests(bytes: u64) -> u64 {
    if bytes <= PART_BYTES_MIN {
        return 1;
    }
    // The beginning and the end are requests too.
    2 + bytes.div_ceil(part_bytes(Some(bytes)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_few_and_small() {
        const GIB: u64 = 1024 * MIB;
        for (hint, mib) in [
            (None, 8),
            (Some(0), 8),
            (Some(GIB), 8),
            (Some(7 * GIB), 8),
            (Some(10 * GIB), 12),
            (Some(56 * GIB), 64),
            (Some(500 * GIB), 64),
            (Some(5 * 1024 * GIB), 583),
            (Some(u64::MAX), 5 * 1024),
        ] {
            assert_eq!(part_bytes(hint) as u64 / MIB, mib, "{hint:?}");
        }
    }

    #[test]
    fn requests_are_counted_with_beginning_and_end() {
        for (mib, requests) in [(0, 1), (8, 1), (9, 4), (16, 4), (17, 5), (1024, 130)] {
            assert_eq!(upload_requests(mib * MIB), requests, "{mib} MiB");
        }
    }

    #[test]
    fn every_hint_that_s3_can_hold_fits() {
        for exponent in 0..=42 {
            let hint = (1_u64 << exponent) + 12_345;
            let parts = hint.div_ceil(part_bytes(Some(hint)) as u64);
            assert!(parts <= PARTS_AT_WORST, "2^{exponent}: {parts}");
            assert!(exponent > 35 || parts <= 1_000, "2^{exponent}: {parts}");
        }
    }
}
