//! A trouble that goes on: told once when it begins and once when it is over, not each time.
//!
//! Pure. One that comes and goes is told at most once a minute.

use std::time::{Duration, Instant};

/// Between two times that it is told.
const EVERY: Duration = Duration::from_secs(60);

/// A trouble that comes and goes.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    told: Option<Instant>,
    /// It was told and is not over yet.
    is_on: bool,
}

impl Trouble {
    /// Notes that it is there; returns whether to tell it now.
    pub(crate) fn is_here(&mut self, now: Instant) -> bool {
        let lately = |told: Instant| now.saturating_duration_since(told) < EVERY;
        if self.is_on || self.told.is_some_and(lately) {
            return false;
        }
        self.told = Some(now);
        self.is_on = true;
        true
    }

    /// Notes that it is over; returns whether to tell it, which is if it was told.
    pub(crate) fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.is_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_and_its_end_once() {
        let now = Instant::now();
        let mut trouble = Trouble::default();
        assert!(!trouble.is_over());
        assert!(trouble.is_here(now));
        assert!(!trouble.is_here(now + EVERY * 2), "it goes on");
        assert!(trouble.is_over());
        assert!(!trouble.is_over());
        assert!(!trouble.is_here(now + EVERY / 2), "so soon again");
        assert!(!trouble.is_over());
        assert!(trouble.is_here(now + EVERY));
    }
}
