//! A moment that many tasks may set and read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An optional [`Instant`] in an atomic, counted in microseconds from a fixed beginning.
#[derive(Debug)]
pub struct Stamp {
    beginning: Instant,
    /// Zero: not set; else microseconds since the beginning, plus one.
    micros: AtomicU64,
}

impl Stamp {
    /// A stamp that is not set; it can hold moments after `beginning`.
    pub fn unset(beginning: Instant) -> Self {
        Self {
            beginning,
            micros: AtomicU64::new(0),
        }
    }

    /// Sets it to `now`.
    pub fn set(&self, now: Instant) {
        let micros = now.saturating_duration_since(self.beginning).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX - 1);
        self.micros.store(micros + 1, Ordering::Relaxed);
    }

    /// The moment, if it was set.
    pub fn at(&self) -> Option<Instant> {
        match self.micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(self.beginning + Duration::from_micros(micros - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;
    use std::time::{Duration, Instant};

    #[test]
    fn holds_what_was_set() {
        let beginning = Instant::now();
        let stamp = Stamp::unset(beginning);
        assert_eq!(stamp.at(), None);
        stamp.set(beginning);
        assert_eq!(stamp.at(), Some(beginning));
        let later = beginning + Duration::from_millis(1500);
        stamp.set(later);
        assert_eq!(stamp.at(), Some(later));
    }
}
