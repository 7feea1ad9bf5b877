//! How many requests of a connection are in hand, and since when there is none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// The requests of one connection that are not over.
#[derive(Debug)]
pub(super) struct InHand {
    count: Mutex<Count>,
    none_left: Notify,
}

#[derive(Debug)]
struct Count {
    open: usize,
    changed: Instant,
}

/// One request; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<InHand>);

impl InHand {
    /// None since now.
    pub(super) fn none() -> Arc<Self> {
        Arc::new(Self {
            count: Mutex::new(Count {
                open: 0,
                changed: Instant::now(),
            }),
            none_left: Notify::new(),
        })
    }

    /// Begins a request.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        self.count().open += 1;
        Open(Arc::clone(self))
    }

    /// Since when there is none; `None` while there is one.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let count = self.count();
        (count.open == 0).then_some(count.changed)
    }

    /// Waits until the last one is over.
    pub(super) async fn none_left(&self) {
        self.none_left.notified().await;
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.open -= 1;
        count.changed = Instant::now();
        if count.open == 0 {
            self.0.none_left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InHand;

    #[tokio::test]
    async fn quiet_begins_with_the_end_of_the_last_one() {
        let in_hand = InHand::none();
        let first = in_hand.quiet_since().unwrap();
        let (one, two) = (in_hand.begin(), in_hand.begin());
        drop(one);
        assert_eq!(in_hand.quiet_since(), None);
        drop(two);
        in_hand.none_left().await;
        assert!(in_hand.quiet_since().unwrap() >= first);
    }
}
