//! What the fault of one connection says of the others.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long after a fault connections are checked that were made before it. What is in use comes back and
/// what is not becomes idle meanwhile, so each is checked once or lies idle.
const DOUBTFUL: Duration = Duration::from_secs(2);

/// When a connection last proved dead or read-only: the others of its age may be so, too.
#[derive(Debug, Default)]
pub(super) struct Doubt(Mutex<Option<Instant>>);

impl Doubt {
    /// Notes that a connection was not what it was taken for.
    pub(super) fn raise(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether a connection of this age was there when one proved bad a short time ago.
    pub(super) fn covers(&self, age: Duration, now: Instant) -> bool {
        let raised = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        raised.is_some_and(|raised| {
            let since = now.saturating_duration_since(raised);
            since < DOUBTFUL && age >= since
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_there_when_another_proved_bad_is_doubted_for_a_while() {
        let now = Instant::now();
        let after = |ms: u64| now + Duration::from_millis(ms);
        let doubt = Doubt::default();
        assert!(!doubt.covers(Duration::from_secs(9), now));
        doubt.raise(now);
        assert!(doubt.covers(Duration::from_secs(9), after(100)));
        assert!(
            !doubt.covers(Duration::from_millis(50), after(100)),
            "made since"
        );
        assert!(!doubt.covers(Duration::from_secs(9), after(2000)));
    }
}
