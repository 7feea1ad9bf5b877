//! What is counted for the metrics page: atomics that a request touches without looking anything
//! up. [`crate::admin`] writes them out.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The upper bounds of the latency buckets in milliseconds; one more holds what is above.
pub const BOUNDS_MS: [u64; 14] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];
/// The classes of status, from 1xx on.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The figures of one route.
#[derive(Debug)]
pub struct RouteFigures {
    label: Arc<str>,
    classes: [AtomicU64; CLASSES.len()],
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    micros: AtomicU64,
    in_flight: AtomicUsize,
    limited: AtomicU64,
}

impl RouteFigures {
    /// Nothing counted yet.
    pub fn new(label: &str) -> Arc<Self> {
        Arc::new(Self {
            label: label.into(),
            classes: Default::default(),
            buckets: Default::default(),
            micros: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            limited: AtomicU64::new(0),
        })
    }

    /// The route, as it stands in the log; empty for requests that took none.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Counts a request that is over.
    pub fn count(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MS.partition_point(|bound| bound * 1000 < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts a request that was refused since its client had sent too many.
    pub fn count_limited(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were refused since their clients had sent too many.
    pub fn limited(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }

    /// Counts a request as in flight until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How many ended with each class of status.
    pub fn classes(&self) -> [u64; CLASSES.len()] {
        std::array::from_fn(|class| self.classes[class].load(Ordering::Relaxed))
    }

    /// How many took no longer than each bound, all of them last, and the seconds of all.
    pub fn latency(&self) -> ([u64; BOUNDS_MS.len() + 1], f64) {
        let mut sum = 0;
        let cumulative = std::array::from_fn(|bucket| {
            sum += self.buckets[bucket].load(Ordering::Relaxed);
            sum
        });
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        (cumulative, seconds)
    }
}

/// A request in flight on a route.
#[derive(Debug)]
pub struct InFlight(Arc<RouteFigures>);

impl InFlight {
    /// The figures that it counts in.
    pub fn figures(&self) -> &RouteFigures {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts by a word, for what happens seldom: retries, health checks, events.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Vec<(&'static str, u64)>>);

impl Tally {
    /// Counts one.
    pub fn count(&self, word: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }

    /// All words that were counted, in the order in which they first were.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How often a word was counted.
    pub fn of(&self, word: &str) -> u64 {
        let counts = self.counts();
        let found = counts.iter().find(|(known, _)| *known == word);
        found.map_or(0, |(_, count)| *count)
    }
}

/// What is counted of one server beside its requests.
#[derive(Debug, Default)]
pub struct ServerFigures {
    /// Health checks by result.
    pub checks: Tally,
    /// How often it was ejected for 5xx or broken answers.
    pub ejections: AtomicU64,
    /// Connections to it that are open, in use or in the pool.
    pub connections: Arc<AtomicUsize>,
}

/// Something that is counted for as long as it lives.
#[derive(Debug)]
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// Counts one more.
    pub fn one(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_in_its_class_and_bucket() {
        let figures = RouteFigures::new("/api");
        let in_flight = figures.begin();
        assert_eq!(figures.in_flight(), 1);
        for (status, ms) in [(200, 1), (204, 3), (404, 100), (503, 40_000)] {
            in_flight.figures().count(status, Duration::from_millis(ms));
        }
        drop(in_flight);
        assert_eq!(figures.in_flight(), 0);
        assert_eq!(figures.classes(), [0, 2, 0, 1, 1]);
        let (buckets, seconds) = figures.latency();
        assert_eq!(buckets, [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert!((seconds - 40.104).abs() < 1e-6, "{seconds}");
    }

    #[test]
    fn words_are_counted_apart() {
        let tally = Tally::default();
        for word in ["silent", "late", "silent"] {
            tally.count(word);
        }
        assert_eq!(tally.counts(), [("silent", 2), ("late", 1)]);
        assert_eq!((tally.of("late"), tally.of("none")), (1, 0));
    }
}
