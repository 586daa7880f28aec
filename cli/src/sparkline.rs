//! Numbers as a row of bars, for a look at how they change. The bars stand on zero: what collapses looks collapsed.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// As many as there is room for in a table.
const VALUES_MAX: usize = 20;

/// The last of some numbers.
pub(crate) fn sparkline(values: impl DoubleEndedIterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.rev().take(VALUES_MAX).collect();
    values.reverse();
    let max = values.iter().copied().fold(0.0, f64::max);
    let bar = |value: f64| {
        let share = if max > 0.0 { value / max } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 8
        let step = (share * 8.0).ceil() as usize;
        BARS[step.clamp(1, BARS.len()) - 1]
    };
    values.into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn bars_stand_on_zero() {
        for (values, line) in [
            (&[][..], ""),
            (&[0.0, 0.0], "▁▁"),
            (&[5.0], "█"),
            (&[1.0, 2.0, 4.0, 8.0], "▁▂▄█"),
            (&[100.0, 101.0, 3.0], "██▁"),
        ] {
            assert_eq!(sparkline(values.iter().copied()), line);
        }
        assert_eq!(sparkline((0..50).map(f64::from)).chars().count(), 20);
    }
}
