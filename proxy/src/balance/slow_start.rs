//! A server that has just come up may begin with less than its weight.
//!
//! The share of its weight that counts grows in steps, so that the turns of
//! [`super::SmoothRoundRobin`] change no more often than needed.

use std::time::Duration;

/// The steps from cold to warm.
pub const WARM: u32 = 20;

/// How much of its weight a server has that has been up for this long, from 1 to [`WARM`].
///
/// A `slow_start` of zero makes every server warm at once.
pub fn warmth(up_for: Duration, slow_start: Duration) -> u32 {
    if up_for >= slow_start {
        return WARM;
    }
    let steps = up_for.as_secs_f64() / slow_start.as_secs_f64() * f64::from(WARM);
    // Rounded down, and never above what `WARM` is.
    (steps as u32).clamp(1, WARM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn from_a_twentieth_to_all_of_it() {
        let slow_start = Duration::from_secs(10);
        for (millis, expected) in [
            (0, 1),
            (999, 1),
            (1_000, 2),
            (5_000, 10),
            (9_999, 19),
            (10_000, 20),
        ] {
            let warmth = warmth(Duration::from_millis(millis), slow_start);
            assert_eq!(warmth, expected, "{millis}");
        }
        assert_eq!(warmth(Duration::ZERO, Duration::ZERO), WARM);
    }

    proptest! {
        #[test]
        fn it_only_grows_and_arrives_in_time(a in 0..100_000u64, b in 0..100_000u64, length in 0..100_000u64) {
            let at = |millis| warmth(Duration::from_millis(millis), Duration::from_millis(length));
            prop_assert!(at(a.min(b)) <= at(a.max(b)));
            prop_assert!((1..=WARM).contains(&at(a)));
            prop_assert_eq!(at(length), WARM);
        }
    }
}
