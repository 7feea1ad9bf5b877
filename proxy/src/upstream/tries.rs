//! The tries that a server has in hand, so that they can be watched and cut together.
//!
//! [`crate::gateway`] opens a [`Try`] for each request it sends to a server and tells it what
//! happens; [`super::silence`] looks at all of them and may cut one.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use slab::Slab;

use super::dialler::CutHandle;
use super::stamp::Stamp;

const WAITING: u8 = 0;
const ANSWERED: u8 = 1;
const SILENT: u8 = 2;
const LATE: u8 = 3;

/// Why a try was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its server answered neither it nor a probe.
    Silent,
    /// It had all the time that a try may have.
    Late,
}

/// One request on one server, seen from outside the task that carries it.
#[derive(Debug)]
pub struct Try {
    phase: AtomicU8,
    /// Set with each piece of the request that is passed on.
    pub moved: Stamp,
    /// Set when the request was sent whole.
    pub sent: Stamp,
    /// Set with each piece of the answer.
    pub heard: Stamp,
    /// The request may go to another server if this try is cut before it is answered.
    pub movable: bool,
    connection: OnceLock<Arc<CutHandle>>,
}

impl Try {
    /// Remembers the connection that carries the try.
    pub fn connected(&self, connection: Arc<CutHandle>) {
        // A try has one connection; a second call would be a bug that changes nothing.
        let _ = self.connection.set(connection);
    }

    /// Notes that the answer has begun. Returns why the try was cut, if it was faster.
    pub fn answered(&self) -> Option<Cut> {
        let before =
            self.phase
                .compare_exchange(WAITING, ANSWERED, Ordering::AcqRel, Ordering::Acquire);
        before.err().and_then(cut_of)
    }

    /// Whether the answer has begun.
    pub fn is_answered(&self) -> bool {
        self.phase.load(Ordering::Acquire) == ANSWERED
    }

    /// Why the try was cut, if it was.
    pub fn was_cut(&self) -> Option<Cut> {
        cut_of(self.phase.load(Ordering::Acquire))
    }

    /// Ends the try if it still waits for its answer.
    pub fn cut(&self, cut: Cut) {
        let phase = match cut {
            Cut::Silent => SILENT,
            Cut::Late => LATE,
        };
        let won = self
            .phase
            .compare_exchange(WAITING, phase, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if won {
            self.disconnect();
        }
    }

    /// Shuts the connection down, whatever the phase.
    pub fn disconnect(&self) {
        if let Some(connection) = self.connection.get() {
            connection.cut();
        }
    }
}

fn cut_of(phase: u8) -> Option<Cut> {
    match phase {
        SILENT => Some(Cut::Silent),
        LATE => Some(Cut::Late),
        _ => None,
    }
}

/// The tries of one server.
#[derive(Debug, Default)]
pub struct Tries {
    /// Held for one insertion, removal or copy.
    open: Mutex<Slab<Arc<Try>>>,
    count: AtomicUsize,
}

impl Tries {
    /// Opens a try; it is closed when the guard is dropped.
    pub fn open(self: &Arc<Self>, movable: bool, now: Instant) -> OpenTry {
        let entry = Arc::new(Try {
            phase: AtomicU8::new(WAITING),
            moved: Stamp::unset(now),
            sent: Stamp::unset(now),
            heard: Stamp::unset(now),
            movable,
            connection: OnceLock::new(),
        });
        let key = self.lock().insert(Arc::clone(&entry));
        self.count.fetch_add(1, Ordering::Relaxed);
        OpenTry {
            tries: Arc::clone(self),
            key,
            entry,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// All of them, as they are now.
    pub fn snapshot(&self) -> Vec<Arc<Try>> {
        self.lock().iter().map(|(_, entry)| entry.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slab<Arc<Try>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open try; dropping it closes it, also when its request panics or its client leaves.
#[derive(Debug)]
pub struct OpenTry {
    tries: Arc<Tries>,
    key: usize,
    entry: Arc<Try>,
}

impl std::ops::Deref for OpenTry {
    type Target = Try;

    fn deref(&self) -> &Try {
        &self.entry
    }
}

impl Drop for OpenTry {
    fn drop(&mut self) {
        self.tries.lock().try_remove(self.key);
        self.tries.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_open() {
        let tries = Arc::new(Tries::default());
        let first = tries.open(true, Instant::now());
        let second = tries.open(false, Instant::now());
        assert_eq!((tries.count(), tries.snapshot().len()), (2, 2));
        drop(first);
        drop(second);
        assert_eq!((tries.count(), tries.snapshot().len()), (0, 0));
    }

    #[test]
    fn an_answer_and_a_cut_exclude_each_other() {
        let tries = Arc::new(Tries::default());
        let answered = tries.open(true, Instant::now());
        assert_eq!(answered.answered(), None);
        answered.cut(Cut::Silent);
        assert_eq!(answered.was_cut(), None);
        let cut = tries.open(true, Instant::now());
        cut.cut(Cut::Late);
        assert_eq!(cut.answered(), Some(Cut::Late));
    }
}
