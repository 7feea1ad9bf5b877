//! The time that a request has for the database, whoever asks on its behalf: its credentials, its handler.
//!
//! It belongs to the task that answers the request: [`share_one`] begins it, and every
//! [`Work`](super::Work) within takes from it. A body that is streamed is sent after that, piece by
//! piece, and each piece has a budget of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time that all database work of one request may take: waiting for a connection and every query.
pub const BUDGET: Duration = Duration::from_millis(1500);

tokio::task_local! {
    static OF_THIS_REQUEST: Budget;
}

/// Has all database work within `answering` share one budget.
pub async fn share_one<F: Future>(answering: F) -> F::Output {
    OF_THIS_REQUEST.scope(Budget::default(), answering).await
}

/// Returns what is left to the request that is being answered; the whole of it outside of one.
#[must_use]
pub fn left() -> Duration {
    Budget::of_this_request().left()
}

/// What is left of a budget. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<AtomicU64>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(micros(BUDGET))))
    }
}

impl Budget {
    pub(super) fn of_this_request() -> Self {
        OF_THIS_REQUEST.try_with(Clone::clone).unwrap_or_default()
    }

    pub(super) fn left(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn spend(&self, time: Duration) {
        let take = |left: u64| Some(left.saturating_sub(micros(time)));
        // A closure that always returns something cannot fail.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_has_one_and_what_is_outside_has_its_own() {
        let second = Duration::from_secs(1);
        share_one(async {
            Budget::of_this_request().spend(second);
            assert_eq!(left(), BUDGET - second);
            Budget::of_this_request().spend(second);
            assert_eq!(left(), Duration::ZERO);
        })
        .await;
        Budget::of_this_request().spend(second);
        assert_eq!(left(), BUDGET);
    }
}
