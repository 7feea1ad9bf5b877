//! The moving average of a server's time to the first byte.

use std::time::{Duration, Instant};

/// How much of the way to a new sample the average goes.
const PULL: f64 = 0.125;
/// How long it takes an average to fall to one half when nothing is measured any more.
const HALF_LIFE: Duration = Duration::from_secs(5);

/// A moving average of durations.
///
/// It fades while nothing is measured: a server that was slow once is tried again after a while,
/// instead of being avoided for ever for what it was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MovingAverage {
    seconds: f64,
    measured: Option<Instant>,
}

impl MovingAverage {
    /// Takes in a sample.
    pub fn take_in(&mut self, sample: Duration, now: Instant) {
        let sample = sample.as_secs_f64();
        self.seconds = match self.at(now) {
            Some(before) => before.as_secs_f64() + (sample - before.as_secs_f64()) * PULL,
            None => sample,
        };
        self.measured = Some(now);
    }

    /// The average as it is now; `None` before the first sample.
    pub fn at(&self, now: Instant) -> Option<Duration> {
        let quiet = now.saturating_duration_since(self.measured?);
        let faded = (-quiet.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
        Some(Duration::from_secs_f64(self.seconds * faded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(average: &MovingAverage, now: Instant) -> u128 {
        average.at(now).unwrap().as_millis()
    }

    #[test]
    fn it_moves_towards_what_is_measured_and_fades() {
        let now = Instant::now();
        let mut average = MovingAverage::default();
        assert_eq!(average.at(now), None);
        average.take_in(Duration::from_millis(800), now);
        assert_eq!(millis(&average, now), 800);
        average.take_in(Duration::from_millis(1600), now);
        assert_eq!(millis(&average, now), 900);
        assert_eq!(millis(&average, now + HALF_LIFE), 450);
        assert_eq!(millis(&average, now + 100 * HALF_LIFE), 0);
    }

    proptest! {
        #[test]
        fn it_stays_within_what_was_measured(samples in prop::collection::vec(1..10_000u64, 1..50)) {
            let now = Instant::now();
            let mut average = MovingAverage::default();
            for &sample in &samples {
                average.take_in(Duration::from_millis(sample), now);
            }
            let at = average.at(now).unwrap().as_secs_f64() * 1e3;
            let (least, most) = (samples.iter().min().unwrap(), samples.iter().max().unwrap());
            prop_assert!(at > *least as f64 - 0.01 && at < *most as f64 + 0.01);
        }
    }
}
