//! How many connections there may be at the same time: a number that can change.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for connections.
#[derive(Debug)]
pub struct Slots {
    free: Arc<Semaphore>,
    most: Mutex<usize>,
}

impl Slots {
    /// So many places, all free.
    pub fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            most: Mutex::new(most),
        }
    }

    /// Waits for a place; it is given back when dropped.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Takes a place if one is free.
    pub fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Changes the number. No connection is closed for it: where there are more than that, new
    /// ones wait until enough of them have ended.
    pub fn set_most(&self, most: usize) {
        let mut before = self.lock();
        if let Some(more) = most.checked_sub(*before) {
            self.free.add_permits(more);
        } else {
            let fewer = *before - most;
            let owed = fewer - self.free.forget_permits(fewer);
            self.collect(owed);
        }
        *before = most;
    }

    /// Takes places that are still in use away as they become free.
    fn collect(&self, owed: usize) {
        let free = Arc::clone(&self.free);
        let owed = u32::try_from(owed).unwrap_or(u32::MAX);
        if owed > 0 {
            tokio::spawn(async move {
                if let Ok(collected) = free.acquire_many(owed).await {
                    collected.forget();
                }
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, usize> {
        self.most.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[tokio::test]
    async fn fewer_places_close_nothing_and_hold_back_the_next() {
        let slots = Slots::new(2);
        let (one, two) = (slots.take().await, slots.take().await);
        slots.set_most(1);
        tokio::task::yield_now().await;
        drop(one);
        tokio::task::yield_now().await;
        assert!(slots.try_take().is_none(), "the second one still is there");
        drop(two);
        let third = slots.take().await;
        assert!(third.is_some() && slots.try_take().is_none());
        slots.set_most(3);
        assert!(slots.try_take().is_some());
    }
}
