//! Answers that a server breaks off in their bodies, whose heads were good.

use std::time::{Duration, Instant};

/// Those further apart than this do not make a row: streams of events, say, that never come to an end of their
/// own, and are broken off whenever a server is replaced.
const APART: Duration = Duration::from_secs(60);

/// How many came in a row.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    count: u32,
    last: Option<Instant>,
}

impl Cuts {
    /// Takes in one more.
    pub(super) fn add(&mut self, now: Instant) {
        let is_of_old = |last| now.saturating_duration_since(last) > APART;
        if self.last.is_some_and(is_of_old) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    /// How many there are in the row that the last one belongs to.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_long_after_one_another_are_no_row() {
        let begin = Instant::now();
        let mut cuts = Cuts::default();
        for number in 0..9 {
            cuts.add(begin + number * (APART + Duration::from_millis(1)));
            assert_eq!(cuts.count(), 1);
        }
        let mut cuts = Cuts::default();
        for number in 1..9 {
            cuts.add(begin + number * APART);
            assert_eq!(cuts.count(), number);
        }
    }
}
